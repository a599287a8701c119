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

// The gradient of the gradient.
#ifndef MS_COSINE_LOSS_KERNEL_SECOND_ORDER_H_
#define MS_COSINE_LOSS_KERNEL_SECOND_ORDER_H_

#include "problem.h"

namespace ms_cosine_loss {

// The derivatives of the scalar S = <gradient 1, direction1> + <gradient 2, direction2> + margin gradient *
// margin_direction by each input of the backward pass. All have the dtype of the logits, except that of the upstream
// gradient.
struct SecondOrder {
  const void *direction1;
  const void *direction2;
  double margin_direction;
  void *by_x1;
  void *by_x2;
  void *by_upstream;
};

void write_second_order(const Problem &problem, const SecondOrder &request, int threads);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_SECOND_ORDER_H_
