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

// Drives the kernel through the interface that MindSpore calls, with random shapes, dtypes, labels and settings, on
// tensors aligned only to their elements, and checks every result against reference.h. sanitize.sh builds it with the
// sanitizers.
//
//     driver [cases] [seed]
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "reference.h"

namespace {

using reference::Buffer;
using reference::call;
using reference::fail;
using reference::Settings;
using reference::Shape;
using reference::size_of;

struct Case {
  std::mt19937_64 random;
  std::string dtype, labels_dtype;
  Shape shape1, shape2, labels_shape;
  int64_t axis, reduction;
  double margin, eps;

  template <class T>
  T pick(std::initializer_list<T> from) {
    return *(from.begin() + random() % from.size());
  }
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); }

  explicit Case(uint64_t seed, bool is_large) : random(seed) {
    dtype = pick<std::string>({"float16", "bfloat16", "float32", "float64"});
    labels_dtype = pick<std::string>({"int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"});
    if (random() % 4 == 0) {
      choose_all_pairs(is_large ? 150000 : 20000);
    } else {
      choose_shapes(is_large);
    }
    for (int i = 0; i < static_cast<int>(shape1.size()); ++i) {
      if (i != axis) labels_shape.push_back(shape1[i] == 1 ? shape2[i] : shape1[i]);
    }
    reduction = static_cast<int64_t>(random() % 3);
    margin = pick<double>({0, 0.5, -1, 1, uniform(-1, 1)});
    eps = pick<double>({0, 1e-12, 1e-12, 1e-3});
  }

  // Every vector of one input against every vector of the other, with sizes around those of groups, panels and tiles.
  void choose_all_pairs(int64_t most) {
    do {
      const int64_t outer = pick<int64_t>({1, 1, 2, 3});
      const int64_t count1 = pick<int64_t>({7, 8, 9, 12, 17, 63, 64, 65, 130});
      const int64_t count2 = pick<int64_t>({8, 9, 11, 13, 23, 24, 25, 49, 263, 264, 265, 530});
      const int64_t length = pick<int64_t>({1, 2, 3, 5, 8, 17, 33, 67, 127, 128, 130, 265});
      shape1 = {outer, count1, 1, length}, shape2 = {outer, 1, count2, length};
    } while (size_of(shape1) * shape2[2] > most);
    if (random() % 2) shape1.swap(shape2);
    axis = 3;
  }

  void choose_shapes(bool is_large) {
    const int rank = 1 + static_cast<int>(random() % 4);
    axis = static_cast<int64_t>(random() % rank);
    do {
      shape1.clear();
      for (int i = 0; i < rank; ++i) {
        shape1.push_back(pick<int64_t>({0, 1, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 127, 130, 1031}));
      }
    } while (size_of(shape1) > 4096);
    if (is_large) {
      for (int64_t &length : shape1) length += length == 0;
      shape1[random() % rank] *= 150000 / size_of(shape1);
    }
    shape2 = shape1;
    for (int i = 0; i < rank; ++i) {
      if (i != axis && random() % 4 == 0) (random() % 2 ? shape1 : shape2)[i] = 1;
    }
  }

  std::vector<double> vectors(const Shape &shape) {
    std::vector<double> numbers(size_of(shape));
    const double scale = pick<double>({1, 1, 1e-2, 30, 1e-25});
    for (double &number : numbers) number = random() % 16 ? scale * std::normal_distribution<double>()(random) : 0;
    return numbers;
  }
};

void run(uint64_t seed, bool is_large) {
  Case of(seed, is_large);
  const Buffer x1(of.dtype, of.shape1, of.vectors(of.shape1));
  const Buffer x2(
      of.dtype, of.shape2, of.random() % 4 || of.shape1 != of.shape2 ? of.vectors(of.shape2) : [&] {
        std::vector<double> same(x1.size());
        for (int64_t i = 0; i < x1.size(); ++i) same[i] = x1.get(i) * (1 + of.pick<double>({0, 1e-2, 1e-5}));
        return same;
      }());
  std::vector<double> label_numbers(size_of(of.labels_shape));
  for (double &label : label_numbers) label = of.pick<double>({1, -1, 1, -1, 0, 2});
  const Buffer labels(of.labels_dtype, of.labels_shape, label_numbers);
  const Shape result_shape = of.reduction == 0 ? of.labels_shape : Shape{};
  const Buffer upstream(of.dtype, result_shape, of.vectors(result_shape));
  const Buffer direction1(of.dtype, of.shape1, of.vectors(of.shape1));
  const Buffer direction2(of.dtype, of.shape2, of.vectors(of.shape2));
  Settings settings = {of.margin, of.eps, of.reduction, of.axis, 1};
  const Buffer packed("int64", {4});
  const std::string margin_dtype = of.pick<std::string>({"int64", "float64", "float32", "float16"});
  Buffer margin(margin_dtype, {}), margin_direction(margin_dtype, {}), margin_gradient(margin_dtype, {});
  settings.write(packed);
  settings.write_margin(&margin);
  margin_direction.set(0, margin_dtype == "int64" ? 0 : of.pick<double>({0, 1, -3}));
  const reference::Truth truth({x1, x2, labels, upstream, direction1, direction2, margin_direction.get(0), settings});

  Buffer losses(of.dtype, result_shape), gradient1(of.dtype, of.shape1), gradient2(of.dtype, of.shape2);
  call(of.reduction == 0 ? ms_cosine_loss_forward_of_each : ms_cosine_loss_forward,
       {&x1, &x2, &labels, &packed, &margin, &losses});
  call(ms_cosine_loss_backward,
       {&x1, &x2, &labels, &packed, &margin, &upstream, &gradient1, &gradient2, &margin_gradient});
  truth.check_losses(losses);
  truth.check_gradients(gradient1, gradient2);
  truth.check_margin_gradient(margin_gradient);
  Buffer by_x1(of.dtype, of.shape1), by_x2(of.dtype, of.shape2), by_upstream(of.dtype, result_shape);
  call(ms_cosine_loss_second_order, {&x1, &x2, &labels, &packed, &margin, &upstream, &direction1, &direction2,
                                     &margin_direction, &by_x1, &by_x2, &by_upstream});
  truth.check_second_order(by_x1, by_x2, by_upstream);

  // The results must be bitwise the same for any number of threads.
  for (const int64_t threads : {2, 4}) {
    settings.threads = threads;
    settings.write(packed);
    Buffer again(of.dtype, result_shape), again1(of.dtype, of.shape1), again2(of.dtype, of.shape2);
    Buffer again_margin(margin_dtype, {});
    call(ms_cosine_loss_forward, {&x1, &x2, &labels, &packed, &margin, &again});
    call(ms_cosine_loss_backward, {&x1, &x2, &labels, &packed, &margin, &upstream, &again1, &again2, &again_margin});
    if (!again.same_bits(losses) || !again1.same_bits(gradient1) || !again2.same_bits(gradient2) ||
        !again_margin.same_bits(margin_gradient)) {
      fail("other bits with " + std::to_string(threads) + " threads");
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  for (uint64_t i = 0; i < cases; ++i) run(seed + i, false);
  // Problems large enough for several threads, from several concurrent callers.
  std::vector<std::thread> callers;
  for (uint64_t caller = 0; caller < 4; ++caller) {
    callers.emplace_back([=] {
      for (uint64_t i = 0; i < cases / 200 + 1; ++i) run(seed + 1000003 * (caller + 1) + i, true);
    });
  }
  for (std::thread &caller : callers) caller.join();
  std::printf("%s: %llu cases, clean\n", ms_cosine_loss_instruction_set(), static_cast<unsigned long long>(cases));
  std::printf("digest of all bits: %016llx\n", static_cast<unsigned long long>(reference::digest));
}
