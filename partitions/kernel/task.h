// Tasks: C++20 coroutines on an executor.
//
// A task starts suspended and is started through its executor's queue, whether it is awaited or
// spawned, and so is whoever awaits it when it ends: no frame is ever elided and no stack grows, on
// any compiler. A task stays on the executor that it was created on. Frames are slots of one size,
// counted in slots; what is large does not live in a frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "machine/invariant.h"
#include "partitions/kernel/executor.h"

namespace kernel {

/// One size for every frame, so that which tasks fit does not depend on the compiler.
inline constexpr std::size_t kFrameSlotBytes = 512;

[[nodiscard]] void* allocate_frame(std::size_t size_bytes);
void free_frame(void* frame);
/// The executor of the processor that calls.
[[nodiscard]] Executor& current_executor();

/// What the promises of all tasks share: the task as a piece of work.
class TaskPromise : public Work {
 public:
  TaskPromise() : Work(&TaskPromise::resume), executor_(current_executor()) {}

  static void* operator new(std::size_t size_bytes) { return allocate_frame(size_bytes); }
  static void operator delete(void* frame) { free_frame(frame); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() {
    machine::invariant_failed("exceptions are disabled", __FILE__, __LINE__);
  }

  /// Ends the task: wakes who awaits it, or frees it if nobody can.
  struct Final {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) noexcept {
      TaskPromise& promise = task.promise();
      if (promise.awaiter_ != nullptr) {
        promise.executor_.post(*promise.awaiter_);
      } else if (promise.detached_) {
        task.destroy();
      }
    }
    void await_resume() noexcept {}
  };
  Final final_suspend() noexcept { return {}; }

  void set_handle(std::coroutine_handle<> handle) { handle_ = handle; }
  void set_awaiter(Work& awaiter) { awaiter_ = &awaiter; }
  void detach() { detached_ = true; }
  [[nodiscard]] Executor& executor() { return executor_; }

 private:
  static void resume(Work& work) { static_cast<TaskPromise&>(work).handle_.resume(); }

  Executor& executor_;
  std::coroutine_handle<> handle_;
  Work* awaiter_ = nullptr;
  bool detached_ = false;
};

template <class T>
class Task;

template <class T>
class ValuePromise : public TaskPromise {
 public:
  Task<T> get_return_object();
  void return_value(T value) { value_.emplace(std::move(value)); }
  T take() {
    INVARIANT(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class ValuePromise<void> : public TaskPromise {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

/// A task that has not been started. Awaiting it starts it and gives its result.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = ValuePromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) {
      handle_.destroy();
    }
  }

  bool await_ready() { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> awaiter) {
    promise_type& promise = handle_.promise();
    promise.set_awaiter(awaiter.promise());
    promise.executor().post(promise);
  }
  T await_resume() { return handle_.promise().take(); }

  /// Starts the task for itself; it frees itself when it ends.
  void spawn() && {
    promise_type& promise = std::exchange(handle_, nullptr).promise();
    promise.detach();
    promise.executor().post(promise);
  }

 private:
  Handle handle_;
};

template <class T>
Task<T> ValuePromise<T>::get_return_object() {
  const auto handle = Task<T>::Handle::from_promise(*this);
  set_handle(handle);
  return Task<T>(handle);
}

inline Task<void> ValuePromise<void>::get_return_object() {
  const auto handle = Task<void>::Handle::from_promise(*this);
  set_handle(handle);
  return Task<void>(handle);
}

}  // namespace kernel
