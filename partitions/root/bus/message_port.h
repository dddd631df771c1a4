// A way for the root's messages to one processor and SINT of a child.
#pragma once

#include <cstdint>
#include <optional>

#include "partitions/root/bus/child_ports.h"

namespace root {

struct MessageTarget {
  /// Below the child's processors.
  std::uint32_t vp = 0;
  std::uint32_t sint = 0;
  friend constexpr bool operator==(const MessageTarget&, const MessageTarget&) = default;
};

/// A port of the child and the root's connection to it, both of number `use`.
class MessagePort {
 public:
  MessagePort(ChildPorts& ports, std::uint32_t use) : ports_(ports), use_(use) {}
  MessagePort(const MessagePort&) = delete;
  MessagePort& operator=(const MessagePort&) = delete;

  /// Leads there from now on. If it led elsewhere, what the hypervisor has queued for that place is
  /// lost. False: it leads nowhere, and may be asked again.
  [[nodiscard]] bool lead_to(const MessageTarget& target);
  /// It leads nowhere; what the hypervisor has queued is lost.
  void close();

  [[nodiscard]] const std::optional<MessageTarget>& target() const { return target_; }
  [[nodiscard]] hv::ConnectionId connection() const { return ports_.connection(use_); }

 private:
  ChildPorts& ports_;
  const std::uint32_t use_;
  std::optional<MessageTarget> target_;
};

}  // namespace root
