#include "hv/synic/event_ring.h"

#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

EventRing::Outcome EventRing::put(machine::Spn page, std::uint32_t sint, PortId port) {
  INVARIANT(sint < kSintCount && port != PortId{0});
  const machine::Spa ring = machine::Spa(page) + sint * sizeof(EventRingLayout);
  std::uint8_t& next = next_[sint];
  const machine::Spa entry =
      ring + offsetof(EventRingLayout, entries) + next * sizeof(std::uint32_t);
  Outcome outcome;
  bool free = machine::load_u32(entry) == 0;
  if (!free) {
    // Whoever empties the ring looks at this flag last. It may have looked just before: then the
    // entry is empty now.
    machine::fetch_or_u8(ring + offsetof(EventRingLayout, ring_full), 1);
    free = machine::load_u32(entry) == 0;
  }
  if (free) {
    machine::store_u32(entry, static_cast<std::uint32_t>(port));
    next = static_cast<std::uint8_t>((next + 1) % EventRingLayout::kEntries);
    outcome.put = true;
  }
  // The locked operation is also the fence between the entry and the flag: the guest clears the
  // flag, and then looks at the entry once more.
  outcome.interrupt = machine::fetch_or_u8(ring + offsetof(EventRingLayout, signal_masked), 1) == 0;
  return outcome;
}

}  // namespace hv
