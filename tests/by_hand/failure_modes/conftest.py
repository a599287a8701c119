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
"""Options for the duration of long tests, and the fixture with which a test records what happened."""
import functools

import pytest


def pytest_addoption(parser):
    parser.addoption('--seconds', type=float, default=5, help='failure modes: seconds for which the threads call')
    parser.addoption('--steps', type=int, default=2000, help='failure modes: number of training steps')


@pytest.fixture
def outcome(record_property):
    """A function that records what happened, for the table of ``python -m tests.by_hand.failure_modes``."""
    return functools.partial(record_property, 'outcome')
