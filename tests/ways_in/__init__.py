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
"""Every way in which MindSpore lets a loss be used, each as a function that uses one and compares it with the truth.

A way is called with a function that makes the loss from MindSpore's own arguments, so that `mindspore.nn`'s loss can be
sent down the same ways as ours. It raises whatever stops it, and AssertionError where the numbers are wrong.

    python -m tests.ways_in

prints the table of all of them.
"""
import dataclasses
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Way:
    """One of them."""

    topic: str
    name: str
    follow: Callable


WAYS = {}


def way(topic, name):
    """Enters the function that follows a way under its `name`."""
    def enter(function):
        assert name not in WAYS
        WAYS[name] = Way(topic, name, function)
        return function

    return enter


# The modules enter their ways here when they are imported.
from tests.ways_in import derivatives, shapes, training, transport  # noqa: E402, F401
