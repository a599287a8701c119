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

// The floating-point environment that the arithmetic needs.
#ifndef MS_COSINE_LOSS_KERNEL_FLOATING_POINT_H_
#define MS_COSINE_LOSS_KERNEL_FLOATING_POINT_H_

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ms_cosine_loss {

// While it exists, the thread rounds to nearest and keeps subnormal numbers. MindSpore flushes them to 0 while it runs
// a graph, and a new thread inherits the setting.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() : before_(get()) { set(kDefault); }
  ~DefaultFloatingPoint() { set(before_); }
  DefaultFloatingPoint(const DefaultFloatingPoint &) = delete;
  DefaultFloatingPoint &operator=(const DefaultFloatingPoint &) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kDefault = 0x1f80;  // no exception traps, no flags, nothing flushed
  static uint64_t get() { return _mm_getcsr(); }
  static void set(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
  static constexpr uint64_t kDefault = 0;
  static uint64_t get() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  static constexpr uint64_t kDefault = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif

  uint64_t before_;
};

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_FLOATING_POINT_H_
