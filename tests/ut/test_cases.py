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
"""The choice of test cases by tests/conftest.py, among mock tests."""
import itertools
import types

from tests.conftest import each_value_once


class _Item:
    def __init__(self, name, **indices):
        self.nodeid = name
        if indices:
            self.nodeid += '[' + '-'.join(map(str, indices.values())) + ']'
            self.callspec = types.SimpleNamespace(indices=indices, _idlist=[*map(str, indices.values())])


def test_each_value_meets_each_mode_and_implementation():
    items = [_Item('f', mode=mode, implementation=implementation, dtype=dtype, reduction=reduction)
             for mode, implementation, dtype, reduction in itertools.product(range(2), range(2), range(4), range(3))]
    chosen = [each.callspec.indices for each in each_value_once(items)]
    # As many as there are pairs of a mode and a value of the longest parameter.
    assert len(chosen) == 2 * 4
    for name in ('mode', 'implementation'):
        for index in range(2):
            assert {each['dtype'] for each in chosen if each[name] == index} == set(range(4))
            assert {each['reduction'] for each in chosen if each[name] == index} == set(range(3))
    assert len({(each['mode'], each['implementation']) for each in chosen}) == 4


def test_tests_without_parameters_are_chosen():
    items = [_Item('f'), _Item('g'), _Item('h', dtype=0)]
    assert each_value_once(items) == set(items)
