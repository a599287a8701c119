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
"""Every rule for the arguments in isolation, at its boundaries, without running anything on a device."""
import math
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from ms_cosine_loss import _checks
from ms_cosine_loss._checks import check_inputs, check_margin, check_settings, check_tensors, warn_of_zeros

GOOD = {'margin': 0.0, 'reduction': 'mean', 'axis': 1, 'eps': 1e-12}

JUST_ABOVE_1 = math.nextafter(1.0, 2.0)

LABELS_LIST = '[Int8, Int16, Int32, Int64, Float16, BFloat16, Float32, Float64]'
LOGITS_LIST = '[Float16, BFloat16, Float32, Float64]'

ALL_DTYPES = (ms.bool_, ms.int8, ms.int16, ms.int32, ms.int64, ms.uint8, ms.uint16, ms.uint32, ms.uint64,
              ms.float16, ms.bfloat16, ms.float32, ms.float64, ms.complex64, ms.complex128)
LOGITS_DTYPES = (ms.float16, ms.bfloat16, ms.float32, ms.float64)
LABELS_DTYPES = (ms.int8, ms.int16, ms.int32, ms.int64, *LOGITS_DTYPES)


def _settings(**changes):
    return check_settings(*{**GOOD, **changes}.values())


def _shapes(shape1, shape2, labels_shape, axis=1):
    return check_inputs(shape1, shape2, labels_shape, ms.float32, ms.float32, ms.int32, axis)


def _dtypes(dtype1, dtype2, labels_dtype):
    return check_inputs((4, 3), (4, 3), (4,), dtype1, dtype2, labels_dtype, 1)


def _assert_refused(error, text, check, *args, **kwargs):
    with pytest.raises(error) as raised:
        check(*args, **kwargs)
    assert raised.type is error
    assert str(raised.value) == f"For 'CosineEmbeddingLoss', {text}"


@pytest.mark.parametrize('margin', [0.0, -0.0, 1.0, -1.0, 1, -1, 0, 0.3, 5e-324, np.float64(0.3), np.float32(-1),
                                    np.float16(1), np.int64(-1), np.int8(1)], ids=repr)
def test_margin_in_range_is_taken(margin):
    assert _settings(margin=margin) == (float(margin), GOOD['axis'], GOOD['eps'])


@pytest.mark.parametrize('margin', [JUST_ABOVE_1, -JUST_ABOVE_1, 2, -2, math.inf, -math.inf, math.nan,
                                    np.float32(1.5), np.float64('nan'), np.int64(2)], ids=repr)
def test_margin_out_of_range_is_refused(margin):
    _assert_refused(ValueError, f"the 'margin' must be in [-1, 1], but got {margin}.", _settings, margin=margin)


@pytest.mark.parametrize(('margin', 'name'), [
    (True, 'bool'), (False, 'bool'), (np.bool_(True), 'bool_'), ('0.5', 'str'), (None, 'NoneType'), (0j, 'complex'),
    ([0.5], 'list'), (np.array(0.5), 'ndarray'), (ms.float32, 'Float')], ids=lambda value: repr(value))
def test_margin_of_another_type_is_refused(margin, name):
    known = ' that is known when a graph is compiled, or a Tensor of shape ()' if margin is None else ''
    _assert_refused(TypeError, f"the 'margin' must be a real number{known}, but got {name}.", _settings, margin=margin)


@pytest.mark.parametrize('dtype', [ms.float16, ms.bfloat16, ms.float32, ms.float64], ids=str)
@pytest.mark.parametrize('shape', [(), None, (-2,)], ids=repr)
def test_a_real_tensor_of_no_axes_is_taken_for_the_margin(shape, dtype):
    assert check_margin(shape, dtype) is None


@pytest.mark.parametrize('dtype', [ms.int32, ms.bool_, ms.uint8, ms.complex64], ids=str)
def test_a_margin_of_another_dtype_is_refused(dtype):
    _assert_refused(TypeError, "the 'margin' must have a dtype in [Float16, BFloat16, Float32, Float64], "
                               f'but got {dtype}.', check_margin, (), dtype)


@pytest.mark.parametrize('shape', [(1,), (0,), (4,), (1, 1)], ids=repr)
def test_a_margin_with_axes_is_refused(shape):
    _assert_refused(ValueError, f"the 'margin' must be a number or a Tensor of shape (), but got shape {shape}.",
                    check_margin, shape, ms.float32)


@pytest.mark.parametrize('margin', [Tensor(0.5, ms.float32), Parameter(Tensor(0.5, ms.float32))],
                         ids=['Tensor', 'Parameter'])
def test_a_tensor_where_a_number_is_due_is_told_where_it_can_go(margin):
    _assert_refused(TypeError, f"the 'margin' must be a real number, but got {type(margin).__name__}. Pass a margin "
                               "that is scheduled or learned to 'cosine_embedding_loss'.", _settings, margin=margin)


@pytest.mark.parametrize('eps', [0, 0.0, -0.0, 1, 1e-12, 5e-324, 1e308, np.float32(1e-8), np.int32(0)], ids=repr)
def test_eps_not_negative_is_taken(eps):
    assert _settings(eps=eps) == (GOOD['margin'], GOOD['axis'], float(eps))


@pytest.mark.parametrize('eps', [-5e-324, -1e-12, -1, math.nan, math.inf, -math.inf, np.float32(-1)], ids=repr)
def test_eps_negative_or_not_finite_is_refused(eps):
    _assert_refused(ValueError, f"the 'eps' must be finite and not negative, but got {eps}.", _settings, eps=eps)


@pytest.mark.parametrize(('eps', 'name'), [
    (True, 'bool'), (False, 'bool'), ('1e-12', 'str'), (None, 'NoneType'), (1j, 'complex'), ((), 'tuple')], ids=repr)
def test_eps_of_another_type_is_refused(eps, name):
    known = ' that is known when a graph is compiled' if eps is None else ''
    _assert_refused(TypeError, f"the 'eps' must be a real number{known}, but got {name}.", _settings, eps=eps)


@pytest.mark.parametrize('axis', [0, 1, -1, 7, -7, np.int64(1), np.int32(-1), np.uint8(7)], ids=repr)
def test_any_int_axis_is_taken_until_the_rank_is_known(axis):
    assert _settings(axis=axis) == (GOOD['margin'], axis, GOOD['eps'])


@pytest.mark.parametrize(('axis', 'name'), [
    (True, 'bool'), (False, 'bool'), (1.0, 'float'), ('1', 'str'), (None, 'NoneType'), ((1,), 'tuple')], ids=repr)
def test_axis_of_another_type_is_refused(axis, name):
    _assert_refused(TypeError, f"the 'axis' must be an int, but got {name}.", _settings, axis=axis)


@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_reduction_of_the_three_is_taken(reduction):
    assert _settings(reduction=reduction) == (GOOD['margin'], GOOD['axis'], GOOD['eps'])


@pytest.mark.parametrize('reduction', ['', 'Mean', 'SUM', ' mean', 'batchmean', 'None'])
def test_reduction_of_another_name_is_refused(reduction):
    _assert_refused(ValueError, "the 'reduction' must be one of 'none', 'mean' or 'sum', "
                                f"but got '{reduction}'.", _settings, reduction=reduction)


@pytest.mark.parametrize('reduction', [True, False, None], ids=repr)
def test_reduction_from_pytorchs_old_arguments_is_explained(reduction):
    _assert_refused(ValueError, f"the 'reduction' must be one of 'none', 'mean' or 'sum', but got {reduction}. "
                                "PyTorch's 'size_average' and 'reduce' are deprecated; use 'reduction'.",
                    _settings, reduction=reduction)


@pytest.mark.parametrize(('reduction', 'shown'), [(3, '3'), (0, '0'), (1.0, '1.0'), (('mean',), "('mean',)"),
                                                  (b'mean', "b'mean'")], ids=repr)
def test_reduction_of_another_type_is_refused(reduction, shown):
    _assert_refused(TypeError, f"the 'reduction' must be one of 'none', 'mean' or 'sum', but got {shown}.",
                    _settings, reduction=reduction)


def test_type_is_asked_before_the_range():
    _assert_refused(TypeError, "the 'eps' must be a real number, but got str.", _settings, margin=7, eps='')


@pytest.mark.parametrize(('position', 'name'), [(0, 'logits_x1'), (1, 'logits_x2'), (2, 'labels')])
@pytest.mark.parametrize(('value', 'type_name'), [([], 'list'), (1.5, 'float'), (1, 'int'), (np.int64(1), 'int64'),
                                                  (None, 'NoneType'), (np.ones(3), 'ndarray'), ('x', 'str')],
                         ids=lambda value: type(value).__name__)
def test_what_is_not_a_tensor_is_named(position, name, value, type_name):
    # The other values are not Tensors either, but passed off as such: only the flag counts.
    answers = [index != position for index in range(3)]
    advice = f' Pass mindspore.Tensor({name}).'
    if type_name == 'str':
        advice = ''
    elif value is None:
        advice = ' Pass all of logits_x1, logits_x2 and labels.'
    elif name == 'labels' and type_name in ('float', 'int', 'int64'):
        advice = ' Pass one label for each pair, such as mindspore.Tensor([1, -1]).'
    _assert_refused(TypeError, f"the '{name}' must be a Tensor, but got {type_name}.{advice}",
                    check_tensors, *answers, value, value, value)


def test_a_tensor_of_another_library_is_named_with_it():
    like_torch = type('Tensor', (), {'__module__': 'torch._tensor', 'detach': None})
    _assert_refused(TypeError, "the 'labels' must be a Tensor, but got torch.Tensor. Pass mindspore.Tensor("
                               "labels.detach().numpy()).", check_tensors, True, True, False, None, None,
                    like_torch())


@pytest.mark.parametrize(('shape1', 'shape2', 'axis', 'labels_shape', 'expected', 'advice'), [
    ((2, 5, 8), (2, 5, 8), 1, (2, 5), (2, 8), ' For vectors along the last axis pass axis=-1.'),
    ((2, 5, 8), (2, 5, 8), -1, (2, 8), (2, 5), ' For vectors along axis 1 pass axis=1.'),
    ((2, 5, 8), (2, 5, 8), -1, (5, 8), (2, 5), ' For vectors along axis 0 pass axis=0.'),
    ((1, 5, 8), (2, 5, 8), 1, (2, 5), (2, 8), ' For vectors along the last axis pass axis=-1.'),
    ((1, 5, 8), (2, 5, 8), 1, (5, 8), (2, 8), ''), ((4, 3), (4, 3), 1, (3,), (4,), '')])
def test_labels_that_fit_another_axis_are_told_of_it(shape1, shape2, axis, labels_shape, expected, advice):
    _assert_refused(ValueError, f"the 'labels' must have shape {expected}, but got {labels_shape}.{advice}",
                    _shapes, shape1, shape2, labels_shape, axis)


def test_three_tensors_are_taken():
    assert check_tensors(True, True, True, None, None, None) is None


def test_first_of_several_non_tensors_is_named():
    _assert_refused(TypeError, "the 'logits_x2' must be a Tensor, but got int. Pass mindspore.Tensor(logits_x2).",
                    check_tensors, True, False, False, None, 1, 'labels')


@pytest.mark.parametrize('labels_dtype', LABELS_DTYPES, ids=str)
@pytest.mark.parametrize('logits_dtype', LOGITS_DTYPES, ids=str)
def test_dtypes_of_the_table_are_taken(logits_dtype, labels_dtype):
    assert _dtypes(logits_dtype, logits_dtype, labels_dtype) == 1


@pytest.mark.parametrize('dtype', [dtype for dtype in ALL_DTYPES if dtype not in LOGITS_DTYPES], ids=str)
def test_other_dtypes_of_the_logits_are_refused(dtype):
    text = f"must have a dtype in {LOGITS_LIST}, but got {dtype}."
    _assert_refused(TypeError, f"the 'logits_x1' {text}", _dtypes, dtype, ms.float32, ms.int32)
    _assert_refused(TypeError, f"the 'logits_x2' {text}", _dtypes, ms.float32, dtype, ms.int32)


@pytest.mark.parametrize('dtype', [dtype for dtype in ALL_DTYPES if dtype not in LABELS_DTYPES], ids=str)
def test_other_dtypes_of_the_labels_are_refused(dtype):
    _assert_refused(TypeError, f"the 'labels' must have a dtype in {LABELS_LIST}, but got {dtype}.",
                    _dtypes, ms.float32, ms.float32, dtype)


@pytest.mark.parametrize('dtype1', LOGITS_DTYPES, ids=str)
@pytest.mark.parametrize('dtype2', LOGITS_DTYPES, ids=str)
def test_logits_of_two_dtypes_are_refused(dtype1, dtype2):
    if dtype1 == dtype2:
        assert _dtypes(dtype1, dtype2, ms.int32) == 1
    else:
        _assert_refused(TypeError, "the 'logits_x1' and 'logits_x2' must have the same dtype, "
                                   f"but got {dtype1} and {dtype2}.", _dtypes, dtype1, dtype2, ms.int32)


@pytest.mark.parametrize(('shape', 'labels_shape', 'axis', 'counted'), [
    ((4, 3), (4,), 1, 1), ((4, 3), (4,), -1, 1), ((4, 3), (3,), 0, 0), ((4, 3), (3,), -2, 0),
    ((3,), (), 0, 0), ((3,), (), -1, 0), ((3,), (), 1, 0),
    ((2, 3, 5), (2, 5), 1, 1), ((2, 3, 5), (2, 3), -1, 2), ((2, 3, 5), (2, 3), 2, 2), ((2, 3, 5), (3, 5), -3, 0),
    ((2, 3, 5, 7), (2, 5, 7), 1, 1), ((2, 3, 5, 7), (2, 3, 7), -2, 2),
    ((0, 3), (0,), 1, 1), ((4, 0), (4,), 1, 1), ((1, 1), (1,), 1, 1), ((0,), (), 0, 0)])
def test_fitting_shapes_give_the_axis_from_the_front(shape, labels_shape, axis, counted):
    assert _shapes(shape, shape, labels_shape, axis) == counted


@pytest.mark.parametrize(('shape1', 'shape2', 'labels_shape', 'axis'), [
    ((1, 3), (4, 3), (4,), 1), ((4, 3), (1, 3), (4,), 1), ((1, 3), (0, 3), (0,), 1), ((1, 3), (1, 3), (1,), 1),
    ((2, 1, 5), (1, 3, 5), (2, 3), 2), ((1, 3, 1), (2, 3, 5), (2, 5), 1), ((3, 1), (3, 7), (7,), 0)])
def test_axes_of_length_1_broadcast(shape1, shape2, labels_shape, axis):
    assert _shapes(shape1, shape2, labels_shape, axis) == axis


@pytest.mark.parametrize(('rank', 'axis'), [(2, 2), (2, -3), (3, 3), (3, -4), (1, 2), (1, -2), (4, 100)])
def test_axis_outside_the_rank_is_refused(rank, axis):
    shape = (3,) * rank
    _assert_refused(ValueError, f"the 'axis' must be in [-{rank}, {rank - 1}] for logits of rank {rank}, "
                                f"but got {axis}.", _shapes, shape, shape, shape[1:], axis)


@pytest.mark.parametrize('axis', [0, 1, -1])
def test_logits_without_an_axis_are_refused(axis):
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have at least 1 dimension, but got shape ().",
                    _shapes, (), (), (), axis)


@pytest.mark.parametrize(('shape1', 'shape2'), [((4, 3), (3,)), ((3,), (4, 3)), ((4, 3), (1, 4, 3)), ((), (3,))])
def test_logits_of_two_ranks_are_refused(shape1, shape2):
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have the same rank, "
                                f"but got shapes {shape1} and {shape2}.", _shapes, shape1, shape2, (4,))


@pytest.mark.parametrize(('shape1', 'shape2', 'axis', 'counted'), [
    ((4, 3), (4, 2), 1, 1), ((4, 3), (4, 1), -1, 1), ((4, 1), (4, 3), 1, 1), ((4, 0), (4, 3), 1, 1),
    ((3,), (2,), 0, 0), ((2, 3, 5), (2, 3, 1), -1, 2), ((1, 3), (4, 3), 0, 0)])
def test_vectors_of_two_lengths_are_refused(shape1, shape2, axis, counted):
    _assert_refused(ValueError, f"the 'logits_x1' and 'logits_x2' must have the same length along axis {counted}, "
                                f"but got shapes {shape1} and {shape2}.", _shapes, shape1, shape2, (4,), axis)


@pytest.mark.parametrize(('shape1', 'shape2', 'axis', 'counted'), [
    ((4, 3), (2, 3), 1, 1), ((0, 3), (4, 3), 1, 1), ((2, 3, 5), (2, 3, 4), -2, 1), ((2, 3, 5), (2, 2, 5), 2, 2)])
def test_batches_that_do_not_broadcast_are_refused(shape1, shape2, axis, counted):
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have shapes that broadcast outside "
                                f"axis {counted}, but got {shape1} and {shape2}.",
                    _shapes, shape1, shape2, (4,), axis)


@pytest.mark.parametrize(('shape1', 'shape2', 'labels_shape', 'axis', 'expected'), [
    ((16, 3), (16, 3), (16, 1), 1, '(16,)'), ((16, 3), (16, 3), (1, 16), 1, '(16,)'),
    ((16, 3), (16, 3), (), 1, '(16,)'), ((16, 3), (16, 3), (1,), 1, '(16,)'), ((16, 3), (16, 3), (3,), 1, '(16,)'),
    ((16, 3), (16, 3), (16, 3), 1, '(16,)'), ((16, 3), (16, 3), (0,), 1, '(16,)'),
    ((3,), (3,), (1,), 0, '()'), ((3,), (3,), (3,), 0, '()'), ((0, 3), (0, 3), (1,), 1, '(0,)'),
    ((1, 3), (4, 3), (1,), 1, '(4,)'), ((4, 3), (1, 3), (1,), 1, '(4,)'), ((1, 3), (0, 3), (1,), 1, '(0,)'),
    ((2, 3, 5), (2, 3, 5), (2, 1), -1, '(2, 3)'), ((2, 1, 5), (1, 3, 5), (1, 3), 2, '(2, 3)')])
def test_labels_of_another_shape_are_refused(shape1, shape2, labels_shape, axis, expected):
    _assert_refused(ValueError, f"the 'labels' must have shape {expected}, but got {labels_shape}.",
                    _shapes, shape1, shape2, labels_shape, axis)


# MindSpore passes an unknown length as None or -1, and an unknown rank as None or (-2,).
@pytest.mark.parametrize('unknown', [None, -1], ids=repr)
def test_open_lengths_are_taken_to_fit(unknown):
    u = unknown
    assert _shapes((u, 3), (u, 3), (u,)) == 1
    assert _shapes((u, 3), (4, 3), (4,)) == 1
    assert _shapes((u, 3), (1, 3), (7,)) == 1
    assert _shapes((4, 3), (4, 3), (u,)) == 1
    assert _shapes((4, u), (4, 3), (4,)) == 1
    assert _shapes((u, u), (u, u), (u,), -1) == 1
    assert _shapes((u, u, u), (u, u, u), (u, u), 0) == 0
    assert _shapes((u,), (3,), ()) == 0
    # One anchor against a batch of unknown length: the labels may have any length.
    assert _shapes((1, 3), (u, 3), (9,)) == 1


@pytest.mark.parametrize('unknown', [None, -1], ids=repr)
def test_what_open_lengths_leave_known_is_checked(unknown):
    u = unknown
    _assert_refused(ValueError, "the 'labels' must have shape (-1,), but got (-1, 1).",
                    _shapes, (u, 3), (u, 3), (u, 1))
    _assert_refused(ValueError, "the 'labels' must have shape (-1,), but got ().", _shapes, (u, 3), (u, 3), ())
    _assert_refused(ValueError, "the 'labels' must have shape (4,), but got (1,).", _shapes, (4, u), (4, u), (1,))
    _assert_refused(ValueError, "the 'labels' must have shape (4,), but got (1,).", _shapes, (u, 3), (4, 3), (1,))
    _assert_refused(ValueError, "the 'labels' must have shape (4,), but got (1,).", _shapes, (4, 3), (u, 3), (1,))
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have the same length along axis 1, "
                                "but got shapes (-1, 3) and (-1, 2).", _shapes, (u, 3), (u, 2), (u,))
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have shapes that broadcast outside axis 1, "
                                "but got (4, -1) and (2, -1).", _shapes, (4, u), (2, u), (4,))
    _assert_refused(ValueError, "the 'logits_x1' and 'logits_x2' must have the same rank, "
                                "but got shapes (-1, 3) and (-1,).", _shapes, (u, 3), (u,), (u,))
    _assert_refused(ValueError, "the 'axis' must be in [-2, 1] for logits of rank 2, but got 2.",
                    _shapes, (u, 3), (u, 3), (u,), 2)


@pytest.mark.parametrize('unknown', [None, (-2,)], ids=repr)
def test_an_open_rank_is_taken_to_fit(unknown):
    # Without any known rank, the axis cannot be counted from the front.
    assert _shapes(unknown, unknown, unknown, -1) == -1
    assert _shapes(unknown, unknown, (4,), 1) == 1
    # One known rank is enough.
    assert _shapes(unknown, (4, 3), (4,), -1) == 1
    assert _shapes((4, 3), unknown, (4,), -2) == 0
    assert _shapes((4, 3), (4, 3), unknown, -1) == 1


@pytest.mark.parametrize('unknown', [None, (-2,)], ids=repr)
def test_what_an_open_rank_leaves_known_is_checked(unknown):
    text = "the 'axis' must be in [-2, 1] for logits of rank 2, but got 5."
    _assert_refused(ValueError, text, _shapes, unknown, (4, 3), (4,), 5)
    _assert_refused(ValueError, text, _shapes, (4, 3), unknown, (4,), 5)
    _assert_refused(ValueError, text, _shapes, (4, 3), (4, 3), unknown, 5)
    _assert_refused(TypeError, f"the 'labels' must have a dtype in {LABELS_LIST}, but got Bool.",
                    check_inputs, unknown, unknown, unknown, ms.float32, ms.float32, ms.bool_, 1)


def test_the_lists_are_the_documented_ones():
    assert set(_checks.LOGITS_DTYPES) == set(LOGITS_DTYPES)
    assert set(_checks.LABELS_DTYPES) == set(LABELS_DTYPES)
    assert set(_checks.REDUCTIONS) == {'none', 'mean', 'sum'}


@pytest.mark.parametrize('target', ['Ascend', 'GPU', 'CPU'])
def test_labels_are_copied_from_no_device(monkeypatch, target):
    labels = mock.Mock(shape=(2,), size=2, dtype=ms.int32)
    labels.asnumpy.return_value = np.array([1, -1])
    monkeypatch.setattr(_checks, '_looks_left', 10)
    monkeypatch.setattr(_checks, 'device', lambda: target)
    warn_of_zeros(labels)
    assert labels.asnumpy.called == (target == 'CPU')
