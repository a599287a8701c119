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
"""Hinges too close to call in floating point, checked in exact arithmetic.

``python -m pytest tests/by_hand/fuzz/test_hinge.py --draws 10000`` checks ten thousand of each dtype.
"""
import mindspore as ms
import mpmath
import numpy as np
import pytest
from hypothesis import settings

from ms_cosine_loss import use_implementation
from tests import truth
from tests.st.evaluation import gradients, rounded

PAIRS = settings.default.max_examples
NEAR = 1e-25
MARGINS = (0.0, 0.5, -0.3, 0.9, 1e-3, -1e-20)
# The ranges of exponents by which x1 and x2 are scaled; x2 needs room for small elements.
SCALES = {ms.float64: ((-1000, 990), (-850, 990)), ms.float32: ((-100, 110), (-20, 110))}


def _gap(x1, x2, margin):
    """Returns cos - margin with enough digits to survive cancellation, and the product of the norms."""
    with mpmath.workdps(120):
        (row1,), (row2,) = (truth._vectors([x], 1) for x in (x1, x2))
        norm = mpmath.sqrt(mpmath.fdot(row1, row1) * mpmath.fdot(row2, row2))
        return mpmath.fdot(row1, row2) / norm - mpmath.mpf(margin), norm


def _pair_beside(rng, dtype, margin):
    """Returns vectors whose cosine is within NEAR of the margin, by the choice of x2's last elements, or None."""
    x1 = rounded(rng.normal(size=10), dtype)
    x1[-4:] = rounded(rng.uniform(0.5, 1, 4) * rng.choice([-1, 1], 4), dtype)
    along, across = x1[:6] / np.linalg.norm(x1), rng.normal(size=6)
    across -= along * (across @ along) / (along @ along)
    # The norm of `along` is below 1, because x1's last elements are not in it.
    wanted = margin / np.linalg.norm(along)
    if abs(wanted) >= 1:
        return None
    x2 = np.zeros(10)
    x2[:6] = rounded(wanted * along / np.linalg.norm(along)
                     + np.sqrt(1 - wanted ** 2) * across / np.linalg.norm(across), dtype)
    for position in range(6, 10):
        gap, norm = _gap(x1, x2, margin)
        if abs(gap) < NEAR:
            break
        x2[position] = rounded(float(-gap * norm / mpmath.mpf(x1[position])), dtype)
    scales = [2.0 ** float(rng.integers(*SCALES[dtype][which])) for which in (0, 1)]
    x1, x2 = rounded(x1 * scales[0], dtype), rounded(x2 * scales[1], dtype)
    return (x1, x2) if abs(_gap(x1, x2, margin)[0]) < NEAR else None


def _small_pair(rng, dtype):
    """Returns vectors so far below sqrt(eps) that the cosine is within NEAR of 0."""
    exponents = rng.integers(-1000 if dtype == ms.float64 else -120, -62, 2)
    return tuple(rounded(rng.normal(size=10) * 2.0 ** float(exponent), dtype) for exponent in exponents)


def _batches(dtype):
    """Yields (margin, eps, x1, x2) for PAIRS pairs in all; a fifth of them are small relative to eps."""
    rng = np.random.default_rng(0)
    for index, margin in enumerate(MARGINS):
        pairs, wanted = [], len(range(index, PAIRS - PAIRS // 5, len(MARGINS)))
        while len(pairs) < wanted:
            pair = _pair_beside(rng, dtype, margin)
            if pair is not None:
                pairs.append(pair)
        if pairs:
            yield margin, 0.0, *(np.array(x) for x in zip(*pairs))
    if PAIRS // 5:
        yield 0.0, 1e-12, *(np.array(x) for x in zip(*(_small_pair(rng, dtype) for _ in range(PAIRS // 5))))


@pytest.mark.usefixtures('_pynative')
@pytest.mark.parametrize('dtype', SCALES, ids=str)
def test_native_decides_every_hinge(dtype):
    wrong = total = opened = 0
    for margin, eps, x1, x2 in _batches(dtype):
        signs = np.array([truth.hinge_sign(*pair, margin, eps) for pair in zip(x1, x2)])
        with use_implementation('native'):
            found = gradients(x1, x2, np.full(len(x1), -1), dtype, margin=margin, eps=eps, reduction='none')
        is_open = found[0].any(axis=1) | found[1].any(axis=1)
        wrong += (is_open != (signs >= 0)).sum()
        opened += (signs >= 0).sum()
        total += len(x1)
    # Both open and closed hinges occur.
    assert total == PAIRS
    assert 0.3 * total < opened < 0.7 * total
    assert wrong == 0, f'{wrong} of {total} hinges decided wrongly'
