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
"""Without enough memory for its result or temporaries, the loss raises one error, and the next call is right."""
import pytest

from tests.by_hand.failure_modes.answer import MODES
from tests.processes import run


def _try(cwd, *arguments):
    return run(['-m', 'tests.by_hand.failure_modes.out_of_memory', *arguments], cwd)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('how', ['value', 'gradient'])
@pytest.mark.parametrize('what', ['native', 'plain'])
def test_out_of_memory(tmp_path, outcome, what, how, mode):
    """Out of memory with 400 million pairs."""
    said = _try(tmp_path, what, how, mode)
    if 'emory' not in said:
        # MindSpore's own operators raise errors that do not mention memory.
        assert what == 'plain', said
        said += " (MindSpore's message)"
    outcome(f'{said}; the next call is right')
    assert said.startswith(('RuntimeError: ', 'MemoryError: '))
