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

// Gradients of broadcast inputs: each element sums the contributions of all pairs that share it.
#ifndef MS_COSINE_LOSS_KERNEL_BROADCAST_H_
#define MS_COSINE_LOSS_KERNEL_BROADCAST_H_

#include "problem.h"

namespace ms_cosine_loss {

// Both gradients of `problem`, whose coefficients are known. Every element is summed by one thread and in one order.
void gather_gradients(const Problem &problem, int threads);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_BROADCAST_H_
