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
"""Helpers that compile a loss for unknown shapes and check batches against the truth."""
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ms_cosine_loss import CosineEmbeddingLoss
from tests import truth
from tests.st.evaluation import HALVES, UNIT, arithmetic, array, assert_within, tensor, tolerance, ulp


class _Weighted(nn.Cell):
    """A loss times its upstream gradient."""

    def __init__(self, loss, dtype):
        super().__init__()
        self.loss = loss
        self.dtype = arithmetic(dtype)

    def construct(self, x1, x2, labels, upstream):
        # Widened, because on CPU MindSpore has no bfloat16 gradient of a product of unknown shape.
        return ops.cast(self.loss(x1, x2, labels), self.dtype) * upstream


class _Gradient(nn.Cell):
    """The gradients with respect to both logits, as a Cell, because only a Cell has set_inputs."""

    def __init__(self, weighted):
        super().__init__()
        self.weighted = weighted
        self.grad = ops.GradOperation(get_all=True)

    def construct(self, x1, x2, labels, upstream):
        return self.grad(self.weighted)(x1, x2, labels, upstream)[:2]


def compile_for(shapes, dtype=ms.float32, **settings):
    """Returns the loss and its gradients, each compiled as one graph for the given shapes, in which None is unknown."""
    inputs = [Tensor(shape=shape, dtype=each) for shape, each in zip(shapes, (dtype, dtype, ms.int32))]
    upstream = Tensor(shape=shapes[2] if settings['reduction'] == 'none' else (), dtype=arithmetic(dtype))
    loss = CosineEmbeddingLoss(**settings)
    gradient = _Gradient(_Weighted(CosineEmbeddingLoss(**settings), dtype))
    loss.set_inputs(*inputs)
    gradient.set_inputs(*inputs, upstream)
    return loss, gradient


def check_batch(compiled, x1, x2, labels, reduction, dtype=ms.float32, axis=1, **settings):
    """Checks the values and gradients of one batch against the truth."""
    inputs = tensor(x1, dtype), tensor(x2, dtype), tensor(labels, ms.int32)
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    full1, full2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    finite1, finite2 = (np.where(np.isfinite(full), full, 1.0) for full in (full1, full2))
    expected = truth.reduced(truth.pair_losses(finite1, finite2, labels, axis=axis, **settings), reduction)
    found = compiled[0](*inputs)
    assert found.dtype == dtype
    assert_within(array(found), expected, tolerance(expected, dtype, labels.size if reduction == 'sum' else 1))

    upstream = np.random.default_rng(60).integers(1, 16, labels.shape if reduction == 'none' else ()) / 8
    share = np.broadcast_to(upstream / labels.size if reduction == 'mean' else upstream, labels.shape)
    expected = truth.gradients(finite1, finite2, labels, share, axis=axis, **settings)
    for each, truly, logits in zip(compiled[1](*inputs, tensor(upstream, arithmetic(dtype))), expected, (x1, x2)):
        repeated = tuple(i for i, length in enumerate(logits.shape) if length != shape[i])
        size = np.linalg.norm(np.abs(truly).sum(axis=repeated, keepdims=True))
        # The contract's 1e-6 for float32, relative to what is summed for a repeated row; a half is also rounded once
        # for each repeat and once at the end.
        allowed = 1e-6 * size if arithmetic(dtype) == ms.float32 else 40 * UNIT[dtype] * size
        assert_within(array(each), truly.sum(axis=repeated, keepdims=True),
                      allowed + (2 * ulp(size, dtype) if dtype in HALVES else 0))
        assert (array(each)[~np.isfinite(logits)] == 0).all()
