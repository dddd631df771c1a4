// Looks at the page in which a child sets bits instead of signalling, at the interval of its table.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "machine/address.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/event_flags.h"
#include "vmbus/protocol/monitor_page.h"
#include "vmbus/server/offers.h"

namespace root {

/// Of one child. A task looks while there is a trigger to look at; nothing of the child's is
/// touched when there is none.
class MonitorScanner {
 public:
  explicit MonitorScanner(std::uint64_t child_number) : child_number_(child_number) {}

  /// The page, as the root reaches it, is the child's from now on; nullopt: there is none. What is
  /// pending in the one before is passed on, and the new one prepared.
  void use_page(std::optional<machine::Gpa> page);

  /// Passes on what the child sets by this trigger, at most `latency_100ns` late but for the root's
  /// own business. Whoever watched it before watches it no more: a reserved channel that outlived
  /// its connection.
  void add(std::uint8_t trigger, SignalReceiver& receiver, std::uint16_t latency_100ns);
  void remove(std::uint8_t trigger, const SignalReceiver& receiver);

  /// No trigger is left: when it is set nothing looks any more.
  [[nodiscard]] kernel::Event& stopped() { return stopped_; }
  [[nodiscard]] bool is_looking() const { return looking_; }

 private:
  struct Watched {
    SignalReceiver* receiver = nullptr;
    std::uint16_t latency_100ns = 0;
  };

  void prepare(const Watched& watched, vmbus::MonitorTrigger trigger) const;
  kernel::Task<> look_at_intervals();
  void look();
  [[nodiscard]] std::uint16_t interval_100ns() const;

  std::uint64_t child_number_;
  std::optional<machine::Gpa> page_;
  std::array<Watched, vmbus::kMonitorTriggers> watched_{};
  std::uint32_t count_ = 0;
  bool looking_ = false;
  kernel::Event stopped_;
};

}  // namespace root
