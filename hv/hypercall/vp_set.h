// The set of virtual processors in a call's header (TLFS "Sparse Virtual Processor Set").
#pragma once

#include <cstdint>
#include <expected>

#include "hv/hypercall/call_arithmetic.h"
#include "hv/hypercall/call_context.h"
#include "hv/hypervisor_limits.h"
#include "hv/tlfs/hypercall_flush.h"

namespace hv::calls {

/// Calls `visit` with the number of each bit of the set, in ascending order.
template <class Visit>
void for_each_bit(std::uint64_t set, Visit visit) {
  for (std::uint64_t left = set; left != 0; left = call_arithmetic::without_lowest_bit(left)) {
    visit(static_cast<std::uint32_t>(std::countr_zero(left)));
  }
}

/// The VP indices of the set that there can be, as the bits of the one bank that has any.
/// kInvalidParameter for a format that does not exist; kInvalidHypercallInput if a sparse set has
/// another number of banks than its mask has bits. A set of all VPs needs none: what it has is
/// ignored.
[[nodiscard]] inline std::expected<std::uint64_t, Status> decode_vp_set(const CallContext& context,
                                                                        const VpSet& set) {
  static_assert(kMaxVirtualProcessors <= call_arithmetic::kVpsPerBank);
  constexpr std::uint64_t kFirstBank = 1;
  if (set.format == VpSet::kFormatAll) {
    return ~std::uint64_t{0};
  }
  if (set.format != VpSet::kFormatSparse) {
    return std::unexpected(Status::kInvalidParameter);
  }
  if (call_arithmetic::count_bits(set.valid_bank_mask) != context.variable_qword_count()) {
    return std::unexpected(Status::kInvalidHypercallInput);
  }
  if ((set.valid_bank_mask & kFirstBank) == 0) {
    return 0;
  }
  return context.variable_qword(
      static_cast<std::uint32_t>(call_arithmetic::bank_position(set.valid_bank_mask, kFirstBank)));
}

}  // namespace hv::calls
