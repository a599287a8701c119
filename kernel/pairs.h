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

// One pair: its label, loss and upstream gradient.
#ifndef MS_COSINE_LOSS_KERNEL_PAIRS_H_
#define MS_COSINE_LOSS_KERNEL_PAIRS_H_

#include "dtypes.h"
#include "element.h"
#include "problem.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

enum class Label { kIgnored, kSimilar, kDissimilar };

template <class Number>
inline Label label_from(Number label, Number one, Number minus_one) {
  return label == one ? Label::kSimilar : label == minus_one ? Label::kDissimilar : Label::kIgnored;
}

template <class T>
inline Label label_from(T label) {
  return label_from<T>(label, 1, -1);
}
inline Label label_from(Float16 label) { return label_from<uint16_t>(label.bits, 0x3c00u, 0xbc00u); }
inline Label label_from(BFloat16 label) { return label_from<uint16_t>(label.bits, 0x3f80u, 0xbf80u); }

inline Label label_of(const Problem &problem, int64_t pair) {
  return with_type(problem.labels_dtype,
                   [&](auto zero) { return label_from(static_cast<const decltype(zero) *>(problem.labels)[pair]); });
}

// Those of some pairs that lie `step` apart.
inline void read_labels(const Problem &problem, int64_t first, int64_t step, int count, Label *labels) {
  with_type(problem.labels_dtype, [&](auto zero) {
    const auto *from = static_cast<const decltype(zero) *>(problem.labels) + first;
    for (int i = 0; i < count; ++i) labels[i] = label_from(from[i * step]);
  });
}

inline double number_at(const void *numbers, Dtype dtype, int64_t index) {
  return with_real(dtype, [&](auto zero) { return widened(static_cast<const decltype(zero) *>(numbers)[index]); });
}

inline void set_number(double value, void *numbers, Dtype dtype, int64_t index) {
  with_real(dtype, [&](auto zero) { narrow(value, static_cast<decltype(zero) *>(numbers) + index); });
}

// The offsets of a pair's vectors, and the index of the pair.
struct Place {
  int64_t at1;
  int64_t at2;
  int64_t pair;
};

// Of the element `index` of some axes.
inline Place place_of(const Axes &axes, int64_t index) {
  Place place = {0, 0, 0};
  const auto step = [&place](const Axis &axis, int64_t steps) {
    place.at1 += steps * axis.stride1;
    place.at2 += steps * axis.stride2;
    place.pair += steps * axis.stride_of_pairs;
  };
  for (int i = axes.count - 1; i > 0; --i) {
    const Axis &axis = axes.axes[i];
    step(axis, index % axis.length);
    index /= axis.length;
  }
  if (axes.count > 0) step(axes.axes[0], index);
  return place;
}

// Of a pair: a lane of a group of them.
inline Place place_of(const Problem &problem, int64_t group, int64_t lane) {
  const Place place = place_of(problem.batch, group);
  return {place.at1 + lane * problem.lane_stride1, place.at2 + lane * problem.lane_stride2, place.pair + lane};
}

// A sum over the pairs under the reduction, 'mean' or 'sum'.
inline double reduced(const Problem &problem, double sum) {
  return problem.reduction == Reduction::kMean ? sum / static_cast<double>(problem.pairs) : sum;
}

// The upstream gradient of a pair's loss.
inline double upstream_of(const Problem &problem, int64_t pair) {
  if (problem.reduction == Reduction::kNone) return number_at(problem.upstream, problem.upstream_dtype, pair);
  return reduced(problem, number_at(problem.upstream, problem.upstream_dtype, 0));
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_PAIRS_H_
