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

import mindspore as ms
import pytest
from mindspore import mint, ops

from ms_cosine_loss import _losses, _plain, _rules

HOMES = {'ops': ops, 'mint': mint}
# What Python's own operators call.
METHODS = {ast.Add: '__add__', ast.Sub: '__sub__', ast.Mult: '__mul__', ast.Div: '__truediv__', ast.Eq: '__eq__',
           ast.Lt: '__lt__', ast.GtE: '__ge__', ast.USub: '__neg__'}
# What those are documented as.
FUNCTIONS = {'__add__': ops.add, '__sub__': ops.sub, '__mul__': ops.mul, '__truediv__': ops.div, '__eq__': ops.equal,
             '__lt__': ops.less, '__ge__': ops.ge, '__neg__': ops.neg}


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


@pytest.mark.parametrize('method', sorted(METHODS.values()))
def test_what_pythons_operators_call(method):
    assert hasattr(ms.Tensor, method)
    documented = _platforms(FUNCTIONS[method])
    for platform in ('Ascend', 'GPU', 'CPU'):
        assert platform in documented


def test_no_other_operator_of_python_is_used():
    used = {type(node.op) for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.BinOp)}
    # Lengths and shapes are divided too, in Python.
    assert used <= {*METHODS, ast.FloorDiv, ast.Mod, ast.Pow}
