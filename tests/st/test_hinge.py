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
"""The hinge of dissimilar pairs whose cosine equals the margin, or differs from it by less than rounding.

It is open where cos >= margin in exact arithmetic: for rows, for columns and for an anchor against a batch, in first
and second derivatives.
"""
from unittest import mock

import mindspore as ms
import mpmath
import numpy as np
import pytest

from ms_cosine_loss import CosineEmbeddingLoss, use_implementation
from tests import truth
from tests.st.evaluation import (
    DTYPES,
    HALVES,
    UNIT,
    WIDE,
    array,
    assert_rows_within,
    assert_within,
    pair_gradients,
    tensor,
    tolerance,
    ulp,
    value_and_gradients,
)

# Tiny cosines in the range of each dtype: float16's is too small for float32 sums, the others for double-double.
TINY = {ms.float16: 2.0 ** -14, ms.bfloat16: 2.0 ** -120, ms.float32: 2.0 ** -120, ms.float64: 2.0 ** -1000}
# Its square is below the rounding of 1: of float32 for float16, otherwise of double-double.
HAIR = {ms.float16: 2.0 ** -14, **dict.fromkeys((ms.bfloat16, ms.float32, ms.float64), 2.0 ** -60)}
# The rounding of a cosine in double-double.
ROUNDING = 2.0 ** -100
# Plain's tolerance for float32 and native's for float64; a half gradient is rounded, and so is a sum of several.
RELATIVE = {ms.float16: 2 * UNIT[ms.float16], ms.bfloat16: 2 * UNIT[ms.bfloat16], ms.float32: 1e-6, ms.float64: 1e-14}
# As in test_second_order.py.
RELATIVE_OF_SECOND = 40
# Keeps 1 / sqrt(eps), the gradient of a row of zeros, in the range of float16.
WEIGHT = 2.0 ** -6


def _around_zero(dtype):
    """An anchor, and vectors whose cosines with it are 0, positive and negative, some of them far below eps."""
    t = TINY[dtype]
    return [1.0, 0.0, 0.0], [[-t, 2 * t, 0], [t, 2 * t, 0], [0, 2 * t, t], [0, 0, 0], [-t, 1, 2], [t, 1, 2], [0, 1, 2],
                             [-1, 1, 2], [1, 1, 2]]


def _around_a_half(t):
    """An anchor, and vectors with cosines around 1/2: the second's is exactly 1/2 with t = 0, otherwise off by t²."""
    return [1.0, 1.0, 0.0, t], [[1, 0, 1, -t], [1, 0, 1, 0], [1, 0, 1, t], [2, 0, 2, 4 * t], [1, 1, 1, 0], [1, 0, 2, 0]]


def _laid(layout, anchor, batch):
    """Returns the pairs as rows, as columns or with a broadcast anchor, and the axis of the vectors."""
    anchor, batch = np.array([anchor]), np.array(batch, np.float64)
    if layout == 'anchor':
        return anchor, batch, 1
    anchor = np.repeat(anchor, len(batch), 0)
    return (anchor.T.copy(), batch.T.copy(), 0) if layout == 'columns' else (anchor, batch, 1)


def _signs(anchor, batch, margin, eps):
    return np.array([truth.hinge_sign(anchor, other, margin, eps) for other in batch])


def _check(dtype, layout, anchor, batch, margin, eps, is_native, rounding=0.0):
    signs = _signs(anchor, batch, margin, eps)
    x1, x2, axis = _laid(layout, anchor, batch)
    settings = {'axis': axis, 'eps': eps}
    losses, *found = value_and_gradients(x1, x2, np.full(len(batch), -1), dtype, WEIGHT, reduction='none',
                                         margin=margin, **settings)
    # In the truth, closed pairs are ignored and open ones are far from the hinge.
    with mock.patch.object(truth, 'DIGITS', 400):
        # Enough digits for differences of a tiny cosine plus 2.
        expected = pair_gradients(x1, x2, np.where(signs < 0, 0, -1), WEIGHT, margin=-2.0, **settings)
    terms = len(batch) if layout == 'anchor' else 1
    for each, truly in zip(found, expected):
        # Subnormal numbers of the narrow dtypes have no relative precision.
        size = np.linalg.norm(truly, axis=axis) + 2.0 ** (-12 if dtype == ms.float16 else -124) / RELATIVE[dtype]
        assert_rows_within(each, truly, (terms if dtype in HALVES else 1) * RELATIVE[dtype], axis, size)
    rows = np.moveaxis(found[1], axis, -1)
    assert (rows[signs < 0] == 0).all()
    assert rows[signs >= 0].any(axis=1).all()
    exact = truth.pair_losses(*np.broadcast_arrays(x1, x2), np.full(len(batch), -1), margin=margin, **settings)
    if is_native:
        assert (losses[signs <= 0] == 0).all()
        # The contract is 4 ulp of 1 for float64; it achieves 2 ulp of the loss.
        assert_within(losses, exact, 2 * ulp(exact.astype(float), dtype) + rounding)
    else:
        assert_within(losses, exact, tolerance(exact, dtype))


@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_around_margin_0(mode, implementation, dtype, layout):
    anchor, batch = _around_zero(dtype)
    assert sorted(set(_signs(anchor, batch, 0.0, 1e-12))) == [-1, 0, 1]
    _check(dtype, layout, anchor, batch, 0.0, 1e-12, implementation.name == 'native')


# Not in both modes, because the kernel gets the same inputs; the test of margin 0 above runs in both.
@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('sign', [1, -1])
def test_native_around_other_margins(dtype, layout, sign):
    # In plain, rounding decides these.
    with use_implementation('native'):
        # An eps below the rounding of the squares in double-double also moves the cosine off the margin.
        for t, eps in ((0.0, 0.0), (0.0, 2.0 ** -110), (HAIR[dtype], 0.0)):
            anchor, batch = _around_a_half(t)
            batch = sign * np.array(batch)
            # Also one ulp to either side of the exact margin.
            for margin in sign * np.array([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)]):
                _check(dtype, layout, anchor, batch, float(margin), eps, True, ROUNDING)


@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', [ms.bfloat16, ms.float32, ms.float64], ids=str)
def test_native_products_that_two_doubles_do_not_add_up(dtype, layout):
    # All in one lane of any register: the largest products cancel, then those whose rounding absorbed the smallest.
    anchor, batch = np.zeros(40), np.zeros((3, 40))
    anchor[:33:8] = 2.0 ** 63, 2.0 ** 20, 2.0 ** -20, 2.0 ** 63, 2.0 ** 20
    batch[:, :33:8] = 2.0 ** 63, 2.0 ** 20, 0, -2.0 ** 63, -2.0 ** 20
    batch[:, 16] = -2.0 ** -20, 0, 2.0 ** -20
    with use_implementation('native'):
        _check(dtype, layout, anchor, batch, 0.0, 1e-12, True, ROUNDING)


def _second_order(x1, x2, directions, dtype, **settings):
    """The derivatives of the gradients along `directions`, with respect to both logits."""
    loss, labels = CosineEmbeddingLoss(**settings), tensor(np.full(max(len(x1), len(x2)), -1), ms.int32)

    def losses(first, second):
        return loss(first, second, labels)

    first_order = ms.grad(losses, (0, 1))

    def along(first, second, direction1, direction2):
        gradient1, gradient2 = first_order(first, second)
        return gradient1 * direction1, gradient2 * direction2

    found = ms.grad(along, (0, 1))(*(tensor(each, dtype) for each in (x1, x2, *directions)))
    return [array(each) for each in found]


def _check_second_order(dtype, layout, anchor, batch, margin, eps):
    signs = _signs(anchor, batch, margin, eps)
    x1, x2, _ = _laid(layout, anchor, batch)
    directions = [np.resize([1.0, -2.0, 0.5, 0.0], x.shape) for x in (x1, x2)]
    labels = np.where(signs < 0, 0, -1)

    def total(first, second):
        # In the truth, closed pairs are ignored and open ones are far from the hinge.
        losses = truth.pair_losses(*np.broadcast_arrays(first, second), labels, margin=-2.0, eps=eps)
        return mpmath.fsum(losses.tolist())

    expected = truth.hessian_vector_products(total, x1, x2, *directions)
    found = _second_order(x1, x2, directions, dtype, margin=margin, eps=eps, reduction='none')
    for each, truly in zip(found, expected):
        assert_within(each, truly, RELATIVE_OF_SECOND * UNIT[dtype] * np.linalg.norm(truly))
    assert (found[1][signs < 0] == 0).all()
    assert found[1][signs >= 0].any(axis=1).all()


@pytest.mark.parametrize('layout', ['rows', 'anchor'])
@pytest.mark.parametrize('dtype', WIDE, ids=str)
def test_second_derivatives_around_margin_0(mode, implementation, dtype, layout):
    anchor, batch = _around_zero(dtype)
    # Without the row of zeros, whose second derivatives are 1e12 times as large and would hide the others.
    _check_second_order(dtype, layout, anchor, batch[4:], 0.0, 1e-12)


@pytest.mark.parametrize('layout', ['rows', 'anchor'])
@pytest.mark.parametrize('dtype', WIDE, ids=str)
def test_native_second_derivatives_around_a_half(dtype, layout):
    with use_implementation('native'):
        for t, eps in ((0.0, 0.0), (0.0, 2.0 ** -110), (HAIR[dtype], 0.0)):
            _check_second_order(dtype, layout, *_around_a_half(t), 0.5, eps)
