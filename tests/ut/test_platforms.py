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
"""The plain implementation is for every device, so MindSpore has to document each of its operators for all of them."""
import ast
import inspect
import re

import pytest
from mindspore import mint, ops

from ms_cosine_loss import _losses, _plain, _rules

HOMES = {'ops': ops, 'mint': mint}
# What Python's own operators between tensors are documented as.
OPERATORS = {ast.Add: ops.add, ast.Sub: ops.sub, ast.Mult: ops.mul, ast.Div: ops.div, ast.USub: ops.neg,
             ast.Eq: ops.equal, ast.Lt: ops.less, ast.GtE: ops.ge}
# And those that stand between numbers, lengths, dtypes and shapes alone.
OF_PYTHON = {ast.FloorDiv, ast.Mod, ast.Pow, ast.Not, ast.NotEq, ast.Gt, ast.Is, ast.IsNot, ast.NotIn, ast.In}


def _named(tree):
    return {(node.value.id, node.attr) for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in HOMES}


def _trees():
    return [ast.parse(inspect.getsource(module)) for module in (_plain, _losses, _rules)]


NAMED = sorted(set().union(*(_named(tree) for tree in _trees())))


def _platforms(function):
    documented = re.search('Supported Platforms:\n(.*)', function.__doc__)
    if documented:
        return documented[1]
    # Some say no more than where to look.
    elsewhere = re.search(r'(?:Refer to|Alias for) :func:`mindspore\.ops\.(\w+)`', function.__doc__)
    assert elsewhere, f'{function} says nothing of platforms'
    return _platforms(getattr(ops, elsewhere[1]))


def test_they_were_found():
    assert ('mint', 'sum') in NAMED
    assert ('ops', 'sqrt') in NAMED


@pytest.mark.parametrize(('home', 'name'), NAMED)
def test_operators(home, name):
    documented = _platforms(getattr(HOMES[home], name))
    for platform in ('Ascend', 'GPU', 'CPU'):
        assert platform in documented


@pytest.mark.parametrize('function', OPERATORS.values(), ids=lambda function: function.__name__)
def test_operators_of_python(function):
    documented = _platforms(function)
    for platform in ('Ascend', 'GPU', 'CPU'):
        assert platform in documented


def test_no_other_operator_of_python_is_used():
    nodes = [node for tree in _trees() for node in ast.walk(tree)]
    used = {type(node.op) for node in nodes if isinstance(node, (ast.BinOp, ast.UnaryOp))}
    used |= {type(each) for node in nodes if isinstance(node, ast.Compare) for each in node.ops}
    assert used >= {ast.Mult, ast.USub, ast.Lt}
    assert used <= {*OPERATORS} | OF_PYTHON
