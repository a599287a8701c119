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

// Blocks of pairs that are processed together: their position and their cosines.
#ifndef MS_COSINE_LOSS_KERNEL_BLOCKS_H_
#define MS_COSINE_LOSS_KERNEL_BLOCKS_H_

#include <cstdint>
#include <type_traits>

#include "hinge.h"
#include "pairs.h"
#include "problem.h"
#include "sums.h"
#include "tail.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// Some pairs side by side, or one contiguous row.
template <class T>
struct Block {
  const T *x1;
  const T *x2;
  int64_t offset1;
  int64_t offset2;
  int64_t first_pair;
  int count;
};

template <class T>
inline Block<T> block_at(const Problem &problem, int64_t index) {
  const int64_t blocks = problem.blocks_per_group();
  const int64_t group = blocks == 1 ? index : index / blocks;
  const int64_t lane = blocks == 1 ? 0 : (index - group * blocks) * kMaxLanes;
  const Place place = place_of(problem, group, lane);
  const int64_t lanes = problem.lanes - lane;
  return {static_cast<const T *>(problem.x1) + place.at1,
          static_cast<const T *>(problem.x2) + place.at2,
          place.at1,
          place.at2,
          place.pair,
          static_cast<int>(lanes < kMaxLanes ? lanes : kMaxLanes)};
}

// Decides the hinge of a pair, unless its loss is 0 either way. At margin 0 the sign of an exactly summed product
// decides it, unless the cosine underflows.
template <class T>
inline void settle_hinge(const Problem &problem, const Block<T> &block, int pair, const ExactSums &sums, Label label,
                         bool for_gradient, Cosine *cosine) {
  if (label != Label::kDissimilar || !(for_gradient || cosine->unclamped_loss > 0)) return;
  if (problem.margin == 0 && sums.is_product_exact && (cosine->unclamped_loss != 0 || sums.product.high == 0)) return;
  cosine->unclamped_loss =
      settled_loss(problem, block.x1 + pair * problem.lane_stride1, block.x2 + pair * problem.lane_stride2,
                   cosine->unclamped_loss, error_of_loss(problem.length));
}

// The cosines of the pairs of a block whose labels count.
template <class T>
inline void cosines_of(const Problem &problem, const Block<T> &block, const Label *labels, bool for_gradient,
                       Cosine *cosines) {
  if constexpr (std::is_same_v<T, double>) {
    ExactSums sums[kMaxLanes];
    if (problem.has_rows) {
      sums[0] = exact_sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      exact_sums_of_lanes(problem, block.x1, block.x2, block.count, sums);
    }
    for (int i = 0; i < block.count; ++i) {
      if (labels[i] == Label::kIgnored) continue;
      cosines[i] =
          is_in_range(sums[i], problem.eps)
              ? cosine_of(sums[i], labels[i], problem.eps, problem.margin)
              : scaled_cosine(block.x1 + i * problem.lane_stride1, block.x2 + i * problem.lane_stride2, problem.length,
                              problem.stride1, problem.stride2, labels[i], problem.eps, problem.margin);
      settle_hinge(problem, block, i, sums[i], labels[i], for_gradient, &cosines[i]);
    }
  } else {
    Sums<double> sums[kMaxLanes];
    if (problem.has_rows) {
      sums[0] = sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      sums_of_lanes(problem, block.x1, block.x2, block.count, sums);
    }
    bool is_done[kMaxLanes];
    bool are_all_done = true;
    for (int i = 0; i < block.count; ++i) {
      is_done[i] = labels[i] == Label::kIgnored;
      if (is_done[i]) continue;
      cosines[i] = cosine_of(sums[i], labels[i], problem.eps, problem.margin, for_gradient);
      is_done[i] = is_accurate_enough<T>(sums[i], cosines[i], for_gradient);
      are_all_done &= is_done[i];
    }
    if (are_all_done) return;
    ExactSums exact_sums[kMaxLanes];
    if (problem.has_rows) {
      exact_sums[0] = exact_sums_of_rows(block.x1, block.x2, problem.length);
    } else {
      exact_sums_of_lanes(problem, block.x1, block.x2, block.count, exact_sums);
    }
    for (int i = 0; i < block.count; ++i) {
      if (is_done[i]) continue;
      cosines[i] = cosine_of(exact_sums[i], labels[i], problem.eps, problem.margin);
      settle_hinge(problem, block, i, exact_sums[i], labels[i], for_gradient, &cosines[i]);
    }
  }
}

template <class T>
inline bool labels_of(const Problem &problem, const Block<T> &block, Label *labels) {
  bool is_any_counted = false;
  for (int i = 0; i < block.count; ++i) {
    labels[i] = label_of(problem, block.first_pair + i);
    is_any_counted |= labels[i] != Label::kIgnored;
  }
  return is_any_counted;
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_BLOCKS_H_
