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
"""Values and gradients of random inputs against the truth, within the contract's tolerances."""
import functools

import mindspore as ms
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.by_hand.fuzz.cases import (
    Case,
    assert_gradients,
    assert_losses,
    cases,
    differentiated,
    evaluated,
    losses_and_gradients,
)

SOME = settings(max_examples=max(1, settings.default.max_examples // 4))

# Rows of zeros with an eps that, itself or squared, leaves the range of the arithmetic.
ZERO_ROWS = Case([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]], [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]], [1, 1, 1], eps=5e-324)
ORTHOGONAL = Case([[0.0, 0.0], [1.0, 2.0]], [[0.0, 0.0], [-2.0, 1.0]], [-1, -1], eps=1e200)

# Pairs that share a vector whose squares leave the range, though no gradient does.
LARGE_ANCHOR = Case([[3e200, 4e200]], [[2.0, 1.0], [1.0, 3.0]], [1, 1], dtype=ms.float64)
SMALL_ANCHOR = Case([[3e-160, 4e-160]], [[2.0, 1.0], [1.0, 3.0]], [1, 1], dtype=ms.float64, eps=0.0)

# What a graph is compiled for; only the values are drawn.
LAYOUTS = {
    'matrix': {'layout': ((5, 7), (5, 7), 1), 'dtype': ms.float32, 'reduction': 'none', 'eps': 1e-12, 'margin': 0.1},
    'mean': {'layout': ((4, 3), (4, 3), -1), 'dtype': ms.float64, 'reduction': 'mean', 'eps': 0.0, 'margin': -1.0},
    'anchor': {'layout': ((1, 5), (6, 5), 1), 'dtype': ms.float16, 'reduction': 'none', 'eps': 1e-12, 'margin': 0.0},
    'grid': {'layout': ((2, 3, 1), (1, 3, 3), 1), 'dtype': ms.bfloat16, 'reduction': 'sum', 'eps': 0.0, 'margin': 0.5},
    'vector': {'layout': ((33,), (33,), 1), 'dtype': ms.float32, 'reduction': 'sum', 'eps': 0.0, 'margin': -0.3},
}


@pytest.mark.usefixtures('_pynative')
@given(cases(max_size=200))
@example(ZERO_ROWS)
@example(ZERO_ROWS.replaced(labels=[-1, -1, -1], margin=-0.25, eps=1e-40))
@example(ZERO_ROWS.replaced(dtype=ms.float16, eps=1e-200))
@example(ORTHOGONAL)
def test_losses(forced, case):
    case = case.within(forced)
    assert_losses(case, evaluated(case))


@pytest.mark.usefixtures('_pynative')
@given(cases())
@example(ZERO_ROWS)
@example(ORTHOGONAL)
@example(LARGE_ANCHOR)
@example(SMALL_ANCHOR)
def test_losses_and_gradients(forced, case):
    case = case.within(forced, is_differentiated=True)
    losses, gradients = losses_and_gradients(case, differentiated(case.settings, case.dtype))
    assert_losses(case, losses)
    assert_gradients(case, gradients)


@functools.cache
def _compiled(name, forced):
    wanted = LAYOUTS[name]
    return differentiated({key: wanted[key] for key in ('margin', 'reduction', 'eps')} | {'axis': wanted['layout'][2]},
                          wanted['dtype'])


@pytest.fixture(scope='module', autouse=True)
def _forget_graphs():
    yield
    _compiled.cache_clear()


@SOME
@pytest.mark.usefixtures('_graph')
@pytest.mark.parametrize('name', LAYOUTS)
@given(data=st.data())
def test_graph(forced, name, data):
    case = data.draw(cases(fixed={**LAYOUTS[name], 'labels_dtype': ms.int32}))
    case = case.within(forced, is_differentiated=True)
    losses, gradients = losses_and_gradients(case, _compiled(name, forced))
    assert_losses(case, losses)
    assert_gradients(case, gradients)
