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

#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "floating_point.h"

namespace ms_cosine_loss {

int available_processors() {
#if defined(__linux__)
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof(processors), &processors) == 0) return CPU_COUNT(&processors);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : static_cast<int>(count);
}

#if defined(_OPENMP)

// For those who want one runtime for all their libraries; README.md says why it is not the rule.
void run_in_parallel(int threads, int64_t tasks, const std::function<void(int64_t)> &work) {
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1 && tasks > 1)
  for (int64_t task = 0; task < tasks; ++task) {
    const DefaultFloatingPoint environment;
    work(task);
  }
}

#else

namespace {

class ThreadPool {
 public:
  // Whether the work was done; false while another caller has the pool.
  bool run(int threads, int64_t tasks, const std::function<void(int64_t)> &work) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (!owner.owns_lock()) return false;
    const int wanted = threads - 1;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (started_ < wanted && start_one()) {
      }
      work_ = &work;
      tasks_ = tasks;
      next_.store(0, std::memory_order_relaxed);
      openings_ = started_ < wanted ? started_ : wanted;
    }
    wake_.notify_all();
    work_on(work, tasks);
    std::unique_lock<std::mutex> lock(mutex_);
    // Who has not woken up by now is not needed any more.
    openings_ = 0;
    done_.wait(lock, [this] { return working_ == 0; });
    work_ = nullptr;
    return true;
  }

 private:
  // With the floating-point environment of the thread that starts it, which the interface has set.
  bool start_one() {
    try {
      std::thread([this] { wait_for_work(); }).detach();
    } catch (const std::exception &) {
      return false;
    }
    ++started_;
    return true;
  }

  void wait_for_work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return openings_ > 0; });
      --openings_;
      ++working_;
      const std::function<void(int64_t)> &work = *work_;
      const int64_t tasks = tasks_;
      lock.unlock();
      work_on(work, tasks);
      lock.lock();
      if (--working_ == 0) done_.notify_one();
    }
  }

  void work_on(const std::function<void(int64_t)> &work, int64_t tasks) {
    for (int64_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks;) work(task);
  }

  std::mutex owner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int64_t)> *work_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  int started_ = 0;
  int openings_ = 0;
  int working_ = 0;
};

// Never destroyed: at exit its threads still wait on it.
std::atomic<ThreadPool *> the_pool{nullptr};

// The child of a fork has the parent's pool but none of its threads.
void forget_pool() { the_pool.store(nullptr); }

ThreadPool &pool() {
  ThreadPool *current = the_pool.load(std::memory_order_acquire);
  if (current != nullptr) return *current;
  static const int is_registered = pthread_atfork(nullptr, nullptr, forget_pool);
  static_cast<void>(is_registered);
  ThreadPool *fresh = new ThreadPool;
  if (the_pool.compare_exchange_strong(current, fresh, std::memory_order_acq_rel)) return *fresh;
  delete fresh;
  return *current;
}

}  // namespace

void run_in_parallel(int threads, int64_t tasks, const std::function<void(int64_t)> &work) {
  if (threads > tasks) threads = static_cast<int>(tasks);
  if (threads > 1 && pool().run(threads, tasks, work)) return;
  for (int64_t task = 0; task < tasks; ++task) work(task);
}

#endif

}  // namespace ms_cosine_loss
