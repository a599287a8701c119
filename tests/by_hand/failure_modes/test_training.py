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
"""Memory does not keep growing in a long training."""
import json

import pytest

from tests.by_hand.failure_modes.answer import MODES
from tests.processes import run

# MiB that the allocator may retain. Leaking 16 floats in each of 20,000 steps would take 1.2.
SLACK = 1.0

# In PyNative, MindSpore retains about 4 KiB per step, for one multiplication or twenty, and about 2 KiB more for each
# sum, tile or zeros, of which plain has several. These are multiples of what it retains for one multiplication.
PRODUCTS = {'native': 1.25, 'plain': 6}


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('which', ['native', 'plain'])
def test_training_steps(request, tmp_path, outcome, which, mode):
    """Memory of the process during a long training."""
    steps = request.config.getoption('--steps')

    def train(which):
        marks = run(['-m', 'tests.by_hand.failure_modes.training', which, mode, str(steps)], tmp_path,
                    patience=300 + steps // 10)
        assert marks.startswith('['), marks
        start, middle, end, milliseconds = json.loads(marks)
        return end - start, (f'{start} MiB after 1000 steps, {middle} after {steps // 2} more, {end} after {steps}; '
                             f'{milliseconds} ms per step')

    growth, said = train(which)
    limit = SLACK
    if mode == 'pynative':
        own, said_of_own = train('product')
        limit += PRODUCTS[which] * own
        said += f". With one MindSpore multiplication as the loss: {said_of_own}"
    outcome(said)
    assert growth <= limit
