// The extended calls, which stand for what a virtualization stack does with a guest's memory (TLFS
// "Extended Hypercall Interface"). The hypervisor knows no memory that was zero at boot, and makes
// nothing of hints, as it may: what it answers is true.
#include <array>
#include <span>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {

CallOutcome query_extended_capabilities(CallContext& context) {
  return fail(context.put_output(ExtendedCapabilities{
      .calls = ExtendedCapabilities::kBootZeroedMemory | ExtendedCapabilities::kMemoryHeatHint}));
}

/// Of the list, the number of its ranges is written and no range.
CallOutcome get_boot_zeroed_memory(CallContext& context) {
  const decltype(BootZeroedMemory::range_count) none = 0;
  return fail(context.put_output(none));
}

CallOutcome hint_memory_heat(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<MemoryHeatHintInput>();
  if (input.type > MemoryHeatHintInput::kColdDiscard) {
    return fail(Status::kInvalidParameter);
  }
  std::array<std::uint64_t, kElementsAtOnce> ranges;
  if (!context.fetch_elements(first, std::span(ranges).first(count))) {
    return CallOutcome::try_again();
  }
  CallOutcome outcome;
  const machine::LockGuard guard(context.caller.space_lock);
  while (outcome.completed < count && outcome.status == Status::kSuccess) {
    const std::uint64_t range = ranges[outcome.completed];
    const machine::Gpn last((range >> machine::kPageShift) + (range & (machine::kPageSize - 1)));
    outcome.status =
        context.caller.space->contains(last) ? Status::kSuccess : Status::kInvalidParameter;
    outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
  }
  return outcome;
}

}  // namespace hv::calls
