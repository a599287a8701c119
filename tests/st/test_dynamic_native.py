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
"""What native promises for dynamic shapes beyond plain, above all that it rejects misfits at run time."""
import functools
import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss, use_implementation
from ms_cosine_loss._checks import check_inputs
from tests import truth
from tests.st.dynamic import check_batch, compile_for
from tests.st.evaluation import (
    REDUCTIONS,
    UNIT,
    arithmetic,
    array,
    assert_within,
    normal,
    pair_losses,
    signs,
    tensor,
    tolerance,
)

pytestmark = pytest.mark.usefixtures('_native_forced')

DTYPES = (ms.float32, ms.float32, ms.int32)

# Name: the axis, the shapes of the logits and the labels, the message.
MISFITS = {
    'labels with an axis more': (1, (4, 3), (4, 3), (4, 1), "the 'labels' must have shape (4,), but got (4, 1)."),
    'labels of length 1': (1, (4, 3), (4, 3), (1,), "the 'labels' must have shape (4,), but got (1,)."),
    'labels without axes': (1, (4, 3), (4, 3), (), "the 'labels' must have shape (4,), but got ()."),
    'labels too long': (1, (4, 3), (4, 3), (5,), "the 'labels' must have shape (4,), but got (5,)."),
    'labels too short': (1, (4, 3), (4, 3), (3,), "the 'labels' must have shape (4,), but got (3,)."),
    'labels of none': (1, (4, 3), (4, 3), (0,), "the 'labels' must have shape (4,), but got (0,)."),
    'labels of the anchor': (1, (1, 3), (4, 3), (1,), "the 'labels' must have shape (4,), but got (1,)."),
    'labels of another axis': (-1, (2, 3, 4), (2, 3, 4), (2, 4), "the 'labels' must have shape (2, 3), but got "
                               "(2, 4)."),
    'labels of a pair': (1, (3,), (3,), (1,), "the 'labels' must have shape (), but got (1,)."),
    'vectors of other lengths': (1, (4, 3), (4, 5), (4,), "the 'logits_x1' and 'logits_x2' must have the same length "
                                 "along axis 1, but got shapes (4, 3) and (4, 5)."),
    'vectors that would broadcast': (-2, (1, 3), (4, 3), (3,), "the 'logits_x1' and 'logits_x2' must have the same "
                                     "length along axis 0, but got shapes (1, 3) and (4, 3)."),
    'batches of other lengths': (1, (4, 3), (5, 3), (4,), "the 'logits_x1' and 'logits_x2' must have shapes that "
                                 "broadcast outside axis 1, but got (4, 3) and (5, 3)."),
    'an empty batch beside a full one': (1, (0, 3), (4, 3), (4,), "the 'logits_x1' and 'logits_x2' must have shapes "
                                         "that broadcast outside axis 1, but got (0, 3) and (4, 3)."),
    'other ranks': (1, (4, 3), (4, 3, 1), (4,), "the 'logits_x1' and 'logits_x2' must have the same rank, but got "
                    "shapes (4, 3) and (4, 3, 1)."),
    'no axes': (1, (), (), (), "the 'logits_x1' and 'logits_x2' must have at least 1 dimension, but got shape ()."),
    'an axis too high': (2, (4, 3), (4, 3), (4,), "the 'axis' must be in [-2, 1] for logits of rank 2, but got 2."),
    'an axis too low': (-3, (4, 3), (4, 3), (4,), "the 'axis' must be in [-2, 1] for logits of rank 2, but got -3."),
    'an axis for more': (2, (3,), (3,), (), "the 'axis' must be in [-1, 0] for logits of rank 1, but got 2."),
}
# Those that a graph of known ranks accepts: one for each sentence, and lengths of 1 and 0.
OF_KNOWN_RANK = ['labels of length 1', 'labels too long', 'vectors of other lengths', 'batches of other lengths',
                 'an empty batch beside a full one']


@pytest.fixture
def _native_forced():
    before = ms.get_context('mode')
    ms.set_context(mode=ms.GRAPH_MODE)
    with use_implementation('native'):
        yield
    ms.set_context(mode=before)


class _Gradient(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.loss = loss
        self.grad = ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels):
        return self.grad(self.loss)(x1, x2, labels)[:2]


class _SecondOrder(nn.Cell):
    def __init__(self, loss):
        super().__init__()
        self.first = _Gradient(loss)
        self.second = ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels):
        return self.second(self.first)(x1, x2, labels)[:2]


MAKERS = {'loss': lambda loss: loss, 'gradient': _Gradient, 'second derivative': _SecondOrder}


def _unknown(cell, shapes):
    cell.set_inputs(*(Tensor(shape=shape, dtype=dtype) for shape, dtype in zip(shapes, DTYPES)))
    return cell


def _inputs(shape1, shape2, labels):
    return (Tensor(np.ones(shape1, np.float32)), Tensor(np.full(shape2, 0.5, np.float32)),
            Tensor(np.ones(labels, np.int32)))


@functools.cache
def _bystander():
    """Another graph of unknown shapes."""
    return _unknown(CosineEmbeddingLoss(reduction='none'), (None, None, None))


def _assert_another_graph_is_right():
    x1, x2, labels = normal(1, (5, 4), ms.float32), normal(2, (5, 4), ms.float32), signs(3, 5)
    found = _bystander()(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32))
    expected = truth.pair_losses(x1, x2, labels)
    assert_within(array(found), expected, tolerance(expected, ms.float32))


def _ran(cell, inputs):
    """Waits for the results and returns them, because a graph may return before its work is done."""
    results = cell(*inputs)
    return [each.asnumpy() for each in (results if isinstance(results, tuple) else (results,))]


def _assert_refused(cell, inputs, text):
    _assert_another_graph_is_right()
    with pytest.raises(RuntimeError) as raised:
        _ran(cell, inputs)
    assert f"Error message is For 'CosineEmbeddingLoss', {text}\n" in str(raised.value)
    _assert_another_graph_is_right()


# MindSpore waits three seconds after an error in a graph.
@pytest.mark.parametrize('name', MISFITS)
@pytest.mark.parametrize('what', MAKERS)
def test_what_does_not_fit_is_refused(name, what):
    axis, *shapes, text = MISFITS[name]
    # PyNative and graphs of known shapes raise the same message, with advice if the labels fit another axis.
    with pytest.raises(ValueError, match=re.escape(f"For 'CosineEmbeddingLoss', {text}")
                       + r'( For vectors along (axis \d|the last axis) pass axis=-?\d\.)?$'):
        check_inputs(*shapes, *DTYPES, axis)
    cell = _unknown(MAKERS[what](CosineEmbeddingLoss(axis=axis)), (None, None, None))
    _assert_refused(cell, _inputs(*shapes), text)


@pytest.mark.parametrize('reduction', ['none', 'mean'])
@pytest.mark.parametrize('name', OF_KNOWN_RANK)
def test_what_does_not_fit_is_refused_where_the_ranks_are_known(name, reduction):
    axis, *shapes, text = MISFITS[name]
    cell = _unknown(CosineEmbeddingLoss(reduction=reduction, axis=axis), [[None] * len(shape) for shape in shapes])
    _assert_refused(cell, _inputs(*shapes), text)


def test_a_batch_that_does_not_fit_after_one_that_does():
    cell = _unknown(_Gradient(CosineEmbeddingLoss()), ([None, 3], [None, 3], [None]))
    assert [each.shape for each in cell(*_inputs((4, 3), (4, 3), (4,)))] == [(4, 3), (4, 3)]
    _assert_refused(cell, _inputs((4, 3), (4, 3), (1,)), "the 'labels' must have shape (4,), but got (1,).")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    # The loss of parallel vectors is 0, except for eps.
    assert float(CosineEmbeddingLoss()(*_inputs((4, 3), (4, 3), (4,)))) < 1e-11


class _WithMargin(nn.Cell):
    def construct(self, x1, x2, labels, margin):
        return cosine_embedding_loss(x1, x2, labels, margin)


@pytest.mark.parametrize('shape', [(1,), (0,), (2, 3)], ids=str)
def test_a_margin_with_axes_is_refused(shape):
    cell = _WithMargin()
    cell.set_inputs(*(Tensor(shape=None, dtype=dtype) for dtype in (*DTYPES, ms.float32)))
    _assert_refused(cell, (*_inputs((4, 3), (4, 3), (4,)), Tensor(np.zeros(shape, np.float32))),
                    f"the 'margin' must be a number or a Tensor of shape (), but got shape {shape}.")


@pytest.mark.parametrize('what', MAKERS)
def test_more_axes_than_the_kernel_has_room_for(what):
    # NumPy supports at most 32.
    x1, x2, labels = (each.reshape((1,) * 30 + each.shape) for each in _inputs((2, 3), (2, 3), (2,)))
    assert (x1.ndim, labels.ndim) == (32, 31)
    cell = _unknown(MAKERS[what](CosineEmbeddingLoss(axis=-1)), (None, None, None))
    for each in _ran(cell, (x1, x2, labels)):
        assert np.isfinite(each).all()
    more = [each.reshape((1, *each.shape)) for each in (x1, x2, labels)]
    _assert_refused(cell, more, "the 'logits_x1' and 'logits_x2' must have at most 32 dimensions for the "
                                "implementation 'native', but got 33.")


@pytest.mark.parametrize('shapes', [([None], [None], []), ([None], [None], None), (None, None, None)], ids=str)
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_one_pair_without_a_batch(shapes, reduction):
    compiled = compile_for(shapes, reduction=reduction, margin=-1.0)
    for length in (5, 3):
        x1, x2 = normal(length, length, ms.float32), normal(length + 1, length, ms.float32)
        check_batch(compiled, x1, x2, np.array(-1), reduction, axis=0, margin=-1.0)


@pytest.mark.parametrize('shapes', [([None, None], [None, None], [None]), (None, None, None)], ids=['batch', 'rank'])
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_vectors_without_elements_among_others(shapes, reduction):
    # Their cosine is 0.
    loss, gradient = compile_for(shapes, reduction=reduction, margin=-0.25)
    expected = {'none': [1, 0.25, 1], 'sum': 2.25, 'mean': 0.75}[reduction]
    for length in (4, 0, 4, 0):
        x1, x2, labels = normal(1, (3, length), ms.float32), normal(2, (3, length), ms.float32), np.array([1, -1, 1])
        if length > 0:
            check_batch((loss, gradient), x1, x2, labels, reduction, margin=-0.25)
            continue
        inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
        np.testing.assert_array_equal(array(loss(*inputs)), expected)
        upstream = tensor(np.ones(3 if reduction == 'none' else ()), ms.float32)
        assert [each.shape for each in gradient(*inputs, upstream)] == [(3, 0)] * 2


class _GradientOfLabels(_Gradient):
    def construct(self, x1, x2, labels):
        return self.grad(self.loss)(x1, x2, labels)[2]


@pytest.mark.parametrize('dtype', [ms.int32, ms.float32, ms.bfloat16], ids=str)
@pytest.mark.parametrize('shapes', [([None, 4], [None, 4], [None]), (None, None, None)], ids=['batch', 'rank'])
def test_labels_have_no_gradient(shapes, dtype):
    cell = _GradientOfLabels(CosineEmbeddingLoss())
    cell.set_inputs(*(Tensor(shape=shape, dtype=each) for shape, each in zip(shapes, (ms.float32, ms.float32, dtype))))
    for size in (5, 3):
        x1, x2 = normal(1, (size, 4), ms.float32), normal(2, (size, 4), ms.float32)
        found = cell(tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(signs(3, size), dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(array(found), np.zeros(size))


class _WeightedWithMargin(nn.Cell):
    """The function with the margin as an input, times its upstream gradient."""

    def __init__(self, reduction, dtype):
        super().__init__()
        self.function = cosine_embedding_loss
        self.reduction = reduction
        self.dtype = arithmetic(dtype)

    def construct(self, x1, x2, labels, margin, upstream):
        return ops.cast(self.function(x1, x2, labels, margin, self.reduction), self.dtype) * upstream


class _MarginGradient(nn.Cell):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.grad = ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels, margin, upstream):
        return self.grad(self.network)(x1, x2, labels, margin, upstream)[3]


@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize(('dtype', 'margin_dtype'), [(ms.float32, ms.float32), (ms.float32, ms.float16),
                                                     (ms.bfloat16, ms.bfloat16), (ms.float64, ms.float64)], ids=str)
@pytest.mark.parametrize('shapes', [([None, 5], [None, 5], [None], ()), (None, None, None, None)],
                         ids=['batch', 'rank'])
def test_margin_that_is_a_tensor(shapes, dtype, margin_dtype, reduction):
    network = _WeightedWithMargin(reduction, dtype)
    gradient = _MarginGradient(network)
    # A separate Cell, because the inputs of a Cell are set only once.
    value = _WeightedWithMargin(reduction, dtype)
    inputs = [Tensor(shape=shape, dtype=each)
              for shape, each in zip((*shapes, shapes[2] if reduction == 'none' else ()),
                                     (dtype, dtype, ms.int32, margin_dtype, arithmetic(dtype)))]
    value.set_inputs(*inputs)
    gradient.set_inputs(*inputs)
    for seed, (size, margin) in enumerate(((4, -0.375), (6, 0.0), (1, -0.75))):
        x1, x2, labels = normal(seed, (size, 5), dtype), normal(seed + 9, (size, 5), dtype), -np.ones(size)
        losses = pair_losses(x1, x2, labels, margin=margin)
        # Powers of two, so that scaling adds no rounding.
        upstream = 2.0 ** np.arange(size) / 8 if reduction == 'none' else np.array(0.5)
        given = (tensor(x1, dtype), tensor(x2, dtype), tensor(labels, ms.int32), tensor(margin, margin_dtype),
                 tensor(upstream, arithmetic(dtype)))
        expected = truth.reduced(losses, reduction)
        assert_within(array(value(*given)), expected * upstream,
                      tolerance(expected, dtype, size if reduction == 'sum' else 1) * upstream)
        # Minus the sum of the upstream gradients of the open hinges.
        share = np.broadcast_to(upstream / (size if reduction == 'mean' else 1), labels.shape)
        expected = -share[(losses > 0).astype(bool)].sum()
        found = gradient(*given)
        assert (found.dtype, found.shape) == (margin_dtype, ())
        assert_within(array(found), expected, UNIT[margin_dtype] * np.abs(share).sum())
