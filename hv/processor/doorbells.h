// Writes of a child that ring at the root, without an exit to it (TLFS "Doorbell Ports").
#pragma once

#include <cstdint>

#include "hv/synic/doorbell_table.h"

namespace hv {

class Hypervisor;
class VirtualProcessor;

/// Whether any write of the partition rings: only then is it worth finding out what it writes.
/// Takes the communication lock.
[[nodiscard]] bool has_doorbells(Hypervisor& hypervisor, const VirtualProcessor& vp);
/// Rings the doorbell of a write, which is complete then. False: there is none, or nobody of the
/// root's listens, and the write is the parent's to see. Takes the communication lock.
[[nodiscard]] bool ring_doorbell(Hypervisor& hypervisor, VirtualProcessor& vp,
                                 const GuestStore& store);
/// The root's virtual processor has emptied the event ring of a SINT: what rang while it was full
/// goes there now. Takes the communication lock.
void refill_event_ring(Hypervisor& hypervisor, VirtualProcessor& vp, std::uint32_t sint);

}  // namespace hv
