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
"""Processes forked from one that has used the loss, and interruptions."""
import pytest

from tests.by_hand.failure_modes.answer import MODES
from tests.by_hand.failure_modes.forked import WAYS
from tests.processes import run

# A right answer takes at most 8 s on two busy cores.
PATIENCE = 25


def test_interrupted_compilation_of_a_graph(tmp_path, outcome):
    """Ctrl-C while MindSpore compiles the loss."""
    said = run(['-m', 'tests.by_hand.failure_modes.interrupted'], tmp_path, patience=400)
    outcome(said)
    assert said.endswith('the next call is right each time')
    assert not said.startswith('0 of')


@pytest.mark.parametrize('child', MODES)
@pytest.mark.parametrize('parent', MODES)
@pytest.mark.parametrize('what', ['native', 'plain'])
@pytest.mark.parametrize('way', WAYS)
def test_fork_after_first_use(tmp_path, outcome, way, what, parent, child):
    """A child forked after first use calls the loss: fork, implementation, parent's mode, child's mode."""
    said = run(['-m', 'tests.by_hand.failure_modes.forked', way, what, parent, child], tmp_path, PATIENCE)
    outcome(said)
    # MindSpore restarts its threads only in its own processes.
    if way == 'mindspore.multiprocessing.Process':
        assert said == 'right'
    else:
        assert said.startswith("RuntimeError: For 'CosineEmbeddingLoss', this process was forked from one that had")
