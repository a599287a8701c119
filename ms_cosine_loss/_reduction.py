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
"""From the losses of the pairs to the result: the one place where 'none', 'sum' and 'mean' are told apart."""
from mindspore import Tensor, mint, nn, ops

from ms_cosine_loss._rules import constant, is_known

_zeros = ops.Zeros()


class _Total(nn.Cell):
    """The sum of all elements, with right second derivatives in PyNative for whatever is done to it afterwards."""

    def construct(self, losses):
        return mint.sum(losses)

    def bprop(self, losses, out, dout):
        return (dout + _zeros(losses.shape, losses.dtype),)


_total = _Total()


def _reduce_nothing(shape, reduction, dtype):
    """The reduction of an empty batch, which MindSpore's own sums would read from stale memory."""
    if reduction == 'none':
        return _zeros(shape, dtype)
    if reduction == 'sum':
        return Tensor(0.0, dtype)
    return Tensor(float('nan'), dtype)


def reduce_losses(losses, reduction, dtype):
    """`losses` reduced in their own dtype, and rounded once, to `dtype`."""
    if not is_known(losses.shape):
        if reduction == 'sum':
            losses = mint.sum(losses)
        if reduction == 'mean':
            losses = mint.mean(losses)
        return ops.cast(losses, dtype)
    if losses.size == 0:
        return _reduce_nothing(losses.shape, reduction, dtype)
    if reduction != 'none':
        count = losses.size
        losses = _total(losses)
        if reduction == 'mean':
            losses = losses / constant(count, losses.dtype)
    return ops.cast(losses, dtype)
