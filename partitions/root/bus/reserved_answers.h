// Answers to those who opened reserved channels: each says where it wants them, whether it is
// connected or not, and the messages of the connection do not wait for them, nor they for those.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "partitions/kernel/outbox.h"
#include "partitions/root/bus/message_port.h"

namespace root {

/// Answers for one target arrive in order. There is room for a few targets at a time; a child that
/// names more, and takes no answer, loses some.
class ReservedAnswers {
 public:
  ReservedAnswers(kernel::Heap& heap, ChildPorts& ports, kernel::Outbox::Refused refused);

  void send(const MessageTarget& target, std::span<const std::byte> message);
  /// What has not been sent is dropped; `ended` is set when close_ports() may be called.
  void close() { outbox_.close(); }
  [[nodiscard]] kernel::Event& ended() { return outbox_.ended(); }
  void close_ports();

 private:
  static constexpr std::size_t kTargets = 4;

  /// The port that leads to the target by now; null if none can.
  [[nodiscard]] MessagePort* port_to(const MessageTarget& target);

  kernel::Outbox outbox_;
  std::array<MessagePort, kTargets> to_;
  /// The one that was made to lead where it does before the others.
  std::size_t oldest_ = 0;
};

}  // namespace root
