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
"""Runs the Python of every page: python -m pytest docs/*.md."""
import sys
import types

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser


class _Page(types.ModuleType):
    """The module that MindSpore looks for of each function that it compiles: its names are those of the page."""

    def __init__(self, namespace):
        super().__init__('page')
        self._namespace = namespace

    @property
    def __dict__(self):
        return self._namespace


def _as_module(namespace):
    namespace['__name__'] = 'page'
    sys.modules['page'] = _Page(namespace)


pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=['*.md'], setup=_as_module).pytest()
