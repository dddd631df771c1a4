// How tasks of one executor wait for each other. Nothing here is for two processors or for an
// interrupt handler: those post work.
#pragma once

#include <coroutine>
#include <cstdint>

#include "partitions/kernel/task.h"

namespace kernel {

/// Tasks that wait, in the order in which they came.
class WaitQueue {
 public:
  struct Waiter {
    TaskPromise* task = nullptr;
    Waiter* next = nullptr;
  };

  void add(Waiter& waiter) {
    waiter.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &waiter;
    last_ = &waiter;
  }
  /// Queues the first waiting task; false if there is none.
  bool wake_one() {
    Waiter* waiter = first_;
    if (waiter == nullptr) {
      return false;
    }
    first_ = waiter->next;
    waiter->task->executor().post(*waiter->task);
    return true;
  }
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

/// `co_await Yield()`: lets everything else that is ready run first.
struct Yield {
  bool await_ready() { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> task) {
    task.promise().executor().post(task.promise());
  }
  void await_resume() {}
};

/// Happens once and stays: `co_await event.wait()` goes on at once if set() has been called.
class Event {
 public:
  class Wait {
   public:
    explicit Wait(Event& event) : event_(event) {}
    bool await_ready() { return event_.set_; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) {
      waiter_.task = &task.promise();
      event_.waiters_.add(waiter_);
    }
    void await_resume() {}

   private:
    Event& event_;
    WaitQueue::Waiter waiter_;
  };

  void set() {
    set_ = true;
    while (waiters_.wake_one()) {
    }
  }
  void clear() { set_ = false; }
  [[nodiscard]] bool is_set() const { return set_; }
  [[nodiscard]] Wait wait() { return Wait(*this); }

 private:
  bool set_ = false;
  WaitQueue waiters_;
};

/// Counts what is free. `co_await semaphore.acquire()` takes one, waiting until there is one.
class Semaphore {
 public:
  explicit Semaphore(std::uint32_t count) : count_(count) {}

  class Acquire {
   public:
    explicit Acquire(Semaphore& semaphore) : semaphore_(semaphore) {}
    bool await_ready() {
      if (semaphore_.count_ == 0) {
        return false;
      }
      --semaphore_.count_;
      return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) {
      waiter_.task = &task.promise();
      semaphore_.waiters_.add(waiter_);
    }
    void await_resume() {}

   private:
    Semaphore& semaphore_;
    WaitQueue::Waiter waiter_;
  };

  [[nodiscard]] Acquire acquire() { return Acquire(*this); }
  /// Gives one back: to the first that waits, or to the count.
  void release() {
    if (!waiters_.wake_one()) {
      ++count_;
    }
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::uint32_t count_;
  WaitQueue waiters_;
};

/// Tells one task that there is something to look at; notices that come before it looks are one.
class Notice {
 public:
  class Wait {
   public:
    explicit Wait(Notice& notice) : notice_(notice) {}
    bool await_ready() { return notice_.given_; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) {
      INVARIANT(notice_.waiting_ == nullptr);
      notice_.waiting_ = &task.promise();
    }
    void await_resume() { notice_.given_ = false; }

   private:
    Notice& notice_;
  };

  void give() {
    given_ = true;
    if (waiting_ != nullptr) {
      TaskPromise* task = waiting_;
      waiting_ = nullptr;
      task->executor().post(*task);
    }
  }
  [[nodiscard]] Wait wait() { return Wait(*this); }

 private:
  bool given_ = false;
  TaskPromise* waiting_ = nullptr;
};

}  // namespace kernel
