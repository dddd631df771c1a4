// A stack of its own for each thing that runs inside a world: the hypervisor on each processor and
// each virtual processor's guest. Switching is a plain jump on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define CHRONOVISOR_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHRONOVISOR_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef CHRONOVISOR_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace sim {

/// A stack with a guard page below it. Untouched pages cost nothing.
struct Stack {
  std::byte* bottom = nullptr;  // lowest usable byte
  std::size_t size_bytes = 0;
};

/// Stacks that are used again. One pool a world.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// The size is rounded up to whole pages. Throws if the host has no address space left.
  [[nodiscard]] Stack take(std::size_t size_bytes);
  void give_back(Stack stack);

 private:
  std::map<std::size_t, std::vector<Stack>> free_;
  std::vector<Stack> all_;
};

/// What runs on a fiber. It never returns; it leaves by switching away for the last time.
using FiberEntry = void (*)(void* argument);

class Fiber {
 public:
  /// The fiber that the calling thread already runs on; it gets its state at the first switch.
  Fiber() = default;
  /// A new fiber that calls entry(argument) at the first switch to it. It leaves `unused_bytes`
  /// (less than a page) at the end of the stack: if all began alike, they would contend for the
  /// same few lines of the processor's cache.
  Fiber(Stack stack, std::size_t unused_bytes, FiberEntry entry, void* argument);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `*this`, which is running, for `target`, which is not; or stays, if that is itself.
  /// Returns when someone switches back, with the message of whoever does.
  std::uint64_t switch_to(Fiber& target, std::uint64_t message = 0) {
    return leave_for(target, message, false);
  }
  /// The same; nobody ever switches back.
  [[noreturn]] void switch_for_good_to(Fiber& target) {
    leave_for(target, 0, true);
    __builtin_unreachable();
  }

  [[nodiscard]] const Stack& stack() const { return stack_; }

 private:
  /// Where a fiber that does not run goes on.
  struct Place {
    void* stack_pointer = nullptr;
    void* address = nullptr;
    void* frame = nullptr;  // RBP and RBX: the compiler cannot be told to save these two
    void* base = nullptr;
  };

  [[gnu::always_inline]] std::uint64_t leave_for(Fiber& target, std::uint64_t message,
                                                 bool for_good) {
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
    if (&target == this) {
      return message;
    }
    void* fake_stack = nullptr;
    target.left_ = this;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack, target.stack_.bottom,
                                   target.stack_.size_bytes);
#else
    static_cast<void>(for_good);
#endif
    message = jump(&place_, &target.place_, message);
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
    return message;
  }

  // The registers that the compiler holds values in it saves itself. The control words of the x87
  // and SSE units stay: nothing in a world computes with floating point.
  // The message goes in one of them.
  [[gnu::always_inline]] static std::uint64_t jump(Place* from, const Place* to,
                                                   std::uint64_t message) {
    asm volatile(
        "leaq 1f(%%rip), %%rax\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movq %%rax, 8(%%rdi)\n\t"
        "movq %%rbp, 16(%%rdi)\n\t"
        "movq %%rbx, 24(%%rdi)\n\t"
        "movq (%%rsi), %%rsp\n\t"
        "movq 16(%%rsi), %%rbp\n\t"
        "movq 24(%%rsi), %%rbx\n\t"
        "jmpq *8(%%rsi)\n"
        "1:"
        : "+D"(from), "+S"(to), "+c"(message)
        :
        : "rax", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
          "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
          "xmm13", "xmm14", "xmm15", "cc", "memory");
    return message;
  }
  static void begin(Fiber* self);

  Place place_;
  Stack stack_;
  FiberEntry entry_ = nullptr;
  void* argument_ = nullptr;
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
  Fiber* left_ = nullptr;  // the one that the last switch came from
#endif
};

}  // namespace sim
