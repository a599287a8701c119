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
"""MindSpore's own loss: a cross-check where it is right, and what it gets wrong where it is not.

Each test of a fault first asserts that MindSpore's loss has it, so that the test fails once MindSpore fixes it.
"""
import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from tests import truth
from tests.st.evaluation import (
    REDUCTIONS,
    UNIT,
    array,
    assert_rows_within,
    assert_within,
    gradients,
    normal,
    pair_gradients,
    rounded,
    signs,
    tensor,
    tolerance,
    value,
)

pytestmark = [pytest.mark.usefixtures('mode', 'implementation'), pytest.mark.on_cpu]


def _theirs(x1, x2, labels, dtype=ms.float32, **settings):
    return array(nn.CosineEmbeddingLoss(**settings)(tensor(x1, dtype), tensor(x2, dtype), tensor(labels, ms.int32)))


@pytest.mark.parametrize('reduction', REDUCTIONS)
@pytest.mark.parametrize('shape', [(20, 7), (4, 7, 5)], ids=str)
def test_equal_where_mindspore_is_right(shape, reduction):
    x1, x2 = normal(1, shape, ms.float32), normal(2, shape, ms.float32)
    labels = signs(3, shape[:1] + shape[2:])
    theirs = _theirs(x1, x2, labels, margin=0.25, reduction=reduction)
    ours = value(x1, x2, labels, margin=0.25, reduction=reduction)
    # Theirs is accurate to about 3e-7 for each pair; a sum has the errors of 20 pairs.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * (20 if reduction == 'sum' else 1))


def test_gradient_equal_where_mindspore_is_right():
    x1, x2, labels = normal(4, (20, 7), ms.float32), normal(5, (20, 7), ms.float32), signs(6, 20)
    inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
    theirs = ms.grad(nn.CosineEmbeddingLoss(reduction='sum', margin=0.25), (0, 1))(*inputs)
    for mine, other in zip(gradients(x1, x2, labels, reduction='sum', margin=0.25), theirs):
        # Elements below 1, for which theirs is accurate to about 3e-7.
        np.testing.assert_allclose(mine, array(other), rtol=0, atol=1e-6)


def test_zero_row():
    x1, x2, labels = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [2.0, 1.0]]), np.array([1, 1])
    assert np.isnan(_theirs(x1, x2, labels))
    inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
    theirs = ms.grad(nn.CosineEmbeddingLoss(), (0, 1))(*inputs)
    assert np.isnan(array(theirs[0])).any()

    expected = truth.reduced(truth.pair_losses(x1, x2, labels), 'mean')
    assert_within(value(x1, x2, labels), expected, tolerance(expected, ms.float32))
    # For the row of zeros, 1e6 times the other vector's direction; each result has half a dozen roundings.
    for found, true in zip(gradients(x1, x2, labels), pair_gradients(x1, x2, labels, 0.5)):
        assert_rows_within(found, true, 4 * UNIT[ms.float32])


def test_nan_in_an_ignored_pair():
    x1, x2, labels = np.array([[np.nan, 0.0], [1.0, 2.0]]), np.array([[3.0, 4.0], [2.0, 1.0]]), np.array([0, -1])
    inputs = tensor(x1, ms.float32), tensor(x2, ms.float32), tensor(labels, ms.int32)
    for theirs in ms.grad(nn.CosineEmbeddingLoss(), (0, 1))(*inputs):
        assert np.isnan(array(theirs)[0]).all()

    for found, true in zip(gradients(x1, x2, labels), pair_gradients(x1[1:], x2[1:], labels[1:], 0.5)):
        assert not found[0].any()
        assert_rows_within(found[1:], true, 4 * UNIT[ms.float32])


def test_large_vectors():
    # PyTorch is wrong here, but theirs is right: no square overflows.
    x1, x2, labels = np.array([[1e10, 0.0]]), rounded([[0.6e10, 0.8e10]], ms.float32), np.array([1])
    for loss in (_theirs(x1, x2, labels), value(x1, x2, labels)):
        assert abs(loss - 0.4) <= 4 * UNIT[ms.float32]


def test_float16_overflow():
    # 300² overflows float16.
    x1, x2, labels = np.full((1, 4), 300.0), np.array([[300.0, 300.0, 300.0, -300.0]]), np.array([1])
    assert np.isnan(_theirs(x1, x2, labels, ms.float16))

    assert value(x1, x2, labels, ms.float16) == 0.5
    for found, true in zip(gradients(x1, x2, labels, ms.float16), pair_gradients(x1, x2, labels)):
        assert_rows_within(found, true, 2 * UNIT[ms.float16])


def test_bfloat16():
    x1, x2, labels = normal(7, (4, 3), ms.bfloat16), normal(8, (4, 3), ms.bfloat16), signs(9, 4)
    with pytest.raises((TypeError, RuntimeError), match='(?i)support'):
        _theirs(x1, x2, labels, ms.bfloat16)

    expected = truth.reduced(truth.pair_losses(x1, x2, labels), 'mean')
    assert_within(value(x1, x2, labels, ms.bfloat16), expected, tolerance(expected, ms.bfloat16))


def test_labels_with_an_axis_too_many():
    x1, x2, labels = normal(10, (4, 3), ms.float32), normal(11, (4, 3), ms.float32), np.array([[1], [-1], [1], [-1]])
    right = float(truth.reduced(truth.pair_losses(x1, x2, labels[:, 0]), 'mean'))
    theirs = _theirs(x1, x2, labels)
    assert theirs.shape == ()
    assert abs(theirs - right) > 0.01

    with pytest.raises(ValueError, match=r"the 'labels' must have shape \(4,\), but got \(4, 1\)"):
        value(x1, x2, labels)


def test_negative_losses():
    x = normal(12, (1000, 8), ms.float32)
    assert _theirs(x, x, np.ones(1000), reduction='none').min() < 0

    assert value(x, x, np.ones(1000), reduction='none').min() >= 0


def test_unbatched_vectors():
    x1, x2 = normal(13, 5, ms.float32), normal(14, 5, ms.float32)
    with pytest.raises(ValueError, match='axis'):
        _theirs(x1, x2, 1)

    expected = truth.pair_losses(x1, x2, 1, axis=0)
    assert_within(value(x1, x2, 1), expected, tolerance(expected, ms.float32))
