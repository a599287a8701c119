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
"""Eight threads that call at once, each with different pairs."""
import pytest

from tests.by_hand.failure_modes.answer import MODES
from tests.processes import run


@pytest.fixture
def call(request, tmp_path):
    """A function that runs eight threads and returns the outcome."""
    seconds = request.config.getoption('--seconds')

    def call(what, mode):
        return run(['-m', 'tests.by_hand.failure_modes.calling', what, str(seconds), mode], tmp_path,
                   patience=120 + 3 * seconds)

    return call


def test_kernel_by_eight_threads(call, outcome):
    """Eight threads call the kernel at once."""
    said = call('kernel', 'pynative')
    outcome(said)
    assert said.startswith('right')


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('what', ['native', 'plain'])
def test_loss_by_eight_threads_under_a_lock(call, outcome, what, mode):
    """Eight threads compute loss and gradients, one at a time under a lock."""
    said = call(what, mode)
    outcome(said)
    assert said.startswith('right')


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('what', ['native', 'plain'])
def test_loss_by_eight_threads_at_once(call, outcome, what, mode):
    """Eight threads compute loss and gradients at once, where MindSpore itself fails."""
    said = call(f'{what} at once', mode)
    if not said.startswith('right'):
        own = call('product', mode)
        assert not own.startswith('right'), said
        assert not said.startswith('wrong numbers'), said
        said += f"; the gradient of MindSpore's own multiplication: {own}"
    outcome(said)
