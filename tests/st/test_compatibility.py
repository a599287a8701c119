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
"""Every way in which MindSpore uses a loss: the result is right, or an error listed here."""
import dataclasses
import sys

import mindspore as ms
import pytest
from mindspore import nn

from ms_cosine_loss import CosineEmbeddingLoss
from tests.compatibility import CASES
from tests.st.evaluation import RELEASE


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The error of a case; None stands for every mode, and for every loss, including MindSpore's own."""

    match: str
    mode: int = None
    implementation: str = None

    def holds(self, mode, implementation):
        """Returns whether the error is expected for the mode and the implementation."""
        return self.mode in (None, mode) and self.implementation in (None, implementation)


REFUSALS = {
    'jacfwd': Refusal('Type Join Failed'),
    # MindSpore passes the `bprop` of a Cell vmap's internal form of its inputs, and in PyNative not even that.
    'grad of vmap': Refusal("'tuple' and 'int'|'Tuple' object has no attribute|requires the forward inputs",
                            implementation='plain'),
}
if ms.get_context('device_target') == 'CPU':
    REFUSALS['DynamicLossScaleManager'] = Refusal('are supported on device `CPU`')
    # MindSpore has no kernel on CPU that detects overflows.
    REFUSALS['TrainOneStepWithLossScaleCell'] = Refusal('unsupported data type|Kernel select failed')
if ms.get_context('device_target') == 'Ascend':
    # MindSpore cannot compile a graph that branches on overflows.
    for case in ('DynamicLossScaleManager', 'TrainOneStepWithLossScaleCell'):
        REFUSALS[case] = Refusal('contains ConditionSwitch', ms.GRAPH_MODE)
if sys.version_info >= (3, 12):
    REFUSALS['jit of the whole step, bytecode'] = Refusal('does not support Python 3.12')
    # In a graph, the loss is compiled together with its caller.
    REFUSALS['jit of the loss, bytecode'] = Refusal('does not support Python 3.12', ms.PYNATIVE_MODE)
if RELEASE < (2, 10):
    # With the version of protobuf that pip installs.
    REFUSALS['Model.train, SummaryCollector'] = Refusal('does not support item assignment')


def _run(name, make_loss, mode, implementation):
    refusal = REFUSALS.get(name)
    if refusal is None or not refusal.holds(mode, implementation):
        CASES[name].run(make_loss)
        return
    with pytest.raises(Exception, match=refusal.match):
        CASES[name].run(make_loss)


@pytest.mark.parametrize('name', CASES)
def test_case(name, mode, implementation):
    _run(name, CosineEmbeddingLoss, mode, implementation.name)


@pytest.mark.parametrize('name', [name for name, refusal in REFUSALS.items() if refusal.implementation is None])
def test_what_is_refused_to_all_is_refused_to_mindspore_too(name, mode):
    _run(name, nn.CosineEmbeddingLoss, mode, None)
