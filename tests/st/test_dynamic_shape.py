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
"""Dynamic lengths and dynamic rank in graph mode: one compiled graph must serve every batch."""
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, amp, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss, _select
from tests import truth
from tests.compatibility import training
from tests.st.dynamic import check_batch, compile_for
from tests.st.evaluation import (
    DTYPES,
    REDUCTIONS,
    UNIT,
    ByHand,
    array,
    assert_within,
    normal,
    pair_losses,
    rounded,
    signs,
    tensor,
    tolerance,
    tolerance_beside,
)

pytestmark = pytest.mark.usefixtures('implementation')


@pytest.fixture(autouse=True)
def _graph_mode():
    before = ms.get_context('mode')
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=before)


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
    compiled = compile_for(shapes, reduction=reduction, margin=-0.75)
    sizes = (3, 3) if shapes[0] == [3, 4] else (1, 5, 3)
    for seed, size in enumerate(sizes):
        x1, x2 = normal(seed, (size, 4), ms.float32), normal(seed + 10, (size, 4), ms.float32)
        check_batch(compiled, x1, x2, signs(seed, size), reduction, margin=-0.75)


@pytest.mark.parametrize('shapes', [
    ([None, None], [None, None], [None]),
    (None, None, None),
    ([1, 4], [None, 4], [None]),
], ids=['both', 'rank', 'anchor'])
def test_broadcasting(shapes):
    compiled = compile_for(shapes, ms.float64, reduction='mean')
    anchor = normal(20, (1, 4))
    for seed, size in enumerate((5, 1, 2)):
        batch, labels = normal(seed + 21, (size, 4)), signs(seed, size)
        check_batch(compiled, anchor, batch, labels, 'mean', ms.float64)
        if shapes[0] != [1, 4]:
            check_batch(compiled, batch, anchor, labels, 'mean', ms.float64)


@pytest.mark.parametrize('shapes', [([None, 4], [None, 4], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_nan_in_ignored_rows(shapes):
    compiled = compile_for(shapes, reduction='sum', margin=-1.0)
    for size in (4, 6):
        x1, x2, labels = normal(30, (size, 4), ms.float32), normal(31, (size, 4), ms.float32), signs(32, size)
        x1[1], x2[2, 1], labels[1], labels[2] = math.nan, math.inf, 0, 2
        check_batch(compiled, x1, x2, labels, 'sum', margin=-1.0)


def test_nan_in_labelled_rows():
    loss, _ = compile_for(([None, None], [None, None], [None]), reduction='none', margin=0.5)
    x1, x2 = normal(33, (4, 3), ms.float32), normal(34, (4, 3), ms.float32)
    x1[0, 1], x2[1, 2] = math.nan, math.inf
    found = array(loss(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor([1, -1, 1, -1], ms.int32)))
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False])


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['both', 'rank'])
def test_dtypes(shapes, reduction, dtype):
    # float16 squares would overflow here, so this tests the wide arithmetic too.
    compiled = compile_for(shapes, dtype, reduction=reduction, margin=-1.0)
    for seed, size in enumerate((2, 4)):
        x1, x2 = 1024 * normal(seed, (size, 5), dtype), normal(seed + 40, (size, 5), dtype)
        check_batch(compiled, x1, x2, signs(seed, size), reduction, dtype, margin=-1.0)


@pytest.mark.parametrize('shapes', [([None, None, 4], [None, None, 4], [None, None]), (None, None, None)],
                         ids=['lengths', 'rank'])
def test_last_axis_of_three(shapes):
    compiled = compile_for(shapes, reduction='mean', axis=-1, margin=-1.0)
    for shape in ((2, 3, 4), (1, 5, 4), (2, 1, 4)):
        x1, x2 = normal(50, shape, ms.float32), normal(51, shape, ms.float32)
        check_batch(compiled, x1, x2, signs(52, shape[:2]), 'mean', axis=-1, margin=-1.0)


@pytest.mark.parametrize('eps', [0, 1e-12])
@pytest.mark.parametrize('shapes', [([None, 3], [None, 3], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_zero_rows(shapes, eps):
    loss, gradient = compile_for(shapes, reduction='none', margin=-0.25, eps=eps)
    zero, other = [0.0] * 3, [1.5, -2.0, 0.5]
    inputs = (tensor([zero, other, zero, zero, other, zero], ms.float32),
              tensor([other, zero, zero, other, zero, zero], ms.float32), tensor([1, 1, 1, -1, -1, -1], ms.int32))
    np.testing.assert_array_equal(array(loss(*inputs)), [1, 1, 1, 0.25, 0.25, 0.25])
    found = [array(each) for each in gradient(*inputs, tensor(np.ones(6), ms.float32))]
    # The other vector over its norm and sqrt(eps); 0 without eps.
    size = 0 if eps == 0 else 1e6 / np.linalg.norm(other)
    expected = np.array([[-size], [0], [0], [size], [0], [0]]) * np.array(other)
    assert_within(found[0], expected, 1e-6 * max(size, 1e-30))
    expected = np.array([[0], [-size], [0], [0], [size], [0]]) * np.array(other)
    assert_within(found[1], expected, 1e-6 * max(size, 1e-30))


@pytest.mark.parametrize('shapes', [([None, 8], [None, 8], [None]), (None, None, None)], ids=['batch', 'rank'])
@pytest.mark.parametrize(('reduction', 'expected'), [('none', []), ('sum', 0), ('mean', math.nan)])
def test_empty_batches_among_full_ones(shapes, reduction, expected):
    # Sums over nothing would show leftovers of the full batch.
    loss, gradient = compile_for(shapes, reduction=reduction)
    for size in (64, 0, 64, 0):
        x1, x2, labels = normal(1, (size, 8), ms.float32), normal(2, (size, 8), ms.float32), signs(3, size)
        if size > 0:
            check_batch((loss, gradient), x1, x2, labels, reduction)
            continue
        inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
        np.testing.assert_array_equal(array(loss(*inputs)), expected)
        upstream = tensor(np.ones(0 if reduction == 'none' else ()), ms.float32)
        assert [each.shape for each in gradient(*inputs, upstream)] == [(0, 8)] * 2


@pytest.mark.parametrize('dtype', [ms.float32, ms.float64], ids=str)
@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_long_rows_and_large_batches(shapes, dtype):
    compiled = compile_for(shapes, dtype, reduction='mean', eps=0)
    # All partial sums of constant rows are rounded to the same side. Tiling a row does not change its cosine.
    row1, row2 = rounded([[0.3, 0.3]], dtype), rounded([[0.3, 0.7]], dtype)
    expected = float(truth.pair_losses(row1, row2, np.ones(1), eps=0)[0])
    true_gradients = truth.gradients(row1, row2, np.ones(1), eps=0)
    for rows, repeats in ((1, 50_000), (100_000, 1)):
        inputs = [tensor(np.tile(row, (rows, repeats)), dtype) for row in (row1, row2)]
        inputs.append(tensor(np.ones(rows), ms.int32))
        theirs = array(ByHand()(*inputs))
        assert_within(array(compiled[0](*inputs)), expected, tolerance_beside(theirs, expected, dtype))
        theirs = ms.grad(ByHand(), (0, 1))(*inputs)
        for found, by_hand, truly in zip(compiled[1](*inputs, tensor(1.0, dtype)), theirs, true_gradients):
            truly = np.tile(truly, (rows, repeats)) / (rows * repeats)
            # The contract's bound for float32, by row, or 40 ulp for float64; plus what the loss by hand loses.
            allowed = (1e-6 if dtype == ms.float32 else 40 * UNIT[dtype]) * np.linalg.norm(truly[0])
            lost = np.linalg.norm(array(by_hand) - truly, axis=1).max()
            assert np.linalg.norm(array(found) - truly, axis=1).max() <= allowed + lost


class _Along(nn.Cell):
    """The derivatives of sum(direction · gradient), for a nonlinear function of a scalar loss."""

    def __init__(self, loss, dtype):
        super().__init__()
        self.loss = loss
        self.dtype = dtype
        self.first = ops.GradOperation(get_all=True)
        self.second = ops.GradOperation(get_all=True)

    def bent(self, x1, x2, labels):
        losses = self.loss(x1, x2, labels)
        # MindSpore has no second derivative of products of unknown shape.
        return losses if self.loss.reduction == 'none' else losses + losses * losses * losses

    def along(self, x1, x2, labels, direction1, direction2):
        gradients = self.first(self.bent)(x1, x2, labels)
        return gradients[0] * direction1, gradients[1] * direction2

    def construct(self, x1, x2, labels, direction1, direction2):
        return self.second(self.along)(x1, x2, labels, direction1, direction2)[:2]


@pytest.mark.parametrize(('reduction', 'dtype'), [('none', ms.float32), ('sum', ms.float64), ('mean', ms.float32),
                                                  ('mean', ms.float64)], ids=str)
@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['both', 'rank'])
def test_second_derivatives(shapes, reduction, dtype, implementation):
    network = _Along(CosineEmbeddingLoss(margin=-0.9, reduction=reduction), dtype)
    network.set_inputs(*(Tensor(shape=shapes[i], dtype=ms.int32 if i == 2 else dtype) for i in (0, 1, 2, 0, 1)))
    for seed, (shape1, shape2) in enumerate((((4, 5), (4, 5)), ((1, 3), (2, 3)))):
        x1, x2, labels = normal(seed, shape1, dtype), normal(seed + 5, shape2, dtype), signs(seed, shape2[0])
        directions = normal(seed + 6, shape1, dtype), normal(seed + 7, shape2, dtype)

        def total(first, second, targets=labels):
            losses = truth.reduced(pair_losses(first, second, targets, margin=-0.9), reduction)
            return losses.sum() if reduction == 'none' else losses + losses * losses * losses

        expected = truth.hessian_vector_products(total, x1, x2, *directions)
        inputs = [*(tensor(each, dtype) for each in (x1, x2)), tensor(labels, ms.int32),
                  *(tensor(each, dtype) for each in directions)]
        if implementation.name == 'plain' and shapes[0] is None:
            # MindSpore has no second derivative of the operator that broadcasts to unknown shapes.
            with pytest.raises(RuntimeError, match='adjoint is null|bprop not defined'):
                network(*inputs)
            continue
        found = network(*inputs)
        for each, truly in zip(found, expected):
            # A sum of half a dozen products, each off by a few ulp, which partly cancel.
            assert_within(array(each), truly, 40 * UNIT[dtype] * np.linalg.norm(truly))


def test_nothing_is_warned_of(caplog):
    # MindSpore warns of constexpr helpers with non-constant arguments, such as unknown shapes.
    loss, _ = compile_for(([None, None], [None, None], [None]), reduction='mean')
    loss(tensor(normal(1, (3, 4)), ms.float64).astype(ms.float32), tensor(np.ones((3, 4)), ms.float32),
         tensor(signs(2, 3), ms.int32))
    assert 'constexpr' not in caplog.text


@pytest.mark.parametrize('shapes', [([None, 4], [None, 4], [None]), (None, None, None)], ids=['batch', 'rank'])
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_mindir(shapes, reduction):
    loss = CosineEmbeddingLoss(margin=-0.25, reduction=reduction)
    inputs = [Tensor(shape=shape, dtype=dtype) for shape, dtype in zip(shapes, (ms.float32, ms.float32, ms.int32))]
    ms.export(loss, *inputs, file_name='loss', file_format='MINDIR')
    loaded = nn.GraphCell(ms.load('loss.mindir'))
    for seed, size in enumerate((3, 1, 7)):
        x1, x2, labels = normal(seed, (size, 4), ms.float32), normal(seed + 4, (size, 4), ms.float32), signs(seed, size)
        expected = truth.reduced(pair_losses(x1, x2, labels, margin=-0.25), reduction)
        found = loaded(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32))
        assert_within(array(found), expected, tolerance(expected, ms.float32, size if reduction == 'sum' else 1))


def _count_choices(monkeypatch):
    """Returns a list that grows whenever a graph is compiled, which is when its implementation is chosen."""
    chosen, select = [], _select.select
    monkeypatch.setattr(_select, 'select', lambda *arguments: chosen.append(1) or select(*arguments))
    return chosen


def test_jit_makes_lengths_dynamic_that_change(monkeypatch):
    chosen = _count_choices(monkeypatch)
    loss = CosineEmbeddingLoss(margin=-0.25)

    @ms.jit(dynamic=1)
    def step(x1, x2, labels):
        return ms.value_and_grad(loss, (0, 1))(x1, x2, labels)

    for seed, size in enumerate((3, 5, 2, 7, 4, 9)):
        x1, x2, labels = normal(seed, (size, 4), ms.float32), normal(seed + 4, (size, 4), ms.float32), signs(seed, size)
        value, found = step(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32))
        expected = truth.reduced(pair_losses(x1, x2, labels, margin=-0.25), 'mean')
        assert_within(array(value), expected, tolerance(expected, ms.float32))
        for each, truly in zip(found, truth.gradients(x1, x2, labels, np.full(size, 1 / size), margin=-0.25)):
            assert_within(array(each), truly, 1e-6 * np.linalg.norm(truly))
    # Two compilations for different sizes, then one for all.
    assert len(chosen) <= 3


def test_one_compile_serves_an_epoch_with_a_short_last_batch(monkeypatch):
    chosen = _count_choices(monkeypatch)
    loss, gradient = compile_for(([None, 4], [None, 4], [None]), reduction='mean')
    for seed, size in enumerate((8, 8, 8, 3)):
        x1, x2 = normal(seed, (size, 4), ms.float32), normal(seed + 10, (size, 4), ms.float32)
        check_batch((loss, gradient), x1, x2, signs(seed, size), 'mean')
    # One for the loss and one for its gradient.
    assert (len(chosen), len(loss.compile_cache), len(gradient.compile_cache)) == (2, 1, 1)


SIZES = (8, 8, 3)


def _train(network, step):
    step.set_train()
    step.set_inputs(Tensor(shape=[None, 4], dtype=ms.float32), Tensor(shape=[None, 4], dtype=ms.float32),
                    Tensor(shape=[None], dtype=ms.int32))
    for size, batch in zip(SIZES, training.batches()):
        step(*(each[:size] for each in batch))
    assert len(step.compile_cache) == 1


@pytest.mark.parametrize('level', ['O0', 'O1', 'O2', 'O3', 'auto'])
def test_mixed_precision(level):
    network = training.Network(CosineEmbeddingLoss(margin=training.MARGIN))
    _train(network, amp.build_train_network(network, training.sgd(network), level=level, loss_scale_manager=None))
    allowed = training.IN_FLOAT32 if level == 'O0' else training.IN_FLOAT16
    training.assert_trained(network.towers, allowed, SIZES)


@pytest.mark.parametrize('what', ['loss', 'network'])
def test_recompute(what):
    network = training.Network(CosineEmbeddingLoss(margin=training.MARGIN))
    (network if what == 'network' else network.loss).recompute()
    _train(network, nn.TrainOneStepCell(network, training.sgd(network)))
    training.assert_trained(network.towers, sizes=SIZES)
