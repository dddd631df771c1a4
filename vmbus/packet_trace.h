// Trace events by which whoever watches a run can tell that the packets of a channel arrive: once,
// in order and unaltered. They change nothing and nothing here depends on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/testing.h"
#include "vmbus/ring.h"

namespace vmbus {

enum class PacketDirection : std::uint8_t { kToServer, kToClient };

/// The packet is in the ring; the other end cannot see it yet.
void trace_sent(std::uint64_t track, PacketDirection direction, const OutgoingPacket& packet);
/// The packet was copied out of the ring: `bytes` is what stands behind its descriptor, whole.
void trace_received(std::uint64_t track, PacketDirection direction, const PacketView& packet,
                    std::span<const std::byte> bytes);

}  // namespace vmbus
