// What the server's owner says of a device, and how it names the channel from then on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "vmbus/protocol/messages.h"
#include "vmbus/protocol/monitor_page.h"
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
  /// The client may signal it through the monitor page, if it has one.
  bool monitored = false;
};

/// Triggers that a monitor page has.
inline constexpr std::uint32_t kMonitorTriggers = kMonitorGroups * kMonitorTriggersPerGroup;

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
  /// The trigger in the monitor page by which the client may signal it; below kMonitorTriggers.
  std::optional<std::uint8_t> monitor;
};

/// Pages that both ends look at to see who wants to be signalled; both or none.
struct MonitorPages {
  std::uint64_t parent_to_child_gpa = 0;
  std::uint64_t child_to_parent_gpa = 0;
  [[nodiscard]] constexpr bool there() const {
    return parent_to_child_gpa != 0 && child_to_parent_gpa != 0;
  }
  /// One without the other is none, and a lie.
  [[nodiscard]] constexpr bool valid() const {
    return (parent_to_child_gpa != 0) == (child_to_parent_gpa != 0);
  }
};

/// What a client said when it made contact.
struct Contact {
  std::uint32_t version = 0;
  std::uint32_t target_vp = 0;
  MonitorPages monitor_pages;
  /// All zero if it did not say.
  Guid client_id;
};

/// A client's wish for a stream to a service of this end (hv_sock).
struct TlConnect {
  Guid endpoint;
  Guid service;
  /// All zero: none.
  Guid silo;
};

/// Where the answers to the opener of a reserved channel go.
struct ReservedTarget {
  std::uint32_t target_vp = 0;
  std::uint32_t target_sint = 0;
};

}  // namespace vmbus
