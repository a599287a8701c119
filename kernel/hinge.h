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

// Whether the hinge of a dissimilar pair is open, for first and second derivatives and for broadcast pairs.
#ifndef MS_COSINE_LOSS_KERNEL_HINGE_H_
#define MS_COSINE_LOSS_KERNEL_HINGE_H_

#include <cmath>

#include "problem.h"

namespace ms_cosine_loss {

// The sign of cos - margin for the pair whose vectors begin at x1 and x2, by exact arithmetic. 0 if it is not finite.
int exact_sign_of_loss(const Problem &problem, const void *x1, const void *x2);

// Internal linkage, for the reason given in element.h.
namespace {

// `unclamped_loss` is cos - margin with an error of at most `error`. The result is below 0 (the hinge is closed) only
// if the exact value is, and above 0 only if the exact value is. NaN is returned unchanged.
inline double settled_loss(const Problem &problem, const void *x1, const void *x2, double unclamped_loss,
                           double error) {
  if (!(std::fabs(unclamped_loss) <= error)) return unclamped_loss;
  const int sign = exact_sign_of_loss(problem, x1, x2);
  if (sign < 0) return -error;
  return sign == 0 ? 0 : std::fmax(unclamped_loss, 0);
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_HINGE_H_
