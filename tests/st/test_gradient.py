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
"""The loss's gradients against differences of its definition, for every dtype, layout, label and upstream gradient."""
import math

import mindspore as ms
import numpy as np
import pytest

from ms_cosine_loss import CosineEmbeddingLoss, get_implementation
from tests import truth
from tests.st.evaluation import (
    DTYPES,
    HALVES,
    REDUCTIONS,
    RELEASE,
    UNIT,
    WIDE,
    array,
    assert_rows_within,
    assert_within,
    gradients,
    labels_shape,
    normal,
    norms,
    pair_gradients,
    rounded,
    signs,
    tensor,
    ulp,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures('mode', 'implementation')

# The contract's tolerance: plain's for float32, native's for float64.
RELATIVE = {ms.float32: 1e-6, ms.float64: 1e-14}

# Shape of either of the logits, axis.
LAYOUTS = (
    ((7,), (7,), 1),
    ((3, 5, 2, 2), (3, 5, 2, 2), 1),
    ((2, 3, 5), (2, 3, 5), -1),
    ((5, 4), (5, 4), 0),
    ((4, 3, 2, 5), (4, 3, 2, 5), -2),
    ((1, 7), (5, 7), 1),
    ((5, 7), (1, 7), 1),
    ((7, 1), (7, 5), 0),
    ((2, 1, 7), (1, 3, 7), -1),
    ((2, 5, 1), (1, 5, 3), 1),
    ((2, 3, 1, 1), (2, 3, 4, 5), 1),
    ((1, 7), (1, 7), 1),
    ((2, 66), (2, 66), 1),
    ((2, 67), (2, 67), 1),
)


def _weights(seed, shape):
    """A weight per pair, exact in every dtype, some of them 0 or negative."""
    return np.random.default_rng(seed).integers(-12, 13, shape) / 8


def _assert_gradients(actual, expected, dtype, axis=-1):
    for each, truly in zip(actual, expected):
        if dtype in HALVES:
            # A float32 gradient rounded once, which may be on the other side of a tie: 1 ulp, not 1/2.
            length = np.linalg.norm(truly, axis=axis, keepdims=True)
            assert_within(each, truly, ulp(truly, dtype) + RELATIVE[ms.float32] * length)
        else:
            assert_rows_within(each, truly, RELATIVE[dtype], axis)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_reductions_under_upstream_gradients(reduction, dtype):
    x1, x2, labels = normal(1, (13, 9), dtype), normal(2, (13, 9), dtype), signs(3, 13)
    # A weight per pair, or the factor by which a half precision loss is scaled.
    upstream = _weights(4, 13) if reduction == 'none' else 1024.0
    margin = -0.1
    share = upstream / 13 if reduction == 'mean' else upstream
    expected = pair_gradients(x1, x2, labels, share, margin=margin)
    actual = gradients(x1, x2, labels, dtype, upstream, margin=margin, reduction=reduction)
    _assert_gradients(actual, expected, dtype)


@pytest.mark.parametrize(('shape1', 'shape2', 'axis'), LAYOUTS, ids=str)
def test_layouts(shape1, shape2, axis):
    x1, x2 = normal(5, shape1), normal(6, shape2)
    shape = labels_shape(shape1, shape2, axis)
    labels, upstream = signs(7, shape), _weights(8, shape)
    expected = pair_gradients(x1, x2, labels, upstream, axis=axis, margin=-0.3)
    actual = gradients(x1, x2, labels, ms.float64, upstream, axis=axis, margin=-0.3, reduction='none')
    # Sums over at most 20 pairs, some of which cancel, so ten times the tolerance, which is relative to the terms.
    for each, truly in zip(actual, expected):
        along = 0 if len(shape1) == 1 else axis
        assert_rows_within(each, truly, 10 * RELATIVE[ms.float64], along)


@pytest.mark.parametrize('dtype', [ms.float16, ms.bfloat16, ms.float32], ids=str)
def test_broadcast_gradient_is_the_sum_over_the_repeats(dtype):
    anchor, batch, labels = normal(9, (1, 6), dtype), normal(10, (40, 6), dtype), signs(11, 40)
    upstream = _weights(12, 40)
    each, expected_batch = truth.gradients(np.broadcast_to(anchor, (40, 6)), batch, labels, upstream)
    found_anchor, found_batch = gradients(anchor, batch, labels, dtype, upstream, reduction='none')
    size = np.abs(each).sum(0, keepdims=True)
    if dtype in HALVES:
        # Each contribution and the sum are rounded by half an ulp of the summed magnitudes.
        assert_within(found_anchor, each.sum(0, keepdims=True), 2 * ulp(size, dtype))
    else:
        assert_rows_within(found_anchor, each.sum(0, keepdims=True), RELATIVE[dtype], size=np.linalg.norm(size))
    _assert_gradients([found_batch], [expected_batch], dtype)


@pytest.mark.parametrize('margin', [-1, -0.3, 0, 0.5, 1])
def test_margin_opens_and_closes_the_hinge(margin):
    # Cosines over the whole range, none equal to a margin.
    cosines = np.linspace(-0.97, 0.97, 40)
    angle = np.arccos(cosines) + 0.4
    x1 = np.tile([1.5 * np.cos(0.4), 1.5 * np.sin(0.4)], (40, 1))
    x2 = 0.6 * np.stack([np.cos(angle), np.sin(angle)], 1)
    labels = np.full(40, -1)
    upstream = _weights(13, 40) + 2
    actual = gradients(x1, x2, labels, ms.float64, upstream, margin=margin, reduction='none')
    closed = cosines < margin
    for each, expected in zip(actual, truth.gradients(x1, x2, labels, upstream, margin=margin)):
        assert (each[closed] == 0).all()
        assert (np.linalg.norm(each[~closed], axis=1) > 0).all()
        # At cosine 0.97 the sine is 0.24, and the relative error grows with its inverse.
        assert_rows_within(each, expected, 4 * RELATIVE[ms.float64])


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_hinge_is_open_where_cosine_is_exactly_the_margin(dtype):
    # Integers: the cosines 0 and 1/2 are exact, so rounding does not decide the hinge.
    x1, x2 = np.array([[1.0, 2.0], [2.0, 0.0]]), np.array([[2.0, -1.0], [0.0, 4.0]])
    actual = gradients(x1, x2, [-1, -1], dtype, reduction='none')
    # At cosine 0 the gradient is the other vector over both norms, eps included.
    lengths = np.sqrt((np.array([[5.0], [4.0]]) + 1e-12) * (np.array([[5.0], [16.0]]) + 1e-12))
    for each, other in zip(actual, (x2, x1)):
        assert_within(each, other / lengths, 2 * ulp(1, dtype))

    x1, x2 = np.array([[1.0, 1.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 1.0, -1.0]])
    actual = gradients(x1, x2, [-1], dtype, reduction='none', margin=0.5, eps=0)
    for each, this, other in zip(actual, (x1, x2), (x2, x1)):
        assert_within(each, (other - 0.5 * this) / 4, 2 * ulp(1, dtype))


@pytest.mark.parametrize('dtype', [ms.bfloat16, ms.float32, ms.float64], ids=str)
def test_zero_row_gets_the_other_vector_over_root_eps(dtype):
    # Both labels, for zero rows in either input; at margin 0 the hinge of a zero row is 0, hence open.
    other = normal(14, (4, 5), dtype)
    zero = np.zeros((4, 5))
    labels = np.array([1, -1, 1, -1])
    x1, x2 = np.where([[True], [True], [False], [False]], zero, other), np.zeros((4, 5))
    x2[:2] = other[:2]
    upstream = np.array([1.0, 2.0, -0.5, 4.0])
    found1, found2 = gradients(x1, x2, labels, dtype, upstream, reduction='none')
    expected = (-labels * upstream)[:, None] * other / (1e-6 * np.linalg.norm(other, axis=1, keepdims=True))
    # For float32, 1e-6; for float64, 3e-8, because eps may be PyTorch's 9.99999996e-13.
    relative = 3e-8 if dtype == ms.float64 else 1e-6
    allowed = relative * 4e6 + (ulp(expected, dtype) if dtype in HALVES else 0)
    assert_within(found1, np.where([[True], [True], [False], [False]], expected, 0), allowed)
    assert_within(found2, np.where([[True], [True], [False], [False]], 0, expected), allowed)
    assert (found1[2:] == 0).all()
    assert (found2[:2] == 0).all()


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_zero_rows_without_eps_get_no_gradient(dtype):
    rows = normal(15, (8, 3), dtype)
    x1, x2 = rows.copy(), normal(16, (8, 3), dtype)
    x1[[0, 1, 4, 5]] = 0
    x2[[2, 3, 4, 5]] = 0
    labels = np.tile([1, -1], 4)
    expected = pair_gradients(x1[6:], x2[6:], labels[6:], margin=-1.0, eps=0)
    for each, truly in zip(gradients(x1, x2, labels, dtype, margin=-1.0, reduction='none', eps=0), expected):
        assert (each[:6] == 0).all()
        _assert_gradients([each[6:]], [truly], dtype)


def test_both_rows_zero_get_no_gradient():
    zero = np.zeros((2, 3))
    for each in gradients(zero, zero, [1, -1], reduction='none'):
        assert (each == 0).all()


@pytest.mark.parametrize(('reduction', 'dtype'), [
    ('mean', ms.float16), ('mean', ms.bfloat16), ('mean', ms.float32), ('mean', ms.float64), ('none', ms.float32),
    ('sum', ms.float64),
], ids=str)
def test_ignored_rows_get_no_gradient_whatever_they_hold(reduction, dtype):
    x1, x2 = normal(17, (9, 4), dtype), normal(18, (9, 4), dtype)
    labels = np.array([0, 1, 0.5, -1, 2, 1, math.nan, -3, 0])
    x1[0], x2[2], x1[4], x2[4], x1[6, 0], x2[7, 1] = math.nan, math.inf, -math.inf, math.nan, math.inf, math.nan
    kept, ignored = np.array([1, 3, 5]), np.array([0, 2, 4, 6, 7, 8])
    share = 1 / 9 if reduction == 'mean' else 1.0
    expected = pair_gradients(x1[kept], x2[kept], labels[kept], share, margin=-1.0)
    actual = gradients(x1, x2, labels, dtype, labels_dtype=ms.float32, margin=-1.0, reduction=reduction)
    for each in actual:
        assert (each[ignored] == 0).all()
    _assert_gradients([each[kept] for each in actual], expected, dtype)


@pytest.mark.parametrize('eps', [0, 1e-12])
def test_ignored_pairs_of_broadcast_logits_add_nothing(eps):
    # All pairs; the rows with NaN or infinity occur only in ignored pairs.
    x1, x2 = normal(19, (4, 1, 3)), normal(20, (1, 5, 3))
    labels = signs(21, (4, 5)) * np.random.default_rng(22).integers(0, 2, (4, 5))
    x1[1], x2[0, 2] = math.nan, math.inf
    labels[1], labels[:, 2] = 0, 2
    x2[0, 4] = 0
    labels[:, 4] = 0
    upstream = _weights(23, (4, 5))
    clean1, clean2 = np.where(np.isfinite(x1), x1, 1.0), np.where(np.isfinite(x2), x2, 1.0)
    expected = pair_gradients(clean1, clean2, labels, upstream, axis=2, margin=-1.0, eps=eps or 1e-30)
    actual = gradients(x1, x2, labels, ms.float64, upstream, axis=-1, margin=-1.0, eps=eps, reduction='none')
    assert (actual[0][1] == 0).all()
    assert (actual[1][0, [2, 4]] == 0).all()
    for each, truly in zip(actual, expected):
        # A sum of at most five contributions, which may cancel.
        assert_rows_within(each, truly, 10 * RELATIVE[ms.float64])


@pytest.mark.parametrize('dtype', WIDE, ids=str)
def test_nan_in_a_labelled_row_stays_in_that_row(dtype):
    x1, x2, labels = normal(24, (6, 4), dtype), normal(25, (6, 4), dtype), np.array([1, -1, 1, -1, 1, -1])
    x1[0, 1], x2[1, 2] = math.nan, math.inf
    expected = pair_gradients(x1[2:], x2[2:], labels[2:], margin=-1.0)
    for each, truly in zip(gradients(x1, x2, labels, dtype, margin=-1.0, reduction='sum'), expected):
        _assert_gradients([each[2:]], [truly], dtype)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('length', [3, 40])
def test_an_infinite_upstream_gradient_is_to_be_seen(length, dtype):
    # A dynamic loss scaler relies on it to detect overflow.
    x1, x2 = np.ones((1, length)), np.full((1, length), 2.0)
    x2[0, -1] = -3 * length
    by_x1, by_x2 = gradients(x1, x2, np.ones(1), dtype, np.inf, reduction='sum')
    assert (by_x1[0, :-1] == -np.inf).all()
    assert not np.isfinite([by_x1[0, -1], *by_x2[0]]).any()


@pytest.mark.parametrize('labels_dtype', [ms.int8, ms.int16, ms.int32, ms.int64, *DTYPES], ids=str)
def test_labels_get_no_gradient(labels_dtype):
    loss = CosineEmbeddingLoss(reduction='sum', margin=-1.0)
    x1, x2 = normal(26, (4, 3)), normal(27, (4, 3))
    inputs = tensor(x1, ms.float64), tensor(x2, ms.float64), tensor([1, -1, 0, 2], labels_dtype)
    if (labels_dtype == ms.bfloat16 and RELEASE < (2, 8) and get_implementation() == 'plain'
            and ms.get_context('mode') == ms.PYNATIVE_MODE):
        # There MindSpore makes this gradient with Zeros, which has no bfloat16.
        with pytest.raises(TypeError, match='Zeros'):
            ms.grad(loss, (0, 1, 2))(*inputs)
        return
    found = ms.grad(loss, (0, 1, 2))(*inputs)
    assert found[2].shape == (4,)
    assert (array(found[2]) == 0).all()
    expected = pair_gradients(x1, x2, [1, -1, 0, 2], margin=-1.0)
    _assert_gradients([array(each) for each in found[:2]], expected, ms.float64)


def test_gradient_of_one_argument_alone():
    loss = CosineEmbeddingLoss(margin=-1.0)
    x1, x2, labels = normal(28, (4, 3)), normal(29, (1, 3)), np.array([1, -1, -1, 1])
    inputs = tensor(x1, ms.float64), tensor(x2, ms.float64), tensor(labels, ms.int32)
    expected = pair_gradients(x1, x2, labels, 0.25, margin=-1.0)
    for position in (0, 1):
        _assert_gradients([array(ms.grad(loss, position)(*inputs))], [expected[position]], ms.float64)


def test_one_tensor_as_both_logits():
    x, labels = normal(30, (4, 3)), tensor([1, -1, -1, 1], ms.int32)
    loss = CosineEmbeddingLoss(eps=0.5, margin=-1.0, reduction='sum')

    def with_itself(both):
        return loss(both, both, labels)

    expected = sum(truth.gradients(x, x, array(labels), eps=0.5, margin=-1.0))
    _assert_gradients([array(ms.grad(with_itself)(tensor(x, ms.float64)))], [expected], ms.float64)


@pytest.mark.parametrize('dtype', WIDE, ids=str)
@pytest.mark.parametrize('eps', [0, 1e-12])
def test_parallel_and_nearly_parallel_pairs(eps, dtype):
    # Equal vectors, multiples, and small angles at which the loss may be rounded to 0, but the gradient must not.
    x1 = np.tile(normal(31, (20, 6), dtype), (3, 1))
    x2 = x1.copy()
    x2[20:40] *= 3.0
    x2[40:] += np.logspace(-2, math.log10(UNIT[dtype]), 20)[:, None] * normal(32, (20, 6), dtype)
    x2 = rounded(x2, dtype)
    actual = value_and_gradients(x1, x2, np.ones(60), dtype, reduction='none', eps=eps)
    assert (actual[0] >= 0).all()
    for this, each, truly in zip((x1, x2), actual[1:],
                                 truth.gradients(x1, x2, np.ones(60), eps=eps)):
        # A difference of two vectors of norm 1/|x|, each within a few ulp: 8 for both.
        assert_rows_within(each, truly, 8 * UNIT[dtype], size=1 / np.linalg.norm(this, axis=1))
        # Pairs whose loss is rounded to 0 although their gradient is far from 0; native has none.
        is_lost = (actual[0] == 0) & (np.linalg.norm(truly * this, axis=1) > 100 * UNIT[dtype])
        if get_implementation() == 'native':
            assert not is_lost.any()
        elif eps == 0:
            assert is_lost.any()


def _at_lengths(length1, length2, dtype):
    x1, x2 = normal(33, (4, 6)) * length1, normal(34, (4, 6)) * length2
    return rounded(x1, dtype), rounded(x2, dtype), signs(35, 4)


@pytest.mark.parametrize('dtype', WIDE, ids=str)
@pytest.mark.parametrize('eps', [0, 1e-12])
def test_large_and_small_norms(eps, dtype):
    # The product of the squared norms overflows or underflows; the squares of single elements and their inverses, which
    # a gradient needs, do not. With eps, the short rows' squares are far below it.
    large, small = {ms.float32: (1e17, 1e-15), ms.float64: (1e150, 1e-145 if eps == 0 else 1e-15)}[dtype]
    pairs = [_at_lengths(length1, length2, dtype) for length1, length2
             in ((large, large), (small, small), (large, 1.0), (1.0, large), (small, 1.0), (1.0, small))]
    x1, x2, labels = (np.concatenate(each) for each in zip(*pairs))
    expected = truth.gradients(x1, x2, labels, margin=-1.0, eps=eps)
    _assert_gradients(gradients(x1, x2, labels, dtype, margin=-1.0, reduction='none', eps=eps), expected, dtype)


@pytest.mark.parametrize(('pairs', 'power'), [(1, 52), (16384, 46)])
def test_norms_up_to_the_end_of_plain(pairs, power):
    # With eps=0, the gradient is inversely proportional to the norm; docs/numerics.md gives the limits of plain.
    x1, x2, labels = normal(71, (pairs, 4), ms.float32), normal(72, (pairs, 4), ms.float32), np.ones(pairs)
    x1, x2 = (rounded(x / norms(x)[:, None], ms.float32) for x in (x1, x2))
    scale = 2.0 ** power
    for found, truly in zip(gradients(scale * x1, scale * x2, labels, ms.float32, eps=0),
                            gradients(x1, x2, labels, ms.float64, eps=0)):
        # The contract's 1e-6, over all pairs together: few are near cos = ±1.
        assert np.linalg.norm(scale * found - truly) <= 1e-6 * np.linalg.norm(truly)


def test_largest_float16():
    # Its square overflows float16, and without the loss scale its gradient would underflow.
    x1 = 65504.0 * np.sign(normal(36, (3, 48)))
    x2 = np.stack([normal(37, 48, ms.float16), 65504.0 * np.sign(normal(38, 48)), np.full(48, 2.0 ** -24)])
    labels, upstream = np.array([1, -1, 1]), np.array([1024.0, 1024.0, 2.0 ** -10])
    expected = truth.gradients(x1, x2, labels, upstream, margin=-1.0)
    _assert_gradients(gradients(x1, x2, labels, ms.float16, upstream, margin=-1.0, reduction='none'), expected,
                      ms.float16)


@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_empty_batch_has_an_empty_gradient(reduction):
    # The helper asserts that the gradients have the shapes of the logits.
    empty, labels = np.zeros((0, 3)), np.zeros(0)
    gradients(empty, empty, labels, reduction=reduction)
    anchor, _ = gradients(np.ones((1, 3)), empty, labels, reduction=reduction)
    np.testing.assert_array_equal(anchor, np.zeros((1, 3)))


@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_empty_vectors_have_an_empty_gradient(reduction):
    gradients(np.zeros((3, 0)), np.zeros((3, 0)), [1, -1, 0], ms.float64, reduction=reduction)
    gradients(np.zeros((3, 0)), np.zeros((1, 0)), [1, -1, 0], reduction=reduction)
