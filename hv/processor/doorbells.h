// Writes of a child that ring at the root, without an exit to it (TLFS "Doorbell Ports").
#pragma once

#include <cstdint>

#include "hv/vtx/exit.h"
#include "machine/address.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// An access that the EPT refused, at `gpa`, if it is a write that rings: carries the instruction
/// out. False: it is not, or nobody of the root's listens, and the write is the parent's to see.
/// The virtual processor is loaded here, and exited. Takes the communication lock.
[[nodiscard]] bool emulate_doorbell(Hypervisor& hypervisor, VirtualProcessor& vp, machine::Gpa gpa,
                                    const vtx::EptViolation& violation);
/// The root's virtual processor has emptied the event ring of a SINT: what rang while it was full
/// goes there now. Takes the communication lock.
void refill_event_ring(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint32_t sint);

}  // namespace hv
