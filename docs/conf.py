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
"""How Sphinx builds the documentation: sphinx-build -W -b html docs docs/_build."""
import inspect
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import plots
from sphinx.util.inspect import stringify_signature

import ms_cosine_loss

project = 'ms_cosine_loss'
copyright = '2026, The ms_cosine_loss authors'
version = release = ms_cosine_loss.__version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.mathjax', 'sphinx.ext.napoleon',
              'sphinx-mathjax-offline']
exclude_patterns = ['_build', 'data']
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
# MindSpore's sections of a docstring, which napoleon does not know.
napoleon_custom_sections = ['Inputs', ('Outputs', 'returns_style'), 'Supported Platforms']
autodoc_member_order = 'bysource'
# The types stand under Args, in MindSpore's words.
autodoc_typehints = 'none'

html_theme = 'furo'
html_static_path = ['_static']
html_css_files = ['formulas.css']
html_title = f'ms_cosine_loss {version}'


def _signature(app, what, name, obj, options, signature, return_annotation):
    # Sphinx would show that of nn.Cell.__new__, which takes everything.
    if what != 'class':
        return None
    return stringify_signature(inspect.signature(obj), show_annotation=False, show_return_annotation=False), None


def setup(app):
    """Draws the plots before the pages that show them are read."""
    app.connect('autodoc-process-signature', _signature)
    app.connect('builder-inited', lambda app: plots.draw_all(pathlib.Path(app.srcdir) / '_plots'))
