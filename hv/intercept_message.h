// The message of an intercept on its way to the parent: the VP is suspended, the header says where
// it stands, the payload goes to SINT0 of a VP of the parent, or into the page that the parent has
// for it. What would need a parent of the root ends the run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/messages.h"

namespace hv {

class Hypervisor;
class Partition;
class VirtualProcessor;

/// The parent's VP that hears of its children: the first that listens. Under the communication
/// lock.
[[nodiscard]] VirtualProcessor* intercept_listener(Partition& parent);

/// The VP is loaded here and exited, and no lock is held.
[[nodiscard]] InterceptHeader make_intercept_header(const VirtualProcessor& vp,
                                                    InterceptAccess access,
                                                    std::uint32_t instruction_length);
/// Suspends the VP, which is loaded here, and sends the message. No lock is held.
void raise_intercept(Hypervisor& hypervisor, VirtualProcessor& vp, MessageType type,
                     std::span<const std::byte> payload);

template <class Payload>
void raise_intercept(Hypervisor& hypervisor, VirtualProcessor& vp, MessageType type,
                     const Payload& payload) {
  static_assert(sizeof(Payload) <= kMessagePayloadBytes);
  raise_intercept(hypervisor, vp, type, std::as_bytes(std::span(&payload, 1)));
}

}  // namespace hv
