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

#include "second_order.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "dtypes.h"
#include "element.h"
#include "hinge.h"
#include "pairs.h"
#include "thread_pool.h"

namespace ms_cosine_loss {
namespace {

constexpr int64_t kPairsEach = 64;

bool is_in_range(double square) { return square >= 0x1p-960 && square <= 0x1p960; }

// Whether the hinge is open. The sums are of plain doubles, off by length * 2^-53 each, and not scaled.
bool is_open(const Problem &problem, const void *x1, const void *x2, double square1, double square2, double cosine) {
  const double error = (static_cast<double>(problem.length) + 8) * 0x1p-51;
  const double unclamped_loss = is_in_range(square1) && is_in_range(square2) ? cosine - problem.margin : 0;
  return !(settled_loss(problem, x1, x2, unclamped_loss, error) < 0);
}

// One pair: returns the part of S that belongs to an upstream gradient of 1, and adds the pair's share to the sums, or
// writes it where it shares nothing.
template <class T, class Write>
double add_pair(const Problem &problem, const SecondOrder &request, int64_t pair, const Write &write) {
  const Label label = label_of(problem, pair);
  if (label == Label::kIgnored) return 0;
  const Place place = place_of(problem, pair / problem.lanes, pair % problem.lanes);
  const T *x1 = static_cast<const T *>(problem.x1) + place.at1, *x2 = static_cast<const T *>(problem.x2) + place.at2;
  const T *v1 = static_cast<const T *>(request.direction1) + place.at1;
  const T *v2 = static_cast<const T *>(request.direction2) + place.at2;
  double product = 0, square1 = problem.eps, square2 = problem.eps, mixed_dot = 0, x1_dot_v1 = 0, x2_dot_v2 = 0;
  for (int64_t i = 0; i < problem.length; ++i) {
    const int64_t i1 = i * problem.stride1, i2 = i * problem.stride2;
    const double a = widened(x1[i1]), b = widened(x2[i2]), p = widened(v1[i1]), q = widened(v2[i2]);
    product += a * b;
    square1 += a * a;
    square2 += b * b;
    mixed_dot += p * b + a * q;
    x1_dot_v1 += a * p;
    x2_dot_v2 += b * q;
  }
  const double by_margin = label == Label::kDissimilar ? -request.margin_direction : 0;
  if (square1 == 0 || square2 == 0) return 0 < problem.margin ? 0 : by_margin;
  const double inverse = 1 / (std::sqrt(square1) * std::sqrt(square2)), cosine = product * inverse;
  if (label == Label::kDissimilar && !is_open(problem, x1, x2, square1, square2, cosine)) return 0;
  const double sign = label == Label::kSimilar ? -1 : 1;
  const double weight = sign * upstream_of(problem, pair);
  const double norm_change = x1_dot_v1 / square1 + x2_dot_v2 / square2;
  const double on_x1 = (-mixed_dot * inverse + cosine * norm_change + 2 * cosine * x1_dot_v1 / square1) / square1;
  const double on_x2 = (-mixed_dot * inverse + cosine * norm_change + 2 * cosine * x2_dot_v2 / square2) / square2;
  for (int64_t i = 0; i < problem.length; ++i) {
    const int64_t i1 = i * problem.stride1, i2 = i * problem.stride2;
    const double a = widened(x1[i1]), b = widened(x2[i2]), p = widened(v1[i1]), q = widened(v2[i2]);
    write(place.at1 + i1, weight * (inverse * q - cosine / square1 * p - inverse * norm_change * b + on_x1 * a),
          place.at2 + i2, weight * (inverse * p - cosine / square2 * q - inverse * norm_change * a + on_x2 * b));
  }
  return sign * (mixed_dot * inverse - cosine * norm_change) + by_margin;
}

// The elements of one input, whose stride is 0 where it is broadcast.
int64_t size_of_side(const Problem &problem, bool is_first) {
  int64_t size = problem.length;
  if ((is_first ? problem.lane_stride1 : problem.lane_stride2) != 0) size *= problem.lanes;
  for (int i = 0; i < problem.batch.count; ++i) {
    const Axis &axis = problem.batch.axes[i];
    if ((is_first ? axis.stride1 : axis.stride2) != 0) size *= axis.length;
  }
  return size;
}

template <class T>
void second_order_of(const Problem &problem, const SecondOrder &request, int threads) {
  T *by_x1 = static_cast<T *>(request.by_x1), *by_x2 = static_cast<T *>(request.by_x2);
  const int64_t size1 = size_of_side(problem, true), size2 = size_of_side(problem, false);
  std::vector<double> sums1(problem.is_broadcast ? size1 : 0), sums2(problem.is_broadcast ? size2 : 0);
  if (!problem.is_broadcast) {
    std::memset(static_cast<void *>(by_x1), 0, size1 * sizeof(T));
    std::memset(static_cast<void *>(by_x2), 0, size2 * sizeof(T));
  }
  const int64_t tasks = (problem.pairs + kPairsEach - 1) / kPairsEach;
  std::vector<CompensatedSum> by_scalar(tasks);
  const auto take = [&](int64_t task) {
    const int64_t end = std::min(problem.pairs, (task + 1) * kPairsEach);
    for (int64_t pair = task * kPairsEach; pair < end; ++pair) {
      double by_upstream;
      if (problem.is_broadcast) {
        by_upstream = add_pair<T>(problem, request, pair, [&](int64_t at1, double value1, int64_t at2, double value2) {
          sums1[at1] += value1;
          sums2[at2] += value2;
        });
      } else {
        by_upstream = add_pair<T>(problem, request, pair, [&](int64_t at1, double value1, int64_t at2, double value2) {
          narrow(value1, by_x1 + at1);
          narrow(value2, by_x2 + at2);
        });
      }
      if (problem.reduction == Reduction::kNone) {
        set_number(by_upstream, request.by_upstream, problem.upstream_dtype, pair);
      } else {
        by_scalar[task].add(by_upstream);
      }
    }
  };
  // Pairs that share elements are taken one after the other.
  run_in_parallel(problem.is_broadcast ? 1 : threads, tasks, take);
  if (problem.is_broadcast) {
    for (int64_t i = 0; i < size1; ++i) narrow(sums1[i], by_x1 + i);
    for (int64_t i = 0; i < size2; ++i) narrow(sums2[i], by_x2 + i);
  }
  if (problem.reduction == Reduction::kNone) return;
  CompensatedSum total;
  for (const CompensatedSum &each : by_scalar) total.add(each.total());
  set_number(reduced(problem, total.total()), request.by_upstream, problem.upstream_dtype, 0);
}

}  // namespace

void write_second_order(const Problem &problem, const SecondOrder &request, int threads) {
  with_real(problem.dtype, [&](auto zero) { second_order_of<decltype(zero)>(problem, request, threads); });
}

}  // namespace ms_cosine_loss
