// Partition properties (TLFS HvCallGetPartitionProperty, HvCallSetPartitionProperty).
#include <expected>

#include "hv/gpa_changes.h"
#include "hv/hypercall/call_handlers.h"
#include "hv/hypercall/call_targets.h"
#include "hv/tlfs/hypercall_inputs.h"
#include "machine/machine.h"

namespace hv::calls {
namespace {

std::expected<std::uint64_t, Status> read_property(Hypervisor& hypervisor, Partition& partition,
                                                   PartitionProperty property) {
  switch (property) {
    case PartitionProperty::kPrivilegeFlags:
      return partition.privileges.bits();
    case PartitionProperty::kSyntheticProcessorFeatures:
      return partition.synthetic_processor_features;
    case PartitionProperty::kCpuWeight:
      return partition.weight;
    case PartitionProperty::kReferenceTime: {
      const std::uint64_t now = machine::read_tsc();
      return partition.clock.time_at(now);
    }
    case PartitionProperty::kUnimplementedMsrAction:
      return partition.unimplemented_msr_action.load();
    case PartitionProperty::kGpaPageAccessTracking: {
      const machine::LockGuard guard(partition.space_lock);
      return partition.space->is_tracking() ? 1 : 0;
    }
    case PartitionProperty::kProcessorVendor:
      return kProcessorVendorIntel;
    case PartitionProperty::kCompatibilityVersion:
      return kCompatibilityVersion21H2;
    case PartitionProperty::kApicFrequency:
    case PartitionProperty::kProcessorClockFrequency:
      return hypervisor.information().tsc_frequency_hz;
    case PartitionProperty::kGuestOsId:
      return partition.guest_os_id.load();
    default:
      return std::unexpected(Status::kUnknownProperty);
  }
}

/// Properties that shape the partition: before it is initialized.
bool is_early(PartitionProperty property) {
  return property == PartitionProperty::kPrivilegeFlags ||
         property == PartitionProperty::kSyntheticProcessorFeatures;
}

Status set_weight(Hypervisor& hypervisor, Partition& partition, std::uint64_t value) {
  if (value < kCpuWeightMin || value > kCpuWeightMax) {
    return Status::kPropertyValueOutOfRange;
  }
  partition.weight = static_cast<std::uint32_t>(value);
  const machine::LockGuard guard(hypervisor.scheduler_lock);
  for (VirtualProcessor* vp : partition.vps) {
    if (vp != nullptr) {
      vp->weight = partition.weight;
    }
  }
  return Status::kSuccess;
}

Status write_property(Hypervisor& hypervisor, Partition& partition, PartitionProperty property,
                      std::uint64_t value) {
  switch (property) {
    case PartitionProperty::kPrivilegeFlags:
      // A child is never given what lets it manage partitions or processors of its own.
      if ((value & ~kGrantablePrivilegeBits) != 0) {
        return Status::kPropertyValueOutOfRange;
      }
      partition.privileges = PrivilegeMask(value);
      return Status::kSuccess;
    case PartitionProperty::kSyntheticProcessorFeatures:
      partition.synthetic_processor_features = value;
      return Status::kSuccess;
    case PartitionProperty::kCpuWeight:
      return set_weight(hypervisor, partition, value);
    case PartitionProperty::kUnimplementedMsrAction:
      if (value != kUnimplementedMsrFault && value != kUnimplementedMsrIgnore) {
        return Status::kPropertyValueOutOfRange;
      }
      partition.unimplemented_msr_action.store(value);
      return Status::kSuccess;
    case PartitionProperty::kGpaPageAccessTracking:
      return value > 1 ? Status::kPropertyValueOutOfRange
                       : set_access_tracking(hypervisor, partition, value != 0);
    case PartitionProperty::kReferenceTime:
    case PartitionProperty::kProcessorVendor:
    case PartitionProperty::kCompatibilityVersion:
    case PartitionProperty::kApicFrequency:
    case PartitionProperty::kProcessorClockFrequency:
    case PartitionProperty::kGuestOsId:
      return Status::kPropertyValueOutOfRange;  // read only
    default:
      return Status::kUnknownProperty;
  }
}

}  // namespace

CallOutcome get_partition_property(CallContext& context) {
  const auto input = context.header<GetPartitionPropertyInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  const PartitionState needed =
      is_early(input.property) ? (*target)->state : PartitionState::kActive;
  if ((*target)->state != needed) {
    return fail(Status::kInvalidPartitionState);
  }
  const auto value = read_property(context.hypervisor, **target, input.property);
  if (!value) {
    return fail(value.error());
  }
  return fail(context.put_output(GetPartitionPropertyOutput{*value}));
}

CallOutcome set_partition_property(CallContext& context) {
  const auto input = context.header<SetPartitionPropertyInput>();
  const machine::LockGuard guard(context.hypervisor.management_lock);
  const auto target = find_target(context, input.partition, SelfAllowed::kRootOnly);
  if (!target) {
    return fail(target.error());
  }
  const PartitionState needed =
      is_early(input.property) ? PartitionState::kUninitialized : PartitionState::kActive;
  if ((*target)->state != needed) {
    return fail(Status::kInvalidPartitionState);
  }
  return fail(write_property(context.hypervisor, **target, input.property, input.value));
}

}  // namespace hv::calls
