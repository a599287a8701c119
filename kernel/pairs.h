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

// What belongs to one pair beside its vectors: its label, its loss, its upstream gradient.
#ifndef MS_COSINE_LOSS_KERNEL_PAIRS_H_
#define MS_COSINE_LOSS_KERNEL_PAIRS_H_

#include "element.h"
#include "problem.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

enum class Label { kIgnored, kSimilar, kDissimilar };

template <class Bits>
inline Label label_from(const void *labels, int64_t pair, Bits one, Bits minus_one) {
  const Bits label = static_cast<const Bits *>(labels)[pair];
  return label == one ? Label::kSimilar : label == minus_one ? Label::kDissimilar : Label::kIgnored;
}

inline Label label_of(const Problem &problem, int64_t pair) {
  switch (problem.labels_dtype) {
    case Dtype::kInt8:
      return label_from<int8_t>(problem.labels, pair, 1, -1);
    case Dtype::kInt16:
      return label_from<int16_t>(problem.labels, pair, 1, -1);
    case Dtype::kInt32:
      return label_from<int32_t>(problem.labels, pair, 1, -1);
    case Dtype::kInt64:
      return label_from<int64_t>(problem.labels, pair, 1, -1);
    case Dtype::kFloat16:
      return label_from<uint16_t>(problem.labels, pair, 0x3c00u, 0xbc00u);
    case Dtype::kBFloat16:
      return label_from<uint16_t>(problem.labels, pair, 0x3f80u, 0xbf80u);
    case Dtype::kFloat32:
      return label_from<float>(problem.labels, pair, 1, -1);
    default:
      return label_from<double>(problem.labels, pair, 1, -1);
  }
}

inline double number_at(const void *numbers, Dtype dtype, int64_t index) {
  switch (dtype) {
    case Dtype::kFloat16:
      return widened(static_cast<const Float16 *>(numbers)[index]);
    case Dtype::kBFloat16:
      return widened(static_cast<const BFloat16 *>(numbers)[index]);
    case Dtype::kFloat32:
      return static_cast<const float *>(numbers)[index];
    default:
      return static_cast<const double *>(numbers)[index];
  }
}

inline void set_number(double value, void *numbers, Dtype dtype, int64_t index) {
  switch (dtype) {
    case Dtype::kFloat16:
      return narrow(value, static_cast<Float16 *>(numbers) + index);
    case Dtype::kBFloat16:
      return narrow(value, static_cast<BFloat16 *>(numbers) + index);
    case Dtype::kFloat32:
      return narrow(value, static_cast<float *>(numbers) + index);
    default:
      return narrow(value, static_cast<double *>(numbers) + index);
  }
}

// A sum over the pairs under the reduction, 'mean' or 'sum'.
inline double reduced(const Problem &problem, double sum) {
  return problem.reduction == Reduction::kMean ? sum / static_cast<double>(problem.pairs) : sum;
}

// The gradient that comes in for the loss of a pair.
inline double upstream_of(const Problem &problem, int64_t pair) {
  if (problem.reduction == Reduction::kNone) return number_at(problem.upstream, problem.upstream_dtype, pair);
  return reduced(problem, number_at(problem.upstream, problem.upstream_dtype, 0));
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_PAIRS_H_
