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

// The CUDA runtime as MindSpore's GPU backend calls it, with one device in host memory. Kernels are noted but not run.
// build.py generates all other functions, which return 0, and the kernels, which note their names.
#include <cstdlib>
#include <cstring>

#include "notes.h"

namespace {

constexpr int kSuccess = 0;
constexpr int kFailure = 2;  // cudaErrorMemoryAllocation

int handle(void **result) { return (*result = calloc(1, 64)) ? kSuccess : kFailure; }

int copied(void *to, const void *from, size_t size, int kind) {
  memmove(to, from, size);
  stand_in::note("copy " + std::to_string(kind) + " " + std::to_string(size));
  return kSuccess;
}

// The layout of CUDA 11's cudaDeviceProp, as far as MindSpore reads it.
struct Properties {
  char name[256];
  char ids[32];
  size_t total_memory;
  size_t shared_memory;
  int registers, warp;
  size_t pitch;
  int threads, block[3], grid[3], clock;
  size_t constant_memory;
  int major, minor;
  size_t texture[2];
  int overlap, processors;
  int rest[84];
};
static_assert(sizeof(Properties) == 728, "as large as cudaDeviceProp");

}  // namespace

extern "C" {

// Called by the stand-in of each kernel.
void stand_in_kernel(const char *name) { stand_in::note(std::string("launch ") + name + " 0"); }

// Called by the stand-ins that create a handle or a descriptor for cuBLAS, cuDNN and similar libraries.
int stand_in_create(void **it) { return handle(it); }

int cudaGetDeviceCount(int *count) {
  *count = 1;
  return kSuccess;
}
int cudaGetDeviceProperties(Properties *properties, int) {
  Properties all = {};
  strcpy(all.name, "stand-in");
  all.total_memory = size_t{8} << 30;
  all.shared_memory = 49152;
  all.registers = 65536;
  all.warp = 32;
  all.threads = 1024;
  memcpy(all.block, (const int[]){1024, 1024, 64}, sizeof all.block);
  memcpy(all.grid, (const int[]){2147483647, 65535, 65535}, sizeof all.grid);
  all.major = 8;
  all.processors = 108;
  for (int &each : all.rest) each = 1024;
  *properties = all;
  return kSuccess;
}
const char *cudaGetErrorName(int) { return "stand-in"; }
const char *cudaGetErrorString(int) { return "stand-in"; }

int cudaMalloc(void **memory, size_t size) { return (*memory = calloc(1, size)) ? kSuccess : kFailure; }
int cudaFree(void *memory) {
  free(memory);
  return kSuccess;
}
int cudaHostAlloc(void **memory, size_t size, unsigned) { return cudaMalloc(memory, size); }
int cudaFreeHost(void *memory) { return cudaFree(memory); }
int cudaMemGetInfo(size_t *left, size_t *all) {
  *left = *all = size_t{8} << 30;
  return kSuccess;
}
int cudaMemcpy(void *to, const void *from, size_t size, int kind) { return copied(to, from, size, kind); }
int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, void *) { return copied(to, from, size, kind); }
int cudaMemset(void *memory, int value, size_t size) {
  memset(memory, value, size);
  return kSuccess;
}
int cudaMemsetAsync(void *memory, int value, size_t size, void *) { return cudaMemset(memory, value, size); }

int cudaStreamCreate(void **stream) { return handle(stream); }
int cudaStreamCreateWithFlags(void **stream, unsigned) { return handle(stream); }
int cudaStreamCreateWithPriority(void **stream, unsigned, int) { return handle(stream); }
int cudaEventCreate(void **event) { return handle(event); }
int cudaEventCreateWithFlags(void **event, unsigned) { return handle(event); }
int cudaEventElapsedTime(float *milliseconds, void *, void *) {
  *milliseconds = 1;
  return kSuccess;
}

}  // extern "C"
