#include "hv/synic/port.h"

#include <bit>
#include <cstring>

#include "hv/synic/doorbell_table.h"
#include "hv/tlfs/synic.h"
#include "machine/invariant.h"

namespace hv {

namespace {

constexpr std::uint64_t kAllBuffers = (1ull << kPortMessageBuffers) - 1;

bool is_sint_of_port(std::uint32_t sint) { return sint >= 1 && sint < kSintCount; }

}  // namespace

bool Port::has_free_buffer() const {
  return (messages.busy_buffers() & kAllBuffers) != kAllBuffers;
}

MessageBuffer* Port::find_buffer(std::uint32_t number) {
  MessageBuffer* buffer = buffers_;
  while (buffer != nullptr && buffer->entry.buffer != number) {
    buffer = buffer->next;
  }
  return buffer;
}

std::expected<QueuedMessage*, Status> Port::fill_buffer(MessageType type,
                                                        std::span<const std::byte> payload) {
  INVARIANT(store_ != nullptr && payload.size() <= kMessagePayloadBytes);
  const auto free = static_cast<std::uint32_t>(std::countr_one(messages.busy_buffers()));
  if (free >= kPortMessageBuffers) {
    return std::unexpected(Status::kInsufficientBuffers);
  }
  MessageBuffer* found = find_buffer(free);
  if (found == nullptr) {
    found = &store_->take();
    QueuedMessage& fresh = found->entry;
    fresh.owner = &messages;
    fresh.buffer = free;
    fresh.header.origination = static_cast<std::uint64_t>(id);
    fresh.payload = found->payload.data();
    found->next = buffers_;
    buffers_ = found;
  }
  messages.set_busy(free);
  MessageBuffer& buffer = *found;
  buffer.entry.header.type = type;
  buffer.entry.header.payload_size = static_cast<std::uint8_t>(payload.size());
  std::memcpy(buffer.payload.data(), payload.data(), payload.size());
  return &buffer.entry;
}

Status check_port(PortId id, const PortInfo& info) {
  if (static_cast<std::uint32_t>(id) > kPortIdMax) {
    return Status::kInvalidPortId;
  }
  if (info.reserved0 != 0 || info.reserved1 != 0) {
    return Status::kInvalidParameter;
  }
  // 0 is what an event ring has where nothing is.
  if (info.type == PortType::kDoorbell && id == PortId{0}) {
    return Status::kInvalidPortId;
  }
  switch (info.type) {
    case PortType::kMessage:
    case PortType::kDoorbell:
      return is_sint_of_port(info.sint) && info.base_flag == 0 && info.flag_count == 0
                 ? Status::kSuccess
                 : Status::kInvalidParameter;
    case PortType::kEvent: {
      const std::uint32_t end = std::uint32_t{info.base_flag} + info.flag_count;
      return is_sint_of_port(info.sint) && info.flag_count != 0 && end <= kEventFlagsPerSint
                 ? Status::kSuccess
                 : Status::kInvalidParameter;
    }
    case PortType::kMonitor:
      if (info.base_flag != 0 || info.flag_count != 0) {
        return Status::kInvalidParameter;
      }
      return info.monitor_gpa() % machine::kPageSize == 0 ? Status::kSuccess
                                                          : Status::kInvalidAlignment;
  }
  return Status::kInvalidParameter;
}

Status check_connection(ConnectionId id, const ConnectionInfo& info) {
  if (static_cast<std::uint32_t>(id) > kConnectionIdMax) {
    return Status::kInvalidConnectionId;
  }
  if (info.reserved != 0) {
    return Status::kInvalidParameter;
  }
  switch (info.type) {
    case PortType::kMessage:
    case PortType::kEvent:
      return info.gpa == 0 && info.trigger_value == 0 && info.flags == 0
                 ? Status::kSuccess
                 : Status::kInvalidParameter;
    case PortType::kDoorbell:
      return check_doorbell(info);
    case PortType::kMonitor:
      if (info.trigger_value != 0 || info.flags != 0) {
        return Status::kInvalidParameter;
      }
      return info.gpa % machine::kPageSize == 0 ? Status::kSuccess : Status::kInvalidAlignment;
  }
  return Status::kInvalidParameter;
}

Status check_message(MessageType type, std::uint32_t payload_size) {
  const auto number = static_cast<std::uint32_t>(type);
  const bool legal =
      number != 0 && (number & kHypervisorMessageBit) == 0 && payload_size <= kMessagePayloadBytes;
  return legal ? Status::kSuccess : Status::kInvalidParameter;
}

}  // namespace hv
