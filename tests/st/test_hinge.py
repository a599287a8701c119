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
"""The hinge of dissimilar pairs whose cosine is the margin, or off it by less than rounding could tell.

It is open where whole numbers say that cos >= margin: for rows, for vectors side by side and for an anchor against a
batch, in first and second derivatives.
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

# The first leaves float32 of the cosine, the second double-double, and none the range of the dtype.
TINY = {ms.float16: 2.0 ** -14, ms.bfloat16: 2.0 ** -120, ms.float32: 2.0 ** -120, ms.float64: 2.0 ** -1000}
# Squared it is nothing beside 1: in float16 to float32's rounding, else to that of two doubles.
HAIR = {ms.float16: 2.0 ** -14, **dict.fromkeys((ms.bfloat16, ms.float32, ms.float64), 2.0 ** -60)}
# What two doubles leave of a cosine.
ROUNDING = 2.0 ** -100
# Plain's figure for float32 and native's for float64; a half gradient is rounded, and one of several of them added up.
RELATIVE = {ms.float16: 2 * UNIT[ms.float16], ms.bfloat16: 2 * UNIT[ms.bfloat16], ms.float32: 1e-6, ms.float64: 1e-14}
# As in test_second_order.py.
RELATIVE_OF_SECOND = 40
# Keeps 1 / sqrt(eps), the gradient beside a row of zeros, inside the range of float16.
WEIGHT = 2.0 ** -6


def _around_zero(dtype):
    """An anchor, and vectors whose cosines with it are 0 or on either side of it, some of them far below eps."""
    t = TINY[dtype]
    return [1.0, 0.0, 0.0], [[-t, 2 * t, 0], [t, 2 * t, 0], [0, 2 * t, t], [0, 0, 0], [-t, 1, 2], [t, 1, 2], [0, 1, 2],
                             [-1, 1, 2], [1, 1, 2]]


def _around_a_half(t):
    """The same around 1/2: with t = 0 the second is exactly there, and without it t² tells."""
    return [1.0, 1.0, 0.0, t], [[1, 0, 1, -t], [1, 0, 1, 0], [1, 0, 1, t], [2, 0, 2, 4 * t], [1, 1, 1, 0], [1, 0, 2, 0]]


def _laid(layout, anchor, batch):
    """The pairs as rows, as columns or with the anchor once; and the axis of the vectors."""
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
    # Closed pairs are left out of the truth, and open ones have no hinge in it.
    with mock.patch.object(truth, 'DIGITS', 400):
        # A tiny cosine and its differences beside 2.
        expected = pair_gradients(x1, x2, np.where(signs < 0, 0, -1), WEIGHT, margin=-2.0, **settings)
    terms = len(batch) if layout == 'anchor' else 1
    for each, truly in zip(found, expected):
        # What is below the normal numbers of the narrow dtypes keeps no relative error.
        size = np.linalg.norm(truly, axis=axis) + 2.0 ** (-12 if dtype == ms.float16 else -124) / RELATIVE[dtype]
        assert_rows_within(each, truly, (terms if dtype in HALVES else 1) * RELATIVE[dtype], axis, size)
    rows = np.moveaxis(found[1], axis, -1)
    assert (rows[signs < 0] == 0).all()
    assert rows[signs >= 0].any(axis=1).all()
    exact = truth.pair_losses(*np.broadcast_arrays(x1, x2), np.full(len(batch), -1), margin=margin, **settings)
    if is_native:
        assert (losses[signs <= 0] == 0).all()
        # float64 is promised 4 units of 1; it keeps 2 of the loss.
        assert_within(losses, exact, 2 * ulp(exact.astype(float), dtype) + rounding)
    else:
        assert_within(losses, exact, tolerance(exact, dtype))


@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_around_margin_0(mode, implementation, dtype, layout):
    anchor, batch = _around_zero(dtype)
    assert sorted(set(_signs(anchor, batch, 0.0, 1e-12))) == [-1, 0, 1]
    _check(dtype, layout, anchor, batch, 0.0, 1e-12, implementation.name == 'native')


# What the kernel is given is the same in both modes; margin 0, above, goes through both.
@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('sign', [1, -1])
def test_native_around_other_margins(dtype, layout, sign):
    # Plain decides these as its rounding has them.
    with use_implementation('native'):
        # An eps that two doubles do not see beside the squares takes the cosine off the margin too.
        for t, eps in ((0.0, 0.0), (0.0, 2.0 ** -110), (HAIR[dtype], 0.0)):
            anchor, batch = _around_a_half(t)
            batch = sign * np.array(batch)
            # On either side of the exact margin too, by the least that there is.
            for margin in sign * np.array([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)]):
                _check(dtype, layout, anchor, batch, float(margin), eps, True, ROUNDING)


@pytest.mark.parametrize('layout', ['rows', 'columns', 'anchor'])
@pytest.mark.parametrize('dtype', [ms.bfloat16, ms.float32, ms.float64], ids=str)
def test_native_products_that_two_doubles_do_not_add_up(dtype, layout):
    # In one lane of any register the largest cancel, then those whose rounding took the least with it.
    anchor, batch = np.zeros(40), np.zeros((3, 40))
    anchor[:33:8] = 2.0 ** 63, 2.0 ** 20, 2.0 ** -20, 2.0 ** 63, 2.0 ** 20
    batch[:, :33:8] = 2.0 ** 63, 2.0 ** 20, 0, -2.0 ** 63, -2.0 ** 20
    batch[:, 16] = -2.0 ** -20, 0, 2.0 ** -20
    with use_implementation('native'):
        _check(dtype, layout, anchor, batch, 0.0, 1e-12, True, ROUNDING)


def _second_order(x1, x2, directions, dtype, **settings):
    """The derivatives of the gradients along `directions`, by both logits."""
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
        # Closed pairs are left out of the truth, and open ones have no hinge in it.
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
    # Beside a row of zeros the second derivatives are 1e12 times as large, and the others lost among them.
    _check_second_order(dtype, layout, anchor, batch[4:], 0.0, 1e-12)


@pytest.mark.parametrize('layout', ['rows', 'anchor'])
@pytest.mark.parametrize('dtype', WIDE, ids=str)
def test_native_second_derivatives_around_a_half(dtype, layout):
    with use_implementation('native'):
        for t, eps in ((0.0, 0.0), (0.0, 2.0 ** -110), (HAIR[dtype], 0.0)):
            _check_second_order(dtype, layout, *_around_a_half(t), 0.5, eps)
