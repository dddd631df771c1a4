// Calls on sets of a partition's own virtual processors: address-space flushes, cluster IPIs, spin
// hints (TLFS "Virtual MMU", "Virtual Interrupt Control", "Scheduler").
//
// No VPID is in use, so whatever a processor's TLB keeps of guest-virtual addresses is gone once it
// left the guest: a flush makes every processor leave its guest once.
#include <array>
#include <cstdint>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/hypercall/vp_set.h"
#include "hv/processor/interrupt_delivery.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

bool are_legal(std::uint64_t flags, bool list) {
  // A list names pages, global or not, in either form; a space has no ranges.
  const std::uint64_t refused = list ? FlushFlags::kNonGlobalOnly : FlushFlags::kExtendedRanges;
  return (flags & ~FlushFlags::kMask) == 0 && (flags & refused) == 0;
}

bool may_use(const Partition& caller, std::uint64_t flags, bool list) {
  return !list || (flags & FlushFlags::kExtendedRanges) == 0 ||
         caller.privileges.has(Privilege::kExtendedGvaRanges);
}

/// If the parent of one of them holds a translation, the caller waits until it does not: true. Who
/// lets the translation go holds the communication lock, too, when it looks for those that wait.
bool waits_for_translation(CallContext& context, std::uint64_t vps) {
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  bool waits = false;
  for (VirtualProcessor* vp : context.caller.vps) {
    if (vp != nullptr && vp != &context.vp &&
        ((vps >> static_cast<std::uint32_t>(vp->index)) & 1) != 0) {
      const machine::LockGuard vp_guard(vp->lock);
      waits = waits || vp->tlb_flush_inhibited;
    }
  }
  if (waits) {
    const machine::LockGuard vp_guard(context.vp.lock);
    context.vp.suspend.flush = true;
    context.vp.changed = true;
  }
  return waits;
}

/// `vps`: a bit for each VP index.
CallOutcome flush(CallContext& context, std::uint64_t flags, bool list, std::uint64_t vps) {
  if (!may_use(context.caller, flags, list)) {
    return fail(Status::kAccessDenied);
  }
  if (!are_legal(flags, list)) {
    return fail(Status::kInvalidParameter);
  }
  const bool all = (flags & FlushFlags::kAllProcessors) != 0;
  if (waits_for_translation(context, all ? ~std::uint64_t{0} : vps)) {
    return CallOutcome::try_again();
  }
  context.hypervisor.flush_guest_tlbs();
  return {};
}

CallOutcome flush_list(CallContext& context, std::uint64_t flags, std::uint64_t vps,
                       std::uint32_t count) {
  CallOutcome outcome = flush(context, flags, true, vps);
  outcome.completed = outcome.status == Status::kSuccess && !outcome.again ? count : 0;
  return outcome;
}

void send_to_each(CallContext& context, std::uint32_t vector, std::uint64_t vps) {
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  for_each_bit(vps, [&](std::uint32_t index) {
    if (VirtualProcessor* vp = context.caller.vp(VpIndex{index})) {
      request_interrupt(context.hypervisor, *vp, static_cast<std::uint8_t>(vector));
    }
  });
}

Status send_ipis(CallContext& context, std::uint32_t vector, std::uint64_t vps) {
  if (vector < SendSyntheticClusterIpiInput::kMinVector ||
      vector > SendSyntheticClusterIpiInput::kMaxVector) {
    return Status::kInvalidParameter;
  }
  if (vps != 0) {
    send_to_each(context, vector, vps);
  }
  return Status::kSuccess;
}

bool is_zero(std::uint8_t vtl, const std::array<std::uint8_t, 3>& reserved) {
  return vtl == 0 && reserved == std::array<std::uint8_t, 3>{};
}

}  // namespace

CallOutcome flush_address_space(CallContext& context) {
  const auto input = context.header<FlushVirtualAddressSpaceInput>();
  return flush(context, input.flags, false, input.processor_mask);
}

CallOutcome flush_address_list(CallContext& context, std::uint32_t, std::uint32_t count) {
  const auto input = context.header<FlushVirtualAddressSpaceInput>();
  return flush_list(context, input.flags, input.processor_mask, count);
}

CallOutcome flush_address_space_ex(CallContext& context) {
  const auto input = context.header<FlushVirtualAddressSpaceExInput>();
  const auto set = decode_vp_set(context, input.processors);
  return set ? flush(context, input.flags, false, *set) : fail(set.error());
}

CallOutcome flush_address_list_ex(CallContext& context, std::uint32_t, std::uint32_t count) {
  const auto input = context.header<FlushVirtualAddressSpaceExInput>();
  const auto set = decode_vp_set(context, input.processors);
  return set ? flush_list(context, input.flags, *set, count) : fail(set.error());
}

CallOutcome send_synthetic_cluster_ipi(CallContext& context) {
  const auto input = context.header<SendSyntheticClusterIpiInput>();
  if (!is_zero(input.target_vtl, input.reserved)) {
    return fail(Status::kInvalidParameter);
  }
  return fail(send_ipis(context, input.vector, input.processor_mask));
}

CallOutcome send_synthetic_cluster_ipi_ex(CallContext& context) {
  const auto input = context.header<SendSyntheticClusterIpiExInput>();
  const auto set = decode_vp_set(context, input.processors);
  if (!set) {
    return fail(set.error());
  }
  if (!is_zero(input.target_vtl, input.reserved)) {
    return fail(Status::kInvalidParameter);
  }
  return fail(send_ipis(context, input.vector, *set));
}

CallOutcome notify_long_spin_wait(CallContext& context) {
  // The lock's holder may wait for this very processor.
  context.processor.give_way();
  return {};
}

}  // namespace hv::calls
