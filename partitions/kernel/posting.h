// Sends messages and signals to another partition.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hv/tlfs/hypercall_communication.h"
#include "hv/tlfs/status.h"

namespace kernel {

/// A message ready to be posted; `payload` is cut to what a message holds.
[[nodiscard]] hv::PostMessageInput make_message(hv::ConnectionId connection, hv::MessageType type,
                                                std::span<const std::byte> payload);

/// Posts once. kInsufficientBuffers says that the receiver has not taken the earlier ones yet.
[[nodiscard]] hv::Status try_post(const hv::PostMessageInput& message);

/// Sets flag `flag` of an event connection.
[[nodiscard]] hv::Status signal_event(hv::ConnectionId connection, std::uint16_t flag);

}  // namespace kernel
