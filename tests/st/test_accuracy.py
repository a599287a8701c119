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
"""The error bound of the contract on the inputs that are hardest to sum, beside MindSpore's own loss."""
import functools
from fractions import Fraction

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss
from tests import truth

LENGTHS = (1, 2, 5, 16, 31, 33, 100, 127, 333, 768, 1009)

pytestmark = pytest.mark.usefixtures('mode', 'implementation')


def _constant_rows(rng, rows, length, dtype):
    """Every partial sum of a constant row is rounded to the same side, so that its errors add up."""
    return (rng.uniform(0.1, 1, (2, rows, 1)) * np.ones((1, length))).astype(dtype)


@functools.cache
def _pairs(length, dtype):
    """Pairs of rows with label 1, and their losses: worth keeping for the other mode."""
    rng = np.random.default_rng(length)
    constant1, constant2 = _constant_rows(rng, 30, length, dtype)
    random1, random2 = np.abs(rng.standard_normal((2, 30, length))).astype(dtype)
    x1, x2 = np.concatenate([constant1, random1, random1]), np.concatenate([constant2, random2, 3 * random1])
    return x1, x2, truth.pair_losses(x1, x2, np.ones(len(x1))).astype(np.float64)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('length', LENGTHS)
def test_error_within_4_ulp_at_every_length(length, dtype):
    x1, x2, expected = _pairs(length, dtype)
    labels = Tensor(np.ones(len(x1)), ms.int32)
    losses = CosineEmbeddingLoss(reduction='none')(Tensor(x1), Tensor(x2), labels).asnumpy()
    error = np.abs(losses - expected)
    # The contract's bound: 4 units in the last place of 1.
    assert error.max() <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize(('shape', 'axis'), [((333, 40), 0), ((40, 333, 2), 1), ((2, 40, 333), -1)])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_error_within_4_ulp_along_every_axis(shape, axis, dtype):
    rng = np.random.default_rng(0)
    ones = np.ones(shape)
    x1, x2 = (rng.uniform(0.1, 1, [1 if i == axis % len(shape) else n for i, n in enumerate(shape)]) * ones
              for _ in range(2))
    x1, x2 = x1.astype(dtype), x2.astype(dtype)
    labels = np.ones(np.delete(shape, axis), np.int32)
    losses = CosineEmbeddingLoss(reduction='none', axis=axis)(Tensor(x1), Tensor(x2), Tensor(labels)).asnumpy()
    error = np.abs(losses - truth.pair_losses(x1, x2, labels, axis=axis).astype(np.float64))
    assert error.max() <= 4 * np.finfo(dtype).eps


@pytest.mark.on_cpu
def test_long_rows():
    x1, x2 = _constant_rows(np.random.default_rng(1), 4, 100_000, np.float32)
    labels = Tensor(np.ones(4), ms.int32)
    # Two constant rows are parallel, so the loss is 0 up to the bound of the contract.
    theirs = nn.CosineEmbeddingLoss(reduction='none')(Tensor(x1), Tensor(x2), labels).asnumpy()
    assert np.abs(theirs).max() > 1e-5

    ours = CosineEmbeddingLoss(reduction='none')(Tensor(x1), Tensor(x2), labels).asnumpy()
    assert np.abs(ours).max() <= 4 * np.finfo(np.float32).eps


# A power of two, whose mean adds no rounding; and one that leaves a rest in every run.
@pytest.mark.parametrize('rows', [2 ** 12, 99_999])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_large_batches(rows, dtype):
    # Equal losses of 1 - 720/1681, whose partial sums are rounded to one side.
    x1, x2 = (Tensor(np.tile(np.array(row, dtype), (rows, 1))) for row in ([9, 40], [40, 9]))
    labels = Tensor(np.ones(rows), ms.int32)
    exact = float(1 - Fraction(720, 1681))
    # As for a loss by itself: a mean may not add to the error of what it is the mean of.
    assert abs(CosineEmbeddingLoss()(x1, x2, labels).asnumpy() - exact) <= 4 * np.finfo(dtype).eps
    assert abs(CosineEmbeddingLoss(reduction='sum')(x1, x2, labels).asnumpy() / rows - exact) <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize(('shapes', 'axis'), [(((1, 3), (99_999, 3)), 1), (((3, 1), (3, 99_999)), 0),
                                              (((1, 3, 1), (317, 3, 315)), 1)])
def test_the_gradient_of_an_anchor_of_a_large_batch(shapes, axis):
    rng = np.random.default_rng(3)
    anchor, row = np.abs(rng.standard_normal((2, 3))).astype(np.float32)
    # Equal rows give equal gradients, whose mean is any of them.
    expected, _ = truth.gradients(anchor[None], row[None], [1])
    along = [1] * len(shapes[0])
    along[axis] = 3
    x1 = Tensor(anchor.reshape(along))
    x2 = Tensor(np.broadcast_to(row.reshape(along), shapes[1]).copy())
    labels = Tensor(np.ones(np.delete(shapes[1], axis), np.int32))
    gradient = ms.grad(CosineEmbeddingLoss(axis=axis), 0)(x1, x2, labels).asnumpy()
    # The contract's bound for plain, which is the wider one.
    assert np.linalg.norm(gradient.ravel() - expected[0]) <= 1e-6 * np.linalg.norm(expected)


@pytest.mark.on_cpu
def test_second_derivative_beside_mindspore(mode):
    rng = np.random.default_rng(2)
    x1, x2, direction = rng.standard_normal((3, 4, 3))
    labels = np.array([1, -1, 1, 1])
    inputs = Tensor(x1), Tensor(x2), Tensor(labels, ms.int32)
    step = 1e-5
    above, below = (truth.gradients(x1 + sign * step * direction, x2, labels)[0] for sign in (1, -1))
    # The central difference is good to step**2 and some tens of a fourth derivative.
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
