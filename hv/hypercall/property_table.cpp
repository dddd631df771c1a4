#include "hv/hypercall/property_table.h"

#include <algorithm>

#include "hv/cpuid/cpuid_subject.h"
#include "hv/cpuid/feature_masks.h"
#include "hv/gpa_changes.h"
#include "hv/hypervisor.h"
#include "hv/partition_life.h"
#include "hv/partition_time.h"
#include "hv/processor/processor_shares.h"
#include "machine/machine.h"

namespace hv {
namespace {

using Access = PropertyAccess;
using Property = PartitionProperty;
constexpr PropertyChange kNever = PropertyChange::kNever;
constexpr PropertyChange kEarly = PropertyChange::kEarly;
constexpr PropertyChange kActive = PropertyChange::kActive;
constexpr PropertyChange kStopped = PropertyChange::kStopped;

/// States and size of what FXSAVE saves, and the header behind it (SDM vol. 1 13.4).
constexpr std::uint64_t kLegacyStates = 3;
constexpr std::uint64_t kLegacyXsaveBytes = 512 + 64;

std::uint64_t read_zero(const Access&) { return 0; }

/// For what this hypervisor does not have: it can be turned off, and is.
Status write_zero(const Access&, std::uint64_t value) {
  return value == 0 ? Status::kSuccess : Status::kPropertyValueOutOfRange;
}

// --- What a guest may do -------------------------------------------------------------------------

struct FeaturePrivilege {
  std::uint64_t feature;
  Privilege privilege;
};
constexpr FeaturePrivilege kFeaturePrivileges[] = {
    {SyntheticFeatures::kVpRunTime, Privilege::kAccessVpRunTimeReg},
    {SyntheticFeatures::kReferenceCounter, Privilege::kAccessPartitionReferenceCounter},
    {SyntheticFeatures::kSynic, Privilege::kAccessSynicRegs},
    {SyntheticFeatures::kSyntheticTimers, Privilege::kAccessSyntheticTimerRegs},
    {SyntheticFeatures::kApicMsrs, Privilege::kAccessIntrCtrlRegs},
    {SyntheticFeatures::kHypercallMsrs, Privilege::kAccessHypercallMsrs},
    {SyntheticFeatures::kVpIndex, Privilege::kAccessVpIndex},
    {SyntheticFeatures::kReferenceTsc, Privilege::kAccessPartitionReferenceTsc},
    {SyntheticFeatures::kGuestIdle, Privilege::kAccessGuestIdleReg},
    {SyntheticFeatures::kFrequencyMsrs, Privilege::kAccessFrequencyRegs},
    {SyntheticFeatures::kExtendedGvaRanges, Privilege::kExtendedGvaRanges},
    {SyntheticFeatures::kFastHypercallOutput, Privilege::kFastHypercallOutput},
    {SyntheticFeatures::kStartVirtualProcessor, Privilege::kStartVirtualProcessor},
    {SyntheticFeatures::kVpRegisters, Privilege::kAccessVpRegisters},
};

std::uint64_t read_privileges(const Access& access) { return access.partition.privileges.bits(); }

/// A child is never given what lets it manage partitions or processors of its own.
Status write_privileges(const Access& access, std::uint64_t value) {
  if ((value & ~kGrantablePrivilegeBits) != 0) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.privileges = PrivilegeMask(value);
  return Status::kSuccess;
}

/// The features that are privileges are those that the partition has, whichever property gave them.
std::uint64_t read_synthetic_features(const Access& access) {
  std::uint64_t features = access.partition.properties.synthetic_features;
  for (const FeaturePrivilege& pair : kFeaturePrivileges) {
    const bool has = access.partition.privileges.has(pair.privilege);
    features = has ? (features | pair.feature) : (features & ~pair.feature);
  }
  return features;
}

/// The features that are privileges become the partition's; other privileges stay.
Status write_synthetic_features(const Access& access, std::uint64_t value) {
  if ((value & ~SyntheticFeatures::kKnown) != 0) {
    return Status::kPropertyValueOutOfRange;
  }
  std::uint64_t privileges = access.partition.privileges.bits();
  for (const FeaturePrivilege& pair : kFeaturePrivileges) {
    const auto bit = static_cast<std::uint64_t>(pair.privilege);
    privileges = (value & pair.feature) != 0 ? (privileges | bit) : (privileges & ~bit);
  }
  access.partition.privileges = PrivilegeMask(privileges);
  access.partition.properties.synthetic_features = value;
  return Status::kSuccess;
}

// --- Processor time ------------------------------------------------------------------------------

std::uint64_t read_suspend(const Access& access) { return access.partition.suspended.load(); }
Status write_suspend(const Access& access, std::uint64_t value) {
  if (value > 1) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.suspended.store(static_cast<std::uint32_t>(value));
  review_time(access.processor.hypervisor(), access.partition);
  return Status::kSuccess;
}

std::uint64_t read_reserve(const Access& access) { return access.partition.properties.cpu_reserve; }
Status write_reserve(const Access& access, std::uint64_t value) {
  Partition& partition = access.partition;
  if (value > partition.properties.cpu_cap ||
      !reserves_fit(access.processor.hypervisor(), partition, value, partition.vps.count())) {
    return Status::kPropertyValueOutOfRange;
  }
  partition.properties.cpu_reserve = static_cast<std::uint32_t>(value);
  apply_shares(access.processor.hypervisor(), access.partition);
  return Status::kSuccess;
}

std::uint64_t read_cap(const Access& access) { return access.partition.properties.cpu_cap; }
Status write_cap(const Access& access, std::uint64_t value) {
  PartitionProperties& properties = access.partition.properties;
  if (value > kCpuCapMax || value < properties.cpu_reserve) {
    return Status::kPropertyValueOutOfRange;
  }
  properties.cpu_cap = static_cast<std::uint32_t>(value);
  apply_shares(access.processor.hypervisor(), access.partition);
  return Status::kSuccess;
}

std::uint64_t read_weight(const Access& access) { return access.partition.weight; }
Status write_weight(const Access& access, std::uint64_t value) {
  if (value < kCpuWeightMin || value > kCpuWeightMax) {
    return Status::kPropertyValueOutOfRange;
  }
  Partition& partition = access.partition;
  partition.weight = static_cast<std::uint32_t>(value);
  apply_shares(access.processor.hypervisor(), partition);
  return Status::kSuccess;
}

std::uint64_t read_group(const Access&) { return kCpuGroupOfAll; }
Status write_group(const Access&, std::uint64_t value) {
  return value == kCpuGroupOfAll ? Status::kSuccess : Status::kInvalidCpuGroupId;
}

// --- Time ----------------------------------------------------------------------------------------

std::uint64_t read_pm_timer(const Access& access) {
  return access.partition.pm_timer_assist.load();
}
Status write_pm_timer(const Access& access, std::uint64_t value) {
  if (!PmTimerAssist(value).is_legal()) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.pm_timer_assist.store(value);
  return Status::kSuccess;
}

std::uint64_t read_time_freeze(const Access& access) {
  return access.partition.properties.time_frozen ? 1 : 0;
}
Status write_time_freeze(const Access& access, std::uint64_t value) {
  if (value > 1) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.properties.time_frozen = value != 0;
  review_time(access.processor.hypervisor(), access.partition);
  return Status::kSuccess;
}

std::uint64_t read_frequency(const Access& access) {
  return access.processor.hypervisor().information().tsc_frequency_hz;
}

std::uint64_t read_reference_time(const Access& access) {
  const std::uint64_t now = machine::read_tsc();
  return access.partition.clock.time_at(now);
}
/// Only while the parent holds the time.
Status write_reference_time(const Access& access, std::uint64_t value) {
  if (!access.partition.properties.time_frozen) {
    return Status::kInvalidPartitionState;
  }
  set_time(access.partition, value);
  return Status::kSuccess;
}

// --- Debugging and memory ------------------------------------------------------------------------

std::uint64_t read_debug_channel(const Access& access) {
  return access.partition.properties.debug_channel;
}
Status write_debug_channel(const Access& access, std::uint64_t value) {
  if ((value >> 32) != 0) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.properties.debug_channel = static_cast<std::uint32_t>(value);
  return Status::kSuccess;
}

std::uint64_t read_virtual_tlb(const Access& access) {
  return access.partition.properties.virtual_tlb_pages;
}
Status write_virtual_tlb(const Access& access, std::uint64_t value) {
  access.partition.properties.virtual_tlb_pages =
      static_cast<std::uint32_t>(std::clamp(value, kVirtualTlbPagesMin, kVirtualTlbPagesMax));
  return Status::kSuccess;
}

std::uint64_t read_access_tracking(const Access& access) {
  const machine::LockGuard guard(access.partition.space_lock);
  return access.partition.space->is_tracking() ? 1 : 0;
}
Status write_access_tracking(const Access& access, std::uint64_t value) {
  return value > 1
             ? Status::kPropertyValueOutOfRange
             : set_access_tracking(access.processor.hypervisor(), access.partition, value != 0);
}

std::uint64_t read_msr_action(const Access& access) {
  return access.partition.unimplemented_msr_action.load();
}
Status write_msr_action(const Access& access, std::uint64_t value) {
  if (value != kUnimplementedMsrFault && value != kUnimplementedMsrIgnore) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.unimplemented_msr_action.store(value);
  return Status::kSuccess;
}

// --- What the processors look like ---------------------------------------------------------------

std::uint64_t read_socket(const Access& access) {
  return access.partition.properties.processors_per_socket;
}
/// CPUID shows it, and does not change once there is a processor that executes it.
Status write_socket(const Access& access, std::uint64_t value) {
  if (value == 0 || value > kMaxVirtualProcessors) {
    return Status::kPropertyValueOutOfRange;
  }
  if (access.partition.vps.count() != 0) {
    return Status::kInvalidPartitionState;
  }
  access.partition.properties.processors_per_socket = static_cast<std::uint32_t>(value);
  return Status::kSuccess;
}

std::uint64_t read_address_bits(const Access& access) {
  const std::uint32_t chosen = access.partition.properties.physical_address_bits;
  return chosen != 0 ? chosen : max_physical_address_bits();
}
Status write_address_bits(const Access& access, std::uint64_t value) {
  if (value < kPhysicalAddressBitsMin || value > max_physical_address_bits()) {
    return Status::kPropertyValueOutOfRange;
  }
  access.partition.properties.physical_address_bits = static_cast<std::uint32_t>(value);
  return Status::kSuccess;
}

std::uint64_t read_vendor(const Access&) { return kProcessorVendorIntel; }

ProcessorFeatureBanks features_of(const Access& access) {
  const CpuidSubject subject = cpuid_subject(access.processor, access.partition);
  return shown_features([&](std::uint32_t leaf, std::uint32_t subleaf) {
    return answer_cpuid(subject, leaf, subleaf);
  });
}
std::uint64_t read_features_0(const Access& access) { return features_of(access).banks[0]; }
std::uint64_t read_features_1(const Access& access) { return features_of(access).banks[1]; }
std::uint64_t read_xsave_features(const Access& access) {
  return features_of(access).banks[ProcessorFeatureBanks::kXsaveBank];
}

/// As CPUID has it: in units of 8 bytes.
std::uint64_t read_flush_size(const Access& access) {
  const CpuidSubject subject = cpuid_subject(access.processor, access.partition);
  return (answer_cpuid(subject, 1, 0).ebx >> 8) & 0xFF;
}

std::uint64_t read_compatibility(const Access& access) {
  return access.partition.properties.compatibility_version;
}

std::uint64_t read_xsave_states(const Access& access) {
  const std::uint64_t there = access.processor.capabilities().extended_components;
  return offered_components(there, access.partition) | kLegacyStates;
}
std::uint64_t read_xsave_size(const Access& access) {
  const std::uint64_t bytes = access.processor.capabilities().extended_area_bytes;
  return bytes > kLegacyXsaveBytes ? bytes : kLegacyXsaveBytes;
}

std::uint64_t read_guest_os_id(const Access& access) { return access.partition.guest_os_id.load(); }

constexpr PropertyDescription kProperties[] = {
    {Property::kPrivilegeFlags, "PrivilegeFlags", kEarly, read_privileges, write_privileges},
    {Property::kSyntheticProcessorFeatures, "SyntheticProcFeatures", kEarly,
     read_synthetic_features, write_synthetic_features},
    {Property::kSuspend, "Suspend", kStopped, read_suspend, write_suspend},
    {Property::kCpuReserve, "CpuReserve", kActive, read_reserve, write_reserve},
    {Property::kCpuCap, "CpuCap", kActive, read_cap, write_cap},
    {Property::kCpuWeight, "CpuWeight", kActive, read_weight, write_weight},
    {Property::kCpuGroupId, "CpuGroupId", kActive, read_group, write_group},
    {Property::kIntegratedSchedulerEnabled, "IntegratedSchedulerEnabled", kNever, read_zero,
     nullptr},
    {Property::kEmulatedTimerPeriod, "EmulatedTimerPeriod", kActive, read_zero, write_zero},
    {Property::kEmulatedTimerControl, "EmulatedTimerControl", kActive, read_zero, write_zero},
    {Property::kPmTimerAssist, "PmTimerAssist", kActive, read_pm_timer, write_pm_timer},
    {Property::kTimeFreeze, "TimeFreeze", kStopped, read_time_freeze, write_time_freeze},
    {Property::kApicFrequency, "ApicFrequency", kNever, read_frequency, nullptr},
    {Property::kReferenceTime, "ReferenceTime", kStopped, read_reference_time,
     write_reference_time},
    {Property::kDebugChannelId, "DebugChannelId", kActive, read_debug_channel, write_debug_channel},
    {Property::kVirtualTlbPageCount, "VirtualTlbPageCount", kActive, read_virtual_tlb,
     write_virtual_tlb},
    {Property::kVsmConfig, "VsmConfig", kActive, read_zero, write_zero},
    {Property::kZeroMemoryOnReset, "ZeroMemoryOnReset", kActive, read_zero, write_zero},
    {Property::kProcessorsPerSocket, "ProcessorsPerSocket", kActive, read_socket, write_socket},
    {Property::kNestedTlbSize, "NestedTlbSize", kActive, read_zero, write_zero},
    {Property::kGpaPageAccessTracking, "GpaPageAccessTracking", kActive, read_access_tracking,
     write_access_tracking},
    {Property::kIsolationState, "IsolationState", kNever, read_zero, nullptr},
    {Property::kIsolationControl, "IsolationControl", kActive, read_zero, write_zero},
    {Property::kImplementedPhysicalAddressBits, "ImplementedPhysicalAddressBits", kNever,
     read_address_bits, nullptr},
    {Property::kHypercallDoorbellPage, "HypercallDoorbellPage", kEarly, read_zero, write_zero},
    {Property::kUnimplementedMsrAction, "UnimplementedMsrAction", kActive, read_msr_action,
     write_msr_action},
    {Property::kProcessorVendor, "ProcessorVendor", kNever, read_vendor, nullptr},
    {Property::kProcessorXsaveFeatures, "ProcessorXsaveFeatures", kNever, read_xsave_features,
     nullptr},
    {Property::kProcessorClFlushSize, "ProcessorCLFlushSize", kNever, read_flush_size, nullptr},
    {Property::kCompatibilityVersion, "CompatibilityVersion", kNever, read_compatibility, nullptr},
    {Property::kPhysicalAddressWidth, "PhysicalAddressWidth", kEarly, read_address_bits,
     write_address_bits},
    {Property::kXsaveStates, "XsaveStates", kNever, read_xsave_states, nullptr},
    {Property::kMaxXsaveDataSize, "MaxXsaveDataSize", kNever, read_xsave_size, nullptr},
    {Property::kProcessorClockFrequency, "ProcessorClockFrequency", kNever, read_frequency,
     nullptr},
    {Property::kProcessorFeatures0, "ProcessorFeatures0", kNever, read_features_0, nullptr},
    {Property::kProcessorFeatures1, "ProcessorFeatures1", kNever, read_features_1, nullptr},
    {Property::kGuestOsId, "GuestOsId", kNever, read_guest_os_id, nullptr},
    {Property::kProcessorVirtualizationFeatures, "ProcessorVirtualizationFeatures", kNever,
     read_zero, nullptr},
};

constexpr bool is_ascending() {
  for (std::size_t index = 1; index < std::size(kProperties); ++index) {
    if (kProperties[index].code <= kProperties[index - 1].code) {
      return false;
    }
  }
  return true;
}
static_assert(is_ascending());

}  // namespace

std::span<const PropertyDescription> property_table() { return kProperties; }

const PropertyDescription* find_property(PartitionProperty code) {
  const auto* const end = std::end(kProperties);
  const auto* const found = std::lower_bound(
      std::begin(kProperties), end, code,
      [](const PropertyDescription& entry, PartitionProperty key) { return entry.code < key; });
  return found != end && found->code == code ? found : nullptr;
}

}  // namespace hv
