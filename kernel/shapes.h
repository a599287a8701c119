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

// Checks that the shapes of a call fit. Python has checked known shapes; unknown shapes of a graph are checked here
// first.
#ifndef MS_COSINE_LOSS_KERNEL_SHAPES_H_
#define MS_COSINE_LOSS_KERNEL_SHAPES_H_

#include <cstdint>
#include <exception>
#include <string>

namespace ms_cosine_loss {

struct Shape {
  const int64_t *lengths;
  int rank;

  int64_t elements() const;
  bool operator==(const Shape &other) const;
  bool operator!=(const Shape &other) const { return !(*this == other); }
};

// An error for the user. MindSpore shows the message of an exception, but only the value of a return code.
class Misfit : public std::exception {
 public:
  explicit Misfit(const std::string &what) : what_("For 'CosineEmbeddingLoss', the " + what) {}
  const char *what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// `axis` counted from the front, as _checks.py resolves it. Throws a Misfit, in the words of _checks.py, where the
// logits do not fit each other, or the labels or the margin do not fit them.
int fitting_axis(const Shape &x1, const Shape &x2, const Shape &labels, const Shape &margin, int64_t axis);

// Whether a tensor can take the place of the losses, whose shape without axes may have axes of length 1 in memory.
bool fits_losses(const Shape &shape, const Shape &losses);

// Throws a Misfit where the gradient that comes in does not fit the losses.
void check_upstream(const Shape &upstream, const Shape &losses);

}  // namespace ms_cosine_loss

#endif  // MS_COSINE_LOSS_KERNEL_SHAPES_H_
