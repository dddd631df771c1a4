#include "partitions/root/bus/reserved_answers.h"

#include "partitions/kernel/posting.h"
#include "vmbus/vmbus.h"

namespace root {

namespace {

/// The numbers of their ports and connections, the first of them.
constexpr std::uint32_t kReservedUse = 0x40;

}  // namespace

ReservedAnswers::ReservedAnswers(kernel::Heap& heap, ChildPorts& ports,
                                 kernel::Outbox::Refused refused)
    : outbox_(heap, refused, nullptr),
      to_{{{ports, kReservedUse},
           {ports, kReservedUse + 1},
           {ports, kReservedUse + 2},
           {ports, kReservedUse + 3}}} {}

MessagePort* ReservedAnswers::port_to(const MessageTarget& target) {
  for (MessagePort& port : to_) {
    if (port.target() == target) {
      return &port;
    }
  }
  MessagePort& port = to_[oldest_];
  if (port.target() && !outbox_.is_empty()) {
    return nullptr;  // What waits might be for where it leads now.
  }
  oldest_ = (oldest_ + 1) % to_.size();
  return port.lead_to(target) ? &port : nullptr;
}

void ReservedAnswers::send(const MessageTarget& target, std::span<const std::byte> message) {
  if (const MessagePort* const port = port_to(target)) {
    outbox_.append(kernel::make_message(port->connection(),
                                        hv::MessageType{vmbus::kVmbusMessageType}, message));
  }
}

void ReservedAnswers::close_ports() {
  for (MessagePort& port : to_) {
    port.close();
  }
}

}  // namespace root
