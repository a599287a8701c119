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

// CANN as MindSpore's Ascend backend calls it, with one device in host memory. An operator is computed synchronously on
// the thread that launches it, or rejected by name if operators.cc does not implement it.
//
// This file defines the functions that must return something. All others, from sessions to dumps, return 0: build.py
// generates those that MindSpore links, and dlsym below those that it looks up.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "notes.h"
#include "operand.h"

using stand_in::Operand;
using stand_in::Operands;
using stand_in::Shape;

namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 500000;  // ACL_ERROR_INTERNAL_ERROR

// An operator with its arguments, between the call that asks for its workspace and the one that launches it.
struct Executor {
  std::string name;
  std::vector<stand_in::Argument> arguments;
  bool is_repeatable = false;
};

// Owns the objects to which MindSpore holds pointers. For operands, it also tells pointers from integer arguments.
template <class T>
class Registry {
 public:
  T *add(std::shared_ptr<T> item) {
    std::lock_guard<std::mutex> lock(mutex_);
    T *const key = item.get();
    items_[key] = std::move(item);
    return key;
  }
  std::shared_ptr<T> find(const void *key) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = items_.find(key);
    return found == items_.end() ? nullptr : found->second;
  }
  int drop(const void *key) {
    std::lock_guard<std::mutex> lock(mutex_);
    items_.erase(key);
    return kSuccess;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const void *, std::shared_ptr<T>> items_;
};

// Never destroyed, because MindSpore's threads outlive statics.
Registry<Operand> &operands = *new Registry<Operand>;
Registry<Executor> &executors = *new Registry<Executor>;

thread_local std::string last_error;

std::string described(const Operand &operand) {
  static const std::map<int, std::string> names{
      {stand_in::kFloat32, "float32"},   {stand_in::kFloat16, "float16"}, {stand_in::kInt8, "int8"},
      {stand_in::kInt32, "int32"},       {stand_in::kUInt8, "uint8"},     {stand_in::kInt16, "int16"},
      {stand_in::kInt64, "int64"},       {stand_in::kFloat64, "float64"}, {stand_in::kBool, "bool"},
      {stand_in::kBFloat16, "bfloat16"},
  };
  const auto found = names.find(operand.dtype);
  std::string text = found == names.end() ? "?" : found->second;
  if (operand.kind == Operand::kScalar) return text + "=" + std::to_string(operand.scalar);
  if (operand.kind == Operand::kIntegers) text.clear();
  if (operand.kind == Operand::kOther) return "?";
  text += "[";
  for (const auto &each : operand.list) text += described(*each) + ";";
  for (int64_t length : operand.shape) text += std::to_string(length) + ",";
  if (text.back() != '[') text.pop_back();
  return text + "]";
}

// `result` is the operand that the operator writes, as far as is known.
void note_launch(const std::string &name, const Operand *result, const Operands &all) {
  std::string line = "launch " + name + " " + std::to_string(result ? stand_in::elements_of(*result) : 0);
  for (const auto &each : all) line += " " + described(*each);
  stand_in::note(line);
}

int launched(const std::string &name, bool is_computed) {
  if (is_computed) return kSuccess;
  last_error = "the stand-in for CANN cannot compute " + name;
  fprintf(stderr, "%s\n", last_error.c_str());
  return kFailure;
}

void *reserve(size_t size) {
  // Untouched pages are free: MindSpore allocates its pool in gigabytes.
  void *const memory =
      mmap(nullptr, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

int reserve(void **memory, size_t size) { return (*memory = reserve(size)) ? kSuccess : kFailure; }

int copied(void *to, size_t room, const void *from, size_t size, int kind) {
  if (to && from) memmove(to, from, size < room ? size : room);
  stand_in::note("copy " + std::to_string(kind) + " " + std::to_string(size));
  return kSuccess;
}

// Streams, events, contexts and other handles: any non-null pointer.
int handle(void **result) { return (*result = calloc(1, 64)) ? kSuccess : kFailure; }

Operand *other() { return operands.add(std::make_shared<Operand>()); }

}  // namespace

namespace ge {

// Fully constructed, because inline functions in MindSpore's static initializers register their codes in it.
struct StatusFactory {
  std::map<uint32_t, std::string> one, other;
  static StatusFactory *Instance();
};
StatusFactory *StatusFactory::Instance() {
  static StatusFactory *const factory = new StatusFactory;
  return factory;
}

// MindSpore makes one for each operator of the old style and lets other functions of ge fill it in.
struct Operator {
  void *members[5] = {};
  ~Operator();
};
Operator::~Operator() = default;
struct OperatorFactory {
  static bool IsExistOp(const char *);
  static Operator CreateOperator(const char *, const char *);
};
bool OperatorFactory::IsExistOp(const char *) { return true; }
Operator OperatorFactory::CreateOperator(const char *, const char *) { return Operator(); }

}  // namespace ge

extern "C" {

// --- operands

Operand *aclCreateTensor(const int64_t *shape, uint64_t rank, int dtype, const int64_t *strides, int64_t offset, int,
                         const int64_t *, uint64_t, void *data) {
  auto tensor = std::make_shared<Operand>();
  tensor->kind = Operand::kTensor;
  tensor->dtype = dtype;
  tensor->shape.assign(shape, shape + rank);
  tensor->strides = strides ? Shape(strides, strides + rank) : stand_in::contiguous(tensor->shape);
  tensor->offset = offset;
  tensor->data = data;
  return operands.add(tensor);
}

Operand *aclCreateScalar(void *value, int dtype) {
  auto scalar = std::make_shared<Operand>();
  scalar->kind = Operand::kScalar;
  scalar->dtype = dtype;
  scalar->scalar = stand_in::load(value, dtype);
  return operands.add(scalar);
}

Operand *aclCreateIntArray(const int64_t *values, uint64_t count) {
  auto integers = std::make_shared<Operand>();
  integers->kind = Operand::kIntegers;
  integers->shape.assign(values, values + count);
  return operands.add(integers);
}

Operand *aclCreateTensorList(const void *const *tensors, uint64_t count) {
  auto list = std::make_shared<Operand>();
  list->kind = Operand::kList;
  for (uint64_t k = 0; k < count; ++k) list->list.push_back(operands.find(tensors[k]));
  return operands.add(list);
}

Operand *aclCreateFloatArray(const float *, uint64_t) { return other(); }
Operand *aclCreateBoolArray(const bool *, uint64_t) { return other(); }
Operand *aclCreateScalarList(const void *const *, uint64_t) { return other(); }

int aclDestroyTensor(const void *operand) { return operands.drop(operand); }
int aclDestroyScalar(const void *operand) { return operands.drop(operand); }
int aclDestroyIntArray(const void *operand) { return operands.drop(operand); }
int aclDestroyTensorList(const void *operand) { return operands.drop(operand); }
int aclDestroyFloatArray(const void *operand) { return operands.drop(operand); }
int aclDestroyBoolArray(const void *operand) { return operands.drop(operand); }
int aclDestroyScalarList(const void *operand) { return operands.drop(operand); }

int aclGetViewShape(const void *tensor, int64_t **shape, uint64_t *rank) {
  const auto found = operands.find(tensor);
  if (!found) return kFailure;
  *rank = found->shape.size();
  *shape = new int64_t[*rank + 1];  // the caller deletes it
  std::copy(found->shape.begin(), found->shape.end(), *shape);
  return kSuccess;
}

// --- repeatable executors are launched again with other addresses

int aclSetAclOpExecutorRepeatable(const void *executor) {
  if (const auto found = executors.find(executor)) found->is_repeatable = true;
  return kSuccess;
}

int aclDestroyAclOpExecutor(const void *executor) { return executors.drop(executor); }

int aclSetTensorAddr(void *, size_t, Operand *tensor, void *data) {
  tensor->data = data;
  return kSuccess;
}

int aclSetDynamicTensorAddr(void *, size_t, size_t place, Operand *list, void *data) {
  list->list.at(place)->data = data;
  return kSuccess;
}

// --- operators of the old style; their tensors are contiguous, and their memory is passed separately

Operand *aclCreateTensorDesc(int dtype, int rank, const int64_t *shape, int format) {
  return aclCreateTensor(shape, rank > 0 ? rank : 0, dtype, nullptr, 0, format, nullptr, 0, nullptr);
}

void aclDestroyTensorDesc(const void *description) { operands.drop(description); }

int aclSetTensorShape(Operand *description, int rank, const int64_t *shape) {
  description->shape.assign(shape, shape + rank);
  description->strides = stand_in::contiguous(description->shape);
  return kSuccess;
}

int aclSetTensorConst(Operand *description, const void *data, size_t size) {
  // The caller's memory may be gone by the launch.
  memcpy(description->data = malloc(size + 1), data, size);
  return kSuccess;
}

size_t aclGetTensorDescNumDims(const Operand *description) { return description->shape.size(); }
int64_t aclGetTensorDescDim(const Operand *description, size_t axis) { return description->shape.at(axis); }
int aclGetTensorDescDimV2(const Operand *description, size_t axis, int64_t *length) {
  *length = description->shape.at(axis);
  return kSuccess;
}
size_t aclDataTypeSize(int dtype) { return stand_in::bytes_of(dtype); }
size_t aclGetTensorDescSize(const Operand *description) {
  return stand_in::bytes_of(description->dtype) * stand_in::elements_of(*description);
}

Operand *aclCreateDataBuffer(void *data, size_t) {
  Operand *const buffer = other();
  buffer->data = data;
  return buffer;
}

int aclDestroyDataBuffer(const void *buffer) { return operands.drop(buffer); }
void *aclGetDataBufferAddr(const Operand *buffer) { return buffer->data; }
int aclUpdateDataBuffer(Operand *buffer, void *data, size_t) {
  buffer->data = data;
  return kSuccess;
}

using Attributes = std::map<std::string, int64_t>;

Attributes *aclopCreateAttr() { return new Attributes; }
void aclopDestroyAttr(const Attributes *attributes) { delete attributes; }
int aclopSetAttrInt(Attributes *attributes, const char *name, int64_t value) {
  (*attributes)[name] = value;
  return kSuccess;
}

int aclopCompileAndExecute(const char *name, int input_count, Operand **inputs, Operand **input_buffers,
                           int output_count, Operand **outputs, Operand **output_buffers, const Attributes *attributes,
                           int, int, const char *, void *) {
  auto joined = [](int count, Operand **descriptions, Operand **buffers) {
    Operands all;
    for (int k = 0; k < count; ++k) {
      all.push_back(std::make_shared<Operand>(*descriptions[k]));
      if (!all.back()->data) all.back()->data = buffers[k]->data;
    }
    return all;
  };
  const Operands from = joined(input_count, inputs, input_buffers);
  const Operands to = joined(output_count, outputs, output_buffers);
  Operands all = from;
  all.insert(all.end(), to.begin(), to.end());
  note_launch(std::string("aclop:") + name, to.empty() ? nullptr : to[0].get(), all);
  const bool is_computed = stand_in::compute_old(name, from, to, attributes ? *attributes : Attributes());
  for (int k = 0; k < output_count; ++k) outputs[k]->shape = to[k]->shape;
  return launched(name, is_computed);
}

int aclopCompileAndExecuteV2(const char *name, int input_count, Operand **inputs, Operand **input_buffers,
                             int output_count, Operand **outputs, Operand **output_buffers,
                             const Attributes *attributes, int engine, int compile, const char *path, void *stream) {
  return aclopCompileAndExecute(name, input_count, inputs, input_buffers, output_count, outputs, output_buffers,
                                attributes, engine, compile, path, stream);
}

// --- kernels that MindSpore generates by fusing operators; they are device code and are not computed

int aclrtBinaryLoadFromData(const void *, size_t, const void *, void **binary) { return handle(binary); }
int aclrtBinaryGetFunction(void *, const char *name, void **function) {
  *function = strdup(name);
  return kSuccess;
}
int aclrtLaunchKernelWithHostArgs(const char *function, uint32_t, void *, void *, void *, size_t, void *, size_t) {
  stand_in::note(std::string("launch fused:") + function + " 0");
  return kSuccess;
}

// --- memory

int aclrtMalloc(void **memory, size_t size, int) { return reserve(memory, size); }
int aclrtMallocAlign32(void **memory, size_t size, int) { return reserve(memory, size); }
int aclrtReserveMemAddress(void **memory, size_t size, size_t, void *, uint64_t) { return reserve(memory, size); }
int aclrtMallocPhysical(void **physical, size_t, const void *, uint64_t) { return handle(physical); }
int aclrtMallocHost(void **memory, size_t size) { return (*memory = calloc(1, size ? size : 1)) ? kSuccess : kFailure; }
int aclrtFreeHost(void *memory) {
  free(memory);
  return kSuccess;
}
int aclrtMemcpy(void *to, size_t room, const void *from, size_t size, int kind) {
  return copied(to, room, from, size, kind);
}
int aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t size, int kind, void *) {
  return copied(to, room, from, size, kind);
}
int aclrtMemset(void *memory, size_t, int value, size_t size) {
  memset(memory, value, size);
  return kSuccess;
}
int aclrtMemsetAsync(void *memory, size_t room, int value, size_t size, void *) {
  return aclrtMemset(memory, room, value, size);
}
int aclrtGetMemInfo(int, size_t *left, size_t *all) {
  *left = *all = size_t{64} << 30;
  return kSuccess;
}
void *aclrtAllocatorCreateDesc() { return calloc(1, 64); }
int halHostRegister(void *memory, uint64_t, uint32_t, uint32_t, void **mapped) {
  if (mapped) *mapped = memory;
  return kSuccess;
}

// --- the device

const char *aclGetRecentErrMsg() { return last_error.c_str(); }
const char *aclrtGetSocName() { return "Ascend910B2"; }
int aclsysGetCANNVersion(int, char *version) {
  // aclCANNPackageVersion: the version, then its four parts, in 128 and 64 bytes each.
  strcpy(version, "9.1.0");
  strcpy(version + 128, "9");
  strcpy(version + 192, "1");
  strcpy(version + 256, "0");
  strcpy(version + 320, "0");
  return kSuccess;
}
int aclrtGetDeviceCount(uint32_t *count) {
  *count = 1;
  return kSuccess;
}
int aclrtGetDevice(int32_t *device) {
  *device = 0;
  return kSuccess;
}
int aclrtGetRunMode(int *mode) {
  *mode = 1;  // ACL_HOST
  return kSuccess;
}
int aclrtDeviceGetBareTgid(int *process) {
  *process = getpid();
  return kSuccess;
}
int aclrtDeviceCanAccessPeer(int *can, int, int) {
  *can = 0;
  return kSuccess;
}
int aclrtGetDeviceResLimit(int, int, uint32_t *cores) {
  *cores = 24;
  return kSuccess;
}
int aclrtGetStreamResLimit(void *, int kind, uint32_t *cores) { return aclrtGetDeviceResLimit(0, kind, cores); }
int aclrtGetResInCurrentThread(int kind, uint32_t *cores) { return aclrtGetDeviceResLimit(0, kind, cores); }
int aclrtGetHardwareSyncAddr(void **address) {
  static char place[4096];
  *address = place;
  return kSuccess;
}

int aclrtCreateContext(void **context, int) { return handle(context); }
int aclrtGetCurrentContext(void **context) {
  static char the_one;
  *context = &the_one;
  return kSuccess;
}
int aclrtDeviceGetStreamPriorityRange(int *least, int *greatest) {
  *least = 7;
  *greatest = 0;
  return kSuccess;
}
int aclrtCreateStream(void **stream) { return handle(stream); }
int aclrtCreateStreamWithConfig(void **stream, uint32_t, uint32_t) { return handle(stream); }
int aclrtStreamQuery(void *, int *status) {
  *status = 0;  // ACL_STREAM_STATUS_COMPLETE
  return kSuccess;
}
int aclrtCreateEvent(void **event) { return handle(event); }
int aclrtCreateEventWithFlag(void **event, uint32_t) { return handle(event); }
int aclrtCreateEventExWithFlag(void **event, uint32_t) { return handle(event); }
int aclrtQueryEventStatus(void *, int *status) {
  *status = 1;  // ACL_EVENT_RECORDED_STATUS_COMPLETE
  return kSuccess;
}
int aclrtEventElapsedTime(float *milliseconds, void *, void *) {
  *milliseconds = 1;
  return kSuccess;
}
int aclrtLaunchCallback(void (*function)(void *), void *data, int, void *) {
  function(data);
  return kSuccess;
}
int aclrtProcessReport(int) {
  usleep(100000);  // a thread of MindSpore calls it in a loop
  return kSuccess;
}

}  // extern "C"

// --- functions that MindSpore looks up by name: two for each operator,
//
//     aclnn<name>GetWorkspaceSize(arguments..., uint64_t *size, aclOpExecutor **executor)
//     aclnn<name>(workspace, size, executor, stream)
//
// MindSpore knows some 500 operators, each with its own signature. So dlsym returns numbered entries, which all lead to
// stand_in_called() with the registers and the stack that hold the arguments.

namespace {

constexpr int kEntries = 4096;
constexpr int kEntryBytes = 16;
constexpr int kMostArguments = 40;

const std::string kAsks = "GetWorkspaceSize";

std::mutex names_mutex;
std::vector<std::string> &names = *new std::vector<std::string>;

bool begins_with(const std::string &text, const std::string &start) {
  return text.compare(0, start.size(), start) == 0;
}

bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Whether `address` is on this thread's stack, above `here`.
bool is_on_stack(uint64_t address, const void *here) {
  static thread_local char *end = nullptr;
  if (!end) {
    pthread_attr_t attributes;
    void *lowest;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    end = static_cast<char *>(lowest) + size;
  }
  const char *const place = reinterpret_cast<const char *>(address);
  return place > here && place < end;
}

int asked(const std::string &name, const uint64_t *registers, const uint64_t *stack) {
  auto argument = [&](int k) { return k < 6 ? registers[k] : stack[k - 6]; };
  auto executor = std::make_shared<Executor>();
  executor->name = name;
  // The two results are the first arguments that point to the caller's locals: operands are on the heap. A double is
  // passed in another kind of register and does not appear here.
  for (int k = 0; k < kMostArguments; ++k) {
    const auto operand = operands.find(reinterpret_cast<void *>(argument(k)));
    if (!operand && is_on_stack(argument(k), &argument) && is_on_stack(argument(k + 1), &argument)) {
      *reinterpret_cast<uint64_t *>(argument(k)) = 0;
      *reinterpret_cast<Executor **>(argument(k + 1)) = executors.add(executor);
      return kSuccess;
    }
    executor->arguments.push_back({operand, static_cast<int64_t>(argument(k))});
  }
  return launched(name, false);
}

int launch(const std::string &name, const void *key) {
  const auto executor = executors.find(key);
  if (!executor) return launched(name, false);
  const bool in_place = begins_with(name, "aclnnInplace");
  const Operand *result = nullptr;
  Operands all;
  for (const auto &each : executor->arguments) {
    if (!each.operand) continue;
    all.push_back(each.operand);
    if (each.operand->kind == Operand::kTensor && !(in_place && result)) result = each.operand.get();
  }
  note_launch(name, result, all);
  if (!executor->is_repeatable) executors.drop(key);
  return launched(name, stand_in::compute(name.substr(strlen("aclnn")), executor->arguments));
}

}  // namespace

extern "C" {

extern char stand_in_entries[];

int stand_in_called(uint32_t entry, const uint64_t *registers, const uint64_t *stack) {
  std::string name;
  {
    std::lock_guard<std::mutex> lock(names_mutex);
    name = names[entry];
  }
  if (!begins_with(name, "aclnn") || name == "aclnnInit" || name == "aclnnFinalize") return kSuccess;
  if (ends_with(name, kAsks)) return asked(name.substr(0, name.size() - kAsks.size()), registers, stack);
  return launch(name, reinterpret_cast<void *>(registers[2]));
}

// Overrides the C library's dlsym.
void *dlsym(void *library, const char *name) {
  using Function = void *(*)(void *, const char *);
  static const Function real = reinterpret_cast<Function>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  void *const found = real(library, name);
  if (found || library == RTLD_NEXT) return found;
  bool is_of_cann = false;
  for (const char *start :
       {"acl", "Adx", "hal", "Hccl", "InitHugeMem", "msprof", "Msprof", "ReleaseHugeMem", "rtGet", "UnInitHugeMem"})
    is_of_cann = is_of_cann || begins_with(name, start);
  if (!is_of_cann) return nullptr;
  dlerror();  // clears the error of the failed lookup
  std::lock_guard<std::mutex> lock(names_mutex);
  size_t entry = 0;
  while (entry < names.size() && names[entry] != name) ++entry;
  if (entry == names.size()) names.push_back(name);
  if (entry >= kEntries) abort();
  return stand_in_entries + entry * kEntryBytes;
}

}  // extern "C"

// kEntries entries, each of which loads its number into r11d and jumps to the common part, which calls
// stand_in_called().
asm(R"(
  .text
  .set entry, 0
  .balign 16
stand_in_entries:
  .rept 4096
  .byte 0x41, 0xbb
  .long entry
  jmp stand_in_common
  .balign 16
  .set entry, entry + 1
  .endr
stand_in_common:
  push %rbp
  mov %rsp, %rbp
  sub $48, %rsp
  mov %rdi, (%rsp)
  mov %rsi, 8(%rsp)
  mov %rdx, 16(%rsp)
  mov %rcx, 24(%rsp)
  mov %r8, 32(%rsp)
  mov %r9, 40(%rsp)
  mov %r11d, %edi
  mov %rsp, %rsi
  lea 16(%rbp), %rdx
  call stand_in_called@PLT
  leave
  ret
)");
