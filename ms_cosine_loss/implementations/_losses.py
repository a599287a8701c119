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
"""From the cosines to the result: what a label means, the hinge and the reduction."""
from typing import Any, Union

from mindspore import Tensor, mint, nn, ops

from ms_cosine_loss._rules import DISSIMILAR, SIMILAR, constant, is_known, wide
from ms_cosine_loss.implementations._sums import sum_of_all

# One instance, because second derivatives in graph mode cannot pass the cache of the functional form.
_zeros = ops.Zeros()


class _ReducedLosses(nn.Cell):
    """The sum of the losses of the pairs over `divisor`; with `divisor` 0 each loss, in `shape`. NaN stays NaN.

    The `bprop` is linear in the gradient that comes in, so that differentiating it again is right too. It keeps the
    gradient of a pair so parallel that rounding put its cosine above 1, and it gives PyNative the right second
    derivatives that MindSpore's own sums and reshapes do not.
    """

    def construct(self, cosine: Tensor, labels: Tensor, margin: Union[float, Tensor], divisor: int,
                  shape: tuple[int, ...]) -> Tensor:
        if isinstance(margin, Tensor):
            hinge = cosine - ops.cast(margin, cosine.dtype)
        else:
            hinge = cosine - constant(margin, cosine.dtype)
        is_similar, is_dissimilar = labels == SIMILAR, labels == DISSIMILAR
        # Zeros fails here in a step that `jit` compiles from bytecode, and a number for them under vmap before 2.8.
        zeros = ops.cast(ops.logical_and(is_similar, is_dissimilar), cosine.dtype)
        losses = ops.select(is_similar, 1.0 - cosine, ops.select(is_dissimilar, hinge, zeros))
        losses = ops.select(losses < 0, zeros, losses)
        if divisor == 0:
            return ops.reshape(losses, shape)
        losses = sum_of_all(losses)
        if divisor > 1:
            losses = losses / divisor
        return losses

    def bprop(self, cosine: Tensor, labels: Tensor, margin: Union[float, Tensor], divisor: int,
              shape: tuple[int, ...], out: Tensor, dout: Tensor
              ) -> tuple[Tensor, Tensor, Union[float, Tensor], int, tuple[()]]:
        zeros = _zeros(labels.shape, cosine.dtype)
        if divisor == 0:
            dout = ops.reshape(dout, labels.shape)
        if divisor > 1:
            dout = dout / divisor
        dlosses = dout + zeros
        if isinstance(margin, Tensor):
            threshold = ops.cast(margin, cosine.dtype)
        else:
            # A hinge at -1 is never closed, though rounding may put a cosine below it.
            threshold = constant(margin if margin > -1 else -2, cosine.dtype)
        is_open = ops.logical_and(labels == DISSIMILAR, cosine >= threshold)
        dmargin = 0.0
        if isinstance(margin, Tensor):
            dmargin = ops.cast(-mint.sum(ops.select(is_open, dlosses, zeros)), margin.dtype)
        dcosine = ops.select(labels == SIMILAR, -dlosses, ops.select(is_open, dlosses, zeros))
        return dcosine, _zeros(labels.shape, labels.dtype), dmargin, 0, ()


_reduced_losses = _ReducedLosses()


def _empty(shape: tuple[int, ...], reduction: str, dtype: Any) -> Tensor:
    """The result of an empty batch, which MindSpore's own sums would read from stale memory."""
    if reduction == 'none':
        # Cast, because before 2.8 there are no zeros of bfloat16 in PyNative on CPU.
        return ops.cast(_zeros(shape, wide(dtype)), dtype)
    if reduction == 'sum':
        return Tensor(0.0, dtype)
    return Tensor(float('nan'), dtype)


def reduced_losses(cosine: Tensor, labels: Tensor, margin: Union[float, Tensor], reduction: str, shape: tuple[int, ...],
                   dtype: Any) -> Tensor:
    """The losses of the pairs under `reduction`, computed in the dtype of `cosine` and rounded once, to `dtype`.

    Args:
        cosine (Tensor): The cosine of each pair.
        labels (Tensor): The labels, in the shape of `cosine`.
        margin (Union[float, Tensor]): The margin.
        reduction (str): The reduction.
        shape (tuple): The shape of the result if nothing is reduced.
        dtype (mindspore.dtype): The dtype of the result.
    """
    if not is_known(shape):
        losses = _reduced_losses(cosine, labels, margin, 0, shape)
        if reduction != 'none':
            # One loss of 0 more, because the sum of none would be read from stale memory.
            losses = sum_of_all(ops.concat((ops.reshape(losses, (-1,)), _zeros((1,), losses.dtype))))
        if reduction == 'mean':
            losses = losses / labels.size
        return ops.cast(losses, dtype)
    if labels.size == 0:
        return _empty(shape, reduction, dtype)
    divisor = 0
    if reduction == 'sum':
        divisor = 1
    if reduction == 'mean':
        divisor = labels.size
    return ops.cast(_reduced_losses(cosine, labels, margin, divisor, shape), dtype)
