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
"""Sphinx configuration: sphinx-build -W -b html docs docs/_build."""
import inspect
import pathlib
import subprocess

from sphinx.util.inspect import stringify_signature

import ms_cosine_loss

project = 'ms_cosine_loss'
copyright = '2026, The ms_cosine_loss authors'
version = release = ms_cosine_loss.__version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.mathjax', 'sphinx.ext.napoleon',
              'sphinx-mathjax-offline']
exclude_patterns = ['_build', 'data']
templates_path = ['_templates']
myst_heading_anchors = 3
# Error messages keep their quotes.
smartquotes = False
# MindSpore's docstring sections that napoleon does not know.
napoleon_custom_sections = ['Inputs', ('Outputs', 'returns_style'), 'Supported Platforms']
autodoc_member_order = 'bysource'
# The types are under Args.
autodoc_typehints = 'none'

html_theme = 'furo'
pygments_dark_style = 'a11y-high-contrast-dark'
html_static_path = ['_static']
html_css_files = ['pages.css']
html_title = f'ms_cosine_loss {version}'
html_sidebars = {'**': ['sidebar/brand.html', 'language.html', 'sidebar/search.html', 'sidebar/scroll-start.html',
                        'sidebar/navigation.html', 'sidebar/scroll-end.html', 'sidebar/variant-selector.html']}


def _repository():
    """The URL that the repository was cloned from, if it is an https one; otherwise an empty string."""
    origin = subprocess.run(['git', 'remote', 'get-url', 'origin'], cwd=pathlib.Path(__file__).parent,
                            capture_output=True, text=True).stdout.strip()
    return origin.removesuffix('.git') if origin.startswith('https://') else ''


CHINESE = {'Next': '下一页', 'Previous': '上一页', 'Home': '首页', 'Search': '搜索', 'Back to top': '回到顶部',
           'On this page': '本页目录'}


def _in_chinese(text):
    return CHINESE.get(text, text)


repository = _repository()
html_theme_options = {
    'source_repository': repository, 'source_branch': 'main', 'source_directory': 'docs/',
    'footer_icons': [{'name': 'Repository', 'url': repository, 'html': 'Repository', 'class': ''}],
} if repository else {}


def _signature(app, what, name, obj, options, signature, return_annotation):
    # Sphinx would show the signature of nn.Cell.__new__, which takes any arguments.
    if what != 'class':
        return None
    return stringify_signature(inspect.signature(obj), show_annotation=False, show_return_annotation=False), None


def _other_language(app, page, template, context, doctree):
    """Gives language.html the page in the other language, or its index; keeps navigation in one language."""
    other = page[3:] if page.startswith('zh/') else f'zh/{page}'
    start = 'index' if page.startswith('zh/') else 'zh/index'
    context['is_chinese'] = page.startswith('zh/')
    context['other_language'] = other if other in app.env.found_docs else start
    if page.startswith('zh/'):
        context.update({'language': 'zh-CN', '_': _in_chinese, 'gettext': _in_chinese})
    if page == 'zh/index':
        context['prev'] = None
    if (context.get('next') or {}).get('link', '').startswith('zh/'):
        context['next'] = None


def setup(app):
    app.connect('autodoc-process-signature', _signature)
    app.connect('html-page-context', _other_language)
