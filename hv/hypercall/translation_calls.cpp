// A guest's virtual addresses translated for its parent, or for itself (TLFS "Virtual MMU").

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/loaded_vp.h"
#include "hv/processor/guest_translation.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {
namespace {

constexpr std::uint64_t kMaxGvaPage = ~0ull >> machine::kPageShift;

/// Bits that exclude each other, bits that are not defined, and what only other trust levels or
/// shadow stacks have.
bool are_legal(std::uint64_t flags) {
  const auto has_both = [flags](std::uint64_t bits) { return (flags & bits) == bits; };
  return (flags & ~(kTranslateFlagMask & ~kTranslateShadowStack)) == 0 &&
         !has_both(kTranslateAsSupervisor | kTranslateAsUser) &&
         !has_both(kTranslateEnforceSmap | kTranslateOverrideSmap);
}

template <class Output>
CallOutcome translate(CallContext& context) {
  const auto input = context.header<TranslateVirtualAddressInput>();
  if (input.reserved != 0 || !are_legal(input.flags) || input.gva_page > kMaxGvaPage) {
    return fail(Status::kInvalidParameter);
  }
  Output output;
  const auto act = [&](VirtualProcessor& vp) -> CallOutcome {
    // Before the tables are read: who changes them from here on waits in its flush, and what was
    // flushed before is not found any more.
    if ((input.flags & kTranslateTlbFlushInhibit) != 0) {
      const machine::LockGuard guard(vp.lock);
      vp.tlb_flush_inhibited = true;
    }
    const auto found =
        translate_guest_address(vp, input.gva_page << machine::kPageShift, input.flags);
    if (!found) {
      return CallOutcome::try_again();
    }
    output.result = found->result();
    output.gpn = found->gpn;
    return {};
  };
  const CallOutcome outcome =
      with_loaded_vp(context, input.partition, input.vp, Privilege::kAccessVpRegisters, act);
  if (outcome.again || outcome.status != Status::kSuccess) {
    return outcome;
  }
  return fail(context.put_output(output));
}

}  // namespace

CallOutcome translate_virtual_address(CallContext& context) {
  return translate<TranslateVirtualAddressOutput>(context);
}

CallOutcome translate_virtual_address_ex(CallContext& context) {
  return translate<TranslateVirtualAddressExOutput>(context);
}

}  // namespace hv::calls
