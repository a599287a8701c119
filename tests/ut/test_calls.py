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
"""The suggested call in the errors of calls that Python would reject."""
import inspect
import pickle

import pytest

import ms_cosine_loss
from ms_cosine_loss import CosineEmbeddingLoss, cosine_embedding_loss

OF_FUNCTION = '(logits_x1, logits_x2, labels, margin, reduction, *, axis, eps)'
OF_CONSTRUCTOR = '(margin, reduction, *, axis, eps)'


def _assert_refused(call, arguments, keywords, taken, came, right):
    with pytest.raises(TypeError) as raised:
        call(*arguments, **keywords)
    assert str(raised.value) == (f"For 'CosineEmbeddingLoss', the arguments must be {taken}, but got {came}. "
                                 f'Call {right}.')


# PyTorch's rule for the deprecated arguments: reduce takes precedence, and None means True.
@pytest.mark.parametrize(('arguments', 'keywords', 'came', 'settings'), [
    ((0.5, None, None, 'mean'), {}, '4 by position', "margin=0.5, reduction='mean'"),
    ((0.5, None, None, 'sum'), {}, '4 by position', "margin=0.5, reduction='sum'"),
    ((0.5, None, None), {}, '3 by position', 'margin=0.5'),
    ((0.5, False, None), {}, '3 by position', "margin=0.5, reduction='sum'"),
    ((0.5, False, True, 'mean'), {}, '4 by position', "margin=0.5, reduction='sum'"),
    ((0.5, True, False, 'mean'), {}, '4 by position', "margin=0.5, reduction='none'"),
    ((0.5, False, False, 'mean'), {}, '4 by position', "margin=0.5, reduction='none'"),
    ((0.5, 'sum', -1), {}, '3 by position', "margin=0.5, reduction='sum', axis=-1"),
    ((0.5, 'sum', -1, 1e-6), {}, '4 by position', "margin=0.5, reduction='sum', axis=-1, eps=1e-06"),
    ((0.5, 'sum', -1, 1e-6, 7), {}, '5 by position', "margin=0.5, reduction='sum', axis=-1, eps=1e-06"),
    ((), {'size_average': True}, "'size_average'", "reduction='mean'"),
    ((), {'size_average': None}, "'size_average'", ''),
    ((0.5,), {'reduce': True, 'size_average': False}, "'reduce' and 'size_average'", "margin=0.5, reduction='sum'"),
    ((), {'reduce': False, 'reduction': 'sum'}, "'reduce'", "reduction='none'"),
    ((), {'dim': -1}, "'dim'", 'axis=-1'),
    ((), {'weight': 3, 'axis': 2}, "'weight'", 'axis=2'),
    ((), {'margin': [0.5], 'p': 2, 'q': 3, 'dim': 0}, "'p', 'q' and 'dim'", 'margin=margin, axis=0')], ids=repr)
def test_settings_of_the_constructor(arguments, keywords, came, settings):
    _assert_refused(CosineEmbeddingLoss, arguments, keywords, OF_CONSTRUCTOR, came, f'CosineEmbeddingLoss({settings})')


@pytest.mark.parametrize(('arguments', 'keywords', 'came', 'right'), [
    ((), {}, "no 'logits_x1', 'logits_x2' and 'labels'", 'logits_x1, logits_x2, labels'),
    ((1,), {}, "no 'logits_x2' and 'labels'", 'logits_x1, logits_x2, labels'),
    ((1, 2), {'margin': 0.5}, "no 'labels'", 'logits_x1, logits_x2, labels, margin=0.5'),
    ((1,), {'labels': 3}, "no 'logits_x2'", 'logits_x1, logits_x2, labels'),
    ((), {'input1': 1, 'input2': 2}, "'input1' and 'input2'", 'logits_x1=input1, logits_x2=input2, labels=labels'),
    ((1,), {'input2': 2, 'target': 3}, "'input2' and 'target'", 'logits_x1, logits_x2=input2, labels=target'),
    ((1, 2, 3), {'margin': 0.5, 'dim': -1}, "'dim'", 'logits_x1, logits_x2, labels, margin=0.5, axis=-1'),
    ((1, 2, 3, 0.5, False, None), {}, '6 by position', "logits_x1, logits_x2, labels, margin=0.5, reduction='sum'")],
    ids=repr)
def test_arguments_of_the_function(arguments, keywords, came, right):
    _assert_refused(cosine_embedding_loss, arguments, keywords, OF_FUNCTION, came, f'cosine_embedding_loss({right})')


def test_an_argument_that_comes_twice_is_left_to_python():
    with pytest.raises(TypeError, match="got multiple values for argument 'labels'"):
        cosine_embedding_loss(1, 2, 3, labels=3)


def test_the_function_looks_as_it_was_written():
    assert pickle.loads(pickle.dumps(cosine_embedding_loss)) is cosine_embedding_loss
    assert (cosine_embedding_loss.__module__, cosine_embedding_loss.__qualname__) == (
        'ms_cosine_loss._loss', 'cosine_embedding_loss')
    assert inspect.getdoc(cosine_embedding_loss).startswith('Computes the cosine embedding loss')
    assert list(inspect.signature(ms_cosine_loss.cosine_embedding_loss).parameters) == [
        'logits_x1', 'logits_x2', 'labels', 'margin', 'reduction', 'axis', 'eps']
