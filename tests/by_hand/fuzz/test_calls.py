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
"""Random valid and invalid calls against the contract's rules; nothing is computed."""
import math
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from hypothesis import assume, example, given, note, settings
from hypothesis import strategies as st

from ms_cosine_loss import CosineEmbeddingLoss, _loss, cosine_embedding_loss
from tests.by_hand.fuzz.calls import OBJECTS_OF_GRAPHS, Call, Described, calls, faults_of, wrong_settings

X = Described((4, 3), ms.float32)
Y = Described((4,), ms.int32)
ANCHOR = Described((1, 3), ms.float32)
EMPTY = Described((0, 3), ms.float32)
VECTOR = Described((3,), ms.float32)

# Checks are cheap; graphs that fail to compile are not.
CHECKS = settings(max_examples=10 * settings.default.max_examples)
GRAPHS = settings(max_examples=max(1, settings.default.max_examples // 4))

EDGES = [
    Call(X, X, Y, eps=10 ** 400),
    Call(X, X, Y, eps=np.longdouble('1e4000')),
    Call(X, X, Y, eps=np.longdouble('-1e-4000')),
    Call(X, X, Y, eps=-5e-324),
    Call(X, X, Y, margin=np.longdouble(1) + np.finfo(np.longdouble).eps),
    Call(X, X, Y, margin=-10 ** 400),
    Call(X, X, Y, margin=np.bool_(True)),
    Call(X, X, Y, reduction=np.str_('sum')),
    Call(X, X, Y, reduction=np.bool_(True)),
    Call(X, X, Y, axis=np.int64(1)),
    Call(X, X, Y, axis=-3),
    Call(X, X, Described((4, 1), ms.int32)),
    Call(X, X, Described((4,), ms.bool_)),
    Call(X, X, Described((4,), ms.uint8)),
    Call(ANCHOR, X, Described((1,), ms.int32)),
    Call(ANCHOR, EMPTY, Described((0,), ms.int32)),
    Call(EMPTY, X, Described((0,), ms.int32)),
    Call(Described((4, 1), ms.float32), X, Y),
    Call(Described((2 ** 31, 3), ms.float32), ANCHOR, Described((2 ** 31,), ms.int8)),
    Call(VECTOR, VECTOR, Described((), ms.int32)),
    Call(VECTOR, VECTOR, Described((1,), ms.int32), axis=-1),
    Call(Described((), ms.float32), Described((), ms.float32), Described((), ms.int32), axis=0),
]


def _with_edges(test):
    for edge in EDGES:
        test = example(edge)(test)
    return test


def _made(call, with_data=False):
    return [value.made(with_data) if isinstance(value, Described) else value for value in call.inputs.values()]


def _refusal(function, *args, **kwargs):
    """Returns the exception that a call raises, or None."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    return None


def _assert_told(error, faults):
    """Asserts that `error` is None if there are no faults, and otherwise reports one of them."""
    if not faults:
        assert error is None, f'a valid call raised {type(error).__name__}: {error}'
    else:
        assert error is not None, f'an invalid call raised nothing: {faults}'
        assert any(fault.is_told_by(error) for fault in faults), f'{type(error).__name__}: {error}, not one of {faults}'


@CHECKS
@given(calls())
@_with_edges
def test_function_checks(call):
    faults = faults_of(call)
    with mock.patch.object(_loss, 'loss') as loss:
        _assert_told(_refusal(cosine_embedding_loss, *_made(call), **call.settings), faults)
    if faults:
        loss.assert_not_called()
        return
    (_, _, _, *handed_over), _ = loss.call_args
    rank = len(call.x1.shape)
    assert handed_over == [float(call.margin), call.reduction, 0 if rank == 1 else call.axis % rank, float(call.eps)]
    assert all(type(each) is float and math.isfinite(each) for each in (handed_over[0], handed_over[3]))


@CHECKS
@given(calls())
@_with_edges
def test_constructor_checks(call):
    error = _refusal(CosineEmbeddingLoss, **call.settings)
    _assert_told(error, wrong_settings(call))
    if error is None:
        loss = CosineEmbeddingLoss(**call.settings)
        assert (loss.margin, loss.reduction, loss.axis, loss.eps) == (
            float(call.margin), call.reduction, call.axis, float(call.eps))
        assert repr(loss).startswith('CosineEmbeddingLoss(margin=')


@settings.default
@pytest.mark.usefixtures('_pynative')
@given(calls())
@_with_edges
def test_cell_checks_its_inputs(call):
    assume(not wrong_settings(call))
    with mock.patch.object(_loss, 'loss', return_value=None):
        _assert_told(_refusal(CosineEmbeddingLoss(**call.settings), *_made(call)), faults_of(call))


def _function(margin, reduction, axis, eps):
    def function(x1, x2, labels):
        return cosine_embedding_loss(x1, x2, labels, margin, reduction, axis=axis, eps=eps)
    return function


@GRAPHS
@pytest.mark.usefixtures('_graph')
@given(calls(OBJECTS_OF_GRAPHS, OBJECTS_OF_GRAPHS), st.booleans())
def test_graph_says_the_same(call, is_cell):
    # Only calls that are rejected; the tests of values compile valid ones.
    faults = faults_of(call)
    # A Tensor of strings cannot be made with data.
    assume(faults and all(value.dtype != ms.string for value in call.inputs.values() if isinstance(value, Described)))
    note(f'{faults}')
    if is_cell:
        assume(not wrong_settings(call))
        loss = CosineEmbeddingLoss(**call.settings)
    else:
        loss = ms.jit(_function(**call.settings))
    _assert_told(_refusal(loss, *_made(call, with_data=True)), faults)
