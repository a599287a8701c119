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
"""Every vector of one batch against every vector of the other, which the kernel computes in tiles."""
import mindspore as ms
import numpy as np
import pytest

from benchmarks.kernel import Kernel
from ms_cosine_loss import use_implementation
from tests import truth
from tests.st.evaluation import (
    REDUCTIONS,
    UNIT,
    assert_rows_within,
    assert_within,
    gradients,
    normal,
    pair_gradients,
    pair_losses,
    tolerance,
    value,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures('_native_forced')

DTYPES = (ms.float16, ms.bfloat16, ms.float32)
LABELS_DTYPES = dict(zip(DTYPES, (ms.int8, ms.float32, ms.int64)))
# Both orders, more axes, and sizes around those of a register, a group, a panel, a tile and a depth.
SHAPES = [((8, 1, 2), (1, 8, 2)), ((1, 9, 5), (25, 1, 5)), ((3, 11, 1, 17), (3, 1, 13, 17)),
          ((65, 1, 129), (1, 9, 129)), ((12, 1, 265), (1, 23, 265)), ((64, 1, 8), (1, 265, 8)),
          ((1, 67, 3), (263, 1, 3))]


@pytest.fixture
def _native_forced(mode):
    with use_implementation('native'):
        yield


def _one_by_one(x1, x2, labels, upstream, **settings):
    """The gradients of the same pairs as float64 rows, summed over the axes along which each input is broadcast."""
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    rows = [np.broadcast_to(x, shape).reshape(-1, shape[-1]) for x in (x1, x2)]
    found = gradients(*rows, labels.reshape(-1), ms.float64, upstream.reshape(-1), reduction='none', **settings)
    return [each.reshape(shape).sum(tuple(i for i, length in enumerate(x.shape) if length != shape[i]), keepdims=True)
            for each, x in zip(found, (x1, x2))]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('shapes', SHAPES, ids=str)
def test_losses_and_gradients_at_every_edge(shapes, dtype):
    x1, x2 = (normal(seed, shape, dtype) for seed, shape in enumerate(shapes))
    shape = np.broadcast_shapes(*shapes)[:-1]
    rng = np.random.default_rng(2)
    labels, upstream = rng.choice([1, -1, 0, 2], shape), rng.choice([0.5, 1.0, -2.0], shape)
    found, *slopes = value_and_gradients(x1, x2, labels, dtype, upstream, LABELS_DTYPES[dtype], margin=0.1, axis=-1,
                                         reduction='none')
    expected = pair_losses(x1, x2, labels, margin=0.1, axis=-1)
    assert_within(found, expected, tolerance(expected, dtype))
    for slope, truly in zip(slopes, _one_by_one(x1, x2, labels, upstream, margin=0.1)):
        # One rounding, plus one of the largest element, in case the sum over the pairs cancels.
        assert_rows_within(slope, truly, UNIT[dtype], size=np.linalg.norm(truly, axis=-1) + np.abs(truly).max())


@pytest.mark.parametrize('reduction', REDUCTIONS)
def test_true_gradients_of_each_reduction(reduction):
    x1, x2 = normal(3, (9, 1, 5), ms.float32), normal(4, (1, 13, 5), ms.float32)
    labels = np.random.default_rng(5).choice([1, -1, 3], (9, 13))
    found, *slopes = value_and_gradients(x1, x2, labels, margin=0.2, axis=-1, reduction=reduction, upstream=3.0)
    expected = truth.reduced(pair_losses(x1, x2, labels, margin=0.2, axis=-1), reduction)
    assert_within(found, expected, tolerance(expected, ms.float32))
    scale = 3.0 / (labels.size if reduction == 'mean' else 1)
    for slope, truly in zip(slopes, pair_gradients(x1, x2, labels, scale, margin=0.2, axis=-1)):
        assert_rows_within(slope, truly, 4 * UNIT[ms.float32])


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_where_it_counts_alone(bad, dtype):
    x1, x2 = normal(6, (10, 1, 70), dtype), normal(7, (1, 12, 70), dtype)
    labels = np.random.default_rng(8).choice([1, -1], (10, 12))
    labels[3], labels[:, 5] = 0, 0
    clean = value_and_gradients(x1, x2, labels, dtype, reduction='none', axis=-1)
    x1[3, 0, 66], x2[0, 5, 2] = bad, bad
    for found, expected in zip(value_and_gradients(x1, x2, labels, dtype, reduction='none', axis=-1), clean):
        np.testing.assert_array_equal(found, expected)
    labels[3, 7] = -1
    losses, slope1, slope2 = value_and_gradients(x1, x2, labels, dtype, reduction='none', axis=-1)
    assert np.argwhere(np.isnan(losses)).tolist() == [[3, 7]]
    for slope, row in ((slope1[:, 0], 3), (slope2[0], 7)):
        assert np.isnan(slope[row]).all()
        assert np.isfinite(np.delete(slope, row, 0)).all()


@pytest.mark.parametrize('eps', [0, 1e-12])
def test_rows_of_zeros(eps):
    x1, x2 = normal(9, (9, 1, 20), ms.float32), normal(10, (1, 11, 20), ms.float32)
    x1[4], x2[:, 6] = 0, 0
    labels = np.random.default_rng(11).choice([1, -1], (9, 11))
    losses, *slopes = value_and_gradients(x1, x2, labels, axis=-1, reduction='none', eps=eps)
    expected = pair_losses(x1, x2, labels, axis=-1, eps=eps)
    assert_within(losses, expected, tolerance(expected, ms.float32))
    expected = _one_by_one(x1, x2, labels, np.ones(labels.shape), eps=eps)
    for slope, truly in zip(slopes, expected):
        assert_rows_within(slope, truly, UNIT[ms.float32])
    if eps == 0:
        assert not slopes[0][4].any()
        assert not slopes[1][0, 6].any()


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_a_hinge_that_the_cosine_meets_exactly_is_open(dtype):
    # All cosines are exactly 1/2.
    x1, x2 = np.zeros((8, 1, 24)), np.zeros((1, 10, 24))
    x1[..., :2] = np.arange(1, 9)[:, None, None]
    x2[..., [0, 2]] = np.arange(3, 13)[:, None]
    labels = np.full((8, 10), -1)
    losses, *slopes = value_and_gradients(x1, x2, labels, dtype, margin=0.5, eps=0, axis=-1, reduction='none')
    assert not losses.any()
    for slope, truly in zip(slopes, _one_by_one(x1, x2, labels, np.ones(labels.shape), margin=0.5, eps=0)):
        assert truly.any(axis=-1).all()
        assert_rows_within(slope, truly, UNIT[dtype])
    for slope in gradients(x1, x2, labels, dtype, margin=np.nextafter(0.5, 1), eps=0, axis=-1, reduction='none'):
        assert not slope.any()


def test_near_parallel_pairs_keep_two_ulp():
    x1 = normal(12, (9, 1, 90), ms.float32)
    x2 = np.float32(x1[:, 0] + 10.0 ** -np.arange(1, 10)[:, None] * normal(13, (9, 90)))[None].astype(np.float64)
    labels = np.ones((9, 9))
    expected = pair_losses(x1, x2, labels, axis=-1)
    assert 0 < np.diag(expected).min() < 1e-13
    assert_within(value(x1, x2, labels, axis=-1, reduction='none'), expected, tolerance(expected, ms.float32))


def test_more_coefficients_than_are_kept_at_once():
    # Two slabs of rows, whose gradients of x2 are added.
    x1, x2 = normal(14, (70, 1, 2), ms.float32), normal(15, (1, 4200, 2), ms.float32)
    labels = np.random.default_rng(16).choice([1, -1, 0], (70, 4200))
    found = gradients(x1, x2, labels, margin=0.3, reduction='sum', axis=-1)
    for slope, truly in zip(found, _one_by_one(x1, x2, labels, np.ones(labels.shape), margin=0.3)):
        assert_rows_within(slope, truly, UNIT[ms.float32], size=np.linalg.norm(truly, axis=-1) + np.abs(truly).max())


@pytest.mark.parametrize('shapes', [((130, 1, 64), (1, 300, 64)), ((5, 40, 1, 33), (5, 1, 70, 33))], ids=str)
def test_the_same_bits_for_any_number_of_threads(shapes):
    x1, x2 = (normal(seed, shape).astype(np.float32) for seed, shape in enumerate(shapes))
    labels = np.random.default_rng(2).choice([1, -1, 0], np.broadcast_shapes(*shapes)[:-1]).astype(np.int32)
    one, *others = (Kernel(x1, x2, labels, 0.1, axis=x1.ndim - 1, threads=threads) for threads in (1, 2, 3, 0))
    one.both()
    for other in others:
        other.both()
        for found, expected in zip(other.results(), one.results()):
            assert np.abs(expected).max() > 0
            np.testing.assert_array_equal(found, expected)
