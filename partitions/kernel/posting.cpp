#include "partitions/kernel/posting.h"

#include <algorithm>

#include "partitions/kernel/processor.h"

namespace kernel {

hv::PostMessageInput make_message(hv::ConnectionId connection, hv::MessageType type,
                                  std::span<const std::byte> payload) {
  hv::PostMessageInput message;
  message.connection = connection;
  message.type = type;
  const std::size_t size = std::min(payload.size(), message.payload.size());
  message.payload_size = static_cast<std::uint32_t>(size);
  std::copy_n(payload.begin(), size, message.payload.begin());
  return message;
}

hv::Status try_post(const hv::PostMessageInput& message) {
  return Processor::current().hypercalls().call(hv::CallCode::kPostMessage, message);
}

hv::Status signal_event(hv::ConnectionId connection, std::uint16_t flag) {
  const hv::SignalEventInput input{connection, flag, 0};
  return Processor::current().hypercalls().call_fast(hv::CallCode::kSignalEvent, input);
}

}  // namespace kernel
