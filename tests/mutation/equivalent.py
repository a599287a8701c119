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
_IMPLEMENTATIONS = 'ms_cosine_loss/implementations'

EQUIVALENT = {
    (_IMPLEMENTATIONS + '/plain.py',
     'is_worth_runs = axis == 1 and (is_compiling() or x1.size > _FEW_ELEMENTS)',
     'is_worth_runs = axis == 1 and (is_compiling() or x1.size >= _FEW_ELEMENTS)'):
        'both ways are as exact; which is faster there nobody can tell',
    (_IMPLEMENTATIONS + '/_sums.py', 'if x.ndim == 2 and axis == 1:', 'if x.ndim == 2 and axis == 2:'):
        'a short cut: what follows gives the same sums by way of two reshapes more',
    (_IMPLEMENTATIONS + '/_sums.py', 'if length > 1:', 'if length >= 1:'): 'the sum of one element is that element',
    (_IMPLEMENTATIONS + '/native.py', '@functools.lru_cache(maxsize=256)',
     '@functools.lru_cache(maxsize=257)'):
        'which settings are made anew nobody can tell',
    (_IMPLEMENTATIONS + '/_sums.py', 'if x.dtype == float32 and x.ndim > 2 and axis < last:',
     'if x.dtype == float32 and x.ndim <= 2 and axis < last:'):
        'a short cut too: what follows is right for any rank, and matrices are summed over their columns elsewhere',
    (_IMPLEMENTATIONS + '/_losses.py', 'dlosses = dout + zeros', 'dlosses = dout - zeros'):
        'the zeros only give the shape',
    (_IMPLEMENTATIONS + '/_losses.py', 'dmargin = 0.0', 'dmargin = 1.0'): 'nobody can ask for the gradient of a number',
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
