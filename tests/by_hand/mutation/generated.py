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
"""Generated faults: one operator, constant or condition changed at a time."""
import ast
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One fault: `new` replaces the bytes from `start` to `end` of a file of the checkout."""

    file: str
    source: bytes = dataclasses.field(repr=False)
    start: int
    end: int
    new: str
    breaks: str = ''

    def text(self):
        """The file with the fault, as bytes."""
        return self.source[:self.start] + self.new.encode() + self.source[self.end:]

    def line(self):
        """The number of the line where the change starts."""
        return self.source.count(b'\n', 0, self.start) + 1

    def change(self):
        """The changed lines before and after, with whitespace collapsed."""
        first = self.source.rfind(b'\n', 0, self.start) + 1
        last = self.source.find(b'\n', self.end)
        after = self.source[first:self.start] + self.new.encode() + self.source[self.end:last]
        return tuple(' '.join(text.decode().split()) for text in (self.source[first:last], after))

    def name(self):
        """A unique name: the position and the change."""
        before, after = self.change()
        column = self.start - self.source.rfind(b'\n', 0, self.start)
        return f'{self.file}:{self.line()}:{column}: {before} => {after}'


# Each comparison becomes the one that differs only at equality, or its negation.
_COMPARISONS = {ast.Lt: ('<', ('<=', '>=')), ast.LtE: ('<=', ('<', '>')), ast.Gt: ('>', ('>=', '<=')),
                ast.GtE: ('>=', ('>', '<')), ast.Eq: ('==', ('!=',)), ast.NotEq: ('!=', ('==',)),
                ast.Is: ('is', ('is not',)), ast.IsNot: ('is not', ('is',)),
                ast.In: ('in', ('not in',)), ast.NotIn: ('not in', ('in',))}
_ARITHMETIC = {ast.Add: ('+', '-'), ast.Sub: ('-', '+'), ast.Mult: ('*', '/'), ast.Div: ('/', '*'),
               ast.FloorDiv: ('//', '*'), ast.Mod: ('%', '//'), ast.Pow: ('**', '*')}
_DELETED = (ast.Raise, ast.AugAssign, ast.Continue)


class _Python(ast.NodeVisitor):
    """Collects (start, end, new) from a syntax tree; leaves annotations, docstrings and messages alone."""

    def __init__(self, source):
        self.source = source
        self.lines = [0, *(match.end() for match in re.finditer(b'\n', source))]
        self.found = []
        self.visit(ast.parse(source))

    def span(self, node):
        return (self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset)

    def put(self, node, new):
        self.found.append((*self.span(node), new))

    def between(self, left, right, old, new):
        start, end = self.span(left)[1], self.span(right)[0]
        at = self.source.index(old.encode(), start, end)
        self.found.append((at, at + len(old), new))

    def generic_visit(self, node):
        for field, value in ast.iter_fields(node):
            if field in ('annotation', 'returns'):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    self.visit(each)

    def visit_JoinedStr(self, node):  # noqa: N802
        pass

    def visit_Expr(self, node):  # noqa: N802
        if isinstance(node.value, ast.Call):
            self.put(node, 'pass')
            self.generic_visit(node)

    def visit(self, node):
        if isinstance(node, _DELETED):
            self.put(node, 'pass')
        if isinstance(node, (ast.If, ast.IfExp)) and isinstance(node.test, (ast.Name, ast.Attribute, ast.Call)):
            start = self.span(node.test)[0]
            self.found.append((start, start, 'not '))
        return super().visit(node)

    def visit_Compare(self, node):  # noqa: N802
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators):
            old, news = _COMPARISONS[type(operator)]
            for new in news:
                self.between(left, right, old, new)
        self.generic_visit(node)

    def visit_BinOp(self, node):  # noqa: N802
        # Skip concatenations of strings and tuples.
        if not any(isinstance(each, (ast.Constant, ast.Tuple, ast.JoinedStr)) and not hasattr(each, 'n')
                   for each in (node.left, node.right)):
            self.between(node.left, node.right, *_ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node):  # noqa: N802
        old, new = ('and', 'or') if isinstance(node.op, ast.And) else ('or', 'and')
        for left, right in zip(node.values, node.values[1:]):
            self.between(left, right, old, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node):  # noqa: N802
        self.found.append((self.span(node)[0], self.span(node.operand)[0], ''))
        self.generic_visit(node)

    def visit_Constant(self, node):  # noqa: N802
        if isinstance(node.value, bool):
            self.put(node, str(not node.value))
        elif isinstance(node.value, (int, float)):
            self.put(node, repr(node.value + 1))


# clang-format puts spaces around binary operators.
_KERNEL = (
    (r' (<|<=|>|>=|==|!=) ', {'<': ('<=', '>='), '<=': ('<', '>'), '>': ('>=', '<='), '>=': ('>', '<'), '==': ('!=',),
                              '!=': ('==',)}),
    (r' (\+|-|\*|/|%|&|\||&&|\|\||<<|>>) ', {'+': '-', '-': '+', '*': '/', '/': '*', '%': '/', '&': '|', '|': '&',
                                            '&&': ('||',), '||': ('&&',), '<<': ('>>',), '>>': ('<<',)}),
    (r' (\+=|-=|\*=|/=|\|=|&=) ', {'+=': ('-=',), '-=': ('+=',), '*=': ('/=',), '/=': ('*=',), '|=': ('&=',),
                                   '&=': ('|=',)}),
    (r'(?:[({]|[=?:,(] |return )(-)(?=[\w(])', {'-': ('',)}),
    (r'(!)(?=[\w(])', {'!': ('',)}),
    (r'\b(true|false)\b', {'true': ('false',), 'false': ('true',)}),
    (r'(continue);', {'continue': ('',)}),
    # Not the exponents of hexadecimal floats: a threshold moved by one bit is rarely observable.
    (r'(?<![\w.])(?<!p[-+])(\d+|0x[0-9a-f]+u|\d\.\d)(?![\w.])', None),
)
_NOT_CODE = re.compile(rb'//[^\n]*|^#[^\n]*|"[^"\n]*"|^(?:typedef|extern|template) [^\n]*', re.M)


def _next(number):
    return f'{int(number[:-1], 16) + 1:#x}u' if number.startswith('0x') else f'{float(number) + 1:g}'


def of_python(file, source):
    """Returns every mutant of a Python file."""
    return [Mutant(file, source, *each) for each in _Python(source).found]


def of_kernel(file, source):
    """Returns every mutant of a C++ file; some do not compile, and some change nothing."""
    code = _NOT_CODE.sub(lambda match: b' ' * len(match[0]), source).decode('latin-1')
    found = []
    for pattern, news in _KERNEL:
        for match in re.finditer(pattern, code):
            for new in (_next(match[1]),) if news is None else news[match[1]]:
                found.append(Mutant(file, source, *match.span(1), new))
    return found
