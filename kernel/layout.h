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

// From the shapes of a call to strides.
#ifndef MS_COSINE_LOSS_KERNEL_LAYOUT_H_
#define MS_COSINE_LOSS_KERNEL_LAYOUT_H_

#include <cstdint>

#include "problem.h"

namespace ms_cosine_loss {

// Fills in the strides and the batch of `problem`, for shapes that fit each other.
void lay_out(const int64_t *shape1, const int64_t *shape2, int rank, int axis, Problem *problem);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_LAYOUT_H_
