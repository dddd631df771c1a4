// The computer as a whole: its processors, its properties, what its root tells of itself (TLFS
// "Hypercall Reference").
#include <array>
#include <bit>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/intercept.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace hv::calls {
namespace {

constexpr machine::Site kProcessorAdded{"hv.processor.added"};
constexpr machine::Site kPartitionEvent{"hv.partition.event"};
constexpr machine::Site kDebugCharacter{"hv.debug.character"};

constexpr std::uint64_t bit_of(std::uint32_t processor) { return std::uint64_t{1} << processor; }

bool is_added(const Hypervisor& hypervisor, std::uint32_t processor) {
  return processor < hypervisor.processor_count() &&
         (hypervisor.added_processors & bit_of(processor)) != 0;
}

bool is_legal(const SleepStateInfo& info) {
  return info.sleep_state >= SleepStateInfo::kFirst && info.sleep_state <= SleepStateInfo::kLast &&
         info.reserved == std::array<std::uint8_t, 2>{};
}

void suspend(CallContext& context, VirtualProcessor& vp) {
  if (&vp == &context.vp) {
    return;
  }
  {
    const machine::LockGuard guard(vp.lock);
    vp.suspend.explicitly = true;
  }
  context.hypervisor.notify(vp);
}

/// The root has crashed, and one processor of it goes on to tell.
void suspend_all(CallContext& context) {
  const machine::LockGuard guard(context.hypervisor.communication_lock);
  const auto suspend_partition = [&](Partition& partition) {
    for (VirtualProcessor* vp : partition.vps) {
      if (vp != nullptr) {
        suspend(context, *vp);
      }
    }
  };
  suspend_partition(context.caller);
  for (Partition* child = context.caller.first_child; child != nullptr;
       child = child->next_sibling) {
    suspend_partition(*child);
  }
}

Status react_to(CallContext& context, const NotifyPartitionEventInput& input) {
  switch (input.event) {
    case PartitionEvent::kDebugDeviceAvailable:
    case PartitionEvent::kAcpiReenabled:
    case PartitionEvent::kAllProcessorsStarted:
      return input.argument == 0 ? Status::kSuccess : Status::kInvalidParameter;
    case PartitionEvent::kCommitProcessorIndices:
      return input.argument == context.hypervisor.processor_count() ? Status::kSuccess
                                                                    : Status::kInvalidParameter;
    case PartitionEvent::kRootCrashdump:
      if (input.argument > static_cast<std::uint32_t>(CrashdumpAction::kEntry)) {
        return Status::kInvalidParameter;
      }
      if (static_cast<CrashdumpAction>(input.argument) == CrashdumpAction::kSuspendAllVps) {
        suspend_all(context);
      }
      return Status::kSuccess;
  }
  return Status::kInvalidParameter;
}

}  // namespace

CallOutcome enter_sleep_state(CallContext& context) {
  const auto input = context.header<EnterSleepStateInput>();
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  if (input.sleep_state != EnterSleepStateInput::kOff || input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  machine::stop(kStopNormally);
}

/// As MOV to CR3; no VPID is in use, so the exit has dropped what the TLB held of the old space.
/// With PAE paging outside of long mode the processor would load four entries from memory there,
/// which the guest can do itself.
CallOutcome switch_virtual_address_space(CallContext& context) {
  const auto input = context.header<SwitchVirtualAddressSpaceInput>();
  std::uint64_t limit = 0;
  {
    const machine::LockGuard guard(context.caller.space_lock);
    limit = context.caller.space->page_count() * machine::kPageSize;
  }
  if (input.address_space >= limit) {
    return fail(Status::kInvalidParameter);
  }
  if (vtx::uses_pae_paging()) {
    return fail(Status::kFeatureUnavailable);
  }
  vtx::write_cr3(input.address_space);
  return {};
}

/// What the hypervisor does is charged to the virtual processor that it does it for.
CallOutcome get_logical_processor_run_time(CallContext& context) {
  const auto input = context.header<GetLogicalProcessorRunTimeInput>();
  Hypervisor& hypervisor = context.hypervisor;
  const machine::LockGuard guard(hypervisor.management_lock);
  if (input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  if (!is_added(hypervisor, input.logical_processor)) {
    return fail(Status::kInvalidLpIndex);
  }
  const std::uint64_t now = machine::read_tsc();
  const std::uint64_t ticks = hypervisor.processor(input.logical_processor).busy_ticks(now);
  GetLogicalProcessorRunTimeOutput output;
  output.global_time = hypervisor.root().clock.time_at(now);
  output.local_run_time = reference_time(ticks, hypervisor.root().clock.scale(), 0);
  return fail(context.put_output(output));
}

/// The machine has started every processor before; to the root they appear with this call.
CallOutcome add_logical_processor(CallContext& context) {
  const auto input = context.header<AddLogicalProcessorInput>();
  Hypervisor& hypervisor = context.hypervisor;
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  const machine::LockGuard guard(hypervisor.management_lock);
  if (input.logical_processor >= hypervisor.processor_count()) {
    return fail(Status::kInvalidLpIndex);
  }
  if (!is_legal(input.proximity)) {
    return fail(Status::kInvalidProximityDomainInfo);
  }
  if (hypervisor.information().apic_ids[input.logical_processor] != input.apic_id) {
    return fail(Status::kInvalidParameter);
  }
  if (is_added(hypervisor, input.logical_processor)) {
    return fail(Status::kObjectInUse);
  }
  const Status written = context.put_output(AddLogicalProcessorOutput{});
  if (written == Status::kSuccess) {
    hypervisor.added_processors |= bit_of(input.logical_processor);
    machine::trace(kProcessorAdded, machine::Track::kProcessor, input.logical_processor,
                   input.apic_id, 0);
  }
  return fail(written);
}

CallOutcome get_system_property(CallContext& context) {
  const auto input = context.header<GetSystemPropertyInput>();
  if (input.reserved != 0 || input.argument != 0) {
    return fail(Status::kInvalidParameter);
  }
  GetSystemPropertyOutput output;
  switch (input.property) {
    case SystemProperty::kSchedulerType:
      output.value = static_cast<std::uint64_t>(SchedulerType::kClassic);
      return fail(context.put_output(output));
    case SystemProperty::kSleepState: {
      const machine::LockGuard guard(context.hypervisor.management_lock);
      output.value = std::bit_cast<std::uint64_t>(context.hypervisor.sleep_state);
      return fail(context.put_output(output));
    }
  }
  return fail(Status::kUnknownProperty);
}

CallOutcome set_system_property(CallContext& context) {
  const auto input = context.header<SetSystemPropertyInput>();
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  if (input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  switch (input.property) {
    case SystemProperty::kSchedulerType:  // it cannot be changed
      return fail(Status::kPropertyValueOutOfRange);
    case SystemProperty::kSleepState: {
      const auto info = std::bit_cast<SleepStateInfo>(input.value);
      if (!is_legal(info)) {
        return fail(Status::kPropertyValueOutOfRange);
      }
      const machine::LockGuard guard(context.hypervisor.management_lock);
      context.hypervisor.sleep_state = info;
      return {};
    }
  }
  return fail(Status::kUnknownProperty);
}

CallOutcome notify_partition_event(CallContext& context) {
  const auto input = context.header<NotifyPartitionEventInput>();
  if (!context.caller.is_root()) {
    return fail(Status::kAccessDenied);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const Status status = react_to(context, input);
  if (status == Status::kSuccess) {
    machine::trace(kPartitionEvent, machine::Track::kPartition,
                   static_cast<std::uint64_t>(context.caller.id),
                   static_cast<std::uint64_t>(input.event), input.argument);
  }
  return fail(status);
}

/// Into the trace, which is all that the hypervisor has for an output.
CallOutcome output_debug_character(CallContext& context) {
  const auto input = context.header<OutputDebugCharacterInput>();
  if (input.reserved != 0) {
    return fail(Status::kInvalidParameter);
  }
  machine::trace(kDebugCharacter, machine::Track::kPartition,
                 static_cast<std::uint64_t>(context.caller.id), input.character, 0);
  return {};
}

}  // namespace hv::calls
