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
"""The package's metadata, its public names, and the operators that it uses."""
import ast
import importlib.metadata
import importlib.resources
import inspect
import pathlib
import re

import mindspore
import pytest
from mindspore import mint, nn, ops
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import ms_cosine_loss

NAMESPACES = {'ops': ops, 'mint': mint, 'nn': nn}

# Names in these namespaces that do not compute on a device.
NO_OPERATORS = {'ops.constexpr'}

# MindSpore's operators for Python's. Those on plain numbers count too, which does no harm.
OPERATORS = {ast.Add: 'ops.add', ast.Sub: 'ops.sub', ast.Mult: 'ops.mul', ast.Div: 'ops.div',
             ast.FloorDiv: 'ops.floor_div', ast.Mod: 'ops.floor_mod', ast.Pow: 'ops.pow', ast.MatMult: 'ops.matmul',
             ast.USub: 'ops.neg', ast.Invert: 'ops.bitwise_not', ast.Not: 'ops.logical_not',
             ast.BitAnd: 'ops.bitwise_and', ast.BitOr: 'ops.bitwise_or', ast.BitXor: 'ops.bitwise_xor',
             ast.LShift: 'ops.bitwise_left_shift', ast.RShift: 'ops.bitwise_right_shift',
             ast.Eq: 'ops.equal', ast.NotEq: 'ops.not_equal', ast.Lt: 'ops.less', ast.LtE: 'ops.less_equal',
             ast.Gt: 'ops.greater', ast.GtE: 'ops.greater_equal'}

NOT_ON_TENSORS = (ast.Is, ast.IsNot, ast.In, ast.NotIn)

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = pathlib.Path(inspect.getfile(ms_cosine_loss)).parent
TREES = {str(path.relative_to(FOLDER)): ast.parse(path.read_text('utf-8')) for path in sorted(FOLDER.rglob('*.py'))}


def _named_operators(tree):
    """Yields each operator that a module names, such as 'ops.select' or 'mint.sum'."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in NAMESPACES:
            yield f'{node.value.id}.{node.attr}'
        if isinstance(node, ast.ImportFrom) and node.module in ('mindspore.ops', 'mindspore.mint', 'mindspore.nn'):
            for alias in node.names:
                yield f"{node.module.split('.')[1]}.{alias.name}"


def _python_operators(tree):
    """Yields each operator that a Python operator may call on Tensors."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.AugAssign)):
            yield OPERATORS[type(node.op)]
        if isinstance(node, ast.Compare):
            for sign in node.ops:
                if not isinstance(sign, NOT_ON_TENSORS):
                    yield OPERATORS[type(sign)]


def _operators():
    found = set()
    for tree in TREES.values():
        named = set(_named_operators(tree)) - NO_OPERATORS
        found |= named
        # Python operators count only in modules with Tensors, which also name operators.
        if any(name.startswith(('ops.', 'mint.')) for name in named):
            found |= set(_python_operators(tree))
    return sorted(found)


def _platforms(operator):
    namespace, name = operator.split('.')
    docstring = getattr(NAMESPACES[namespace], name).__doc__
    documented = re.search(r'Supported Platforms:\s*\n\s*(.+)', docstring)
    if documented:
        return set(documented[1].split())
    # Some only refer to another operator.
    return _platforms(re.search(r'(?:Alias for|Refer to) :func:`mindspore\.(\w+\.\w+)', docstring)[1])


def test_operators_are_found():
    # The test below would pass if no operators were found.
    assert {'mint.sum', 'ops.select', 'ops.sqrt', 'ops.mul', 'ops.div'} <= set(_operators())


@pytest.mark.parametrize('operator', _operators())
def test_operator_is_documented_for_every_device(operator):
    assert {'``Ascend``', '``GPU``', '``CPU``'} <= _platforms(operator)


def test_nothing_sets_the_device_or_the_mode():
    # These settings belong to the user.
    for tree in TREES.values():
        names = {getattr(node, 'attr', getattr(node, 'id', '')) for node in ast.walk(tree)}
        assert not names & {'set_context', 'set_device', 'set_auto_parallel_context', 'set_seed'}


def test_version_is_the_one_in_the_metadata():
    assert ms_cosine_loss.__version__ == importlib.metadata.version('ms_cosine_loss')


def test_version_is_the_one_that_is_cited():
    cited = re.search(r'^version: (.+)$', (ROOT / 'CITATION.cff').read_text('utf-8'), re.M)[1]
    assert cited == ms_cosine_loss.__version__


def test_version_is_the_newest_in_the_changelog():
    newest = re.search(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text('utf-8'), re.M)[1]
    assert newest == ms_cosine_loss.__version__


def test_types_are_shipped():
    assert importlib.resources.files('ms_cosine_loss').joinpath('py.typed').is_file()


def test_public_names():
    assert sorted(ms_cosine_loss.__all__) == [
        'CosineEmbeddingLoss', 'ImplementationStatus', 'cosine_embedding_loss', 'get_implementation',
        'get_implementation_status', 'set_implementation', 'use_implementation']
    assert issubclass(ms_cosine_loss.CosineEmbeddingLoss, nn.LossBase)
    assert inspect.isfunction(ms_cosine_loss.cosine_embedding_loss)


@pytest.mark.parametrize(('name', 'signature'), [
    ('CosineEmbeddingLoss', "(margin=0.0, reduction='mean', *, axis=1, eps=1e-12)"),
    ('cosine_embedding_loss',
     "(logits_x1, logits_x2, labels, margin=0.0, reduction='mean', *, axis=1, eps=1e-12)")])
def test_public_signature(name, signature):
    found = inspect.signature(getattr(ms_cosine_loss, name))
    untyped = [each.replace(annotation=each.empty) for each in found.parameters.values()]
    assert str(found.replace(parameters=untyped, return_annotation=found.empty)) == signature


@pytest.mark.parametrize(('name', 'specifier'), [
    # MindSpore's wheels fail at the first operation with NumPy 2.
    ('mindspore', '>=2.7,<3'), ('numpy', '>=1.25,<2')])
def test_requirement_is_in_the_metadata(name, specifier):
    requirements = [Requirement(line) for line in importlib.metadata.requires('ms_cosine_loss')]
    [requirement] = [each for each in requirements if each.name == name and each.marker is None]
    assert requirement.specifier == SpecifierSet(specifier)


def test_nothing_else_is_required():
    requirements = [Requirement(line) for line in importlib.metadata.requires('ms_cosine_loss')]
    assert {each.name for each in requirements if each.marker is None} == {'mindspore', 'numpy'}


def test_the_installed_mindspore_is_a_required_one():
    assert SpecifierSet('>=2.7,<3').contains(mindspore.__version__)


def test_python_versions_are_those_of_mindspores_wheels():
    assert SpecifierSet(importlib.metadata.metadata('ms_cosine_loss')['Requires-Python']) == SpecifierSet('>=3.9,<3.13')
