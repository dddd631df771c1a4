// Virtual processors come, go and are looked into (TLFS "Virtual Processor Management").
#include <array>
#include <span>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/loaded_vp.h"
#include "hv/partition_life.h"
#include "hv/partition_time.h"
#include "hv/processor/processor_shares.h"
#include "hv/registers/register_access.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

constexpr machine::Site kVpCreated{"hv.vp.created"};

bool all_zero(std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    if (byte != 0) {
      return false;
    }
  }
  return true;
}

std::uint32_t apic_id_of(VirtualProcessor& vp) {
  const machine::LockGuard guard(vp.lock);
  return vp.apic.id();
}

/// Where a new VP of the partition has to stay: the flags name a logical processor for one of the
/// root, and are zero for a child's.
std::expected<std::uint32_t, Status> place_of(const CallContext& context,
                                              const Partition& partition, std::uint64_t flags) {
  if (partition.is_root() ? flags >= context.hypervisor.processor_count() : flags != 0) {
    return std::unexpected(Status::kInvalidParameter);
  }
  return partition.is_root() ? static_cast<std::uint32_t>(flags) : kNoLp;
}

}  // namespace

CallOutcome create_vp(CallContext& context) {
  const auto input = context.header<CreateVpInput>();
  Hypervisor& hypervisor = context.hypervisor;
  const machine::LockGuard guard(hypervisor.management_lock);
  const auto target = find_active_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  const auto place = place_of(context, **target, input.flags);
  if (!all_zero(input.reserved) || input.subnode_type > CreateVpInput::kSubnodeTypeMax ||
      !is_legal(input.proximity) || !place) {
    return fail(Status::kInvalidParameter);
  }
  const auto index = static_cast<std::uint32_t>(input.vp);
  if (index >= kMaxVirtualProcessors || (*target)->vp(input.vp) != nullptr) {
    return fail(Status::kInvalidVpIndex);
  }
  if (!reserves_fit(hypervisor, **target, (*target)->properties.cpu_reserve,
                    (*target)->vps.count() + 1)) {
    return fail(Status::kOperationDenied);
  }
  const Status status = hv::create_vp(hypervisor, **target, input.vp, *place);
  if (status == Status::kSuccess) {
    machine::trace(kVpCreated, machine::Track::kPartition,
                   static_cast<std::uint64_t>((*target)->id), index);
  }
  return fail(status);
}

CallOutcome delete_vp(CallContext& context) {
  const auto input = context.header<DeleteVpInput>();
  StopScope scope(context.hypervisor);
  if (!scope.begun()) {
    return CallOutcome::try_again();
  }
  VirtualProcessor* vp = nullptr;
  {
    const machine::LockGuard guard(context.hypervisor.management_lock);
    const auto target = find_active_target(context, input.partition, SelfAllowed::kNever);
    if (!target) {
      return fail(target.error());
    }
    const auto found = find_vp(**target, input.vp);
    if (!found) {
      return fail(found.error());
    }
    vp = *found;
  }
  scope.stop(*vp);
  scope.forget();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  Partition& partition = vp->partition;
  hv::delete_vp(context.hypervisor, *vp);
  review_time(context.hypervisor, partition);
  return {};
}

/// The parent's start ends the explicit suspension that every new VP has, too; a partition's own
/// start of another of its VPs only ends the wait for it (TLFS HvCallStartVirtualProcessor).
CallOutcome start_virtual_processor(CallContext& context) {
  const auto input = context.header<StartVirtualProcessorInput>();
  if (input.target_vtl != 0 || !all_zero(input.reserved) ||
      !is_legal_initial_context(input.context)) {
    return fail(Status::kInvalidParameter);
  }
  const auto start = [&](VirtualProcessor& vp) -> CallOutcome {
    const bool by_parent = &vp.partition != &context.caller || context.caller.is_root();
    {
      const machine::LockGuard guard(vp.lock);
      if (!vp.suspend.startup && !(by_parent && vp.suspend.explicitly)) {
        return fail(Status::kInvalidVpState);
      }
    }
    write_initial_context(vp, input.context);
    {
      const machine::LockGuard guard(vp.lock);
      vp.suspend.startup = false;
      vp.suspend.explicitly = vp.suspend.explicitly && !by_parent;
    }
    review_time(context.hypervisor, vp.partition);
    context.hypervisor.notify(vp);
    return {};
  };
  return with_loaded_vp(context, input.partition, input.vp, Privilege::kStartVirtualProcessor,
                        start);
}

CallOutcome get_vp_index_from_apic_id(CallContext& context, std::uint32_t first,
                                      std::uint32_t count) {
  const auto input = context.header<GetVpIndexFromApicIdInput>();
  if (input.target_vtl != 0 || !all_zero(input.reserved)) {
    return fail(Status::kInvalidParameter);
  }
  std::array<std::uint32_t, kElementsAtOnce> ids;
  if (!context.fetch_elements(first, std::span(ids).first(count))) {
    return CallOutcome::try_again();
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto owner = find_active_target(context, input.partition, SelfAllowed::kAnybody);
  if (!owner) {
    return fail(owner.error());
  }
  CallOutcome outcome;
  std::array<std::uint32_t, kElementsAtOnce> indices;
  while (outcome.completed < count && outcome.status == Status::kSuccess) {
    outcome.status = Status::kInvalidParameter;
    for (VirtualProcessor* vp : (*owner)->vps) {
      if (vp != nullptr && apic_id_of(*vp) == ids[outcome.completed]) {
        indices[outcome.completed] = static_cast<std::uint32_t>(vp->index);
        outcome.status = Status::kSuccess;
        break;
      }
    }
    outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
  }
  const Status written = context.put_elements(
      first, std::span<const std::uint32_t>(std::span(indices).first(outcome.completed)));
  outcome.status = written != Status::kSuccess ? written : outcome.status;
  return outcome;
}

CallOutcome get_vp_registers(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<VpRegistersInput>();
  if (input.input_vtl != 0 || !all_zero(input.reserved)) {
    return fail(Status::kInvalidParameter);
  }
  std::array<RegisterName, kElementsAtOnce> names;
  if (!context.fetch_elements(first, std::span(names).first(count))) {
    return CallOutcome::try_again();
  }
  std::array<RegisterValue, kElementsAtOnce> values;
  const auto read = [&](VirtualProcessor& vp) {
    CallOutcome outcome;
    while (outcome.completed < count) {
      const auto value = read_register(context.hypervisor, vp, names[outcome.completed]);
      if (!value) {
        outcome.status = value.error();
        break;
      }
      values[outcome.completed++] = *value;
    }
    return outcome;
  };
  CallOutcome outcome =
      with_loaded_vp(context, input.partition, input.vp, Privilege::kAccessVpRegisters, read);
  const Status written = context.put_elements(
      first, std::span<const RegisterValue>(std::span(values).first(outcome.completed)));
  outcome.status = written != Status::kSuccess ? written : outcome.status;
  return outcome;
}

CallOutcome set_vp_registers(CallContext& context, std::uint32_t first, std::uint32_t count) {
  const auto input = context.header<VpRegistersInput>();
  if (input.input_vtl != 0 || !all_zero(input.reserved)) {
    return fail(Status::kInvalidParameter);
  }
  std::array<RegisterAssignment, kElementsAtOnce> elements;
  if (!context.fetch_elements(first, std::span(elements).first(count))) {
    return CallOutcome::try_again();
  }
  const auto write = [&](VirtualProcessor& vp) {
    CallOutcome outcome;
    while (outcome.completed < count && outcome.status == Status::kSuccess) {
      const RegisterAssignment& element = elements[outcome.completed];
      outcome.status = element.reserved == std::array<std::uint32_t, 3>{}
                           ? write_register(context.hypervisor, vp, element.name, element.value)
                           : Status::kInvalidParameter;
      outcome.completed += outcome.status == Status::kSuccess ? 1 : 0;
    }
    return outcome;
  };
  return with_loaded_vp(context, input.partition, input.vp, Privilege::kAccessVpRegisters, write);
}

}  // namespace hv::calls
