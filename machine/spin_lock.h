// A spin lock between the processors of one program. Each lock has a rank; a processor takes locks
// in strictly ascending rank, and the simulator reports an order that breaks the rule.
#pragma once

#include <cstdint>

#include "machine/common.h"
#include "machine/shared.h"
#include "machine/testing.h"

namespace machine {

/// The place of a lock in its program's documented order; 0 is reserved.
enum class LockRank : std::uint32_t {};

/// Not recursive. Taken with interrupts disabled wherever an interrupt handler takes it too.
class SpinLock {
 public:
  constexpr explicit SpinLock(LockRank rank) : rank_(rank) {}
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void acquire() {
    lock_wanted(static_cast<std::uint32_t>(rank_));
    while (held_.exchange(1) != 0) {
      while (held_.load() != 0) {
        pause();
      }
    }
    lock_acquired(static_cast<std::uint32_t>(rank_), this);
  }
  void release() {
    lock_released(static_cast<std::uint32_t>(rank_), this);
    held_.store(0);
  }

 private:
  Shared<std::uint32_t> held_{0};
  LockRank rank_;
};

/// Holds a lock for a scope.
class [[nodiscard]] LockGuard {
 public:
  explicit LockGuard(SpinLock& lock) : lock_(lock) { lock_.acquire(); }
  ~LockGuard() { lock_.release(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  SpinLock& lock_;
};

/// Holds a lock for a scope, with interrupts disabled.
class [[nodiscard]] InterruptLockGuard {
 public:
  explicit InterruptLockGuard(SpinLock& lock) : were_enabled_(disable_interrupts()), lock_(lock) {
    lock_.acquire();
  }
  ~InterruptLockGuard() {
    lock_.release();
    if (were_enabled_) {
      enable_interrupts();
    }
  }
  InterruptLockGuard(const InterruptLockGuard&) = delete;
  InterruptLockGuard& operator=(const InterruptLockGuard&) = delete;

 private:
  bool were_enabled_;
  SpinLock& lock_;
};

}  // namespace machine
