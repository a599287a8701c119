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
"""The loss against its definition, for every dtype, layout, label and magnitude."""
import functools
import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss
from tests import truth
from tests.st.evaluation import (
    DTYPES,
    DTYPES_AND_EPS,
    HALVES,
    REDUCTIONS,
    UNIT,
    WIDE,
    array,
    assert_within,
    labels_shape,
    normal,
    pair_losses,
    rival,
    rounded,
    signs,
    tensor,
    tolerance,
    tolerance_beside,
    value,
)

pytestmark = pytest.mark.usefixtures('mode', 'implementation')

EXAMPLE = ([[0.3, 0.8], [0.4, 0.3]], [[0.4, 1.2], [-0.4, -0.9]], [1, -1])

# Shape of either of the logits, axis.
LAYOUTS = (
    ((5, 7), (5, 7), -1),
    ((7,), (7,), 1),
    ((7,), (7,), 0),
    ((3, 5, 2, 2), (3, 5, 2, 2), 1),
    ((2, 3, 5), (2, 3, 5), -1),
    ((5, 4), (5, 4), 0),
    ((4, 3, 2, 5), (4, 3, 2, 5), -2),
    ((1, 2, 1, 5, 1, 2, 2), (1, 2, 1, 5, 1, 2, 2), 3),
    ((1, 7), (5, 7), 1),
    ((5, 7), (1, 7), 1),
    ((7, 1), (7, 5), 0),
    ((2, 1, 7), (1, 3, 7), -1),
    ((2, 5, 1), (1, 5, 3), 1),
    ((2, 3, 1, 1), (2, 3, 4, 5), 1),
    ((1, 1), (1, 1), 1),
    ((5, 1), (5, 1), 1),
    ((2, 131), (2, 131), 1),
    ((131, 2), (131, 2), 0),
)


def test_published_example_float32():
    # The number that MindSpore prints in float32, which is 4e-8 from the truth.
    assert abs(value(*(rounded(x, ms.float32) for x in EXAMPLE[:2]), EXAMPLE[2]) - 0.0003425479) <= 1e-7


def test_published_example_float64():
    # The number that PyTorch prints.
    assert abs(value(*EXAMPLE, ms.float64) - 0.00034258311711488076) <= 1e-15


@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_published_example_half(dtype):
    x1, x2 = (rounded(x, dtype) for x in EXAMPLE[:2])
    expected = truth.reduced(truth.pair_losses(x1, x2, EXAMPLE[2]), 'mean')
    assert_within(value(x1, x2, EXAMPLE[2], dtype), expected, tolerance(expected, dtype))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_reductions(reduction, dtype):
    x1, x2 = normal(1, (37, 11), dtype), normal(2, (37, 11), dtype)
    # The margin is not a float32 number, so rounding it to float32 would show in float64.
    labels, margin = signs(3, 37), 0.1
    expected = truth.reduced(truth.pair_losses(x1, x2, labels, margin), reduction)
    actual = value(x1, x2, labels, dtype, margin=margin, reduction=reduction)
    assert_within(actual, expected, tolerance(expected, dtype, 37 if reduction == 'sum' else 1))


@pytest.mark.parametrize(('shape1', 'shape2', 'axis'), LAYOUTS, ids=str)
def test_layouts(shape1, shape2, axis):
    x1, x2 = normal(4, shape1), normal(5, shape2)
    labels = signs(6, labels_shape(shape1, shape2, axis))
    expected = pair_losses(x1, x2, labels, axis)
    assert_within(value(x1, x2, labels, ms.float64, reduction='none', axis=axis), expected,
                  tolerance(expected, ms.float64))


@pytest.mark.parametrize('dtype', [ms.float16, ms.bfloat16, ms.float32], ids=str)
def test_broadcasting_in_the_other_dtypes(dtype):
    # Both are broadcast, along different axes; the vectors are along the middle one.
    x1, x2, labels = normal(45, (2, 67, 1), dtype), normal(46, (1, 67, 3), dtype), signs(47, (2, 3))
    expected = pair_losses(x1, x2, labels)
    assert_within(value(x1, x2, labels, dtype, reduction='none'), expected, tolerance(expected, dtype))


@functools.lru_cache
def _long_vectors(dtype):
    # A running sum of many terms of one sign loses digits: 1e5 terms cost float32 three.
    x1, x2 = (rounded(np.abs(normal(seed, (2, 100003))) + seed / 16, dtype) for seed in (7, 8))
    return x1, x2, truth.pair_losses(x1, x2, [1, -1])


@pytest.mark.parametrize('dtype', WIDE, ids=str)
@pytest.mark.parametrize('axis', [0, 1])
def test_long_vectors_of_prime_length(axis, dtype):
    x1, x2, expected = _long_vectors(dtype)
    if axis == 0:
        x1, x2 = x1.T.copy(), x2.T.copy()
    theirs = array(rival(dtype, 'none', axis)(tensor(x1, dtype), tensor(x2, dtype), tensor([1, -1], ms.int32)))
    found = value(x1, x2, [1, -1], dtype, reduction='none', axis=axis)
    assert_within(found, expected, tolerance_beside(theirs, expected, dtype))


def test_mean_and_sum_over_every_axis_of_the_labels():
    x1, x2, labels = normal(9, (3, 5, 2, 4)), normal(10, (3, 5, 2, 4)), signs(11, (3, 2, 4))
    losses = truth.pair_losses(x1, x2, labels)
    for reduction, terms in (('sum', 24), ('mean', 1)):
        expected = truth.reduced(losses, reduction)
        assert_within(value(x1, x2, labels, ms.float64, reduction=reduction), expected,
                      tolerance(expected, ms.float64, terms))


def test_function_equals_cell():
    x1, x2, labels = tensor(normal(12, (6, 5)), ms.float64), tensor(normal(13, (6, 5)), ms.float64), signs(14, 5)
    labels = tensor(labels, ms.int32)

    def by_function(first, second, targets):
        return cosine_embedding_loss(first, second, targets, 0.25, 'none', axis=0, eps=1e-3)

    if ms.get_context('mode') == ms.GRAPH_MODE:
        by_function = ms.jit(by_function)
    by_cell = CosineEmbeddingLoss(0.25, 'none', axis=0, eps=1e-3)
    np.testing.assert_array_equal(array(by_function(x1, x2, labels)), array(by_cell(x1, x2, labels)))


def test_defaults():
    x1, x2, labels = normal(15, (4, 6)), 1e-7 * normal(16, (4, 6)), signs(17, 4)
    expected = truth.reduced(truth.pair_losses(x1, x2, labels, margin=0.0, axis=1, eps=1e-12), 'mean')
    assert_within(value(x1, x2, labels, ms.float64), expected, tolerance(expected, ms.float64))


# --- labels ---

OTHER_LABELS = {
    ms.int8: (0, 2, -3, 127, -128),
    ms.int16: (0, 2, -3, 257, -32768),
    ms.int32: (0, 2, -3, 65537, -2147483648),
    # The last three would become 1 or -1 if narrowed to 32 bits.
    ms.int64: (0, 2, -3, 2 ** 32 + 1, 2 ** 32 - 1, 1 - 2 ** 32),
    ms.float16: (0, 2, -3, 0.5, -0.5, math.nan, math.inf, 1 + 2 ** -10),
    ms.bfloat16: (0, 2, -3, 0.5, -0.5, math.nan, -math.inf, 1 + 2 ** -7),
    ms.float32: (0, 2, -3, 0.5, -0.5, math.nan, math.inf, 1 + 2 ** -23),
    ms.float64: (0, 2, -3, 0.5, -0.5, math.nan, -math.inf, 1 + 2 ** -52, -1 - 2 ** -40),
}


@pytest.mark.parametrize('labels_dtype', OTHER_LABELS, ids=str)
def test_every_labels_dtype_and_other_labels_cost_nothing(labels_dtype):
    others = np.array(OTHER_LABELS[labels_dtype])
    labels = np.concatenate([[1, -1], others, [-1, 1]])
    x1, x2 = normal(18, (labels.size, 5)), normal(19, (labels.size, 5))
    expected = truth.pair_losses(x1, x2, labels, margin=-0.5)
    losses = value(x1, x2, labels, ms.float64, labels_dtype, margin=-0.5, reduction='none')
    assert (losses[2:-2] == 0).all()
    assert_within(losses, expected, tolerance(expected, ms.float64))


def test_other_labels_count_in_the_mean():
    labels = np.array([1, 0, 2, -3, -1, 0, 0])
    x1, x2 = normal(20, (7, 5)), normal(21, (7, 5))
    losses = truth.pair_losses(x1, x2, labels, margin=-1.0)
    expected = (losses[0] + losses[4]) / 7
    assert_within(value(x1, x2, labels, ms.float64, margin=-1.0), expected, tolerance(expected, ms.float64))


@pytest.mark.parametrize('labels_dtype', [ms.int64, ms.bfloat16, ms.float64], ids=str)
@pytest.mark.parametrize('dtype', [ms.bfloat16, ms.float32], ids=str)
def test_labels_dtype_is_free_of_the_logits_dtype(dtype, labels_dtype):
    x1, x2, labels = normal(22, (6, 5), dtype), normal(23, (6, 5), dtype), np.array([1, -1, 0, -1, 1, 2])
    expected = truth.pair_losses(x1, x2, labels)
    assert_within(value(x1, x2, labels, dtype, labels_dtype, reduction='none'), expected, tolerance(expected, dtype))


# --- margin and hinge ---

@pytest.mark.parametrize('dtype', WIDE, ids=str)
@pytest.mark.parametrize('margin', [-1, -0.3, 0, 0.5, 1])
def test_margin_around_the_hinge(margin, dtype):
    # Pairs in the plane whose cosine is the margin, or differs from it by 1e-17 to 0.1 on either side.
    offsets = np.array([0.0] + [sign * 10.0 ** power for power in range(-17, 0) for sign in (1, -1)])
    cosines = np.clip(margin + offsets, -1, 1)
    x1 = rounded(np.tile([3.0, 0.0], (cosines.size, 1)), dtype)
    x2 = rounded(0.7 * np.stack([cosines, np.sqrt(1 - cosines ** 2)], 1), dtype)
    labels = np.full(cosines.size, -1)
    expected = truth.pair_losses(x1, x2, labels, margin)
    actual = value(x1, x2, labels, dtype, margin=margin, reduction='none')
    assert_within(actual, expected, tolerance(expected, dtype))
    # Beyond the error of the cosine, a closed hinge gives exactly 0.
    assert (actual[cosines < margin - 1e-5] == 0).all()
    assert (actual >= 0).all()


def test_margin_leaves_similar_pairs_alone():
    x1, x2, labels = normal(24, (6, 5)), normal(25, (6, 5)), np.ones(6)
    expected = truth.pair_losses(x1, x2, labels)
    for margin in (-1.0, 0.9):
        assert_within(value(x1, x2, labels, ms.float64, margin=margin, reduction='none'), expected,
                      tolerance(expected, ms.float64))


# --- cosine at its ends ---

def _nearly_parallel(dtype):
    x1 = normal(26, (3000, 5), dtype)
    x2 = x1.copy()
    factors = 2.0 ** np.random.default_rng(27).uniform(-3, 3, (1000, 1))
    x2[1000:2000] = rounded(x1[1000:2000] * factors, dtype)
    x2[2000:] = rounded(x1[2000:] * (1 + UNIT[dtype] * normal(28, (1000, 5))), dtype)
    return x1, x2


@pytest.mark.parametrize(('dtype', 'eps'), DTYPES_AND_EPS, ids=str)
def test_never_negative(dtype, eps):
    x1, x2 = _nearly_parallel(dtype)
    # Both labels at once: with a margin of 1, only a cosine that is rounded above 1 opens the hinge.
    labels = np.concatenate([np.ones(3000), -np.ones(3000)])
    losses = value(np.tile(x1, (2, 1)), np.tile(x2, (2, 1)), labels, dtype, reduction='none', eps=eps, margin=1)
    assert losses.min() == 0 if eps == 0 else losses.min() >= 0
    # Also check the values, because a loss clipped too far would not be negative either.
    some = np.arange(0, 3000, 100)
    expected = truth.pair_losses(x1[some], x2[some], np.ones(30), eps=eps)
    assert_within(losses[some], expected, tolerance(expected, dtype))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_equal_vectors_without_eps_cost_exactly_nothing(dtype):
    x = normal(29, (100, 67), dtype)
    x = np.concatenate([x, rounded(x * 1e-3, dtype), rounded(x * 1e3, dtype)])
    assert (value(x, x, np.ones(300), dtype, reduction='none', eps=0) == 0).all()
    assert (value(x, x, -np.ones(300), dtype, reduction='none', eps=0, margin=1) == 0).all()


def test_equal_vectors_cost_what_eps_makes_of_them():
    # Norms from 1e-9 to 1: from dominated by eps to unaffected by it.
    x = normal(30, (50, 7)) * np.logspace(-9, 0, 50)[:, None]
    eps = 1e-12
    expected = eps / ((x * x).sum(1) + eps)
    # The error of `expected` is a few of its own ulp, far below the tolerance.
    assert_within(value(x, x, np.ones(50), ms.float64, reduction='none'), expected, 4 * UNIT[ms.float64])


@pytest.mark.parametrize('dtype', WIDE, ids=str)
@pytest.mark.parametrize('eps', [1e-300, 1e-3, 100])
def test_eps(eps, dtype):
    # float32 rounds 1e-300 to 0, which must not give NaN: no row is zero.
    x1, x2, labels = normal(31, (20, 5), dtype), normal(32, (20, 5), dtype), signs(33, 20)
    expected = truth.pair_losses(x1, x2, labels, eps=eps)
    assert_within(value(x1, x2, labels, dtype, eps=eps, reduction='none'), expected, tolerance(expected, dtype))


@pytest.mark.parametrize(('dtype', 'eps'), DTYPES_AND_EPS, ids=str)
def test_zero_rows_have_cosine_zero(dtype, eps):
    zero, other = [0.0] * 3, [1.5, -2.0, 0.5]
    x1 = np.array([zero, other, zero, zero, other, zero])
    x2 = np.array([other, zero, zero, other, zero, zero])
    losses = value(x1, x2, [1, 1, 1, -1, -1, -1], dtype, margin=-0.25, reduction='none', eps=eps)
    np.testing.assert_array_equal(losses, [1, 1, 1, 0.25, 0.25, 0.25])


# --- magnitudes ---

@pytest.mark.parametrize('eps', [0, 1e-12])
@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_half_at_the_ends_of_its_range(dtype, eps):
    largest = {ms.float16: 65504.0, ms.bfloat16: 2.0 ** 56}[dtype]
    smallest = {ms.float16: 2.0 ** -24, ms.bfloat16: 2.0 ** -50}[dtype]
    direction = np.sign(normal(34, (2, 4096)))
    mixed = np.where(np.arange(4096) % 3 == 0, -direction[0], direction[0])
    x1 = np.stack([largest * direction[0], largest * direction[0], smallest * direction[0], smallest * direction[0],
                   largest * direction[0], direction[0] * largest])
    x2 = np.stack([largest * direction[0], largest * mixed, smallest * direction[0], smallest * mixed,
                   smallest * mixed, direction[1]])
    labels = np.array([1, 1, 1, 1, 1, -1])
    expected = truth.pair_losses(x1, x2, labels, margin=-0.5, eps=eps)
    actual = value(x1, x2, labels, dtype, margin=-0.5, reduction='none', eps=eps)
    assert_within(actual, expected, tolerance(expected, dtype))


def test_half_sums_beyond_its_range_become_infinite_not_wrong():
    # The sum of 70000 losses of 1 overflows float16; their mean is 1.
    x1, x2 = np.tile([1.0, 0.0], (70000, 1)), np.tile([0.0, 1.0], (70000, 1))
    assert value(x1, x2, np.ones(70000), ms.float16, reduction='mean') == 1
    assert value(x1, x2, np.ones(70000), ms.float16, reduction='sum') == math.inf


@pytest.mark.parametrize('dtype', WIDE, ids=str)
def test_norms_near_the_ends_of_the_range(dtype):
    # The large squared norms are near the end of the range, and their product is far beyond it. The small ones keep the
    # squares of single elements normal, because some processors flush subnormal numbers to 0.
    large, small = {ms.float32: (1e19, 1e-15), ms.float64: (1e153, 1e-145)}[dtype]
    unit1, unit2 = normal(35, (8, 6)), normal(36, (8, 6))
    unit1 /= np.linalg.norm(unit1, axis=1, keepdims=True)
    unit2 /= np.linalg.norm(unit2, axis=1, keepdims=True)
    scale1 = np.array([large, large, small, small, large, 1.0, small, 1.0])[:, None]
    scale2 = np.array([large, small, large, small, 1.0, large, 1.0, small])[:, None]
    x1, x2, labels = rounded(unit1 * scale1, dtype), rounded(unit2 * scale2, dtype), signs(37, 8)
    for eps in (0, 1e-12):
        expected = truth.pair_losses(x1, x2, labels, margin=-0.9, eps=eps)
        actual = value(x1, x2, labels, dtype, margin=-0.9, reduction='none', eps=eps)
        assert_within(actual, expected, tolerance(expected, dtype))


# --- NaN and infinity ---

@pytest.mark.parametrize(('dtype', 'eps'), DTYPES_AND_EPS, ids=str)
def test_nan_and_infinity_stay_in_their_row(dtype, eps):
    x1, x2 = normal(38, (16, 3), dtype), normal(39, (16, 3), dtype)
    labels = np.tile([1, -1], 8)
    x1[0:2, 1] = math.nan
    x2[2:4, 2] = math.nan
    x1[4:6, 0] = math.inf
    x2[6:8, 0] = -math.inf
    x1[8:10, 0] = x2[8:10, 0] = math.inf
    x1[10:12] = 0
    x2[10:12, 1] = math.nan
    losses = value(x1, x2, labels, dtype, margin=0.5, reduction='none', eps=eps)
    assert np.isnan(losses[:12]).all()
    expected = truth.pair_losses(x1[12:], x2[12:], labels[12:], margin=0.5, eps=eps)
    assert_within(losses[12:], expected, tolerance(expected, dtype))
    assert np.isnan(value(x1, x2, labels, dtype, margin=0.5, eps=eps))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_nan_and_infinity_in_ignored_rows_cost_nothing(dtype):
    x1, x2 = normal(40, (8, 3), dtype), normal(41, (8, 3), dtype)
    labels = np.array([0, 1, 0, -1, 2, 1, 0, -3])
    x1[0], x2[2], x1[4], x2[4], x1[6, 0], x2[7, 1] = math.nan, math.inf, -math.inf, math.nan, math.inf, math.nan
    kept = np.array([1, 3, 5])
    expected = np.zeros(8)
    expected[kept] = truth.pair_losses(x1[kept], x2[kept], labels[kept])
    losses = value(x1, x2, labels, dtype, reduction='none')
    assert (losses[[0, 2, 4, 6, 7]] == 0).all()
    assert_within(losses, expected, tolerance(expected, dtype))
    assert_within(value(x1, x2, labels, dtype), expected.sum() / 8, tolerance(expected.sum() / 8, dtype))


# --- empty ---

@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_empty_batch(dtype):
    x, labels = np.zeros((0, 3)), np.zeros(0)
    assert value(x, x, labels, dtype, reduction='none').shape == (0,)
    assert value(x, x, labels, dtype, reduction='sum') == 0
    assert np.isnan(value(x, x, labels, dtype, reduction='mean'))


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_empty_vectors_have_cosine_zero(dtype):
    # As in PyTorch: sums over nothing are 0, so the vectors count as rows of zeros.
    x, labels = np.zeros((3, 0)), np.array([1, -1, 0])
    for eps in (0, 1e-12):
        np.testing.assert_array_equal(value(x, x, labels, dtype, reduction='none', margin=-0.25, eps=eps), [1, 0.25, 0])
    assert value(x, x, labels, dtype, reduction='sum', margin=-0.25) == 1.25
    empty = np.zeros((0, 0))
    assert np.isnan(value(empty, empty, np.zeros(0), dtype))


def test_empty_batch_of_rank_three():
    x, labels = np.zeros((2, 3, 0)), np.zeros((2, 0))
    assert value(x, x, labels, reduction='none').shape == (2, 0)
    assert value(x, x, labels, reduction='sum') == 0
    assert np.isnan(value(x, x, labels))


def test_broadcast_against_an_empty_batch():
    x1, x2, labels = np.ones((1, 3)), np.zeros((0, 3)), np.zeros(0)
    assert value(x1, x2, labels, reduction='none').shape == (0,)
    assert value(x1, x2, labels, reduction='sum') == 0
    assert np.isnan(value(x1, x2, labels))


def test_inputs_that_are_views():
    # Transposed and sliced tensors need not be contiguous in memory.
    base1, base2 = normal(42, (5, 6)), normal(43, (5, 12))
    loss = CosineEmbeddingLoss(reduction='none')

    def of_views(first, second, targets):
        return loss(first.T, second.T[::2], targets)

    if ms.get_context('mode') == ms.GRAPH_MODE:
        of_views = ms.jit(of_views)
    labels = signs(44, 6)
    expected = truth.pair_losses(base1.T, base2.T[::2], labels)
    assert_within(array(of_views(Tensor(base1), Tensor(base2), Tensor(labels))), expected,
                  tolerance(expected, ms.float64))
