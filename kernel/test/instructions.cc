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

// The program that instructions.sh counts: identical calls on one thread, on one pair of long rows whose cosine is 0.7.
//
//     instructions dtype upstream calls
//
// Runs forward if `upstream` is 0, otherwise backward.
#include <cstdlib>
#include <cstring>

#include "reference.h"

int main(int, char **argv) {
  using reference::Buffer;
  const double upstream = std::strtod(argv[2], nullptr);
  // A new buffer is filled with one byte value, so all its elements are equal.
  const reference::Shape shape = {1, 16384};
  const Buffer x1(argv[1], shape), x2(argv[1], shape), labels("int32", {1}, std::vector<double>{1}),
      packed("int64", {4});
  std::memset(x2.data(), 0, x2.bytes() / 2);
  Buffer margin("int64", {});
  reference::Settings settings = {0, 1e-12, 0, 1, 1};
  settings.write(packed);
  settings.write_margin(&margin);
  const Buffer losses("float32", {1}), from_above("float32", {1}, std::vector<double>{upstream});
  const Buffer gradient1(argv[1], shape), gradient2(argv[1], shape), margin_gradient("int64", {});
  const bool is_forward = upstream == 0;
  const reference::Call call(is_forward ? std::vector<const Buffer *>{&x1, &x2, &labels, &packed, &margin, &losses}
                                        : std::vector<const Buffer *>{&x1, &x2, &labels, &packed, &margin, &from_above,
                                                                      &gradient1, &gradient2, &margin_gradient});
  for (int left = std::atoi(argv[3]); left > 0; --left) {
    if (call.run(is_forward ? ms_cosine_loss_forward_of_each : ms_cosine_loss_backward) != 0) {
      reference::fail("a call was refused");
    }
  }
}
