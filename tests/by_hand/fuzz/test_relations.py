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
"""Relations between the losses of related random inputs, in PyNative."""
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.by_hand.fuzz.cases import SPOILERS, cases, differentiated, evaluated, losses_and_gradients
from tests.st.evaluation import rounded, tolerance

pytestmark = pytest.mark.usefixtures('_pynative')

BATCHES = cases(min_rank=2, fixed={'reduction': 'none'})


def _assert_equal(case, actual, expected):
    """Asserts that two results for the same losses differ by at most twice the tolerance of each."""
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    kept = ~np.isnan(expected)
    allowed = 2 * tolerance(expected[kept], case.dtype)
    assert (np.abs(actual[kept] - expected[kept]) <= allowed).all(), f'got {actual}, expected {expected}'


def _taken(x, numbers, axis):
    """Takes the given indices along `axis`, unless its length is 1."""
    return x if x.shape[axis] == 1 else np.take(x, numbers, axis)


def _of_some(case, axis, numbers):
    """Returns the case with only the given indices along an axis of the logits other than the vectors'."""
    where = axis - (axis > case.counted_axis)
    repeats = case.labels.shape[where] == 1
    return case.replaced(x1=_taken(case.x1, numbers, axis), x2=_taken(case.x2, numbers, axis),
                         labels=case.labels if repeats else np.take(case.labels, numbers, where), upstream=1.0)


def _an_axis(data, case):
    axis = data.draw(st.sampled_from([i for i in range(case.x1.ndim) if i != case.counted_axis]))
    return axis, axis - (axis > case.counted_axis)


@given(cases(fixed={'reduction': 'none'}))
def test_swapped(forced, case):
    case = case.within(forced)
    _assert_equal(case, evaluated(case.replaced(x1=case.x2, x2=case.x1)), evaluated(case))


@given(BATCHES, st.data())
def test_permuted(forced, case, data):
    case = case.within(forced)
    axis, where = _an_axis(data, case)
    order = data.draw(st.permutations(range(case.labels.shape[where])))
    order = np.array(order, int)
    _assert_equal(case, evaluated(_of_some(case, axis, order)), np.take(evaluated(case), order, where))


@given(BATCHES, st.data())
def test_split(forced, case, data):
    case = case.within(forced)
    axis, where = _an_axis(data, case)
    count = case.labels.shape[where]
    assume(count > 1)
    cut = data.draw(st.integers(1, count - 1))
    parts = [evaluated(_of_some(case, axis, np.arange(first, last))) for first, last in ((0, cut), (cut, count))]
    _assert_equal(case, np.concatenate(parts, where), evaluated(case))


@given(cases(fixed={'reduction': 'none'}), st.integers(-40, 40))
def test_scaled_by_a_power_of_two(forced, case, power):
    with np.errstate(all='ignore'):
        scaled = case.replaced(x1=np.ldexp(case.x1, power), x2=np.ldexp(case.x2, power),
                               eps=float(np.ldexp(case.eps, 2 * power)))
        back = scaled.replaced(x1=np.ldexp(scaled.x1, -power), x2=np.ldexp(scaled.x2, -power))
    # Scaling must be exact, for eps too.
    assume(np.isfinite(scaled.eps) and np.ldexp(scaled.eps, -2 * power) == case.eps)
    for x, same, original in ((scaled.x1, back.x1, case.x1), (scaled.x2, back.x2, case.x2)):
        assume(np.array_equal(rounded(x, case.dtype), x, equal_nan=True))
        assume(np.array_equal(same, original, equal_nan=True))
    scaled = scaled.replaced(labels=case.within(forced).labels).within(forced)
    _assert_equal(case, evaluated(scaled), evaluated(case.replaced(labels=scaled.labels)))


@given(cases(fixed={'reduction': 'none'}))
def test_reductions_are_those_of_the_losses(forced, case):
    case = case.within(forced)
    losses = evaluated(case)
    assume(losses.size)
    counted = max(1, int(case.is_counted().sum()))
    total = evaluated(case.replaced(reduction='sum', upstream=1.0))
    mean = evaluated(case.replaced(reduction='mean', upstream=1.0))
    assert np.isnan(total) == np.isnan(mean) == np.isnan(losses).any()
    if not np.isnan(total):
        allowed = np.sum(tolerance(losses, case.dtype) * np.ones(losses.shape))
        assert abs(total - losses.sum()) <= allowed + tolerance(losses.sum(), case.dtype, counted)
        assert abs(mean - losses.mean()) <= allowed / losses.size + tolerance(losses.mean(), case.dtype)


@given(cases(), st.data())
def test_ignored_pairs_may_hold_anything(forced, case, data):
    # Overwrites the rows that only ignored pairs use; every result must stay bitwise the same.
    case = case.within(forced, is_differentiated=True)
    counted = case.is_counted()
    spoilt = {}
    for name in ('x1', 'x2'):
        x = getattr(case, name)
        rows = np.moveaxis(x, case.counted_axis, -1).copy()
        flat = rows.reshape(int(np.prod(rows.shape[:-1], dtype=int)), rows.shape[-1])
        alone = np.ones(len(flat), bool)
        alone[case.where(x)[counted]] = False
        flat[alone] = data.draw(st.sampled_from(SPOILERS))
        spoilt[name] = np.moveaxis(flat.reshape(rows.shape), -1, case.counted_axis)
    function = differentiated(case.settings, case.dtype)
    losses, gradients = losses_and_gradients(case, function)
    again, gradients_again = losses_and_gradients(case.replaced(**spoilt), function)
    np.testing.assert_array_equal(again, losses)
    for gradient, same in zip(gradients, gradients_again):
        np.testing.assert_array_equal(same, gradient)
