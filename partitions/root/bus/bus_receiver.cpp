#include "partitions/root/bus/bus_receiver.h"

#include <algorithm>

#include "partitions/root/services.h"

namespace root {

void BusReceiver::message_arrived(const hv::Message& message) {
  if (message.header.type != hv::MessageType{vmbus::kVmbusMessageType}) {
    return;
  }
  const auto port = static_cast<std::uint32_t>(message.header.origination);
  ChildPartition* child = children_.find_number(port >> kChildIdShift);
  if (child == nullptr || child->bus() == nullptr) {
    return;  // Sent before its partition went.
  }
  const std::size_t size =
      std::min<std::size_t>(message.header.payload_size, hv::kMessagePayloadBytes);
  child->bus()->handle_message(std::span(message.payload).first(size));
}

}  // namespace root
