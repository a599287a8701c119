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
"""Records of an implementation and of the conditions of a call."""
import dataclasses
import math
from typing import Callable, NamedTuple

from mindspore import Tensor


class Conditions(NamedTuple):
    """What decides which implementation runs.

    Attributes:
        device: the device target.
        parallel_mode: MindSpore's parallel mode.
        rank: the number of axes of the logits; 0 if unknown when the graph is compiled.
        is_onnx_export: whether the call is being compiled for an ONNX file.
    """

    device: str
    parallel_mode: str = 'stand_alone'
    rank: int = 2
    is_onnx_export: bool = False


@dataclasses.dataclass(frozen=True)
class Implementation:
    """One way to compute the loss.

    Attributes:
        name: its name for the user.
        loss: the function, without checks; `margin` is a float or a Tensor of shape ().
        devices: the device targets that it runs on.
        can_be_sharded: whether MindSpore can shard it.
        can_become_onnx: whether ONNX has its operators.
        max_rank: the maximal rank of the logits.
        unavailable: why it cannot run in this installation; empty if it can.
    """

    name: str
    loss: Callable[..., Tensor]
    devices: tuple[str, ...]
    can_be_sharded: bool = True
    can_become_onnx: bool = True
    max_rank: float = math.inf
    unavailable: str = ''

    def refusal(self, conditions: Conditions) -> str:
        """Why this implementation cannot run under `conditions`; empty if it can."""
        if self.unavailable:
            return self.unavailable
        if conditions.device not in self.devices:
            return f"it runs on {', '.join(self.devices)}, not on {conditions.device}"
        if not self.can_be_sharded and conditions.parallel_mode not in ('stand_alone', 'data_parallel'):
            return f"it cannot be sharded in parallel mode '{conditions.parallel_mode}'"
        if not self.can_become_onnx and conditions.is_onnx_export:
            return "ONNX has no operator for it; export inside use_implementation('plain')"
        if conditions.rank > self.max_rank:
            return f'it takes logits of at most {self.max_rank} axes'
        return ''
