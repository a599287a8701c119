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

#include <cstdint>

#include "problem.h"

namespace ms_cosine_loss {

// The elements of a gradient that are summed together. A multiple of every kWidth.
constexpr int kRunLength = 1024;

// One input's gradient. The first stride of an axis and the first offset of a place are this input's, the second the
// other's.
struct Side {
  Axes retained;
  Axes reduced;
  // The axis that is cut into runs.
  Axis run;
  int64_t runs;
  int64_t reduced_size;
  Dtype dtype;
  const void *own;
  const void *other;
  void *gradient;
  bool is_streamed;
  const double *cross;
  const double *self;
  const int *own_exponents;
  const int *other_exponents;
};

// The sums of a run and their rounding errors.
struct alignas(64) RunOfSums {
  double sums[kRunLength];
  double compensations[kRunLength];
};

// Both gradients of `problem`, whose coefficients are known, some `task_elements` contributions a task. Every element
// is summed in one order.
void gather_gradients(const Problem &problem, const InstructionSet &set, int64_t task_elements, int threads);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_BROADCAST_H_
