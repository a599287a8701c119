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
"""The errors of wrong arguments: type and exact message, the same from every entry point in both modes."""
import fractions
import warnings

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from ms_cosine_loss import CosineEmbeddingLoss, _checks, cosine_embedding_loss

LABELS_LIST = '[Int8, Int16, Int32, Int64, Float16, BFloat16, Float32, Float64]'
LOGITS_LIST = '[Float16, BFloat16, Float32, Float64]'
REDUCTION_RULE = "the 'reduction' must be one of 'none', 'mean' or 'sum'"
TAKEN_OVER = "PyTorch's 'size_average' and 'reduce' are deprecated; use 'reduction'."

X = ((4, 3), ms.float32)
Y = ((4,), ms.int32)

ALL_THREE = ' Pass all of logits_x1, logits_x2 and labels.'
ONE_FOR_EACH = ' Pass one label for each pair, such as mindspore.Tensor([1, -1]).'
# Each with the advice for logits, and for labels.
NO_TENSORS = {
    'list': ([[1.0, 2.0]], ' Pass mindspore.Tensor({}).', ' Pass mindspore.Tensor({}).'),
    'tuple': (([1.0, 2.0],), ' Pass mindspore.Tensor({}).', ' Pass mindspore.Tensor({}).'),
    'ndarray': (np.ones((4, 3), np.float32), ' Pass mindspore.Tensor({}).', ' Pass mindspore.Tensor({}).'),
    'int': (1, ' Pass mindspore.Tensor({}).', ONE_FOR_EACH),
    'float': (1.5, ' Pass mindspore.Tensor({}).', ONE_FOR_EACH),
    'NoneType': (None, ALL_THREE, ALL_THREE), 'str': ('x', '', '')}


def _no_tensor(position, name, kind):
    value, *advice = NO_TENSORS[kind]
    inputs = [X, X, Y]
    inputs[position] = value
    return ({}, *inputs, TypeError,
            f"the '{name}' must be a Tensor, but got {kind}.{advice[name == 'labels'].format(name)}")


# Name: settings, (shape, dtype) of a Tensor or another object for each of the three inputs, error, message.
INPUTS = {
    **{f'{name} {kind}': _no_tensor(position, name, kind)
       for position, name in enumerate(('logits_x1', 'logits_x2', 'labels')) for kind in NO_TENSORS},
    'logits int32': ({}, ((4, 3), ms.int32), ((4, 3), ms.int32), Y, TypeError,
                     f"the 'logits_x1' must have a dtype in {LOGITS_LIST}, but got Int32."),
    'logits int64': ({}, X, ((4, 3), ms.int64), Y, TypeError,
                     f"the 'logits_x2' must have a dtype in {LOGITS_LIST}, but got Int64."),
    'logits uint8': ({}, ((4, 3), ms.uint8), X, Y, TypeError,
                     f"the 'logits_x1' must have a dtype in {LOGITS_LIST}, but got UInt8."),
    'logits bool': ({}, X, ((4, 3), ms.bool_), Y, TypeError,
                    f"the 'logits_x2' must have a dtype in {LOGITS_LIST}, but got Bool."),
    'logits complex64': ({}, ((4, 3), ms.complex64), ((4, 3), ms.complex64), Y, TypeError,
                         f"the 'logits_x1' must have a dtype in {LOGITS_LIST}, but got Complex64."),
    'labels uint8': ({}, X, X, ((4,), ms.uint8), TypeError,
                     f"the 'labels' must have a dtype in {LABELS_LIST}, but got UInt8."),
    'labels uint32': ({}, X, X, ((4,), ms.uint32), TypeError,
                      f"the 'labels' must have a dtype in {LABELS_LIST}, but got UInt32."),
    'labels bool': ({}, X, X, ((4,), ms.bool_), TypeError,
                    f"the 'labels' must have a dtype in {LABELS_LIST}, but got Bool."),
    'labels complex64': ({}, X, X, ((4,), ms.complex64), TypeError,
                         f"the 'labels' must have a dtype in {LABELS_LIST}, but got Complex64."),
    'float32 and float64': ({}, X, ((4, 3), ms.float64), Y, TypeError,
                            "the 'logits_x1' and 'logits_x2' must have the same dtype, but got Float32 and Float64."),
    'float16 and float32': ({}, ((4, 3), ms.float16), X, Y, TypeError,
                            "the 'logits_x1' and 'logits_x2' must have the same dtype, but got Float16 and Float32."),
    'float16 and bfloat16': ({}, ((4, 3), ms.float16), ((4, 3), ms.bfloat16), Y, TypeError,
                             "the 'logits_x1' and 'logits_x2' must have the same dtype, "
                             "but got Float16 and BFloat16."),

    'labels (N, 1)': ({}, X, X, ((4, 1), ms.int32), ValueError,
                      "the 'labels' must have shape (4,), but got (4, 1)."),
    'labels (1, N)': ({}, X, X, ((1, 4), ms.int32), ValueError,
                      "the 'labels' must have shape (4,), but got (1, 4)."),
    'labels () for a batch': ({}, X, X, ((), ms.int32), ValueError, "the 'labels' must have shape (4,), but got ()."),
    'labels too few': ({}, X, X, ((3,), ms.int32), ValueError, "the 'labels' must have shape (4,), but got (3,)."),
    'labels of one': ({}, X, X, ((1,), ms.int32), ValueError, "the 'labels' must have shape (4,), but got (1,)."),
    'labels like logits': ({}, X, X, ((4, 3), ms.int32), ValueError,
                           "the 'labels' must have shape (4,), but got (4, 3)."),
    'labels (1,) unbatched': ({}, ((3,), ms.float32), ((3,), ms.float32), ((1,), ms.int32), ValueError,
                              "the 'labels' must have shape (), but got (1,)."),
    'labels (D,) unbatched': ({}, ((3,), ms.float32), ((3,), ms.float32), ((3,), ms.int32), ValueError,
                              "the 'labels' must have shape (), but got (3,)."),
    'labels of the anchor alone': ({}, ((1, 3), ms.float32), X, ((1,), ms.int32), ValueError,
                                   "the 'labels' must have shape (4,), but got (1,)."),
    'labels for axis 1, axis -1': ({'axis': -1}, ((2, 3, 5), ms.float32), ((2, 3, 5), ms.float32),
                                   ((2, 5), ms.int32), ValueError,
                                   "the 'labels' must have shape (2, 3), but got (2, 5). For vectors along axis 1 pass "
                                   "axis=1."),
    'labels for axis -1, axis 1': ({}, ((2, 3, 5), ms.float32), ((2, 3, 5), ms.float32), ((2, 3), ms.int32),
                                   ValueError, "the 'labels' must have shape (2, 5), but got (2, 3). For vectors along "
                                               "the last axis pass axis=-1."),
    'labels (N, 1, b)': ({}, ((2, 3, 5, 2), ms.float32), ((2, 3, 5, 2), ms.float32), ((2, 1, 2), ms.int32), ValueError,
                         "the 'labels' must have shape (2, 5, 2), but got (2, 1, 2)."),
    'labels for an empty batch': ({}, ((0, 3), ms.float32), ((0, 3), ms.float32), ((1,), ms.int32), ValueError,
                                  "the 'labels' must have shape (0,), but got (1,)."),

    'ranks 2 and 1': ({}, X, ((3,), ms.float32), Y, ValueError,
                      "the 'logits_x1' and 'logits_x2' must have the same rank, but got shapes (4, 3) and (3,)."),
    'ranks 2 and 3': ({}, X, ((1, 4, 3), ms.float32), Y, ValueError,
                      "the 'logits_x1' and 'logits_x2' must have the same rank, "
                      "but got shapes (4, 3) and (1, 4, 3)."),
    'lengths 3 and 2': ({}, X, ((4, 2), ms.float32), Y, ValueError,
                        "the 'logits_x1' and 'logits_x2' must have the same length along axis 1, "
                        "but got shapes (4, 3) and (4, 2)."),
    # A length of 1 along the axis of the vectors is a vector of one element, which does not broadcast.
    'lengths 3 and 1': ({'axis': -1}, X, ((4, 1), ms.float32), Y, ValueError,
                        "the 'logits_x1' and 'logits_x2' must have the same length along axis 1, "
                        "but got shapes (4, 3) and (4, 1)."),
    'lengths 3 and 2, unbatched': ({}, ((3,), ms.float32), ((2,), ms.float32), ((), ms.int32), ValueError,
                                   "the 'logits_x1' and 'logits_x2' must have the same length along axis 0, "
                                   "but got shapes (3,) and (2,)."),
    'batches 4 and 2': ({}, X, ((2, 3), ms.float32), Y, ValueError,
                        "the 'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis 1, "
                        "but got (4, 3) and (2, 3)."),
    'batches 4 and 0': ({}, X, ((0, 3), ms.float32), Y, ValueError,
                        "the 'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis 1, "
                        "but got (4, 3) and (0, 3)."),
    'times 5 and 4': ({'axis': -2}, ((2, 3, 5), ms.float32), ((2, 3, 4), ms.float32), ((2, 5), ms.int32), ValueError,
                      "the 'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis 1, "
                      "but got (2, 3, 5) and (2, 3, 4)."),
    'logits 0-d': ({}, ((), ms.float32), ((), ms.float32), ((), ms.int32), ValueError,
                   "the 'logits_x1' and 'logits_x2' must have at least 1 dimension, but got shape ()."),
    'axis 2 of rank 2': ({'axis': 2}, X, X, Y, ValueError,
                         "the 'axis' must be in [-2, 1] for logits of rank 2, but got 2."),
    'axis -3 of rank 2': ({'axis': -3}, X, X, Y, ValueError,
                          "the 'axis' must be in [-2, 1] for logits of rank 2, but got -3."),
    'axis 2 of rank 1': ({'axis': 2}, ((3,), ms.float32), ((3,), ms.float32), ((), ms.int32), ValueError,
                         "the 'axis' must be in [-1, 0] for logits of rank 1, but got 2."),
    'axis -2 of rank 1': ({'axis': -2}, ((3,), ms.float32), ((3,), ms.float32), ((), ms.int32), ValueError,
                          "the 'axis' must be in [-1, 0] for logits of rank 1, but got -2."),
    'axis 3 of rank 3': ({'axis': 3}, ((2, 3, 5), ms.float32), ((2, 3, 5), ms.float32), ((2, 5), ms.int32), ValueError,
                         "the 'axis' must be in [-3, 2] for logits of rank 3, but got 3."),
}

SETTINGS = {
    'margin bool': ({'margin': True}, TypeError, "the 'margin' must be a real number, but got bool."),
    'margin str': ({'margin': '0.5'}, TypeError, "the 'margin' must be a real number, but got str."),
    'margin None': ({'margin': None}, TypeError, "the 'margin' must be a real number that is known when a graph is "
                                                 "compiled, or a Tensor of shape (), but got NoneType."),
    'margin complex': ({'margin': 1j}, TypeError, "the 'margin' must be a real number, but got complex."),
    'margin 1.5': ({'margin': 1.5}, ValueError, "the 'margin' must be in [-1, 1], but got 1.5."),
    'margin -1.0000001': ({'margin': -1.0000001}, ValueError,
                          "the 'margin' must be in [-1, 1], but got -1.0000001."),
    'margin int 2': ({'margin': 2}, ValueError, "the 'margin' must be in [-1, 1], but got 2."),
    'margin NaN': ({'margin': float('nan')}, ValueError, "the 'margin' must be in [-1, 1], but got nan."),
    'margin inf': ({'margin': float('inf')}, ValueError, "the 'margin' must be in [-1, 1], but got inf."),
    'reduction 3': ({'reduction': 3}, TypeError, f"{REDUCTION_RULE}, but got 3."),
    'reduction tuple': ({'reduction': ('mean',)}, TypeError, f"{REDUCTION_RULE}, but got ('mean',)."),
    'reduction True': ({'reduction': True}, ValueError, f"{REDUCTION_RULE}, but got True. {TAKEN_OVER}"),
    'reduction False': ({'reduction': False}, ValueError, f"{REDUCTION_RULE}, but got False. {TAKEN_OVER}"),
    'reduction None': ({'reduction': None}, ValueError, f"{REDUCTION_RULE}, but got None. {TAKEN_OVER}"),
    'reduction batchmean': ({'reduction': 'batchmean'}, ValueError, f"{REDUCTION_RULE}, but got 'batchmean'."),
    'reduction Mean': ({'reduction': 'Mean'}, ValueError, f"{REDUCTION_RULE}, but got 'Mean'."),
    'reduction empty': ({'reduction': ''}, ValueError, f"{REDUCTION_RULE}, but got ''."),
    'axis float': ({'axis': 1.0}, TypeError, "the 'axis' must be an int, but got float."),
    'axis bool': ({'axis': True}, TypeError, "the 'axis' must be an int, but got bool."),
    'axis None': ({'axis': None}, TypeError, "the 'axis' must be an int, but got NoneType."),
    'axis tuple': ({'axis': (1,)}, TypeError, "the 'axis' must be an int, but got tuple."),
    'eps str': ({'eps': '1e-12'}, TypeError, "the 'eps' must be a real number, but got str."),
    'eps bool': ({'eps': False}, TypeError, "the 'eps' must be a real number, but got bool."),
    'eps None': ({'eps': None}, TypeError,
                 "the 'eps' must be a real number that is known when a graph is compiled, but got NoneType."),
    'eps negative': ({'eps': -1e-12}, ValueError, "the 'eps' must be finite and not negative, but got -1e-12."),
    'eps NaN': ({'eps': float('nan')}, ValueError, "the 'eps' must be finite and not negative, but got nan."),
    'eps inf': ({'eps': float('inf')}, ValueError, "the 'eps' must be finite and not negative, but got inf."),
}


class _Network(nn.Cell):
    """A cell around the loss, as in a training script."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def construct(self, logits_x1, logits_x2, labels):
        return self.loss(logits_x1, logits_x2, labels) * 2


def _function(margin=0.0, reduction='mean', axis=1, eps=1e-12):
    def function(logits_x1, logits_x2, labels):
        return cosine_embedding_loss(logits_x1, logits_x2, labels, margin, reduction, axis=axis, eps=eps)
    return function


def _jitted(**settings):
    return ms.jit(_function(**settings))


def _within_network(**settings):
    return _Network(CosineEmbeddingLoss(**settings))


# Ways to call the loss other than the Cell itself: each takes the settings and returns a function of the three inputs.
ENTRIES = {'function': _function, 'jit': _jitted, 'network': _within_network}

# One input for each check, for tests that do not need all inputs.
FEW = ('logits_x1 list', 'labels NoneType', 'labels uint8', 'float16 and float32', 'labels (N, 1)', 'ranks 2 and 3',
       'lengths 3 and 1', 'batches 4 and 2', 'axis 2 of rank 2')


def _as_input(described):
    if isinstance(described, tuple) and len(described) == 2:
        shape, dtype = described
        return Tensor(np.ones(shape), dtype)
    return described


def _assert_says(raised, text):
    # MindSpore may append a call stack.
    assert str(raised.value).split('\n')[0] == f"For 'CosineEmbeddingLoss', {text}"


def _assert_named(loss, logits_x1, logits_x2, labels, error, text):
    with pytest.raises(error) as raised:
        loss(_as_input(logits_x1), _as_input(logits_x2), _as_input(labels))
    assert raised.type is error
    _assert_says(raised, text)


@pytest.mark.parametrize(('settings', 'logits_x1', 'logits_x2', 'labels', 'error', 'text'), INPUTS.values(),
                         ids=INPUTS.keys())
def test_wrong_input_is_named(mode, settings, logits_x1, logits_x2, labels, error, text):
    _assert_named(CosineEmbeddingLoss(**settings), logits_x1, logits_x2, labels, error, text)


@pytest.mark.parametrize('entry', ENTRIES.values(), ids=ENTRIES.keys())
@pytest.mark.parametrize('name', FEW)
def test_wrong_input_is_named_on_every_way(mode, entry, name):
    settings, *inputs_and_error = INPUTS[name]
    _assert_named(entry(**settings), *inputs_and_error)


@pytest.mark.parametrize(('settings', 'error', 'text'), SETTINGS.values(), ids=SETTINGS.keys())
def test_wrong_setting_of_the_cell_is_named_by_the_constructor(settings, error, text):
    with pytest.raises(error) as raised:
        CosineEmbeddingLoss(**settings)
    assert raised.type is error
    _assert_says(raised, text)


# Not in both modes, because the mode affects neither a call outside a graph nor what `jit` compiles.
@pytest.mark.parametrize('entry', [_function, _jitted], ids=['function', 'jit'])
@pytest.mark.parametrize(('settings', 'error', 'text'), SETTINGS.values(), ids=SETTINGS.keys())
def test_wrong_setting_of_the_function_is_named(entry, settings, error, text):
    _assert_named(entry(**settings), X, X, Y, error, text)


# Calls that Python would reject, each in a separate function, because a graph parses its source.

def _pytorchs_names(loss, x, y):
    return loss(input1=x, input2=x, target=y)


def _target(loss, x, y):
    return loss(x, x, target=y)


def _no_labels(loss, x, y):
    return loss(x, x)


def _pytorchs_positions(loss, x, y):
    return loss(x, x, y, 0.5, None, None, 'mean')


def _axis_by_position(loss, x, y):
    return loss(x, x, y, 0.5, 'sum', -1)


def _size_average(loss, x, y):
    return loss(x, x, y, size_average=False)


def _reduce(loss, x, y):
    return loss(x, x, y, reduce=False, size_average=True)


def _dim(loss, x, y):
    return loss(x, x, y, dim=-1)


OF_FUNCTION = 'the arguments must be (logits_x1, logits_x2, labels, margin, reduction, *, axis, eps), but got'
OF_CELL = 'the arguments must be (logits_x1, logits_x2, labels), but got'

# What was passed, and the suggested calls of the function and of the Cell.
CALLS = {
    _pytorchs_names: ("'input1', 'input2' and 'target'",
                      'cosine_embedding_loss(logits_x1=input1, logits_x2=input2, labels=target)',
                      'loss(logits_x1=input1, logits_x2=input2, labels=target)'),
    _target: ("'target'", 'cosine_embedding_loss(logits_x1, logits_x2, labels=target)',
              'loss(logits_x1, logits_x2, labels=target)'),
    _pytorchs_positions: ('7 by position',
                          "cosine_embedding_loss(logits_x1, logits_x2, labels, margin=0.5, reduction='mean')",
                          "CosineEmbeddingLoss(margin=0.5, reduction='mean')(logits_x1, logits_x2, labels)"),
    _axis_by_position: ('6 by position',
                        "cosine_embedding_loss(logits_x1, logits_x2, labels, margin=0.5, reduction='sum', axis=-1)",
                        "CosineEmbeddingLoss(margin=0.5, reduction='sum', axis=-1)(logits_x1, logits_x2, labels)"),
    _size_average: ("'size_average'", "cosine_embedding_loss(logits_x1, logits_x2, labels, reduction='sum')",
                    "CosineEmbeddingLoss(reduction='sum')(logits_x1, logits_x2, labels)"),
    _reduce: ("'reduce' and 'size_average'", "cosine_embedding_loss(logits_x1, logits_x2, labels, reduction='none')",
              "CosineEmbeddingLoss(reduction='none')(logits_x1, logits_x2, labels)"),
    _dim: ("'dim'", 'cosine_embedding_loss(logits_x1, logits_x2, labels, axis=-1)',
           'CosineEmbeddingLoss(axis=-1)(logits_x1, logits_x2, labels)'),
}


class _Calling(nn.Cell):
    """A cell that calls the loss as `call` does."""

    def __init__(self, call):
        super().__init__()
        self.loss = CosineEmbeddingLoss()
        self.call = call

    def construct(self, x, y):
        return self.call(self.loss, x, y)


def _by_function(call):
    def function(x, y):
        return call(cosine_embedding_loss, x, y)
    return function


def _by_cell(call):
    # In graph mode, the Cell is compiled.
    def function(x, y):
        return call(CosineEmbeddingLoss(), x, y)
    return function


CALLERS = {'function': (_by_function, OF_FUNCTION), 'jit': (lambda call: ms.jit(_by_function(call)), OF_FUNCTION),
           'cell': (_by_cell, OF_CELL), 'network': (_Calling, OF_CELL)}


def _assert_call_refused(caller, call, error, text):
    if caller is _Calling and call is not _get_loss and ms.get_context('mode') == ms.GRAPH_MODE:
        # MindSpore checks the arguments itself when it compiles a Cell within another.
        with pytest.raises((TypeError, RuntimeError), match='parameters number of the function|keyword argument'):
            caller(call)(_as_input(X), _as_input(Y))
        return
    with pytest.raises(error) as raised:
        caller(call)(_as_input(X), _as_input(Y))
    assert raised.type is error
    _assert_says(raised, text)


@pytest.mark.parametrize('caller', CALLERS)
@pytest.mark.parametrize('call', CALLS, ids=lambda call: call.__name__.strip('_'))
def test_the_call_that_was_meant_is_told(mode, caller, call):
    caller, rule = CALLERS[caller]
    came, right_function, right_cell = CALLS[call]
    right = right_function if rule == OF_FUNCTION else right_cell
    _assert_call_refused(caller, call, TypeError, f'{rule} {came}. Call {right}.')


@pytest.mark.parametrize('caller', CALLERS)
def test_missing_labels_are_told(mode, caller):
    caller, rule = CALLERS[caller]
    _assert_call_refused(caller, _no_labels, TypeError,
                         f"{rule} no 'labels'. Call cosine_embedding_loss(logits_x1, logits_x2, labels)."
                         if rule == OF_FUNCTION else f"{rule} no 'labels'. Call loss(logits_x1, logits_x2, labels).")


def _get_loss(loss, x, y):
    return loss.get_loss(x, 2.0)


@pytest.mark.parametrize('caller', [_by_cell, _Calling], ids=['cell', 'network'])
def test_the_reduction_of_lossbase_is_refused(mode, caller):
    _assert_call_refused(caller, _get_loss, NotImplementedError,
                         "the 'get_loss' of LossBase must not be called, because it rounds to float32. For weights "
                         "call (weights * CosineEmbeddingLoss(reduction='none')(logits_x1, logits_x2, labels)).mean().")


def test_settings_are_asked_before_the_inputs(mode):
    with pytest.raises(ValueError, match='margin') as raised:
        cosine_embedding_loss(None, None, None, margin=7)
    _assert_says(raised, "the 'margin' must be in [-1, 1], but got 7.")


@pytest.mark.parametrize('labels', [((4, 1), ms.int32), ((4,), ms.uint8)], ids=['shape', 'dtype'])
def test_wrong_input_is_named_while_differentiating(mode, labels):
    step = ms.value_and_grad(CosineEmbeddingLoss(), grad_position=(0, 1))
    with pytest.raises((TypeError, ValueError)) as raised:
        step(_as_input(X), _as_input(X), _as_input(labels))
    text = {ms.int32: "the 'labels' must have shape (4,), but got (4, 1).",
            ms.uint8: f"the 'labels' must have a dtype in {LABELS_LIST}, but got UInt8."}[labels[1]]
    _assert_says(raised, text)


@pytest.mark.parametrize(('setting', 'otherwise'), [('margin', ', or a Tensor of shape ()'), ('eps', '')])
def test_settings_that_a_graph_gets_anew_each_time_are_refused(setting, otherwise):
    def function(x1, x2, labels, value):
        return cosine_embedding_loss(x1, x2, labels, **{setting: value})

    inputs = _as_input(X), _as_input(X), _as_input(Y)
    with pytest.raises(TypeError) as raised:
        ms.jit(function)(*inputs, ms.mutable(0.3))
    _assert_says(raised, f"the '{setting}' must be a real number that is known when a graph is compiled{otherwise}, "
                         "but got NoneType.")


def test_graph_mode_raises_while_compiling():
    before = ms.get_context('mode')
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        with pytest.raises(ValueError, match='labels') as raised:
            CosineEmbeddingLoss().compile(_as_input(X), _as_input(X), Tensor(np.ones((4, 1)), ms.int32))
    finally:
        ms.set_context(mode=before)
    _assert_says(raised, "the 'labels' must have shape (4,), but got (4, 1).")


def test_the_same_cell_works_after_an_error(mode):
    loss = CosineEmbeddingLoss(reduction='none')
    logits = Tensor(np.array([[1.0, 0.0], [0.0, 2.0]]), ms.float32)
    opposite = Tensor(np.array([[-1.0, 0.0], [0.0, -2.0]]), ms.float32)
    for labels in (Tensor([[1], [1]], ms.int32), Tensor([True, True])):
        with pytest.raises((TypeError, ValueError)):
            loss(logits, opposite, labels)
        # Each cosine is -1.
        assert loss(logits, opposite, Tensor([1, -1], ms.int32)).asnumpy().tolist() == [2.0, 0.0]


# `int`, NumPy's scalars and fractions are real numbers too: whatever passes the check must work.
@pytest.mark.parametrize('entry', [CosineEmbeddingLoss, _function], ids=['cell', 'function'])
@pytest.mark.parametrize(('margin', 'eps', 'dtype'), [
    (1, 0, ms.float64), (np.float32(0.5), np.float32(0), ms.float32), (np.float64(0.5), np.float64(1e-12), ms.float64),
    (np.int64(1), np.int32(0), ms.float32), (fractions.Fraction(1, 2), 1e-12, ms.float64),
    (0.5, fractions.Fraction(1, 10 ** 12), ms.float32)], ids=repr)
def test_any_real_number_is_taken(mode, entry, margin, eps, dtype):
    loss = entry(margin=margin, eps=eps, reduction='none')
    logits = Tensor([[0.0, 2.0], [3.0, 4.0]], dtype)
    # The cosine is 1 up to 1e-12 / 4.
    losses = loss(logits, logits, Tensor([-1, -1], ms.int32)).asnumpy()
    np.testing.assert_allclose(losses, [1 - float(margin)] * 2, rtol=0, atol=1e-6)


ZEROS_AND_ONES = (
    "the 'labels' must be 1 for similar and -1 for dissimilar pairs, but got only 0 and 1. Pass 2 * labels - 1, or if "
    """0 is for pairs to be ignored call warnings.filterwarnings('ignore', "For 'CosineEmbeddingLoss'").""")


@pytest.fixture
def _first_calls(monkeypatch):
    monkeypatch.setattr(_checks, '_looks_left', 10)
    before = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


def _warnings_of(entry, labels, calls=1):
    logits = Tensor(np.ones((*np.shape(labels), 3)), ms.float32)
    labels = labels if isinstance(labels, Tensor) else Tensor(labels, ms.int32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for _ in range(calls):
            entry(axis=-1)(logits, logits, labels)
    return [str(each.message) for each in caught if each.category is UserWarning and 'labels' in str(each.message)]


@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
@pytest.mark.parametrize('entry', [CosineEmbeddingLoss, _function, _within_network],
                         ids=['cell', 'function', 'network'])
def test_labels_of_0_and_1_are_warned_of_once(entry):
    assert _warnings_of(entry, [0, 1, 1, 0], calls=3) == [f"For 'CosineEmbeddingLoss', {ZEROS_AND_ONES}"]


@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
@pytest.mark.parametrize('loss', [CosineEmbeddingLoss(), cosine_embedding_loss], ids=['cell', 'function'])
def test_the_warning_is_at_the_call(loss):
    with pytest.warns(UserWarning, match='only 0 and 1') as caught:
        loss(_as_input(X), _as_input(X), Tensor([0, 1, 1, 0], ms.int32))
    assert [each.filename for each in caught if 'only 0 and 1' in str(each.message)] == [__file__]


@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
@pytest.mark.parametrize('labels', [
    *(Tensor([1, 0], dtype) for dtype in (ms.int8, ms.int16, ms.int32, ms.int64, ms.float16, ms.float32, ms.float64)),
    [0, 0], [0], [1] * 65535 + [0]], ids=lambda labels: str(getattr(labels, 'dtype', len(labels))))
def test_labels_that_are_warned_of(labels):
    assert len(_warnings_of(_function, labels)) == 1


# Three with labels other than 0 and 1, one without 0, an empty batch, a mask, and one that is too large to inspect.
@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
@pytest.mark.parametrize('labels', [[0, 1, -1], [0, 2], Tensor([0.5, 0.0, 1.0]), [1, 1], [], [[0, 1], [1, 1]],
                                    [1] * 65536 + [0]], ids=lambda labels: str(labels)[:12])
def test_labels_that_are_not_warned_of(labels):
    assert _warnings_of(_function, labels) == []


@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
def test_labels_are_looked_at_in_the_first_ten_calls():
    assert _warnings_of(_function, [1, -1], calls=9) == []
    assert len(_warnings_of(_function, [0, 1])) == 1
    _checks._looks_left = 10
    assert _warnings_of(_function, [1, -1], calls=10) == []
    assert _warnings_of(_function, [0, 1]) == []


@pytest.mark.usefixtures('_first_calls')
@pytest.mark.parametrize('entry', [CosineEmbeddingLoss, _jitted, _within_network], ids=['cell', 'jit', 'network'])
def test_a_graph_does_not_look_at_labels(entry):
    ms.set_context(mode=ms.GRAPH_MODE)
    assert _warnings_of(entry, [0, 1]) == []


@pytest.mark.on_cpu
@pytest.mark.usefixtures('_first_calls')
def test_the_warning_says_what_turns_it_off():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        exec(ZEROS_AND_ONES[ZEROS_AND_ONES.index('warnings.'):].rstrip('.'))
        _function()(_as_input(X), _as_input(X), Tensor([0, 1, 1, 0], ms.int32))
    assert _checks._looks_left == 0
