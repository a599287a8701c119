# Copyright 2026 The ms_cosine_loss authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
# http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Dynamic lengths and dynamic rank in graph mode: one compiled graph has to serve every batch."""
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss
from tests import truth
from tests.st.evaluation import (
    HALVES,
    UNIT,
    arithmetic,
    array,
    assert_within,
    normal,
    rounded,
    signs,
    tensor,
    tolerance,
    ulp,
)

pytestmark = pytest.mark.usefixtures('setting')


@pytest.fixture(autouse=True)
def _graph_mode():
    before = ms.get_context('mode')
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=before)


class _Weighted(nn.Cell):
    """A loss times what is to come in as its gradient."""

    def __init__(self, loss, dtype):
        super().__init__()
        self.loss = loss
        self.dtype = arithmetic(dtype)

    def construct(self, x1, x2, labels, upstream):
        # Widened, because on CPU MindSpore has no bfloat16 for the gradient of a product of unknown shape.
        return ops.cast(self.loss(x1, x2, labels), self.dtype) * upstream


class _Gradient(nn.Cell):
    """The gradients by both logits, as a Cell, because only a Cell can be told of dynamic shapes."""

    def __init__(self, weighted):
        super().__init__()
        self.weighted = weighted
        self.grad = ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels, upstream):
        return self.grad(self.weighted)(x1, x2, labels, upstream)[:2]


def _compiled(shapes, dtype=ms.float32, **settings):
    """The loss and its gradients, each one graph for inputs of the given shapes, None where they are unknown."""
    inputs = [Tensor(shape=shape, dtype=each) for shape, each in zip(shapes, (dtype, dtype, ms.int32))]
    upstream = Tensor(shape=shapes[2] if settings['reduction'] == 'none' else (), dtype=arithmetic(dtype))
    loss = CosineEmbeddingLoss(**settings)
    gradient = _Gradient(_Weighted(CosineEmbeddingLoss(**settings), dtype))
    loss.set_inputs(*inputs)
    gradient.set_inputs(*inputs, upstream)
    return loss, gradient


def _check(compiled, x1, x2, labels, reduction, dtype=ms.float32, axis=1, **settings):
    """The values and gradients of one batch against the truth."""
    inputs = tensor(x1, dtype), tensor(x2, dtype), tensor(labels, ms.int32)
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    full1, full2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    finite1, finite2 = (np.where(np.isfinite(full), full, 1.0) for full in (full1, full2))
    expected = truth.reduced(truth.pair_losses(finite1, finite2, labels, axis=axis, **settings), reduction)
    found = compiled[0](*inputs)
    assert found.dtype == dtype
    assert_within(array(found), expected, tolerance(expected, dtype, labels.size if reduction == 'sum' else 1))

    upstream = np.random.default_rng(60).integers(1, 16, labels.shape if reduction == 'none' else ()) / 8
    share = np.broadcast_to(upstream / labels.size if reduction == 'mean' else upstream, labels.shape)
    expected = truth.gradients(finite1, finite2, labels, share, axis=axis, **settings)
    for each, truly, logits in zip(compiled[1](*inputs, tensor(upstream, arithmetic(dtype))), expected, (x1, x2)):
        repeated = tuple(i for i, length in enumerate(logits.shape) if length != shape[i])
        size = np.linalg.norm(np.abs(truly).sum(axis=repeated, keepdims=True))
        # The contract's 1e-6 for float32, of what is summed where a row was repeated; a half is then rounded once for
        # each repeat and once at the end.
        granted = 1e-6 * size if arithmetic(dtype) == ms.float32 else 40 * UNIT[dtype] * size
        assert_within(array(each), truly.sum(axis=repeated, keepdims=True),
                      granted + (2 * ulp(size, dtype) if dtype in HALVES else 0))
        assert (array(each)[~np.isfinite(logits)] == 0).all()


@pytest.mark.parametrize(('shapes', 'reduction'), [
    (([None, 4], [None, 4], [None]), 'none'),
    (([None, 4], [None, 4], [None]), 'sum'),
    (([None, 4], [None, 4], [None]), 'mean'),
    (([None, None], [None, None], [None]), 'mean'),
    ((None, None, None), 'none'),
    ((None, None, None), 'mean'),
    (([3, 4], [None, None], [None]), 'none'),
], ids=str)
def test_batches_of_several_sizes(shapes, reduction):
    compiled = _compiled(shapes, reduction=reduction, margin=-0.75)
    sizes = (3, 3) if shapes[0] == [3, 4] else (1, 5, 3)
    for seed, size in enumerate(sizes):
        x1, x2 = normal(seed, (size, 4), ms.float32), normal(seed + 10, (size, 4), ms.float32)
        _check(compiled, x1, x2, signs(seed, size), reduction, margin=-0.75)


@pytest.mark.parametrize('shapes', [
    ([None, None], [None, None], [None]),
    (None, None, None),
    ([1, 4], [None, 4], [None]),
], ids=['both', 'rank', 'anchor'])
def test_broadcasting(shapes):
    compiled = _compiled(shapes, ms.float64, reduction='mean')
    anchor = normal(20, (1, 4))
    for seed, size in enumerate((5, 1, 2)):
        batch, labels = normal(seed + 21, (size, 4)), signs(seed, size)
        _check(compiled, anchor, batch, labels, 'mean', ms.float64)
        if shapes[0] != [1, 4]:
            _check(compiled, batch, anchor, labels, 'mean', ms.float64)


@pytest.mark.parametrize('shapes', [([None, 4], [None, 4], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_nan_in_ignored_rows(shapes):
    compiled = _compiled(shapes, reduction='sum', margin=-1.0)
    for size in (4, 6):
        x1, x2, labels = normal(30, (size, 4), ms.float32), normal(31, (size, 4), ms.float32), signs(32, size)
        x1[1], x2[2, 1], labels[1], labels[2] = math.nan, math.inf, 0, 2
        _check(compiled, x1, x2, labels, 'sum', margin=-1.0)


def test_nan_in_labelled_rows():
    loss, _ = _compiled(([None, None], [None, None], [None]), reduction='none', margin=0.5)
    x1, x2 = normal(33, (4, 3), ms.float32), normal(34, (4, 3), ms.float32)
    x1[0, 1], x2[1, 2] = math.nan, math.inf
    found = array(loss(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor([1, -1, 1, -1], ms.int32)))
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False])


@pytest.mark.parametrize('dtype', [*HALVES, ms.float64], ids=str)
@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['both', 'rank'])
def test_dtypes(shapes, dtype):
    # float16's own squares would overflow here, so this asks for the wide arithmetic too.
    compiled = _compiled(shapes, dtype, reduction='none', margin=-1.0)
    for seed, size in enumerate((2, 4)):
        x1, x2 = 1024 * normal(seed, (size, 5), dtype), normal(seed + 40, (size, 5), dtype)
        _check(compiled, x1, x2, signs(seed, size), 'none', dtype, margin=-1.0)


@pytest.mark.parametrize('shapes', [([None, None, 4], [None, None, 4], [None, None]), (None, None, None)],
                         ids=['lengths', 'rank'])
def test_last_axis_of_three(shapes):
    compiled = _compiled(shapes, reduction='mean', axis=-1, margin=-1.0)
    for shape in ((2, 3, 4), (1, 5, 4), (2, 1, 4)):
        x1, x2 = normal(50, shape, ms.float32), normal(51, shape, ms.float32)
        _check(compiled, x1, x2, signs(52, shape[:2]), 'mean', axis=-1, margin=-1.0)


@pytest.mark.parametrize('eps', [0, 1e-12])
@pytest.mark.parametrize('shapes', [([None, 3], [None, 3], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_zero_rows(shapes, eps):
    loss, gradient = _compiled(shapes, reduction='none', margin=-0.25, eps=eps)
    zero, other = [0.0] * 3, [1.5, -2.0, 0.5]
    inputs = (tensor([zero, other, zero, zero, other, zero], ms.float32),
              tensor([other, zero, zero, other, zero, zero], ms.float32), tensor([1, 1, 1, -1, -1, -1], ms.int32))
    np.testing.assert_array_equal(array(loss(*inputs)), [1, 1, 1, 0.25, 0.25, 0.25])
    found = [array(each) for each in gradient(*inputs, tensor(np.ones(6), ms.float32))]
    # The other vector over its length and the root of eps; nothing without eps.
    size = 0 if eps == 0 else 1e6 / np.linalg.norm(other)
    expected = np.array([[-size], [0], [0], [size], [0], [0]]) * np.array(other)
    assert_within(found[0], expected, 1e-6 * max(size, 1e-30))
    expected = np.array([[0], [-size], [0], [0], [size], [0]]) * np.array(other)
    assert_within(found[1], expected, 1e-6 * max(size, 1e-30))


@pytest.mark.parametrize('shapes', [([None, 8], [None, 8], [None]), (None, None, None)], ids=['batch', 'rank'])
@pytest.mark.parametrize(('reduction', 'expected'), [('none', []), ('sum', 0), ('mean', math.nan)])
def test_empty_batches_after_a_full_one(shapes, reduction, expected):
    # Sums of nothing would show what the full batch has left behind.
    loss, gradient = _compiled(shapes, reduction=reduction)
    for size in (64, 0, 64, 0):
        x1, x2 = (tensor(normal(seed, (size, 8), ms.float32), ms.float32) for seed in (1, 2))
        inputs = x1, x2, tensor(signs(3, size), ms.int32)
        found = array(loss(*inputs))
        upstream = tensor(np.ones(size if reduction == 'none' else ()), ms.float32)
        assert [each.shape for each in gradient(*inputs, upstream)] == [(size, 8)] * 2
        if size == 0:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('dtype', [ms.float32, ms.float64], ids=str)
@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_long_rows_and_large_batches(shapes, dtype):
    compiled = _compiled(shapes, dtype, reduction='mean', eps=0)
    # Constant rows round all partial sums to one side. The cosine of each row is that of its first two elements.
    row1, row2 = rounded([[0.3, 0.3]], dtype), rounded([[0.3, 0.7]], dtype)
    expected = float(truth.pair_losses(row1, row2, np.ones(1), eps=0)[0])
    true_gradients = truth.gradients(row1, row2, np.ones(1), eps=0)
    for rows, repeats in ((1, 50_000), (100_000, 1)):
        inputs = [tensor(np.tile(row, (rows, repeats)), dtype) for row in (row1, row2)]
        inputs.append(tensor(np.ones(rows), ms.int32))
        assert_within(array(compiled[0](*inputs)), expected, 4 * UNIT[dtype])
        for found, truly in zip(compiled[1](*inputs, tensor(1.0, dtype)), true_gradients):
            truly = np.tile(truly, (rows, repeats)) / (rows * repeats)
            # The contract's for float32, of each row; as much in units for float64.
            granted = (1e-6 if dtype == ms.float32 else 40 * UNIT[dtype]) * np.linalg.norm(truly[0])
            assert np.linalg.norm(array(found) - truly, axis=1).max() <= granted


def test_nothing_is_warned_of(caplog):
    # MindSpore warns of helpers that are given what is not constant, as unknown shapes are not.
    loss, _ = _compiled(([None, None], [None, None], [None]), reduction='mean')
    loss(tensor(normal(1, (3, 4)), ms.float64).astype(ms.float32), tensor(np.ones((3, 4)), ms.float32),
         tensor(signs(2, 3), ms.int32))
    assert 'constexpr' not in caplog.text
