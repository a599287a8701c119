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
"""Every way in which MindSpore uses a loss, each as a function that compares the result with the truth.

A case takes a function that makes the loss from the arguments of MindSpore's loss, so that it also runs with
`mindspore.nn`'s loss. It raises AssertionError if the numbers are wrong, or any error that stops it.

    python -m tests.compatibility

prints the table of all cases.
"""
import dataclasses
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Case:
    """One use of a loss."""

    topic: str
    name: str
    run: Callable


CASES = {}


def case(topic, name):
    """Registers the decorated function under `name`."""
    def enter(function):
        assert name not in CASES
        CASES[name] = Case(topic, name, function)
        return function

    return enter


# Importing a module registers its cases.
from tests.compatibility import derivatives, shapes, training, transport  # noqa: E402, F401
