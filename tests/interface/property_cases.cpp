// Get and SetPartitionProperty, in all forms, and CreatePartition's choices, which properties show
// (TLFS "Partition Properties").
#include <array>

#include "hv/hypervisor_limits.h"
#include "machine/machine.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using Property = hv::PartitionProperty;

constexpr CallCode kGet = CallCode::kGetPartitionProperty;
constexpr CallCode kSet = CallCode::kSetPartitionProperty;
constexpr CallCode kGetEx = CallCode::kGetPartitionPropertyEx;
constexpr CallCode kSetEx = CallCode::kSetPartitionPropertyEx;
constexpr PartitionId kSelf = hv::kPartitionIdSelf;
constexpr Property kNoProperty{0x0000'0099};

/// Sets it and reads it back, in an active partition without VPs.
Status keeps(Property property, std::uint64_t value) {
  const PartitionId id = active_partition();
  const Status status = set_property(id, property, value);
  GUEST_CHECK(property_of(id, property) == value);
  return status;
}
/// The value is refused, and what was there stays.
Status refuses(Property property, std::uint64_t value) {
  const PartitionId id = active_partition();
  const std::uint64_t before = property_of(id, property);
  const Status status = set_property(id, property, value);
  GUEST_CHECK(property_of(id, property) == before);
  return status;
}
Status keeps_early(Property property, std::uint64_t value) {
  const PartitionId id = created_partition();
  const Status status = set_property(id, property, value);
  GUEST_CHECK(property_of(id, property) == value);
  initialize_with_memory(id);
  GUEST_CHECK(property_of(id, property) == value);
  return status;
}
Status refuses_early(Property property, std::uint64_t value) {
  const PartitionId id = created_partition();
  const std::uint64_t before = property_of(id, property);
  const Status status = set_property(id, property, value);
  GUEST_CHECK(property_of(id, property) == before);
  return status;
}
Status reads(Property property, std::uint64_t expected) {
  const PartitionId id = active_partition();
  const Status status = get_property(id, property);
  GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value == expected);
  return status;
}
Status is_read_only(Property property) {
  const PartitionId id = active_partition();
  return set_property(id, property, property_of(id, property));
}

Status set_affinity(PartitionId id, std::uint32_t vp, std::uint64_t bank) {
  const hv::SetPartitionPropertyExInput input{id, Property::kVpSchedulingAffinity, 0, vp, 0};
  const hv::ProcessorSetValue value{hv::ProcessorSetValue::kSparse, 1, bank};
  machine::write_memory(kInputPage + sizeof(input), std::as_bytes(std::span(&value, 1)));
  return call(HypercallControl(kSetEx).with_variable_header(3), input).status();
}
std::uint64_t affinity_of(PartitionId id, std::uint32_t vp) {
  const hv::GetPartitionPropertyExInput input{id, Property::kVpSchedulingAffinity, 0, vp};
  GUEST_CHECK(call(HypercallControl(kGetEx), input).status() == Status::kSuccess);
  const auto value = output<hv::ProcessorSetValue>();
  GUEST_CHECK(value.format == hv::ProcessorSetValue::kSparse && value.valid_banks == 1);
  return value.bank;
}

constexpr Status kFine = Status::kSuccess;
constexpr Status kRange = Status::kPropertyValueOutOfRange;
constexpr Status kState = Status::kInvalidPartitionState;

constexpr CallCase kGetCases[] = {
    {kGet, "privileges, before initialization", kFine,
     [] {
       const PartitionId id = created_partition();
       const Status status = get_property(id, Property::kPrivilegeFlags);
       // No reference TSC page, no messages, no events.
       GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value == 0x0028'8000'0000'0DFF);
       return status;
     }},
    {kGet, "the root's own privileges", kFine,
     [] {
       const Status status = get_property(kSelf, Property::kPrivilegeFlags);
       const auto own = output<hv::GetPartitionPropertyOutput>().value;
       const machine::CpuidResult leaf = machine::cpuid(hv::kCpuidFeatures, 0);
       GUEST_CHECK(own == (std::uint64_t{leaf.ebx} << 32 | leaf.eax));
       return status;
     }},
    {kGet, "the weight that nobody set", kFine, [] { return reads(Property::kCpuWeight, 100); }},
    {kGet, "the reserve that nobody set", kFine, [] { return reads(Property::kCpuReserve, 0); }},
    {kGet, "the cap that nobody set", kFine, [] { return reads(Property::kCpuCap, 0x10000); }},
    {kGet, "the processor's vendor", kFine,
     [] { return reads(Property::kProcessorVendor, hv::kProcessorVendorIntel); }},
    {kGet, "the compatibility version that nobody named", kFine,
     [] { return reads(Property::kCompatibilityVersion, hv::kCompatibilityVersion21H2); }},
    {kGet, "the isolation of a partition without", kFine,
     [] { return reads(Property::kIsolationState, 0); }},
    {kGet, "the scheduler's integration", kFine,
     [] { return reads(Property::kIntegratedSchedulerEnabled, 0); }},
    {kGet, "virtualization inside of the partition", kFine,
     [] { return reads(Property::kProcessorVirtualizationFeatures, 0); }},
    {kGet, "the cache line as CLFLUSH knows it", kFine,
     [] { return reads(Property::kProcessorClFlushSize, (machine::cpuid(1, 0).ebx >> 8) & 0xFF); }},
    {kGet, "both frequencies", kFine,
     [] {
       const std::uint64_t hz = machine::read_msr(hv::kMsrTscFrequency);
       const PartitionId id = active_partition();
       GUEST_CHECK(property_of(id, Property::kProcessorClockFrequency) == hz);
       GUEST_CHECK(property_of(id, Property::kApicFrequency) == hz);
       return get_property(id, Property::kApicFrequency);
     }},
    {kGet, "extended state: x87 and SSE at least, and room for them", kFine,
     [] {
       const PartitionId id = active_partition();
       const std::uint64_t states = property_of(id, Property::kXsaveStates);
       GUEST_CHECK((states & 3) == 3);
       GUEST_CHECK(property_of(id, Property::kMaxXsaveDataSize) >= 576);
       return get_property(id, Property::kProcessorXsaveFeatures);
     }},
    {kGet, "the physical address bits, of the GPA space and implemented", kFine,
     [] {
       const PartitionId id = active_partition();
       const std::uint64_t bits = property_of(id, Property::kPhysicalAddressWidth);
       GUEST_CHECK(bits == (machine::cpuid(0x8000'0008, 0).eax & 0xFF));
       GUEST_CHECK(property_of(id, Property::kImplementedPhysicalAddressBits) == bits);
       return get_property(id, Property::kPhysicalAddressWidth);
     }},
    {kGet, "a guest's identity", kFine,
     [] {
       GUEST_CHECK(get_property(kSelf, Property::kGuestOsId) == kFine);
       GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value ==
                   machine::read_msr(hv::kMsrGuestOsId));
       return reads(Property::kGuestOsId, 0);
     }},
    {kGet, "the time of a partition that never ran", kFine,
     [] { return reads(Property::kReferenceTime, 0); }},
    {kGet, "a code that no property has", Status::kUnknownProperty,
     [] { return get_property(active_partition(), kNoProperty); }},
    {kGet, "VMM capabilities, which only the extended form has", Status::kUnknownProperty,
     [] { return get_property(active_partition(), Property::kVmmCapabilities); }},
    {kGet, "the weight, before initialization", kState,
     [] { return get_property(created_partition(), Property::kCpuWeight); }},
    {kGet, "privileges of a finalized partition", kState,
     [] { return get_property(finalized_partition(), Property::kPrivilegeFlags); }},
    {kGet, "no partition's id", Status::kInvalidPartitionId,
     [] { return get_property(kNobody, Property::kCpuWeight); }},
    {kGet, "a child without the privilege", Status::kAccessDenied,
     [] { return get_property(kSelf, Property::kCpuWeight); }, Caller::kChild},

    {kGetEx, "a property that is a number", kFine,
     [] {
       const PartitionId id = active_partition();
       const hv::GetPartitionPropertyExInput input{id, Property::kCpuWeight, 0, 0};
       const Status status = call(HypercallControl(kGetEx), input).status();
       GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value == 100);
       return status;
     }},
    {kGetEx, "VMM capabilities", kFine,
     [] {
       const hv::GetPartitionPropertyExInput input{kSelf, Property::kVmmCapabilities, 0, 0};
       const Status status = call(HypercallControl(kGetEx), input).status();
       const auto answer = output<hv::VmmCapabilities>();
       GUEST_CHECK(answer.bank_count == 1);
       GUEST_CHECK((answer.bits & hv::VmmCapabilities::kAssignableSyntheticFeatures) != 0);
       return status;
     }},
    {kGetEx, "VMM capabilities, before initialization", kState,
     [] {
       const hv::GetPartitionPropertyExInput input{created_partition(), Property::kVmmCapabilities,
                                                   0, 0};
       return call(HypercallControl(kGetEx), input).status();
     }},
    {kGetEx, "the processors of a VP that does not exist", Status::kInvalidVpIndex,
     [] {
       const hv::GetPartitionPropertyExInput input{make_child().id, Property::kVpSchedulingAffinity,
                                                   0, 9};
       return call(HypercallControl(kGetEx), input).status();
     }},
    {kGetEx, "an argument that the property does not take", Status::kInvalidParameter,
     [] {
       const hv::GetPartitionPropertyExInput input{kSelf, Property::kCpuWeight, 0, 1};
       return call(HypercallControl(kGetEx), input).status();
     }},
    {kGetEx, "a code that no property has", Status::kUnknownProperty,
     [] {
       const hv::GetPartitionPropertyExInput input{kSelf, kNoProperty, 0, 0};
       return call(HypercallControl(kGetEx), input).status();
     }},
    {kGetEx, "no partition's id", Status::kInvalidPartitionId,
     [] {
       const hv::GetPartitionPropertyExInput input{kNobody, Property::kVmmCapabilities, 0, 0};
       return call(HypercallControl(kGetEx), input).status();
     }},
    {kGetEx, "a child without the privilege", Status::kAccessDenied,
     [] {
       const hv::GetPartitionPropertyExInput input{kSelf, Property::kCpuWeight, 0, 0};
       return call(HypercallControl(kGetEx), input).status();
     },
     Caller::kChild},
};

constexpr CallCase kSetCases[] = {
    {kSet, "privileges, before initialization", kFine,
     [] { return keeps_early(Property::kPrivilegeFlags, 0x62); }},
    {kSet, "a privilege that no child has", kRange,
     [] { return refuses_early(Property::kPrivilegeFlags, 1ull << 44); }},
    {kSet, "privileges of an active partition", kState,
     [] { return refuses(Property::kPrivilegeFlags, 0); }},
    {kSet, "synthetic features: those that are privileges change them", kFine,
     [] {
       const PartitionId id = created_partition();
       const Status status = set_property(
           id, Property::kSyntheticProcessorFeatures,
           hv::SyntheticFeatures::kHypervisorPresent | hv::SyntheticFeatures::kVpIndex);
       const std::uint64_t privileges = property_of(id, Property::kPrivilegeFlags);
       GUEST_CHECK((privileges & 0xE7F) == 1u << 6);  // those that no feature stands for apart
       GUEST_CHECK((privileges & static_cast<std::uint64_t>(hv::Privilege::kAccessResetReg)) != 0);
       return status;
     }},
    {kSet, "synthetic features: VP registers and extended ranges are privileges, too", kFine,
     [] {
       constexpr std::uint64_t kVpRegisters = 1ull << 38;
       constexpr std::uint64_t kExtendedRanges = 1ull << 15;
       constexpr std::uint64_t kPrivileges = 1ull << 49 | 1ull << 47;
       const PartitionId id = created_partition();
       GUEST_CHECK((property_of(id, Property::kSyntheticProcessorFeatures) & kVpRegisters) == 0);
       const Status status = set_property(id, Property::kSyntheticProcessorFeatures,
                                          kVpRegisters | kExtendedRanges | 3);
       GUEST_CHECK((property_of(id, Property::kPrivilegeFlags) & kPrivileges) == kPrivileges);
       GUEST_CHECK(property_of(id, Property::kSyntheticProcessorFeatures) ==
                   (kVpRegisters | kExtendedRanges | 3));
       GUEST_CHECK(set_property(id, Property::kPrivilegeFlags, 1ull << 6) == kFine);
       GUEST_CHECK(property_of(id, Property::kSyntheticProcessorFeatures) == (1ull << 8 | 3));
       return status;
     }},
    {kSet, "a synthetic feature that does not exist", kRange,
     [] { return refuses_early(Property::kSyntheticProcessorFeatures, 1ull << 60); }},
    {kSet, "fewer physical address bits: the GPA space ends there", kFine,
     [] {
       const PartitionId id = created_partition();
       const Status status = set_property(id, Property::kPhysicalAddressWidth, 32);
       initialize_with_memory(id);
       const auto map = [&](std::uint64_t gpn) {
         const hv::MapGpaPagesInput header{id, machine::Gpn(gpn), hv::kMapRead, 0};
         const std::array<machine::Gpn, 1> pages{machine::Gpn(0x7000)};
         return call(HypercallControl(CallCode::kMapGpaPages), header,
                     std::span<const machine::Gpn>(pages))
             .status();
       };
       GUEST_CHECK(map(0xF'FFFF) == kFine);
       GUEST_CHECK(map(0x10'0000) == Status::kInvalidParameter);
       return status;
     }},
    {kSet, "fewer physical address bits than a processor has", kRange,
     [] { return refuses_early(Property::kPhysicalAddressWidth, 31); }},
    {kSet, "more physical address bits than the processor has", kRange,
     [] { return refuses_early(Property::kPhysicalAddressWidth, 60); }},
    {kSet, "a hypercall doorbell page", kRange,
     [] { return refuses_early(Property::kHypercallDoorbellPage, 1); }},

    {kSet, "the least weight", kFine, [] { return keeps(Property::kCpuWeight, 1); }},
    {kSet, "the most weight", kFine, [] { return keeps(Property::kCpuWeight, 10000); }},
    {kSet, "weight 0", kRange, [] { return refuses(Property::kCpuWeight, 0); }},
    {kSet, "weight 10001", kRange, [] { return refuses(Property::kCpuWeight, 10001); }},
    {kSet, "a reserve", kFine, [] { return keeps(Property::kCpuReserve, 0x8000); }},
    {kSet, "a reserve of more than a processor", kRange,
     [] { return refuses(Property::kCpuReserve, 0x10001); }},
    {kSet, "a reserve above the cap", kRange,
     [] {
       const PartitionId id = active_partition();
       GUEST_CHECK(set_property(id, Property::kCpuCap, 0x4000) == kFine);
       return set_property(id, Property::kCpuReserve, 0x4001);
     }},
    {kSet, "reserves that all processors cannot keep", kRange,
     [] {
       const Child child = make_child(2);
       GUEST_CHECK(set_property(child.id, Property::kCpuReserve, 0xC000) == kFine);
       const PartitionId second = active_partition();
       create_vp(second, 0);
       GUEST_CHECK(set_property(second, Property::kCpuReserve, 0x8000) == kFine);
       return set_property(second, Property::kCpuReserve, 0x8001);
     }},
    {CallCode::kCreateVp, "a VP whose reserve no processor has left", Status::kOperationDenied,
     [] {
       const PartitionId id = active_partition();
       GUEST_CHECK(set_property(id, Property::kCpuReserve, 0x10000) == kFine);
       GUEST_CHECK(try_create_vp(id, 0) == kFine);
       GUEST_CHECK(try_create_vp(id, 1) == kFine);
       return try_create_vp(id, 2);
     }},
    {kSet, "a cap", kFine, [] { return keeps(Property::kCpuCap, 0x2000); }},
    {kSet, "a cap of more than a processor", kRange,
     [] { return refuses(Property::kCpuCap, 0x10001); }},
    {kSet, "a cap below the reserve", kRange,
     [] {
       const PartitionId id = active_partition();
       GUEST_CHECK(set_property(id, Property::kCpuReserve, 0x4000) == kFine);
       return set_property(id, Property::kCpuCap, 0x3FFF);
     }},
    {kSet, "the group of all processors", kFine, [] { return keeps(Property::kCpuGroupId, 0); }},
    {kSet, "a processor group that does not exist", Status::kInvalidCpuGroupId,
     [] { return refuses(Property::kCpuGroupId, 1); }},

    {kSet, "time frozen and set", kFine,
     [] {
       const PartitionId id = active_partition();
       GUEST_CHECK(set_property(id, Property::kTimeFreeze, 1) == kFine);
       const Status status = set_property(id, Property::kReferenceTime, 123'456'789);
       GUEST_CHECK(property_of(id, Property::kReferenceTime) == 123'456'789);
       GUEST_CHECK(set_property(id, Property::kTimeFreeze, 0) == kFine);
       // No VP of it may run yet.
       GUEST_CHECK(property_of(id, Property::kReferenceTime) == 123'456'789);
       return status;
     }},
    {kSet, "time that is not frozen", kState, [] { return refuses(Property::kReferenceTime, 1); }},
    {kSet, "time frozen twice over", kRange, [] { return refuses(Property::kTimeFreeze, 2); }},
    {kSet, "the root's own time frozen", kRange,
     [] { return set_property(kSelf, Property::kTimeFreeze, 1); }},
    {kSet, "a partition suspended and let go", kFine,
     [] {
       const PartitionId id = active_partition();
       GUEST_CHECK(set_property(id, Property::kSuspend, 1) == kFine);
       GUEST_CHECK(property_of(id, Property::kSuspend) == 1);
       return set_property(id, Property::kSuspend, 0);
     }},
    {kSet, "a suspension that is neither on nor off", kRange,
     [] { return refuses(Property::kSuspend, 2); }},
    {kSet, "a power management timer", kFine,
     [] { return keeps(Property::kPmTimerAssist, 0x608 | 1u << 17); }},
    {kSet, "a power management timer with reserved bits", kRange,
     [] { return refuses(Property::kPmTimerAssist, 1u << 18); }},
    {kSet, "no emulated timer", kFine, [] { return keeps(Property::kEmulatedTimerPeriod, 0); }},
    {kSet, "an emulated timer's period", kRange,
     [] { return refuses(Property::kEmulatedTimerPeriod, 10'000); }},
    {kSet, "an emulated timer turned on", kRange,
     [] { return refuses(Property::kEmulatedTimerControl, 1); }},

    {kSet, "a debug channel", kFine, [] { return keeps(Property::kDebugChannelId, 7); }},
    {kSet, "a debug channel beyond 32 bits", kRange,
     [] { return refuses(Property::kDebugChannelId, 1ull << 32); }},
    {kSet, "a virtual TLB of no pages: clamped", kFine,
     [] {
       const PartitionId id = active_partition();
       const Status status = set_property(id, Property::kVirtualTlbPageCount, 0);
       GUEST_CHECK(property_of(id, Property::kVirtualTlbPageCount) == hv::kVirtualTlbPagesMin);
       return status;
     }},
    {kSet, "a virtual TLB of everything: clamped", kFine,
     [] {
       const PartitionId id = active_partition();
       const Status status = set_property(id, Property::kVirtualTlbPageCount, ~0ull);
       GUEST_CHECK(property_of(id, Property::kVirtualTlbPageCount) == hv::kVirtualTlbPagesMax);
       return status;
     }},
    {kSet, "virtual trust levels", kRange, [] { return refuses(Property::kVsmConfig, 1); }},
    {kSet, "isolation", kRange, [] { return refuses(Property::kIsolationControl, 1); }},
    {kSet, "a nested TLB", kRange, [] { return refuses(Property::kNestedTlbSize, 1); }},
    {kSet, "unknown MSRs ignored", kFine,
     [] { return keeps(Property::kUnimplementedMsrAction, 1); }},
    {kSet, "an action for unknown MSRs that does not exist", kRange,
     [] { return refuses(Property::kUnimplementedMsrAction, 2); }},
    {kSet, "two processors a socket", kFine,
     [] { return keeps(Property::kProcessorsPerSocket, 2); }},
    {kSet, "no processors a socket", kRange,
     [] { return refuses(Property::kProcessorsPerSocket, 0); }},
    {kSet, "more processors a socket than there can be", kRange,
     [] { return refuses(Property::kProcessorsPerSocket, hv::kMaxVirtualProcessors + 1); }},
    {kSet, "processors a socket, once there is one", kState,
     [] { return set_property(make_child().id, Property::kProcessorsPerSocket, 2); }},

    {kSet, "the vendor", kRange, [] { return is_read_only(Property::kProcessorVendor); }},
    {kSet, "the compatibility version", kRange,
     [] { return is_read_only(Property::kCompatibilityVersion); }},
    {kSet, "processor features", kRange,
     [] { return is_read_only(Property::kProcessorFeatures0); }},
    {kSet, "the guest's identity", kRange, [] { return is_read_only(Property::kGuestOsId); }},
    {kSet, "a frequency", kRange, [] { return is_read_only(Property::kApicFrequency); }},
    {kSet, "a code that no property has", Status::kUnknownProperty,
     [] { return set_property(active_partition(), kNoProperty, 0); }},
    {kSet, "the weight, before initialization", kState,
     [] { return set_property(created_partition(), Property::kCpuWeight, 5); }},
    {kSet, "the weight of a finalized partition", kState,
     [] { return set_property(finalized_partition(), Property::kCpuWeight, 5); }},
    {kSet, "time frozen in a finalized partition", kState,
     [] { return set_property(finalized_partition(), Property::kTimeFreeze, 1); }},
    {kSet, "no partition's id", Status::kInvalidPartitionId,
     [] { return set_property(kNobody, Property::kCpuWeight, 5); }},
    {kSet, "a child without the privilege", Status::kAccessDenied,
     [] { return set_property(kSelf, Property::kCpuWeight, 5); }, Caller::kChild},

    {kSetEx, "the processors that a VP may run on: one of two", kFine,
     [] {
       const Child child = make_child();
       GUEST_CHECK(affinity_of(child.id, 0) == 3);
       const Status status = set_affinity(child.id, 0, 2);
       GUEST_CHECK(affinity_of(child.id, 0) == 2);
       return status;
     }},
    {kSetEx, "the processors that a running VP may run on: all", kFine,
     [] {
       const Child child = make_child();
       child_maker::start(child, 0);
       GUEST_CHECK(set_affinity(child.id, 0, 1) == kFine);
       const Status status = set_property_ex(child.id, Property::kVpSchedulingAffinity, 0, 1,
                                             hv::ProcessorSetValue::kAll);
       GUEST_CHECK(affinity_of(child.id, 0) == 3);
       return status;
     }},
    {kSetEx, "no processor for a VP to run on", kRange,
     [] { return set_affinity(make_child().id, 0, 0); }},
    {kSetEx, "a processor that does not exist for a VP to run on", kRange,
     [] { return set_affinity(make_child().id, 0, 4); }},
    {kSetEx, "a set of processors of no known form", Status::kInvalidParameter,
     [] { return set_property_ex(make_child().id, Property::kVpSchedulingAffinity, 0, 3, 7); }},
    {kSetEx, "the processors of a VP that does not exist", Status::kInvalidVpIndex,
     [] { return set_affinity(make_child().id, 5, 1); }},
    {kSetEx, "the processors of the root's own VP", Status::kAccessDenied,
     [] { return set_affinity(kSelf, 0, 1); }},
    {kSetEx, "a value of one quadword", kFine,
     [] {
       const PartitionId id = active_partition();
       const Status status = set_property_ex(id, Property::kCpuWeight, 0, 1, 777);
       GUEST_CHECK(property_of(id, Property::kCpuWeight) == 777);
       return status;
     }},
    {kSetEx, "a value out of range", kRange,
     [] { return set_property_ex(active_partition(), Property::kCpuWeight, 0, 1, 0); }},
    {kSetEx, "no value", Status::kInvalidParameter,
     [] { return set_property_ex(active_partition(), Property::kCpuWeight, 0, 0, 5); }},
    {kSetEx, "two quadwords for a value of one", Status::kInvalidParameter,
     [] { return set_property_ex(active_partition(), Property::kCpuWeight, 0, 2, 5); }},
    {kSetEx, "an argument that the property does not take", Status::kInvalidParameter,
     [] { return set_property_ex(active_partition(), Property::kCpuWeight, 9, 1, 5); }},
    {kSetEx, "a code that no property has", Status::kUnknownProperty,
     [] { return set_property_ex(active_partition(), kNoProperty, 0, 1, 5); }},
    {kSetEx, "the weight, before initialization", kState,
     [] { return set_property_ex(created_partition(), Property::kCpuWeight, 0, 1, 5); }},
    {kSetEx, "no partition's id", Status::kInvalidPartitionId,
     [] { return set_property_ex(kNobody, Property::kCpuWeight, 0, 1, 5); }},
    {kSetEx, "a child without the privilege", Status::kAccessDenied,
     [] { return set_property_ex(kSelf, Property::kCpuWeight, 0, 1, 5); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> get_property_cases() { return kGetCases; }
std::span<const CallCase> set_property_cases() { return kSetCases; }

}  // namespace interface_test
