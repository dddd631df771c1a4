// Partition properties (TLFS HvCallGetPartitionProperty, HvCallSetPartitionProperty and their
// extended forms).
#include <expected>
#include <optional>

#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/hypercall/property_table.h"
#include "hv/partition_stop.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

/// What a virtualization stack may count on (TLFS HV_PARTITION_PROPERTY_VMM_CAPABILITIES).
constexpr VmmCapabilities kVmmCapabilities{.bank_count = 1,
                                           .reserved = {},
                                           .bits = VmmCapabilities::kOverlayPlaces |
                                                   VmmCapabilities::kVpAffinity |
                                                   VmmCapabilities::kAssignableSyntheticFeatures};

/// Whether a property can be read, or written, in the partition's state.
bool is_readable_in(PropertyChange change, PartitionState state) {
  return state == PartitionState::kActive ||
         (state == PartitionState::kUninitialized && change == PropertyChange::kEarly);
}
bool is_writable_in(PropertyChange change, PartitionState state) {
  return change == PropertyChange::kEarly ? state == PartitionState::kUninitialized
                                          : state == PartitionState::kActive;
}

/// Reads a property. Takes the management lock.
std::expected<std::uint64_t, Status> get_property(CallContext& context, PartitionId id,
                                                  PartitionProperty code) {
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, id, SelfAllowed::kRootOnly);
  if (!target) {
    return std::unexpected(target.error());
  }
  const PropertyDescription* const property = find_property(code);
  if (property == nullptr) {
    return std::unexpected(Status::kUnknownProperty);
  }
  if (!is_readable_in(property->change, (*target)->state)) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  return property->read({context.processor, **target});
}

/// The partition whose property may be written by now. Under the management lock.
std::expected<Partition*, Status> find_writable(CallContext& context, PartitionId id,
                                                const PropertyDescription* property) {
  const auto target = find_target(context, id, SelfAllowed::kRootOnly);
  if (!target) {
    return target;
  }
  if (property == nullptr) {
    return std::unexpected(Status::kUnknownProperty);
  }
  if (!is_writable_in(property->change, (*target)->state)) {
    return std::unexpected(Status::kInvalidPartitionState);
  }
  const bool stops_itself = property->change == PropertyChange::kStopped && (*target)->is_root();
  if (property->change == PropertyChange::kNever || stops_itself) {
    return std::unexpected(Status::kPropertyValueOutOfRange);
  }
  return target;
}

/// Under the management lock.
CallOutcome write_property(CallContext& context, Partition& partition,
                           const PropertyDescription& property, std::uint64_t value) {
  const Status status = property.write({context.processor, partition}, value);
  partition.change_cpuid();
  return fail(status);
}

/// Writes a property with the partition's virtual processors stopped.
CallOutcome set_in_stopped(CallContext& context, PartitionId id,
                           const PropertyDescription& property, std::uint64_t value) {
  Hypervisor& hypervisor = context.hypervisor;
  const StopScope scope(hypervisor);
  if (!scope.begun()) {
    return CallOutcome::try_again();
  }
  Partition* partition = nullptr;
  {
    const machine::LockGuard guard(hypervisor.management_lock);
    const auto target = find_writable(context, id, &property);
    if (!target) {
      return fail(target.error());
    }
    partition = *target;
  }
  // It stays active: only the holder of the scope ends one.
  const PartitionStop stopped(hypervisor, *partition, nullptr);
  const machine::LockGuard guard(hypervisor.management_lock);
  return write_property(context, *partition, property, value);
}

CallOutcome set_property(CallContext& context, PartitionId id, PartitionProperty code,
                         std::uint64_t value) {
  const PropertyDescription* const property = find_property(code);
  if (property != nullptr && property->change == PropertyChange::kStopped) {
    return set_in_stopped(context, id, *property, value);
  }
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_writable(context, id, property);
  if (!target) {
    return fail(target.error());
  }
  return write_property(context, **target, *property, value);
}

/// The one property that is more than a number. Takes the management lock.
Status put_vmm_capabilities(CallContext& context, PartitionId id) {
  {
    const machine::LockGuard guard(context.hypervisor.management_lock);
    const auto target = find_active_target(context, id, SelfAllowed::kRootOnly);
    if (!target) {
      return target.error();
    }
  }
  return context.put_output(kVmmCapabilities);
}

// --- Where a virtual processor may run -----------------------------------------------------------

/// The virtual processor that an argument names, which must be of an active child: the root's are
/// bound to their logical processors. Under the management lock.
std::expected<VirtualProcessor*, Status> find_scheduled(CallContext& context, PartitionId id,
                                                        std::uint32_t index) {
  const auto target = find_active_target(context, id, SelfAllowed::kNever);
  if (!target) {
    return std::unexpected(target.error());
  }
  VirtualProcessor* const vp = (*target)->vp(VpIndex{index});
  if (vp == nullptr) {
    return std::unexpected(Status::kInvalidVpIndex);
  }
  return vp;
}

std::uint64_t all_processors(const Hypervisor& hypervisor) {
  return ~0ull >> (kMaxLogicalProcessors - hypervisor.processor_count());
}

/// The argument's upper half: reserved, and the kind of object, which is the virtual processor.
Status put_affinity(CallContext& context, const GetPartitionPropertyExInput& input) {
  ProcessorSetValue value{.valid_banks = 1};
  {
    const machine::LockGuard guard(context.hypervisor.management_lock);
    const auto vp =
        find_scheduled(context, input.partition, static_cast<std::uint32_t>(input.argument));
    if (!vp) {
      return vp.error();
    }
    const machine::LockGuard scheduler_guard(context.hypervisor.scheduler_lock);
    value.bank = (*vp)->affinity & all_processors(context.hypervisor);
  }
  return context.put_output(value);
}

/// The set in the variable header; kInvalidParameter, kPropertyValueOutOfRange.
std::expected<std::uint64_t, Status> read_set(const CallContext& context) {
  const std::uint32_t qwords = context.variable_qword_count();
  const std::uint64_t all = all_processors(context.hypervisor);
  if (qwords >= 1 && context.variable_qword(0) == ProcessorSetValue::kAll) {
    return all;
  }
  if (qwords != 3 || context.variable_qword(0) != ProcessorSetValue::kSparse ||
      context.variable_qword(1) != 1) {
    return std::unexpected(Status::kInvalidParameter);
  }
  const std::uint64_t bank = context.variable_qword(2);
  if (bank == 0 || (bank & ~all) != 0) {
    return std::unexpected(Status::kPropertyValueOutOfRange);
  }
  return bank;
}

Status set_affinity(CallContext& context, const SetPartitionPropertyExInput& input) {
  const auto set = read_set(context);
  const std::uint64_t now = machine::read_tsc();
  std::uint32_t nudged = kNoLp;
  {
    const machine::LockGuard guard(context.hypervisor.management_lock);
    const auto vp = find_scheduled(context, input.partition, input.argument);
    if (!vp || !set) {
      return vp ? set.error() : vp.error();
    }
    const machine::LockGuard scheduler_guard(context.hypervisor.scheduler_lock);
    nudged = context.hypervisor.scheduler.set_affinity(**vp, *set, now);
  }
  if (nudged != kNoLp) {
    context.hypervisor.nudge(nudged);
  }
  return Status::kSuccess;
}

}  // namespace

CallOutcome get_partition_property(CallContext& context) {
  const auto input = context.header<GetPartitionPropertyInput>();
  const auto value = get_property(context, input.partition, input.property);
  return fail(value ? context.put_output(GetPartitionPropertyOutput{*value}) : value.error());
}

CallOutcome set_partition_property(CallContext& context) {
  const auto input = context.header<SetPartitionPropertyInput>();
  return set_property(context, input.partition, input.property, input.value);
}

/// A property of the partition takes no argument.
CallOutcome get_partition_property_ex(CallContext& context) {
  const auto input = context.header<GetPartitionPropertyExInput>();
  if (input.property == PartitionProperty::kVpSchedulingAffinity) {
    return fail(put_affinity(context, input));
  }
  if (input.argument != 0) {
    return fail(Status::kInvalidParameter);
  }
  if (input.property == PartitionProperty::kVmmCapabilities) {
    return fail(put_vmm_capabilities(context, input.partition));
  }
  const auto value = get_property(context, input.partition, input.property);
  return fail(value ? context.put_output(GetPartitionPropertyOutput{*value}) : value.error());
}

/// The value is the variable header.
CallOutcome set_partition_property_ex(CallContext& context) {
  const auto input = context.header<SetPartitionPropertyExInput>();
  if (input.property == PartitionProperty::kVpSchedulingAffinity) {
    return fail(set_affinity(context, input));
  }
  if (input.argument != 0 || context.variable_qword_count() != 1) {
    return fail(Status::kInvalidParameter);
  }
  return set_property(context, input.partition, input.property, context.variable_qword(0));
}

}  // namespace hv::calls
