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
"""What code has to ask of the graph that it may be compiled into."""
from collections.abc import Sequence
from typing import Any, Optional

from mindspore.ops import PrimitiveWithInfer, constexpr


@constexpr(check=False)
def is_known(*shapes: Optional[Sequence[Optional[int]]]) -> bool:
    """Whether every length of every shape is known, which it is not while a graph with dynamic shapes compiles."""
    return all(shape is not None and all(length is not None and length >= 0 for length in shape) for shape in shapes)


class _IsCompiling(PrimitiveWithInfer):
    """True in a graph, which infers the value; False in PyNative, which calls it."""

    def __init__(self) -> None:
        super().__init__('IsCompiling')
        self.set_const_prim(True)

    def __infer__(self) -> dict[str, Any]:
        return {'dtype': None, 'shape': None, 'value': True}

    def __call__(self) -> bool:
        return False


is_compiling = _IsCompiling()
"""Whether the caller is being compiled into a graph."""
