// What the server's owner says of a device, and how it names the channel from then on.
#pragma once

#include <array>
#include <cstdint>

#include "vmbus/protocol/messages.h"
#include "vmbus/vmbus.h"

namespace vmbus {

struct Offer {
  Guid interface_type;
  Guid interface_instance;
  std::uint16_t flags = 0;
  std::uint16_t mmio_megabytes = 0;
  /// 0 for a primary channel.
  std::uint16_t subchannel_index = 0;
  std::array<std::uint8_t, kUserDataSize> user_data{};
};

/// A channel of the server. The generation makes an answer that comes late, after the channel was
/// revoked and perhaps offered anew, miss the new one.
struct OfferId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend constexpr bool operator==(OfferId, OfferId) = default;
};

/// What a client asked for when it opened a channel. Nothing of it but the shape of the ring GPADL
/// has been checked.
struct ChannelOpening {
  ChannelId channel;
  std::uint32_t open_id = 0;
  GpadlId ring_gpadl;
  std::uint32_t downstream_page_offset = 0;
  /// kNoTargetVp: the client wants no interrupts.
  std::uint32_t target_vp = 0;
  std::array<std::uint8_t, kUserDataSize> user_data{};
};

/// What a client said when it made contact.
struct Contact {
  std::uint32_t version = 0;
  std::uint32_t target_vp = 0;
  std::uint64_t parent_to_child_monitor_gpa = 0;
  std::uint64_t child_to_parent_monitor_gpa = 0;
};

}  // namespace vmbus
