// A stack of its own for each thing that runs inside a world: the hypervisor on each processor and
// each virtual processor's guest. Switching is a plain jump on the calling thread.
#pragma once

#include <boost/context/detail/fcontext.hpp>
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
  /// A new fiber that calls entry(argument) at the first switch to it.
  Fiber(Stack stack, FiberEntry entry, void* argument);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `*this`, which is running, for `target`, which is not. Returns when someone switches
  /// back; if this is `for_good`, nobody ever does.
  void switch_to(Fiber& target, bool for_good = false) {
    next_ = &target;
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack, target.stack_.bottom,
                                   target.stack_.size_bytes);
#else
    static_cast<void>(for_good);
#endif
    arrive(boost::context::detail::jump_fcontext(target.context_, this));
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  }

  [[nodiscard]] const Stack& stack() const { return stack_; }

 private:
  // What a switch hands over is the fiber that was left.
  static void arrive(const boost::context::detail::transfer_t& transfer) {
    static_cast<Fiber*>(transfer.data)->context_ = transfer.fctx;
  }
  static void begin(boost::context::detail::transfer_t transfer);

  boost::context::detail::fcontext_t context_ = nullptr;
  Fiber* next_ = nullptr;  // where it switched to last
  Stack stack_;
  FiberEntry entry_ = nullptr;
  void* argument_ = nullptr;
};

}  // namespace sim
