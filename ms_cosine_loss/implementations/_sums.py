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
"""Sums that are right to about one unit in the last place whatever their length, which MindSpore's own are not."""
from mindspore import Tensor, float32, float64, mint, ops
from mindspore.ops import constexpr

# One instance, because second derivatives in graph mode cannot pass the cache of the functional form.
_zeros = ops.Zeros()

# On CPU a sum of float32 goes on in 16 lanes at once and is most exact in whole rounds of them; float64 has one lane.
_RUNS = (32, 16)
_RUNS_OF_FLOAT64 = (4,)
_SHORTEST_RUN = 4


@constexpr
def _steps(length: int, runs: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """How to sum `length` elements in `runs`, the longest first: for each step the padding and the run.

    The sums of a step are what the next step sums. Runs that need no padding are preferred.
    """
    steps = []
    while length > _SHORTEST_RUN:
        padding = -length % runs[-1]
        length += padding
        run = next(run for run in runs if length % run == 0)
        steps.append((padding, run))
        length //= run
    if length > 1:
        steps.append((0, length))
    return tuple(steps)


def _sum_rows(x: Tensor, runs: tuple[int, ...]) -> Tensor:
    """The sum of each row of a matrix, in runs: a matrix of one column."""
    for padding, run in _steps(x.shape[1], runs):
        count = (x.shape[1] + padding) // run
        if padding > 0:
            x = ops.cat((x, _zeros((x.shape[0], padding), x.dtype)), 1)
        if count == 1:
            x = mint.sum(x, 1, True)
        else:
            x = ops.reshape(mint.sum(ops.reshape(x, (-1, run)), 1), (-1, count))
    return x


def sum_along(x: Tensor, axis: int) -> Tensor:
    """The sum over `axis`, which keeps its place, to about one unit in the last place whatever the length.

    On CPU the rounding errors of a sum pile up with the length, to 1e-4 at 1e5 elements of float32, so it is done in
    runs. Only the sum of a float32 tensor of rank 3 or more is exact, and slow for the last axis.
    """
    last = x.ndim - 1
    if x.dtype == float32 and x.ndim > 2 and axis < last:
        return mint.sum(x, axis, True)
    runs: tuple[int, ...] = _RUNS if x.dtype == float32 else _RUNS_OF_FLOAT64
    if x.ndim == 2 and axis == 1:
        return _sum_rows(x, runs)
    if axis < last:
        x = ops.swapaxes(x, axis, last)
    sums = ops.reshape(_sum_rows(ops.reshape(x, (-1, x.shape[last])), runs), (*x.shape[:-1], 1))
    if axis < last:
        sums = ops.swapaxes(sums, axis, last)
    return sums


def sum_along_unknown(x: Tensor, axis: int) -> Tensor:
    """The same where the shape, or even the rank, is not known, and runs cannot be planned."""
    # By its shape the sum of float32 becomes exact.
    x = ops.expand_dims(x, -1)
    axis = axis if axis >= 0 else axis - 1
    total = mint.sum(x, axis, True)
    if x.dtype == float64:
        # As in `sum_of_all`.
        total = total + mint.sum(ops.stop_gradient(x - total / x.shape[axis]), axis, True)
    return mint.sum(total, -1)


def sum_of_all(x: Tensor) -> Tensor:
    """The sum of all elements of a tensor of any rank, to about one unit in the last place of their mean."""
    # By its shape the sum of float32 becomes exact. A reshape would crash a step that `jit` compiles from bytecode.
    total = mint.sum(ops.expand_dims(ops.expand_dims(x, 0), -1))
    if x.dtype == float64:
        # What is left beside the mean is summed almost without an error. It is rounding, and has no gradient.
        total = total + mint.sum(ops.stop_gradient(x - total / x.size))
    return total
