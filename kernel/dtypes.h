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

// From a dtype to its element type: the only switch over dtypes. It does not compile if one is missing.
#ifndef MS_COSINE_LOSS_KERNEL_DTYPES_H_
#define MS_COSINE_LOSS_KERNEL_DTYPES_H_

#include <cstdint>
#include <cstdlib>
#include <type_traits>

#include "element.h"
#include "problem.h"

namespace ms_cosine_loss {
// Internal linkage, for the reason given in element.h.
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wswitch"

// Calls `use` with a zero of the type of `dtype`.
template <class Use>
inline auto with_type(Dtype dtype, const Use &use) {
  switch (dtype) {
    case Dtype::kInt8:
      return use(int8_t{});
    case Dtype::kInt16:
      return use(int16_t{});
    case Dtype::kInt32:
      return use(int32_t{});
    case Dtype::kInt64:
      return use(int64_t{});
    case Dtype::kFloat16:
      return use(Float16{});
    case Dtype::kBFloat16:
      return use(BFloat16{});
    case Dtype::kFloat32:
      return use(float{});
    case Dtype::kFloat64:
      return use(double{});
    case Dtype::kUnknown:
      break;
  }
  // The interface rejects unknown dtypes.
  std::abort();
}

#pragma GCC diagnostic pop

// The same for floating-point dtypes.
template <class Use>
inline auto with_real(Dtype dtype, const Use &use) {
  return with_type(dtype, [&use](auto zero) -> decltype(use(double{})) {
    if constexpr (std::is_integral_v<decltype(zero)>) {
      std::abort();
    } else {
      return use(zero);
    }
  });
}

inline bool is_real(Dtype dtype) {
  return dtype != Dtype::kUnknown && with_type(dtype, [](auto zero) { return !std::is_integral_v<decltype(zero)>; });
}

inline int64_t size_of(Dtype dtype) {
  return with_type(dtype, [](auto zero) { return static_cast<int64_t>(sizeof(zero)); });
}

}  // namespace
}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_DTYPES_H_
