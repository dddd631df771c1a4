// One channel of the server.
#pragma once

#include <cstdint>
#include <optional>

#include "vmbus/server/offers.h"

namespace vmbus {

enum class ServerChannelState : std::uint8_t {
  kFree,                  // the slot holds no channel
  kClientReleased,        // the client does not know the channel
  kClosed,                // offered, not open
  kOpening,               // the device has been asked to open
  kOpen,                  // the client has been told so
  kClosing,               // the device has been asked to close
  kClosingReopen,         // the same, and the client wants to open again
  kRevoked,               // rescinded; the client has yet to release its id
  kReoffered,             // the same, and the device is there again
  kOpeningClientRelease,  // the connection went away while the device opens
  kClosingClientRelease,  // the connection went away, the device still closes
};

/// A slot for a channel, in storage of the server's owner; the server alone looks into it.
struct ServerChannel {
  ServerChannelState state = ServerChannelState::kFree;
  std::uint32_t generation = 0;
  Offer offer;
  /// Of the open that is under way or done.
  ChannelOpening opening;
  /// Of the open that waits for the close to end.
  ChannelOpening reopening;
  /// The device has been asked for a new target processor.
  bool retargeting = false;
  /// Where the client wanted it to go. Until it has gone there, `opening` says where it is.
  std::uint32_t retarget_vp = 0;
  /// The newest target that came meanwhile (before version 5.3).
  std::optional<std::uint32_t> next_target_vp;
  /// It was opened, or is being closed, as a reserved channel.
  std::optional<ReservedTarget> reserved;
  /// The reserved channel has outlived the connection in which it was opened.
  bool outlives_connection = false;
  /// Its trigger in the monitor page, while the client knows the channel.
  std::optional<std::uint8_t> monitor;
};

}  // namespace vmbus
