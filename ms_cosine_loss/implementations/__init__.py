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
"""The implementations of the loss as data: one file and one row each."""
from ms_cosine_loss.implementations import native, plain
from ms_cosine_loss.implementations.record import Conditions, Implementation

NATIVE = Implementation('native', native.loss, ('CPU',), can_be_sharded=False,
                        can_become_onnx=False, max_rank=native.MAX_RANK, unavailable=native.UNAVAILABLE)
PLAIN = Implementation('plain', plain.loss, ('Ascend', 'GPU', 'CPU'))

IMPLEMENTATIONS = (NATIVE, PLAIN)
"""All of them, the preferred one first."""

__all__ = ['IMPLEMENTATIONS', 'NATIVE', 'PLAIN', 'Conditions', 'Implementation']
