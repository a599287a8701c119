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
"""Runs the Python code of every page: python -m pytest docs/*.md docs/zh/*.md README*.md."""
import doctest
import os
import pathlib
import sys
import tempfile
import types

import mindspore as ms
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

ROOT = pathlib.Path(__file__).resolve().parents[1]


class _Page(types.ModuleType):
    """The page's names as a module, because MindSpore looks up the module of each function that it compiles."""

    def __init__(self, namespace):
        super().__init__('page')
        self._namespace = namespace

    @property
    def __dict__(self):
        return self._namespace


def _set_up(namespace):
    namespace['__name__'] = 'page'
    sys.modules['page'] = _Page(namespace)
    # A page may leave graph mode on.
    ms.set_context(mode=ms.PYNATIVE_MODE)
    # Pages export files, and a failed compilation leaves some.
    os.chdir(tempfile.mkdtemp())


def _tear_down(namespace):
    os.chdir(ROOT)


class _Pages:
    pytest_collect_file = staticmethod(
        Sybil(path=str(ROOT), parsers=[PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)], patterns=['*.md'],
              setup=_set_up, teardown=_tear_down).pytest())


def pytest_configure(config):
    """Registers a plugin, so that the READMEs outside this folder are run too."""
    config.pluginmanager.register(_Pages())
