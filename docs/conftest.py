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
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser


def _name(namespace):
    # MindSpore asks each function that it differentiates for its module.
    namespace['__name__'] = 'page'


pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=['*.md'], setup=_name).pytest()
