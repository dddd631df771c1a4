// The root calls services of one child, again and again: some that the child has, and one that it
// has not.
#pragma once

#include <cstdint>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/random.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/event_flags.h"

namespace root {

class VmbusService;

/// What is to be done. Every fourth call, by their numbers from 1 on, is to nobody.
struct CallPlan {
  std::uint32_t calls = 0;
  std::uint32_t messages = 0;
  std::uint64_t seed = 0;
};
[[nodiscard]] constexpr bool is_to_nobody(std::uint32_t call) { return call % 4 == 0; }
/// How many of so many the child takes.
[[nodiscard]] constexpr std::uint32_t calls_taken(std::uint32_t calls) { return calls - calls / 4; }

class StreamCaller {
 public:
  StreamCaller(kernel::Kernel& kernel, VmbusService& bus, EventFlags& flags, const CallPlan& plan)
      : kernel_(kernel), bus_(bus), flags_(flags), plan_(plan), left_(plan.calls) {}
  StreamCaller(const StreamCaller&) = delete;
  StreamCaller& operator=(const StreamCaller&) = delete;

  void start();
  /// Calls no more. stopped() comes when the bus has let go of every call.
  void stop() { stopping_ = true; }
  [[nodiscard]] kernel::Event& stopped() { return stopped_; }

 private:
  kernel::Task<> call_in_turn(std::uint32_t line);
  /// False: it has to be made again.
  kernel::Task<bool> call(std::uint32_t port, kernel::Random& random);

  kernel::Kernel& kernel_;
  VmbusService& bus_;
  EventFlags& flags_;
  const CallPlan plan_;
  std::uint32_t left_;
  std::uint32_t lines_ = 0;
  bool stopping_ = false;
  kernel::Event stopped_;
};

}  // namespace root
