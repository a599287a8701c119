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
"""Exports of the loss, in every format that MindSpore has."""
import mindspore as ms
import numpy as np
import onnxruntime
import pytest
from mindspore import nn

from ms_cosine_loss import CosineEmbeddingLoss, get_implementation, get_implementation_status, use_implementation
from tests import truth
from tests.st.evaluation import (
    array,
    assert_rows_within,
    assert_within,
    labels_shape,
    normal,
    pair_gradients,
    pair_losses,
    signs,
    tensor,
    tolerance,
)

MARGIN = 0.1


def _export(loss, inputs):
    ms.export(loss, *inputs, file_name='loss.onnx', file_format='ONNX')


def _export_newly(loss, inputs):
    ms.onnx.export(loss, *inputs, file_name='loss.onnx')


# mindspore.onnx is available from 2.9 and is meant to replace the other.
EXPORTS = [_export, _export_newly] if hasattr(ms, 'onnx') else [_export]


def _inputs(shape1=(6, 5), shape2=(6, 5), axis=1):
    labels = signs(3, labels_shape(shape1, shape2, axis))
    if labels.size > 1:
        labels.flat[0] = 0
    return normal(1, shape1, ms.float16), normal(2, shape2, ms.float16), labels


def _tensors(inputs, dtype=ms.float32, labels_dtype=ms.int32):
    return tensor(inputs[0], dtype), tensor(inputs[1], dtype), tensor(inputs[2], labels_dtype)


def _run(inputs):
    session = onnxruntime.InferenceSession('loss.onnx')
    found, = session.run(None, {each.name: value.asnumpy() for each, value in zip(session.get_inputs(), inputs)})
    return found


def _assert_onnx_is_right(x1, x2, labels, dtype=ms.float32, labels_dtype=ms.int32, reduction='mean', axis=1,
                          export=_export):
    inputs = _tensors((x1, x2, labels), dtype, labels_dtype)
    export(CosineEmbeddingLoss(MARGIN, reduction, axis=axis), inputs)
    assert get_implementation_status().last == 'plain'
    found = _run(inputs)
    expected = truth.reduced(pair_losses(x1, x2, labels, axis, margin=MARGIN), reduction)
    # onnxruntime computes plain.
    with use_implementation('plain'):
        allowed = tolerance(expected, dtype, 1 if reduction == 'none' else np.size(labels))
    assert found.dtype == np.dtype(str(dtype).lower())
    assert_within(found.astype(np.float64), expected, allowed)


@pytest.mark.parametrize('export', EXPORTS)
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_onnx(mode, setting, reduction, export):
    _assert_onnx_is_right(*_inputs(), reduction=reduction, export=export)
    assert get_implementation() == setting


@pytest.mark.parametrize('dtype', [ms.float16, ms.float64], ids=str)
def test_onnx_in_other_dtypes(dtype):
    _assert_onnx_is_right(*_inputs(), dtype)


@pytest.mark.parametrize('labels_dtype', [ms.int64, ms.float32], ids=str)
def test_onnx_with_labels_of_other_dtypes(labels_dtype):
    _assert_onnx_is_right(*_inputs(), labels_dtype=labels_dtype)


@pytest.mark.parametrize(('shape1', 'shape2', 'axis'), [
    ((5,), (5,), 1), ((2, 3, 5), (2, 3, 5), -1), ((2, 5, 3), (2, 5, 3), 1), ((1, 5), (6, 5), 1)], ids=repr)
def test_onnx_in_other_layouts(shape1, shape2, axis):
    _assert_onnx_is_right(*_inputs(shape1, shape2, axis), axis=axis)


def test_onnx_with_nan_in_an_ignored_row():
    x1, x2, labels = _inputs()
    x1[0] = np.nan
    inputs = _tensors((x1, x2, labels))
    _export(CosineEmbeddingLoss(reduction='none'), inputs)
    found = _run(inputs)
    assert found[0] == 0
    assert np.isfinite(found).all()


@pytest.mark.on_cpu
def test_native_by_name_is_refused_for_onnx(mode):
    inputs = _tensors(_inputs())
    with use_implementation('native'):
        with pytest.raises(RuntimeError) as raised:
            _export(CosineEmbeddingLoss(), inputs)
        assert str(raised.value).split('\n')[0] == (
            "For 'CosineEmbeddingLoss', the implementation 'native' cannot run: ONNX has no operator for it; export "
            "inside use_implementation('plain').")
        CosineEmbeddingLoss()(*inputs)


@pytest.mark.on_cpu
def test_a_graph_beside_the_export_stays_native(mode):
    loss, inputs = CosineEmbeddingLoss(MARGIN), _tensors(_inputs())
    _export(loss, inputs)
    loss(*inputs)
    assert get_implementation_status().last == 'native'


@pytest.mark.on_cpu
def test_air_is_for_ascend_alone(implementation):
    with pytest.raises(ValueError, match='AIR'):
        ms.export(CosineEmbeddingLoss(), *_tensors(_inputs()), file_name='loss', file_format='AIR')


class _Loaded(nn.Cell):
    def __init__(self):
        super().__init__()
        self.loss = nn.GraphCell(ms.load('loss.mindir'))

    def construct(self, x1, x2, labels):
        return self.loss(x1, x2, labels)


@pytest.mark.on_cpu
def test_the_derivative_of_a_loaded_mindir(implementation):
    before = ms.get_context('mode')
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        inputs = _tensors(_inputs())
        ms.export(CosineEmbeddingLoss(MARGIN), *inputs, file_name='loss', file_format='MINDIR')
        loaded = _Loaded()
        if implementation.name == 'native':
            # The derivative of the kernel's operator is Python code, which a file does not contain.
            with pytest.raises(RuntimeError, match='The prim is not a PrimitivePy. Prim name: Custom'):
                ms.grad(loaded, (0, 1))(*inputs)
            return
        found = ms.grad(loaded, (0, 1))(*inputs)
        for gradient, truly in zip(found, pair_gradients(*_inputs(), 1 / 6, margin=MARGIN)):
            assert_rows_within(array(gradient), truly, 1e-6)
    finally:
        ms.set_context(mode=before)
