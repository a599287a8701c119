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
"""The contract's error bound on the inputs that are hardest to sum, compared with MindSpore's own loss."""
import functools
from fractions import Fraction

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss
from tests import truth
from tests.st.evaluation import ByHand, rival, tolerance_beside

LENGTHS = (1, 2, 5, 16, 31, 33, 100, 127, 333, 768, 1009)

pytestmark = pytest.mark.usefixtures('mode', 'implementation')


def _constant_rows(rng, rows, length, dtype):
    """Rows whose partial sums are all rounded to the same side, so that the errors add up."""
    return (rng.uniform(0.1, 1, (2, rows, 1)) * np.ones((1, length))).astype(dtype)


def _random_rows(rng, rows, length, dtype):
    return np.abs(rng.standard_normal((2, rows, length))).astype(dtype)


@functools.cache
def _pairs(length, dtype):
    """Pairs of rows with label 1 and their losses, cached for the other mode."""
    rng = np.random.default_rng(length)
    constant1, constant2 = _constant_rows(rng, 30, length, dtype)
    random1, random2 = _random_rows(rng, 30, length, dtype)
    x1, x2 = np.concatenate([constant1, random1, random1]), np.concatenate([constant2, random2, 3 * random1])
    return x1, x2, truth.pair_losses(x1, x2, np.ones(len(x1))).astype(np.float64)


def _dtype(array):
    return getattr(ms, str(array.dtype))


def _assert_losses(x1, x2, labels, expected, axis=1):
    """Asserts that every loss is within the contract's tolerance of `expected`."""
    inputs = Tensor(x1), Tensor(x2), Tensor(labels, ms.int32)
    losses = CosineEmbeddingLoss(reduction='none', axis=axis)(*inputs).asnumpy()
    theirs = rival(_dtype(x1), 'none', axis)(*inputs).asnumpy()
    assert np.abs(losses - expected).max() <= tolerance_beside(theirs, expected, _dtype(x1))


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('length', LENGTHS)
def test_error_at_every_length(length, dtype):
    x1, x2, expected = _pairs(length, dtype)
    _assert_losses(x1, x2, np.ones(len(x1)), expected)


@pytest.mark.parametrize(('shape', 'axis'), [((333, 40), 0), ((40, 333, 2), 1), ((2, 40, 333), -1)])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_error_along_every_axis(shape, axis, dtype):
    rng = np.random.default_rng(0)
    ones = np.ones(shape)
    x1, x2 = (rng.uniform(0.1, 1, [1 if i == axis % len(shape) else n for i, n in enumerate(shape)]) * ones
              for _ in range(2))
    x1, x2 = x1.astype(dtype), x2.astype(dtype)
    labels = np.ones(np.delete(shape, axis), np.int32)
    _assert_losses(x1, x2, labels, truth.pair_losses(x1, x2, labels, axis=axis).astype(np.float64), axis)


@pytest.mark.parametrize('length', [1000, 10_000, 100_000])
@pytest.mark.parametrize('trailing', [(2, 2), (2, 1, 2)], ids=str)
def test_long_vectors_along_axis_0(trailing, length):
    rng = np.random.default_rng(length)
    x1, x2 = (rows.reshape(length, *trailing) for rows in _random_rows(rng, length, 4, np.float32))
    labels = np.where(np.arange(4) % 2, -1, 1).reshape(trailing).astype(np.int32)
    _assert_losses(x1, x2, labels, truth.pair_losses(x1, x2, labels, axis=0).astype(np.float64), 0)

    inputs = Tensor(x1), Tensor(x2), Tensor(labels)
    dot, square1, square2 = (np.sum(a.astype(np.longdouble) * b, 0) for a, b in ((x1, x2), (x1, x1), (x2, x2)))
    # The closed form in extended precision; differences of 50 digits would take an hour at this length.
    expected = (x2 - dot / square1 * x1) / np.sqrt(square1 * square2) * -labels
    ours, theirs = (np.linalg.norm(ms.grad(loss, 0)(*inputs).asnumpy() - expected, axis=0)
                    for loss in (CosineEmbeddingLoss(reduction='sum', axis=0), ByHand('sum', 0)))
    size = np.linalg.norm(expected, axis=0).max()
    # The contract's bound, or 4 ulp more than the loss by hand loses.
    assert ours.max() <= max(1e-6 * size, theirs.max() + 4 * np.finfo(np.float32).eps * size)


# Constant, hence parallel, rows, and rows closer to those in training.
@pytest.mark.parametrize('make', [_constant_rows, _random_rows])
def test_long_rows(make):
    x1, x2 = make(np.random.default_rng(1), 4, 100_000, np.float32)
    _assert_losses(x1, x2, np.ones(4), truth.pair_losses(x1, x2, np.ones(4)).astype(np.float64))


# A power of two, whose mean adds no rounding, and a number that leaves a remainder in every run.
@pytest.mark.parametrize('rows', [2 ** 12, 99_999])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_large_batches(rows, dtype):
    # Equal losses of 1 - 720/1681, whose partial sums are all rounded to the same side.
    inputs = [Tensor(np.tile(np.array(row, dtype), (rows, 1))) for row in ([9, 40], [40, 9])]
    inputs.append(Tensor(np.ones(rows), ms.int32))
    exact = float(1 - Fraction(720, 1681))
    # The tolerance of a single loss, and a rival that adds as many.
    for reduction, count in (('mean', 1), ('sum', rows)):
        losses = CosineEmbeddingLoss(reduction=reduction), rival(inputs[0].dtype, reduction)
        found, theirs = (loss(*inputs).asnumpy() / count for loss in losses)
        assert abs(found - exact) <= tolerance_beside(theirs, exact, inputs[0].dtype)


@pytest.mark.parametrize(('shapes', 'axis'), [(((1, 3), (99_999, 3)), 1), (((1, 3), (16_384, 3)), 1),
                                              (((3, 1), (3, 99_999)), 0), (((1, 3, 1), (317, 3, 315)), 1)])
def test_the_gradient_of_an_anchor_of_a_large_batch(shapes, axis):
    rng = np.random.default_rng(3)
    anchor, row = np.abs(rng.standard_normal((2, 3))).astype(np.float32)
    # Equal rows have equal gradients, so their mean is any of them.
    expected, _ = truth.gradients(anchor[None], row[None], [1])
    along = [1] * len(shapes[0])
    along[axis] = 3
    inputs = [Tensor(anchor.reshape(along)), Tensor(np.broadcast_to(row.reshape(along), shapes[1]).copy()),
              Tensor(np.ones(np.delete(shapes[1], axis), np.int32))]
    ours, theirs = (np.linalg.norm(ms.grad(loss, 0)(*inputs).asnumpy().ravel() - expected[0])
                    for loss in (CosineEmbeddingLoss(axis=axis), ByHand(axis=axis)))
    # The contract's bound for plain, which is the wider one, or 4 ulp more than the loss by hand loses.
    size = np.linalg.norm(expected)
    assert ours <= max(1e-6 * size, theirs + 4 * np.finfo(np.float32).eps * size)


@pytest.mark.parametrize('rank', [9, 12])
def test_more_than_8_axes(rank):
    # MindSpore's Tile supports at most 8.
    rng = np.random.default_rng(rank)
    for shape1 in ((2,) * (rank - 1) + (3,), (1,) + (2,) * (rank - 2) + (3,)):
        x1, x2 = rng.standard_normal(shape1), rng.standard_normal((2,) * (rank - 1) + (3,))
        labels = np.where(rng.random((2,) * (rank - 1)) < 0.5, -1, 1).astype(np.int32)
        inputs = Tensor(x1), Tensor(x2), Tensor(labels)
        losses = CosineEmbeddingLoss(-1.0, 'none', axis=-1)(*inputs).asnumpy()
        full = np.broadcast_to(x1, x2.shape)
        expected = truth.pair_losses(full, x2, labels, -1.0, axis=-1).astype(np.float64)
        assert np.abs(losses - expected).max() <= 4 * np.finfo(np.float64).eps
        found = ms.grad(CosineEmbeddingLoss(-1.0, 'sum', axis=-1), (0, 1))(*inputs)
        dx1, dx2 = truth.gradients(full, x2, labels, margin=-1.0, axis=-1)
        for each, truly in zip(found, (dx1 if shape1 == x2.shape else dx1.sum(0, keepdims=True), dx2)):
            assert each.shape == truly.shape
            # The contract's bound, for gradients of about 1.
            assert np.abs(each.asnumpy() - truly).max() <= 1e-14 * max(1, np.abs(truly).max())


@pytest.mark.on_cpu
def test_second_derivative_beside_mindspore(mode):
    rng = np.random.default_rng(2)
    x1, x2, direction = rng.standard_normal((3, 4, 3))
    labels = np.array([1, -1, 1, 1])
    inputs = Tensor(x1), Tensor(x2), Tensor(labels, ms.int32)
    step = 1e-5
    above, below = (truth.gradients(x1 + sign * step * direction, x2, labels)[0] for sign in (1, -1))
    # The central difference is accurate to step**2 times some tens, a fourth derivative.
    expected = (above - below) / (2 * step)

    def product(loss):
        gradient = ms.grad(loss, 0)
        weights = Tensor(direction)

        def along(x1, x2, labels):
            return (gradient(x1, x2, labels) * weights).sum()

        return ms.grad(along, 0)(*inputs).asnumpy()

    assert np.abs(product(CosineEmbeddingLoss(reduction='sum')) - expected).max() < 1e-8
    if mode == ms.PYNATIVE_MODE:
        assert np.abs(product(nn.CosineEmbeddingLoss(reduction='sum')) - expected).max() > 0.01
