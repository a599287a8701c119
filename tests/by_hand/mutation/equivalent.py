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
"""Mutants that no test can distinguish from the original: (file, line before, line after) and the reason."""
EQUIVALENT = {
    ('ms_cosine_loss/implementations/native.py', '@functools.lru_cache(maxsize=256)',
     '@functools.lru_cache(maxsize=257)'):
        'which settings are cached is not observable',
    ('ms_cosine_loss/implementations/plain.py', '@functools.lru_cache(maxsize=1024)',
     '@functools.lru_cache(maxsize=1025)'):
        'which constants are cached is not observable',
    ('kernel/thread_pool.cc', 'return count == 0 ? 1 : static_cast<int>(count);',
     'return count == 0 ? 2 : static_cast<int>(count);'):
        'only on systems that cannot report their number of processors',
    ('kernel/sums.h', 'for (; i < end; i += kWidth) {', 'for (; i <= end; i += kWidth) {'):
        'an empty remainder is all zeros, which add nothing',
    ('kernel/gradients.h',
     'for (; i + kSteps * kStep <= length; i += kSteps * kStep) write(i, std::integral_constant<int, kSteps>());',
     'for (; i + kSteps * kStep < length; i += kSteps * kStep) write(i, std::integral_constant<int, kSteps>());'):
        'single steps write the same numbers',
    ('kernel/element.h', 'to->bits = static_cast<uint16_t>((bits >> 16) | 0x40u);',
     'to->bits = static_cast<uint16_t>((bits >> 16) | 0x41u);'): 'another NaN payload',
    ('kernel/layout.cc', 'problem->is_broadcast = false;', 'problem->is_broadcast = true;'):
        'broadcast gradients are gathered in a second pass, which is right for all inputs but slower',
}
