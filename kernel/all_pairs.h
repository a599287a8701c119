// Copyright 2026 The ms_cosine_loss authors
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
// http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

// The gradients where every vector of x1 meets every vector of x2: two products of the pairs' coefficients, one with x2
// and one with x1.
#ifndef MS_COSINE_LOSS_KERNEL_ALL_PAIRS_H_
#define MS_COSINE_LOSS_KERNEL_ALL_PAIRS_H_

#include "problem.h"

namespace ms_cosine_loss {

// Both gradients of `problem`, and for each tile its part in that of the margin. In one order for any threads.
void write_all_pairs(const Problem &problem, const InstructionSet &set, int threads, MarginSum *by_margin);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_ALL_PAIRS_H_
