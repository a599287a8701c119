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
"""Properties for any input: the symmetries of the definition, its range, and its value to 50 digits."""
import functools

import mindspore as ms
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mindspore import Tensor

from ms_cosine_loss import CosineEmbeddingLoss
from tests import truth
from tests.st.evaluation import UNIT, WIDE, Weighted, norms

# The same inputs every time, and no deadline, because the first call in graph mode compiles. The fixtures hold for all
# examples of a test.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=12, database=None,
                    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

# Every property draws from a few shapes and settings, so that each graph is compiled once and called with many values.
SHAPES = ((3, 7), (8, 4))
MARGINS = (-1.0, 0.25)

# A loss is within 4 ulp of 1 of the truth, so two results for the same loss are within 8 of each other.
TWICE = 8


@functools.cache
def _cell(which, reduction='none', margin=0.0, axis=1, eps=1e-12):
    """Returns a cached Cell, so that its graphs are compiled once; `which` is only part of the cache key."""
    return CosineEmbeddingLoss(margin, reduction, axis=axis, eps=eps)


@functools.cache
def _gradient(which, margin, eps):
    return ms.grad(Weighted(_cell(which, margin=margin, eps=eps)), grad_position=(0, 1))


@pytest.fixture
def which(mode, implementation):
    """The mode and the implementation of the test."""
    return mode, implementation.name


@pytest.fixture(scope='module', autouse=True)
def _forget_cells():
    yield
    _cell.cache_clear()
    _gradient.cache_clear()


def _losses(cell, x1, x2, labels, dtype):
    result = cell(Tensor(np.ascontiguousarray(x1), dtype), Tensor(np.ascontiguousarray(x2), dtype),
                  Tensor(np.ascontiguousarray(labels), ms.int32))
    return result.asnumpy().astype(np.float64)


def _gradients(gradient, x1, x2, labels, upstream, dtype):
    results = gradient(Tensor(np.ascontiguousarray(x1), dtype), Tensor(np.ascontiguousarray(x2), dtype),
                       Tensor(np.ascontiguousarray(labels), ms.int32), Tensor(upstream, dtype))
    return [result.asnumpy().astype(np.float64) for result in results]


@st.composite
def _batches(draw, shapes=SHAPES, magnitude=3, sparse=True):
    """Draws two matrices of float32 numbers and labels from -1, 0, 1.

    The norms of the rows range from 10**-magnitude to 10**magnitude, and some pairs are nearly parallel, so that every
    digit of the cosine is tested; with `sparse` there are zeros and rows of zeros too.
    """
    shape = draw(st.sampled_from(shapes))
    # Numbers from a generator with a drawn seed: these properties are about ordinary numbers at all magnitudes, and
    # Hypothesis would search for extreme floats.
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    x1, noise = rng.normal(size=shape), rng.normal(size=shape)
    mix = rng.choice([0.0, 1.0, -1.0], size=(shape[0], 1), p=[0.5, 0.25, 0.25])
    x2 = mix * x1 + noise * np.where(mix == 0, 1.0, 10.0 ** rng.uniform(-9, 0, size=(shape[0], 1)))
    if sparse and draw(st.booleans()):
        x1 = x1 * (rng.random(shape) < 0.6)
        x2 = x2 * (rng.random((shape[0], 1)) < 0.7)
    scales = 10.0 ** rng.uniform(-magnitude, magnitude, size=(2, shape[0], 1))
    labels = rng.choice([-1, 1, 0], size=shape[0], p=[0.45, 0.45, 0.1])
    x1, x2 = (scale * x for scale, x in zip(scales, (x1, x2)))
    return x1.astype(np.float32), x2.astype(np.float32), labels


DTYPE = st.sampled_from(WIDE)
MARGIN = st.sampled_from(MARGINS)


@PROPERTY
@given(batch=_batches(), margin=MARGIN, dtype=DTYPE, data=st.data())
def test_permuted_rows_give_permuted_losses(which, batch, margin, dtype, data):
    x1, x2, labels = batch
    order = data.draw(st.permutations(range(len(labels))))
    cell = _cell(which, margin=margin)
    losses = _losses(cell, x1, x2, labels, dtype)
    permuted = _losses(cell, x1[order], x2[order], labels[order], dtype)
    # A row may be summed in another order elsewhere in memory.
    np.testing.assert_allclose(permuted, losses[order], rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), margin=MARGIN, dtype=DTYPE)
def test_swapped_logits_give_the_same_losses(which, batch, margin, dtype):
    x1, x2, labels = batch
    cell = _cell(which, margin=margin)
    np.testing.assert_allclose(_losses(cell, x2, x1, labels, dtype), _losses(cell, x1, x2, labels, dtype),
                               rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), margin=MARGIN, dtype=DTYPE, power1=st.integers(-20, 20), power2=st.integers(-20, 20))
def test_scaled_logits_give_the_same_losses_without_eps(which, batch, margin, dtype, power1, power2):
    x1, x2, labels = batch
    cell = _cell(which, margin=margin, eps=0.0)
    scaled = _losses(cell, np.ldexp(x1, power1), np.ldexp(x2, power2), labels, dtype)
    # Powers of two add no rounding to a product, a sum or the root of a square.
    np.testing.assert_allclose(scaled, _losses(cell, x1, x2, labels, dtype), rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(shapes=((8, 4),)), dtype=DTYPE, cut=st.sampled_from([1, 3]))
def test_a_batch_in_two_parts_gives_the_same_losses(which, batch, dtype, cut):
    x1, x2, labels = batch
    cell = _cell(which, margin=0.25)
    parts = [_losses(cell, x1[part], x2[part], labels[part], dtype) for part in (slice(0, cut), slice(cut, None))]
    np.testing.assert_allclose(np.concatenate(parts), _losses(cell, x1, x2, labels, dtype),
                               rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), dtype=DTYPE)
def test_sum_and_mean_are_those_of_the_losses(which, batch, dtype):
    x1, x2, labels = batch
    losses = _losses(_cell(which), x1, x2, labels, dtype)
    # n losses of up to 2 added one by one: each addition rounds by at most half an ulp of the total, which is below 2n;
    # the losses themselves are the same.
    allowed = UNIT[dtype] * len(labels) * max(1.0, losses.sum())
    assert abs(_losses(_cell(which, 'sum'), x1, x2, labels, dtype) - losses.sum()) <= allowed
    # Ignored rows count in the mean; the division rounds once more.
    mean = _losses(_cell(which, 'mean'), x1, x2, labels, dtype)
    assert abs(mean - losses.sum() / len(labels)) <= allowed / len(labels) + UNIT[dtype]


@PROPERTY
@given(batch=_batches(shapes=((3, 7),)), dtype=DTYPE, axis=st.sampled_from([0, -2, -1]))
def test_a_moved_axis_gives_the_same_losses(which, batch, dtype, axis):
    x1, x2, labels = batch
    moved = [np.moveaxis(x, 1, axis) for x in (x1, x2)]
    losses = _losses(_cell(which, margin=0.25), x1, x2, labels, dtype)
    np.testing.assert_allclose(_losses(_cell(which, margin=0.25, axis=axis), *moved, labels, dtype), losses,
                               rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(shapes=((12, 5),)), dtype=DTYPE, axis=st.sampled_from([1, 2, 3, -1]))
def test_an_axis_among_four_gives_the_losses_of_the_rows(which, batch, dtype, axis):
    x1, x2, labels = batch
    losses = _losses(_cell(which), x1, x2, labels, dtype)
    # 12 rows as 2 x 3 x 2, with the vectors put at `axis`.
    grids = [np.moveaxis(x.reshape(2, 3, 2, 5), -1, axis) for x in (x1, x2)]
    np.testing.assert_allclose(_losses(_cell(which, axis=axis), *grids, labels.reshape(2, 3, 2), dtype),
                               losses.reshape(2, 3, 2), rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), dtype=DTYPE)
def test_a_turned_sign_turns_the_cosine(which, batch, dtype):
    x1, x2, labels = batch
    cell = _cell(which, margin=-1.0)
    labels = np.where(labels == 0, 1, labels)
    # With margin -1, the loss of a dissimilar pair is 1 + cosine, that of a similar pair with the sign flipped.
    np.testing.assert_allclose(_losses(cell, x1, -x2, -labels, dtype), _losses(cell, x1, x2, labels, dtype),
                               rtol=0, atol=TWICE * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), dtype=DTYPE, margin=MARGIN)
def test_losses_stay_in_their_range(which, batch, dtype, margin):
    x1, x2, labels = batch
    losses = _losses(_cell(which, margin=margin), x1, x2, labels, dtype)
    # Never negative, not even by rounding; at the upper end, a cosine of -1 may be off by a few ulp.
    assert (losses >= 0).all()
    assert (losses <= 2 + 4 * UNIT[dtype]).all()
    assert (losses[labels == -1] <= 1 - margin + 4 * UNIT[dtype]).all()
    assert (losses[labels == 0] == 0).all()


@PROPERTY
@given(batch=_batches(magnitude=15), dtype=DTYPE, margin_and_eps=st.sampled_from([(-1.0, 1e-12), (0.25, 1e-8)]))
def test_values_are_the_definitions_at_all_magnitudes(which, batch, dtype, margin_and_eps):
    x1, x2, labels = batch
    margin, eps = margin_and_eps
    exact = truth.pair_losses(x1, x2, labels, margin=margin, eps=eps).astype(np.float64)
    np.testing.assert_allclose(_losses(_cell(which, margin=margin, eps=eps), x1, x2, labels, dtype), exact,
                               rtol=0, atol=4 * UNIT[dtype])


@PROPERTY
@given(batch=_batches(magnitude=15), margin=MARGIN)
def test_values_without_eps_are_the_definitions_at_all_magnitudes(which, batch, margin):
    x1, x2, labels = batch
    exact = truth.pair_losses(x1, x2, labels, margin=margin, eps=0.0).astype(np.float64)
    # In float64, where the squares of 1e-15 are far from underflow.
    np.testing.assert_allclose(_losses(_cell(which, margin=margin, eps=0.0), x1, x2, labels, ms.float64), exact,
                               rtol=0, atol=4 * UNIT[ms.float64])


# A gradient is the difference of two terms of norm up to weight / norm, each with some eight roundings.
GRADIENT = 16


@PROPERTY
@given(batch=_batches(sparse=False), dtype=DTYPE)
def test_gradients_are_at_right_angles_without_eps(which, batch, dtype):
    x1, x2, labels = batch
    # Without eps, the loss does not change along x1, so its gradient has no component there; the same for x2.
    gradients = _gradients(_gradient(which, -1.0, 0.0), x1, x2, labels, np.ones(len(labels)), dtype)
    for gradient, x in zip(gradients, (x1, x2)):
        x = x.astype(np.float64)
        assert (np.abs((gradient * x).sum(axis=1)) <= GRADIENT * UNIT[dtype]).all()


@PROPERTY
@given(batch=_batches(sparse=False), dtype=DTYPE)
def test_gradients_have_the_length_of_the_sine_over_the_norm(which, batch, dtype):
    # Complements the test above, which zeros would pass. All pairs are similar, because rounding could close a hinge.
    x1, x2, labels = batch
    labels = np.ones_like(labels)
    gradients = _gradients(_gradient(which, -1.0, 0.0), x1, x2, labels, np.ones(len(labels)), dtype)
    x1, x2 = x1.astype(np.float64), x2.astype(np.float64)
    units = [x / norms(x)[:, None] for x in (x1, x2)]
    # The sine of the angle between u and v as |u - v| |u + v| / 2, which does not cancel.
    sine = norms(units[0] - units[1]) * norms(units[0] + units[1]) / 2
    for gradient, x in zip(gradients, (x1, x2)):
        np.testing.assert_allclose(norms(gradient) * norms(x), sine, rtol=0, atol=GRADIENT * UNIT[dtype])


@PROPERTY
@given(batch=_batches(), dtype=DTYPE, data=st.data())
def test_gradients_of_permuted_rows_are_permuted(which, batch, dtype, data):
    x1, x2, labels = batch
    order = data.draw(st.permutations(range(len(labels))))
    upstream = np.linspace(-2, 3, len(labels))
    gradient = _gradient(which, 0.0, 1e-12)
    straight = _gradients(gradient, x1, x2, labels, upstream, dtype)
    permuted = _gradients(gradient, x1[order], x2[order], labels[order], upstream[order], dtype)
    for result, expected, x in zip(permuted, straight, (x1, x2)):
        # 3 is the largest weight.
        allowed = 2 * GRADIENT * UNIT[dtype] * 3 / np.sqrt(norms(x.astype(np.float64)) ** 2 + 1e-12)
        assert (norms(result - expected[order]) <= allowed[order]).all()


@PROPERTY
@given(batch=_batches(), dtype=DTYPE, factor=st.sampled_from([2.0 ** -10, -0.5, 3.0, 65536.0]))
def test_gradients_are_linear_in_the_upstream_gradient(which, batch, dtype, factor):
    x1, x2, labels = batch
    rng = np.random.default_rng(len(labels))
    first, second = rng.normal(size=(2, len(labels)))
    # float32 numbers, so that the weights are the same in both dtypes.
    first, second = (weights.astype(np.float32).astype(np.float64) for weights in (first, second))
    gradient = _gradient(which, 0.0, 1e-12)
    parts = [_gradients(gradient, x1, x2, labels, weights, dtype) for weights in (first, second)]
    together = _gradients(gradient, x1, x2, labels, first + factor * second, dtype)
    for result, part1, part2, x in zip(together, *parts, (x1, x2)):
        # The combined weights are rounded once on input.
        allowed = (2 * GRADIENT * UNIT[dtype] * (np.abs(first) + np.abs(factor * second))
                   / np.sqrt(norms(x.astype(np.float64)) ** 2 + 1e-12))
        assert (norms(result - (part1 + factor * part2)) <= allowed).all()


@PROPERTY
@given(batch=_batches(), dtype=DTYPE)
def test_gradients_by_swapped_logits_are_swapped(which, batch, dtype):
    x1, x2, labels = batch
    upstream = np.ones(len(labels))
    gradient = _gradient(which, 0.25, 1e-12)
    straight = _gradients(gradient, x1, x2, labels, upstream, dtype)
    swapped = _gradients(gradient, x2, x1, labels, upstream, dtype)
    for result, expected, x in zip(swapped, reversed(straight), (x2, x1)):
        allowed = 2 * GRADIENT * UNIT[dtype] / np.sqrt(norms(x.astype(np.float64)) ** 2 + 1e-12)
        assert (norms(result - expected) <= allowed).all()
