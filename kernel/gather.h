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

// The gradient of a broadcast input, a run of elements at a time.
#ifndef MS_COSINE_LOSS_KERNEL_GATHER_H_
#define MS_COSINE_LOSS_KERNEL_GATHER_H_

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "broadcast.h"
#include "pairs.h"
#include "problem.h"
#include "sums.h"
#include "vectors.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

// kWidth elements that lie `step` apart, of which `count` are left.
template <class T>
inline Doubles load_strided(const T *from, int64_t step, int64_t count) {
  if (step <= 1) return load_lanes(from, step, count);
  T each[kWidth] = {};
  for (int i = 0; i < kWidth && i < count; ++i) each[i] = from[i * step];
  return load(each);
}

// Where a run begins, and how many elements it has.
struct Run {
  Place place;
  int64_t start;
  int64_t count;

  Run(const Side &side, int64_t index) {
    const int64_t runs = parts_of(side.run.length, kRunLength);
    place = place_of(side.retained, index / runs);
    start = index % runs * kRunLength;
    count = side.run.length - start < kRunLength ? side.run.length - start : kRunLength;
    place.at1 += start * side.run.stride1;
    place.at2 += start * side.run.stride2;
    place.pair += start * side.run.stride_of_pairs;
  }
};

inline void add(Doubles value, int64_t i, RunOfSums *sums) {
  Doubles error;
  store<false>(two_sum(load(sums->sums + i), value, &error), sums->sums + i);
  store<false>(load(sums->compensations + i) + error, sums->compensations + i);
}

// The contributions of pairs of which some are scaled.
inline void add_scaled(const Side &side, const Place &place, int64_t count, RunOfSums *sums) {
  const double *own = static_cast<const double *>(side.own) + place.at1;
  const double *other = static_cast<const double *>(side.other) + place.at2;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t pair = place.pair + i * side.run.stride_of_pairs;
    const double cross = side.cross[pair], self = side.self[pair];
    if (cross == 0 && self == 0) continue;
    const int exponent = side.own_exponents[pair];
    const double value = cross * std::ldexp(other[i * side.run.stride2], -side.other_exponents[pair]) +
                         self * std::ldexp(own[i * side.run.stride1], -exponent);
    double error;
    sums->sums[i] = two_sum(sums->sums[i], std::ldexp(value, -exponent), &error);
    sums->compensations[i] += error;
  }
}

inline bool is_any_scaled(const Side &side, const Place &place, int64_t count) {
  const int64_t step = side.run.stride_of_pairs;
  for (int64_t i = 0; i < (step == 0 ? 1 : count); ++i) {
    const int64_t pair = place.pair + i * step;
    if (side.own_exponents[pair] != 0 || side.other_exponents[pair] != 0) return true;
  }
  return false;
}

// The contributions of one reduced index. Pairs without a gradient have the coefficients 0, whatever they hold.
template <class T>
inline void add_run(const Side &side, const Place &place, int64_t count, RunOfSums *sums) {
  const T *own = static_cast<const T *>(side.own) + place.at1;
  const T *other = static_cast<const T *>(side.other) + place.at2;
  const int64_t own_step = side.run.stride1, other_step = side.run.stride2;
  const double *crosses = side.cross + place.pair, *selves = side.self + place.pair;
  if (side.run.stride_of_pairs == 0) {
    if (*crosses == 0 && *selves == 0) return;
    const Doubles cross = Doubles{} + *crosses, self = Doubles{} + *selves;
    for (int64_t i = 0; i < count; i += kWidth) {
      const Doubles a = load_strided(own + i * own_step, own_step, count - i);
      const Doubles b = load_strided(other + i * other_step, other_step, count - i);
      add(fused_multiply_add(b, cross, a * self), i, sums);
    }
    return;
  }
  for (int64_t i = 0; i < count; i += kWidth) {
    const Doubles cross = load_lanes(crosses + i, 1, count - i), self = load_lanes(selves + i, 1, count - i);
    const Longs counts = (cross != 0) | (self != 0);
    const Doubles a = masked(load_strided(own + i * own_step, own_step, count - i), counts);
    const Doubles b = masked(load_strided(other + i * other_step, other_step, count - i), counts);
    add(fused_multiply_add(b, cross, a * self), i, sums);
  }
}

template <class T>
inline void gather_run_of(const Side &side, int64_t index, int64_t first, int64_t last, RunOfSums *sums) {
  const Run run(side, index);
  const int64_t bytes = parts_of(run.count, kWidth) * sizeof(Doubles);
  std::memset(sums->sums, 0, bytes);
  std::memset(sums->compensations, 0, bytes);
  for (int64_t reduced = first; reduced < last; ++reduced) {
    const Place step = place_of(side.reduced, reduced);
    const Place place = {run.place.at1 + step.at1, run.place.at2 + step.at2, run.place.pair + step.pair};
    if constexpr (std::is_same_v<T, double>) {
      if (is_any_scaled(side, place, run.count)) {
        add_scaled(side, place, run.count, sums);
        continue;
      }
    }
    add_run<T>(side, place, run.count, sums);
  }
}

template <bool kStream, class T>
inline void write_run_to(const RunOfSums &sums, int64_t count, int64_t step, T *to) {
  for (int64_t i = 0; i < count; i += kWidth) {
    const Doubles compensation = load(sums.compensations + i);
    // With NaN or infinity the compensation has no meaning.
    const Doubles value = load(sums.sums + i) + masked(compensation, compensation == compensation);
    if (step == 1 && i + kWidth <= count) {
      store<kStream>(value, to + i);
    } else {
      for (int k = 0; k < kWidth && i + k < count; ++k) narrow(value[k], to + (i + k) * step);
    }
  }
}

template <class T>
inline void write_run_of(const Side &side, int64_t index, const RunOfSums &sums) {
  const Run run(side, index);
  T *to = static_cast<T *>(side.gradient) + run.place.at1;
  if (side.is_streamed && reinterpret_cast<uintptr_t>(to) % (8 * kWidth) == 0) {
    write_run_to<true>(sums, run.count, side.run.stride1, to);
  } else {
    write_run_to<false>(sums, run.count, side.run.stride1, to);
  }
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_GATHER_H_
