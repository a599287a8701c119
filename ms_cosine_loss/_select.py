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
"""Which implementation computes the cosines, and why."""
import dataclasses

from mindspore import context
from mindspore.ops import constexpr

from ms_cosine_loss import _plain


@dataclasses.dataclass(frozen=True)
class Implementation:
    """One way to compute the cosine of each pair.

    Attributes:
        name: what the user calls it.
        devices: the device targets that it runs on.
        unavailable: why it cannot run in this installation; empty where it can.
    """

    name: str
    devices: tuple
    unavailable: str = ''

    def refusal(self, device):
        """Why this implementation cannot run on `device`; empty where it can."""
        if self.unavailable:
            return self.unavailable
        if device not in self.devices:
            return f"it runs on {', '.join(self.devices)}, not on {device}"
        return ''


PLAIN = Implementation('plain', ('Ascend', 'GPU', 'CPU'))

IMPLEMENTATIONS = (PLAIN,)
"""All of them, the preferred one first."""


def select(device, implementations=IMPLEMENTATIONS):
    """The first of `implementations` that can run on `device`.

    Raises:
        RuntimeError: If none can; the message gives the reason of each.
    """
    refusals = []
    for implementation in implementations:
        refusal = implementation.refusal(device)
        if not refusal:
            return implementation
        refusals.append(f"'{implementation.name}': {refusal}")
    raise RuntimeError(f"For 'CosineEmbeddingLoss', no implementation can run: {'; '.join(refusals)}.")


@constexpr(reuse_result=False)
def _selected():
    return select(context.get_context('device_target')).name


# Beside the records and not in them, because a graph can look up a function in a dict but not in an object.
_COSINES = {PLAIN.name: _plain.cosines}


def cosines(logits_x1, logits_x2, labels, axis, eps):
    """The cosine of each pair, by the implementation that this process's device selects."""
    return _COSINES[_selected()](logits_x1, logits_x2, labels, axis, eps)
