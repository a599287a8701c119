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
"""Chinese pages have the code of the English ones, whose examples are run, and do not wrap; plots fit their data."""
import hashlib
import pathlib
import re

import pytest

from tests.processes import ROOT

DOCS = pathlib.Path(ROOT) / 'docs'
PAGES = {'README_CN.md': (DOCS.parent / 'README.md', DOCS.parent / 'README_CN.md'),
         **{page.name: (DOCS / page.name, page) for page in sorted(DOCS.glob('zh/*.md'))}}


def _code(page):
    blocks = re.findall(r'^```(?:python|bash)\n(.*?)^```', page.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)
    # Comments are translated.
    return [re.sub(r'\s*#.*', '', block).strip() for block in blocks]


@pytest.mark.parametrize('name', PAGES)
def test_translated_pages_show_the_same_code(name):
    english, chinese = PAGES[name]
    assert _code(chinese) == _code(english)


@pytest.mark.parametrize('name', PAGES)
def test_chinese_paragraphs_do_not_wrap(name):
    # A line break would be rendered as a space.
    text = PAGES[name][1].read_text(encoding='utf-8')
    assert not re.findall(r'.*[\u3000-\u9fff\uff00-\uffef][ \n][\u3000-\u9fff\uff00-\uffef].*', text)


@pytest.mark.parametrize('name', ['error-dark', 'error-light', 'growth', 'near_parallel'])
def test_plots_fit_their_data(name):
    # Otherwise run docs/plots.py.
    plot = (DOCS / '_static' / f'{name}.svg').read_text(encoding='utf-8')
    data, digest = re.search(r'docs/data/(\S+) (\w+)', plot).groups()
    assert hashlib.sha256((DOCS / 'data' / data).read_bytes()).hexdigest() == digest
