// A team of threads that waits without taking the cores from others, and memory that is kept between calls.
#pragma once
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "vector.h"

namespace kernels {

static inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Work is divided by the number of threads alone, so that results depend on nothing else.
class Team {
 public:
  static Team& instance() {
    static Team* team = new Team();  // never destroyed: threads may outlive static objects
    return *team;
  }

  int size() const { return size_; }

  void resize(int threads) {
    std::lock_guard<std::mutex> guard(busy_);
    stop();
    size_ = std::max(1, std::min(threads, 256));
  }

  // Call work(t) for t in 0 to size() - 1. A share that no other thread has begun is taken by the caller, which
  // does not wait for a thread that sleeps or has lost its core.
  void run(const std::function<void(int)>& work) {
    std::unique_lock<std::mutex> guard(busy_, std::try_to_lock);
    if (size_ == 1 || !guard.owns_lock()) {
      for (int t = 0; t < size_; ++t) work(t);
      return;
    }
    start();
    work_ = &work;
    left_.store(size_, std::memory_order_relaxed);
    const std::uint64_t round = (state_.load(std::memory_order_relaxed) >> SHARE_BITS) + 1;
    {
      std::lock_guard<std::mutex> lock(sleep_);
      state_.store(round << SHARE_BITS, std::memory_order_release);
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take_shares(round);
    for (int spins = 0; left_.load(std::memory_order_acquire) > 0; ++spins) {
      pause_briefly();
      if (spins > SPINS) sched_yield();
    }
    if (failed_.exchange(false)) throw std::bad_alloc();
  }

 private:
  static constexpr int SPINS = 4000, SHARE_BITS = 16;

  Team() : size_(1) {}

  // Do shares of a round as long as there are some. A share is taken together with the round's number, so that
  // a thread that comes too late finds none.
  void take_shares(std::uint64_t round) {
    std::uint64_t state = state_.load(std::memory_order_acquire);
    while (state >> SHARE_BITS == round) {
      const int share = int(state & ((1u << SHARE_BITS) - 1));
      if (share >= size_) return;
      if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
      try {
        (*work_)(share);
      } catch (...) {  // memory is all that work can run out of
        failed_.store(true);
      }
      left_.fetch_sub(1, std::memory_order_acq_rel);
      state = state_.load(std::memory_order_acquire);
    }
  }

  void start() {
    if (pid_ == getpid()) return;
    if (pid_ != getpid())
      for (auto& thread : threads_) new std::thread(std::move(thread));  // they were lost in a fork
    threads_.clear();
    pid_ = getpid();
    quit_ = false;
    const std::uint64_t round = state_.load() >> SHARE_BITS;
    try {
      for (int t = 1; t < size_; ++t) threads_.emplace_back([this, round] { serve(round); });
    } catch (const std::system_error&) {
      // The system has no more: the caller does the shares of those that are missing.
    }
  }

  void stop() {
    if (pid_ != getpid()) return;
    {
      std::lock_guard<std::mutex> lock(sleep_);
      quit_ = true;
      state_.fetch_add(std::uint64_t(1) << SHARE_BITS);
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    pid_ = 0;
  }

  void serve(std::uint64_t seen) {
    auto is_new = [&] { return state_.load(std::memory_order_acquire) >> SHARE_BITS != seen; };
    while (true) {
      for (int spins = 0; spins < SPINS && !is_new(); ++spins) pause_briefly();
      if (!is_new()) {
        std::unique_lock<std::mutex> lock(sleep_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, is_new);
        sleeping_.fetch_sub(1);
      }
      if (quit_) return;
      seen = state_.load(std::memory_order_acquire) >> SHARE_BITS;
      take_shares(seen);
    }
  }

  int size_;
  pid_t pid_ = 0;
  bool quit_ = false;
  std::vector<std::thread> threads_;
  std::mutex busy_, sleep_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> state_{0};  // the round, and the next share of it
  std::atomic<int> left_{0}, sleeping_{0};
  std::atomic<bool> failed_{false};
  const std::function<void(int)>* work_ = nullptr;
};

// The share of thread t of `total` units, in whole multiples of `unit`.
static inline void share(Index total, Index unit, int t, int threads, Index& begin, Index& end) {
  Index units = (total + unit - 1) / unit;
  begin = std::min(total, units * t / threads * unit);
  end = std::min(total, units * (t + 1) / threads * unit);
}

// Floats aligned to a cache line, not initialized. It grows and never shrinks.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  float* get(Index floats) {
    if (floats > size_) {
      std::free(data_);
      constexpr std::size_t HUGE_PAGE = 1 << 21;
      std::size_t bytes = std::size_t(floats) * 4;
      std::size_t unit = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
      bytes = (bytes + unit - 1) / unit * unit;
      data_ = static_cast<float*>(std::aligned_alloc(unit, bytes));
      if (data_ == nullptr) {
        size_ = 0;
        throw std::bad_alloc();
      }
#if defined(MADV_HUGEPAGE)
      if (unit == HUGE_PAGE) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
      size_ = Index(bytes / 4);
    }
    return data_;
  }

 private:
  float* data_ = nullptr;
  Index size_ = 0;
};

// Scratch memory of the calling thread.
static inline float* scratch(int slot, Index floats) {
  static thread_local Buffer buffers[6];
  return buffers[slot].get(floats + 4 * LANES);
}

}  // namespace kernels
