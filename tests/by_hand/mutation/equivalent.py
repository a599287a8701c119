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
"""Mutants that no test could tell from the original, each with the reason: file, line before, line after."""
EQUIVALENT = {
    ('ms_cosine_loss/implementations/native.py', '@functools.lru_cache(maxsize=256)',
     '@functools.lru_cache(maxsize=257)'):
        'which settings are made anew nobody can tell',
    ('ms_cosine_loss/implementations/plain.py', '@functools.lru_cache(maxsize=1024)',
     '@functools.lru_cache(maxsize=1025)'):
        'which constants are made anew nobody can tell',
    ('kernel/thread_pool.cc', 'return count == 0 ? 1 : static_cast<int>(count);',
     'return count == 0 ? 2 : static_cast<int>(count);'): 'for systems that cannot say how many processors they have',
    ('kernel/sums.h', 'for (; i < end; i += kWidth) {', 'for (; i <= end; i += kWidth) {'):
        'a rest of no elements is one of zeros, which add nothing',
    ('kernel/gradients.h',
     'for (; i + kSteps * kStep <= length; i += kSteps * kStep) write(i, std::integral_constant<int, kSteps>());',
     'for (; i + kSteps * kStep < length; i += kSteps * kStep) write(i, std::integral_constant<int, kSteps>());'):
        'single steps write the same',
    ('kernel/element.h', 'to->bits = static_cast<uint16_t>((bits >> 16) | 0x40u);',
     'to->bits = static_cast<uint16_t>((bits >> 16) | 0x41u);'): 'another NaN',
    ('kernel/layout.cc', 'problem->is_broadcast = false;', 'problem->is_broadcast = true;'):
        'the gradients of what broadcasts are gathered in a second pass, which is right for all and slower',
}
