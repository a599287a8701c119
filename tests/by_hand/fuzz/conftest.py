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
"""The number of inputs drawn, and their seed: ``python -m pytest tests/by_hand/fuzz --draws 3000``.

The inputs are the same every time; ``--hypothesis-seed 7`` draws others.
"""
import mindspore as ms
import pytest
from hypothesis import HealthCheck, settings


def pytest_addoption(parser):
    parser.addoption('--draws', type=int, default=50, help='approximate number of inputs that each test draws')


def pytest_configure(config):
    # No database, so that runs are independent, and no deadline, because the first call of a shape compiles a graph.
    settings.register_profile('fuzz', max_examples=config.getoption('--draws'), deadline=None, database=None,
                              derandomize=config.getoption('--hypothesis-seed') is None, print_blob=False,
                              suppress_health_check=list(HealthCheck))
    settings.load_profile('fuzz')


def _in(mode):
    before = ms.get_context('mode')
    ms.set_context(mode=mode)
    yield
    ms.set_context(mode=before)


@pytest.fixture
def _pynative():
    yield from _in(ms.PYNATIVE_MODE)


@pytest.fixture
def _graph():
    yield from _in(ms.GRAPH_MODE)


@pytest.fixture
def forced(implementation):
    """The name of each implementation, forced."""
    return implementation.name
