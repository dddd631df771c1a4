#include "hv/timer/reference_tsc_page.h"

#include <cstddef>

#include "hv/tlfs/reference_tsc.h"
#include "machine/vmx_root.h"

namespace hv {

using machine::Spa;

std::uint32_t publish_reference_tsc(machine::Spn page, std::uint32_t previous, std::uint64_t scale,
                                    std::uint64_t offset) {
  const Spa base(page);
  const Spa sequence_address = base + offsetof(ReferenceTscPage, sequence);
  std::uint32_t sequence = previous + 1;
  if (sequence == kReferenceTscSequenceReserved || sequence == kReferenceTscSequenceInvalid) {
    sequence = 1;
  }
  // Stores are seen in this order (guest.h), so no barrier stands between them.
  machine::store_u32(sequence_address, kReferenceTscSequenceInvalid);
  machine::store_u64(base + offsetof(ReferenceTscPage, scale), scale);
  machine::store_u64(base + offsetof(ReferenceTscPage, offset), offset);
  machine::store_u32(sequence_address, sequence);
  return sequence;
}

void invalidate_reference_tsc(machine::Spn page) {
  machine::store_u32(Spa(page) + offsetof(ReferenceTscPage, sequence),
                     kReferenceTscSequenceInvalid);
}

}  // namespace hv
