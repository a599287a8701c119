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

// The functions that MindSpore's Custom operator calls, and those that tell what they run on. Custom's interface is
// plain C: inputs then outputs in `params`, with their ranks, shapes and the names of their dtypes.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "all_pairs.h"
#include "broadcast.h"
#include "dtypes.h"
#include "element.h"
#include "floating_point.h"
#include "interface.h"
#include "layout.h"
#include "pairs.h"
#include "problem.h"
#include "second_order.h"
#include "shapes.h"
#include "thread_pool.h"

namespace ms_cosine_loss {

extern const InstructionSet baseline;
#if defined(__x86_64__)
extern const InstructionSet avx2;
extern const InstructionSet avx512;
#endif

namespace {

// Elements below which one thread is faster than waking others, and the share that a task takes.
constexpr int64_t kSerialElements = int64_t{1} << 17;
constexpr int64_t kTaskElements = int64_t{1} << 15;
constexpr int64_t kMaxTasks = 4096;

Dtype dtype_of(const char *name) {
  static const struct {
    const char *name;
    Dtype dtype;
  } kNames[] = {{"float32", Dtype::kFloat32}, {"float16", Dtype::kFloat16}, {"bfloat16", Dtype::kBFloat16},
                {"float64", Dtype::kFloat64}, {"int32", Dtype::kInt32},     {"int64", Dtype::kInt64},
                {"int16", Dtype::kInt16},     {"int8", Dtype::kInt8}};
  for (const auto &each : kNames) {
    if (std::strcmp(name, each.name) == 0) return each.dtype;
  }
  return Dtype::kUnknown;
}

const InstructionSet &choose_instruction_set() {
#if defined(__x86_64__)
  const char *forced = std::getenv("MS_COSINE_LOSS_INSTRUCTION_SET");
  __builtin_cpu_init();
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const auto is_allowed = [forced](const InstructionSet &set) {
    return forced == nullptr || *forced == '\0' || std::strcmp(forced, set.name) == 0;
  };
  if (has_avx512 && is_allowed(avx512)) return avx512;
  if (has_avx2 && is_allowed(avx2)) return avx2;
#endif
  return baseline;
}

const InstructionSet &instruction_set() {
  static const InstructionSet &chosen = choose_instruction_set();
  return chosen;
}

// What this process can have of the last cache. A cloud machine reports all of it, also to a process on two of the
// cores that share it, and a processor that has several caches their sum. 4 MiB are as much as there is to a core on
// nearly all, and a few cores can borrow from their neighbours.
int64_t share_of_last_cache() {
  const int64_t share = std::max(int64_t{16} << 20, (int64_t{4} << 20) * available_processors());
#if defined(_SC_LEVEL3_CACHE_SIZE)
  static const int64_t size = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (size > 0) return std::min(size, share);
#endif
  return share;
}

int allowed_threads(int64_t limit) {
  const int available = available_processors();
  return limit > 0 && limit < available ? static_cast<int>(limit) : available;
}

// The part of a call that all directions share; false if it cannot be what this library was built for.
bool prepare(void **params, const int *ndims, int64_t **shapes, const char **dtypes, Problem *problem, int *threads) {
  problem->dtype = dtype_of(dtypes[kLogits1]);
  problem->labels_dtype = dtype_of(dtypes[kLabels]);
  if (!is_real(problem->dtype) || dtype_of(dtypes[kLogits2]) != problem->dtype ||
      problem->labels_dtype == Dtype::kUnknown || dtype_of(dtypes[kSettings]) != Dtype::kInt64 ||
      ndims[kSettings] != 1 || shapes[kSettings][0] != kSettingsCount) {
    return false;
  }
  problem->x1 = params[kLogits1];
  problem->x2 = params[kLogits2];
  problem->labels = params[kLabels];
  const int64_t *settings = static_cast<const int64_t *>(params[kSettings]);
  const Dtype margin_dtype = dtype_of(dtypes[kMargin]);
  if (margin_dtype != Dtype::kInt64 && !is_real(margin_dtype)) return false;
  const auto shape = [&](int input) { return Shape{shapes[input], ndims[input]}; };
  const int axis = fitting_axis(shape(kLogits1), shape(kLogits2), shape(kLabels), shape(kMargin), settings[kAxis]);
  if (margin_dtype == Dtype::kInt64) {
    problem->margin = bit_cast<double>(*static_cast<const int64_t *>(params[kMargin]));
  } else {
    problem->margin = number_at(params[kMargin], margin_dtype, 0);
  }
  problem->eps = bit_cast<double>(settings[kEps]);
  problem->reduction = static_cast<Reduction>(settings[kReduction]);
  lay_out(shapes[kLogits1], shapes[kLogits2], ndims[kLogits1], axis, problem);
  *threads = problem->pairs * problem->length < kSerialElements ? 1 : allowed_threads(settings[kThreads]);
  return true;
}

// Some blocks a task, the same whatever the number of threads, so that sums are made in the same order.
struct Tasks {
  int64_t blocks;
  int64_t blocks_each;
  int64_t count;

  explicit Tasks(const Problem &problem) : blocks(problem.blocks()) {
    const int64_t elements = problem.pairs * problem.length;
    blocks_each = elements < kSerialElements ? blocks : 1 + kTaskElements * blocks / (elements + 1);
    if (blocks_each < (blocks + kMaxTasks - 1) / kMaxTasks) blocks_each = (blocks + kMaxTasks - 1) / kMaxTasks;
    count = (blocks + blocks_each - 1) / blocks_each;
  }
  int64_t first(int64_t task) const { return task * blocks_each; }
  int64_t last(int64_t task) const { return first(task) + blocks_each < blocks ? first(task) + blocks_each : blocks; }
};

Shape losses_shape(const Problem &problem, const int *ndims, int64_t **shapes) {
  return {shapes[kLabels], problem.reduction == Reduction::kNone ? ndims[kLabels] : 0};
}

void write_result(const Problem &problem, double sum) {
  set_number(reduced(problem, sum), problem.losses, problem.losses_dtype, 0);
}

template <class Sum>
double total_of(const std::vector<Sum> &sums) {
  Sum total;
  for (const Sum &each : sums) total.add(each);
  return total.total();
}

int forward(void **params, int *ndims, int64_t **shapes, const char **dtypes) {
  const DefaultFloatingPoint environment;
  constexpr int kLosses = 5;
  Problem problem = {};
  int threads;
  if (!prepare(params, ndims, shapes, dtypes, &problem, &threads)) return 1;
  problem.losses = params[kLosses];
  problem.losses_dtype = dtype_of(dtypes[kLosses]);
  if (!is_real(problem.losses_dtype)) return 1;
  if (!fits_losses({shapes[kLosses], ndims[kLosses]}, losses_shape(problem, ndims, shapes))) return 1;
  if (problem.pairs == 0) {
    if (problem.reduction != Reduction::kNone) write_result(problem, 0);
    return 0;
  }
  const Tasks tasks(problem);
  const InstructionSet &set = instruction_set();
  std::vector<CompensatedSum> sums(tasks.count);
  run_in_parallel(threads, tasks.count,
                  [&](int64_t task) { set.forward(problem, tasks.first(task), tasks.last(task), &sums[task]); });
  if (problem.reduction == Reduction::kNone) return 0;
  write_result(problem, total_of(sums));
  return 0;
}

// The answer to whatever asks for a derivative where there are no pairs.
void clear(void **params, const int *ndims, int64_t **shapes, const char **dtypes, int first, int last) {
  for (int i = first; i <= last; ++i) {
    std::memset(params[i], 0, Shape{shapes[i], ndims[i]}.elements() * size_of(dtype_of(dtypes[i])));
  }
}

// The gradient of the margin, whose sum under a reduction counts pairs; a constant margin has none.
void write_margin_gradient(const Problem &problem, double sum, void **params, const char **dtypes, int at) {
  const Dtype dtype = dtype_of(dtypes[at]);
  double value = sum;
  // Without pairs there is no gradient, whatever comes in.
  if (problem.reduction != Reduction::kNone && sum != 0) {
    value = number_at(problem.upstream, problem.upstream_dtype, 0) * reduced(problem, sum);
  }
  if (is_real(dtype)) return set_number(value, params[at], dtype, 0);
  std::memset(params[at], 0, sizeof(int64_t));
}

bool take_upstream(void **params, const int *ndims, int64_t **shapes, const char **dtypes, Problem *problem) {
  problem->upstream = params[kUpstream];
  problem->upstream_dtype = dtype_of(dtypes[kUpstream]);
  if (!is_real(problem->upstream_dtype)) return false;
  check_upstream({shapes[kUpstream], ndims[kUpstream]}, losses_shape(*problem, ndims, shapes));
  return true;
}

// Whether two arguments are of one shape.
bool are_alike(int one, int other, const int *ndims, int64_t **shapes) {
  return Shape{shapes[one], ndims[one]} == Shape{shapes[other], ndims[other]};
}

int backward(void **params, int *ndims, int64_t **shapes, const char **dtypes) {
  const DefaultFloatingPoint environment;
  constexpr int kGradient1 = 6, kGradient2 = 7, kMarginGradient = 8;
  Problem problem = {};
  int threads;
  if (!prepare(params, ndims, shapes, dtypes, &problem, &threads)) return 1;
  problem.gradient1 = params[kGradient1];
  problem.gradient2 = params[kGradient2];
  if (!take_upstream(params, ndims, shapes, dtypes, &problem) || dtype_of(dtypes[kGradient1]) != problem.dtype ||
      dtype_of(dtypes[kGradient2]) != problem.dtype || dtype_of(dtypes[kMarginGradient]) != dtype_of(dtypes[kMargin]) ||
      !are_alike(kGradient1, kLogits1, ndims, shapes) || !are_alike(kGradient2, kLogits2, ndims, shapes) ||
      Shape{shapes[kMarginGradient], ndims[kMarginGradient]}.elements() != 1) {
    return 1;
  }
  if (problem.pairs == 0) {
    clear(params, ndims, shapes, dtypes, kGradient1, kGradient2);
    write_margin_gradient(problem, 0, params, dtypes, kMarginGradient);
    return 0;
  }
  const InstructionSet &set = instruction_set();
  if (problem.all_pairs.is_taken) {
    std::vector<MarginSum> by_margin(problem.blocks());
    write_all_pairs(problem, set, threads, by_margin.data());
    write_margin_gradient(problem, total_of(by_margin), params, dtypes, kMarginGradient);
    return 0;
  }
  problem.can_stream = 2 * problem.pairs * problem.length * size_of(problem.dtype) > share_of_last_cache();
  std::vector<double> coefficients(problem.is_broadcast ? 3 * problem.pairs : 0);
  std::vector<int> exponents(problem.is_broadcast ? 2 * problem.pairs : 0);
  if (problem.is_broadcast) {
    problem.coefficients = {coefficients.data(), coefficients.data() + problem.pairs,
                            coefficients.data() + 2 * problem.pairs, exponents.data(),
                            exponents.data() + problem.pairs};
  }
  const Tasks tasks(problem);
  std::vector<MarginSum> by_margin(tasks.count);
  run_in_parallel(threads, tasks.count,
                  [&](int64_t task) { set.backward(problem, tasks.first(task), tasks.last(task), &by_margin[task]); });
  if (problem.is_broadcast) gather_gradients(problem, set, kTaskElements, threads);
  write_margin_gradient(problem, total_of(by_margin), params, dtypes, kMarginGradient);
  return 0;
}

int second_order(void **params, int *ndims, int64_t **shapes, const char **dtypes) {
  const DefaultFloatingPoint environment;
  constexpr int kDirection1 = 6, kDirection2 = 7, kMarginDirection = 8, kByX1 = 9, kByX2 = 10, kByUpstream = 11;
  Problem problem = {};
  int threads;
  if (!prepare(params, ndims, shapes, dtypes, &problem, &threads)) return 1;
  if (!take_upstream(params, ndims, shapes, dtypes, &problem) ||
      dtype_of(dtypes[kByUpstream]) != problem.upstream_dtype || !are_alike(kByUpstream, kUpstream, ndims, shapes)) {
    return 1;
  }
  for (const auto &[each, logits] : {std::pair(kDirection1, kLogits1), std::pair(kDirection2, kLogits2),
                                     std::pair(kByX1, kLogits1), std::pair(kByX2, kLogits2)}) {
    if (dtype_of(dtypes[each]) != problem.dtype || !are_alike(each, logits, ndims, shapes)) return 1;
  }
  const Dtype margin_dtype = dtype_of(dtypes[kMarginDirection]);
  if (margin_dtype != dtype_of(dtypes[kMargin]) ||
      Shape{shapes[kMarginDirection], ndims[kMarginDirection]}.elements() != 1)
    return 1;
  if (problem.pairs == 0) {
    clear(params, ndims, shapes, dtypes, kByX1, kByUpstream);
    return 0;
  }
  const double margin_direction = is_real(margin_dtype) ? number_at(params[kMarginDirection], margin_dtype, 0) : 0;
  write_second_order(
      problem,
      {params[kDirection1], params[kDirection2], margin_direction, params[kByX1], params[kByX2], params[kByUpstream]},
      threads);
  return 0;
}

// MindSpore shows what an exception says, and of a number only the number.
class OutOfMemory : public std::exception {
 public:
  const char *what() const noexcept override {
    return "For 'CosineEmbeddingLoss', there is not enough memory for what the kernel keeps of each pair.";
  }
};

}  // namespace
}  // namespace ms_cosine_loss

// x1, x2, labels, settings, margin -> losses
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_forward(int nparam, void **params, int *ndims, int64_t **shapes,
                                                 const char **dtypes, void *, void *) try {
  return nparam == 6 ? ms_cosine_loss::forward(params, ndims, shapes, dtypes) : 1;
} catch (const std::bad_alloc &) {
  throw ms_cosine_loss::OutOfMemory();
}

// The same under another name for the losses of all pairs: MindSpore tells operators apart by it when it infers shapes.
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_forward_of_each(int nparam, void **params, int *ndims, int64_t **shapes,
                                                         const char **dtypes, void *stream, void *extra) {
  return ms_cosine_loss_forward(nparam, params, ndims, shapes, dtypes, stream, extra);
}

// x1, x2, labels, settings, margin, upstream gradient -> gradients of x1, x2 and the margin
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_backward(int nparam, void **params, int *ndims, int64_t **shapes,
                                                  const char **dtypes, void *, void *) try {
  return nparam == 9 ? ms_cosine_loss::backward(params, ndims, shapes, dtypes) : 1;
} catch (const std::bad_alloc &) {
  throw ms_cosine_loss::OutOfMemory();
}

// x1, x2, labels, settings, margin, upstream gradient, directions of the three gradients -> what their products with
// the gradients change by with x1, x2 and the upstream gradient
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_second_order(int nparam, void **params, int *ndims, int64_t **shapes,
                                                      const char **dtypes, void *, void *) try {
  return nparam == 12 ? ms_cosine_loss::second_order(params, ndims, shapes, dtypes) : 1;
} catch (const std::bad_alloc &) {
  throw ms_cosine_loss::OutOfMemory();
}

MS_COSINE_LOSS_EXPORT int ms_cosine_loss_interface_version() { return ms_cosine_loss::kInterfaceVersion; }

MS_COSINE_LOSS_EXPORT const char *ms_cosine_loss_instruction_set() { return ms_cosine_loss::instruction_set().name; }

// The threads that a large call uses if the settings allow it `limit`; 0 for no limit.
MS_COSINE_LOSS_EXPORT int ms_cosine_loss_threads(int64_t limit) { return ms_cosine_loss::allowed_threads(limit); }
