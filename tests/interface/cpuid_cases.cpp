// CPUID leaves as the root and children see them, and GetVpCpuidValues (TLFS "Feature and Interface
// Discovery").
#include <array>
#include <cstring>

#include "machine/machine.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/msr_steps.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using hv::SyntheticFeatures;
using machine::cpuid;
using Property = hv::PartitionProperty;

constexpr CallCode kCode = CallCode::kGetVpCpuidValues;
constexpr std::uint32_t kOne = 1;
constexpr std::uint32_t kTopology = 0xB;
constexpr std::uint32_t kSse42 = 1u << 20;

bool is_empty(std::uint32_t leaf) {
  const machine::CpuidResult result = cpuid(leaf, 0);
  return (result.eax | result.ebx | result.ecx | result.edx) == 0;
}

template <std::uint64_t Features>
void with_features(PartitionId id) {
  GUEST_CHECK(set_property(id, Property::kSyntheticProcessorFeatures, Features) ==
              Status::kSuccess);
}

void add_two_processors(const Child& child) {
  for (const std::uint32_t vp : {1u, 2u}) {
    create_vp(child.id, vp);
  }
}

constexpr LeafCase kLeaves[] = {
    {hv::kCpuidVendor, "the vendor that guests look for, and the highest leaf",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidVendor, 0);
       GUEST_CHECK(leaf.eax >= 0x4000'0005 && leaf.eax <= 0x4000'FFFF);
       GUEST_CHECK(leaf.ebx == hv::kVendorEbx && leaf.ecx == hv::kVendorEcx &&
                   leaf.edx == hv::kVendorEdx);
     },
     Caller::kChild},
    {hv::kCpuidInterface, "Hv#1",
     [] { GUEST_CHECK(cpuid(hv::kCpuidInterface, 0).eax == hv::kInterfaceHv1); }, Caller::kChild},
    {hv::kCpuidVersion, "a build and a version",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidVersion, 0);
       GUEST_CHECK(leaf.eax != 0 && leaf.ebx != 0);
     }},
    {hv::kCpuidFeatures, "the privileges that the child was given",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidFeatures, 0);
       GUEST_CHECK(leaf.eax == 0x0000'0FFF && leaf.ebx == 0x0028'8030);
       GUEST_CHECK((leaf.edx & hv::FeaturesEdx::kFrequencyMsrs) != 0);
       GUEST_CHECK((leaf.edx & hv::FeaturesEdx::kGuestIdleState) != 0);
       GUEST_CHECK((leaf.edx & hv::FeaturesEdx::kTimeUnhaltedTimer) != 0);
     },
     Caller::kChild},
    {hv::kCpuidFeatures, "the privileges that the parent gave, and what goes with them",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidFeatures, 0);
       GUEST_CHECK((leaf.eax & 1u << 11) == 0);
       GUEST_CHECK((leaf.edx & hv::FeaturesEdx::kFrequencyMsrs) == 0);
     },
     Caller::kChild, nullptr, without<hv::Privilege::kAccessFrequencyRegs>},
    {hv::kCpuidFeatures, "what goes with no privilege or with one, bit by bit",
     [] {
       const std::uint32_t edx = cpuid(hv::kCpuidFeatures, 0).edx;
       GUEST_CHECK((edx & 1u << 14) != 0);  // extended ranges of flush lists
       GUEST_CHECK((edx & 1u << 17) != 0);  // SINTs that are polled
       GUEST_CHECK((edx & 1u << 18) != 0);  // a lock of the hypercall register
     },
     Caller::kChild},
    {hv::kCpuidFeatures, "no extended ranges without the privilege",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidFeatures, 0);
       GUEST_CHECK((leaf.ebx & 1u << 15) == 0 && (leaf.edx & 1u << 14) == 0);
     },
     Caller::kChild, nullptr, without<hv::Privilege::kExtendedGvaRanges>},
    {hv::kCpuidFeatures, "direct timers, unless the parent hides them",
     [] {
       GUEST_CHECK((cpuid(hv::kCpuidFeatures, 0).edx & hv::FeaturesEdx::kDirectSyntheticTimers) ==
                   0);
     },
     Caller::kChild, nullptr,
     with_features<SyntheticFeatures::kHypervisorPresent | SyntheticFeatures::kHv1>},
    {hv::kCpuidRecommendations, "the calls that there are",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidRecommendations, 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kRemoteFlushCall) != 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kSyntheticClusterIpi) != 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kExProcessorMasks) != 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kNested) == 0);
       GUEST_CHECK((leaf.eax & 1u << 21) != 0);  // accesses to devices by hypercall
       GUEST_CHECK(leaf.ecx == (cpuid(0x8000'0008, 0).eax & 0xFF));
     },
     Caller::kChild},
    {hv::kCpuidRecommendations, "no call that the parent hides, and never a spin notification",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidRecommendations, 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kRemoteFlushCall) == 0);
       GUEST_CHECK((leaf.eax & hv::Recommendations::kSyntheticClusterIpi) == 0);
       GUEST_CHECK((leaf.eax & 1u << 21) == 0);
       GUEST_CHECK(leaf.ebx == ~0u);
     },
     Caller::kChild, nullptr,
     with_features<SyntheticFeatures::kHypervisorPresent | SyntheticFeatures::kHv1>},
    {hv::kCpuidLimits, "how many processors there can be",
     [] {
       const machine::CpuidResult leaf = cpuid(hv::kCpuidLimits, 0);
       GUEST_CHECK(leaf.eax == hv::kMaxVirtualProcessors && leaf.ebx == hv::kMaxLogicalProcessors);
     },
     Caller::kChild},
    {hv::kCpuidLimits, "192 vectors for the interrupts that the root maps",
     [] { GUEST_CHECK(cpuid(hv::kCpuidLimits, 0).ecx == 192); }},
    {hv::kCpuidLimits, "no vectors for a child, which maps no interrupts",
     [] { GUEST_CHECK(cpuid(hv::kCpuidLimits, 0).ecx == 0); }, Caller::kChild},
    {hv::kCpuidHardwareFeatures, "second-level translation, and not nested",
     [] {
       const std::uint32_t eax = cpuid(hv::kCpuidHardwareFeatures, 0).eax;
       GUEST_CHECK((eax & hv::HardwareFeatures::kSecondLevelTranslation) != 0);
       GUEST_CHECK((eax >> 10 & 0xF) == 0);
     },
     Caller::kChild},
    {hv::kCpuidCpuManagement, "processor management for the root",
     [] { GUEST_CHECK(cpuid(hv::kCpuidCpuManagement, 0).eax != 0); }},
    {hv::kCpuidCpuManagement, "nothing for a child",
     [] { GUEST_CHECK(cpuid(hv::kCpuidCpuManagement, 0).eax == 0); }, Caller::kChild},
    {hv::kCpuidReserved8, "nothing", [] { GUEST_CHECK(is_empty(hv::kCpuidReserved8)); },
     Caller::kChild},
    {hv::kCpuidNestedPrivileges, "nothing",
     [] { GUEST_CHECK(is_empty(hv::kCpuidNestedPrivileges)); }, Caller::kChild},
    {hv::kCpuidNestedOptimizations, "nothing",
     [] { GUEST_CHECK(is_empty(hv::kCpuidNestedOptimizations)); }, Caller::kChild},
    {hv::kCpuidIsolation, "no isolation", [] { GUEST_CHECK(is_empty(hv::kCpuidIsolation)); },
     Caller::kChild},
    {0x4000'0081, "no leaves of a virtualization stack", [] { GUEST_CHECK(is_empty(0x4000'0081)); },
     Caller::kChild},
    {0x4000'0082, "no properties of a virtualization stack",
     [] { GUEST_CHECK(is_empty(0x4000'0082)); }, Caller::kChild},
    {kOne, "that there is a hypervisor",
     [] { GUEST_CHECK((cpuid(kOne, 0).ecx & hv::kCpuidHypervisorPresent) != 0); }, Caller::kChild},
    {kOne, "a local APIC timer with deadlines",
     [] { GUEST_CHECK((cpuid(kOne, 0).ecx & 1u << 24) != 0); }, Caller::kChild},
    {6, "a local APIC timer that never stops, and no power management",
     [] {
       const machine::CpuidResult leaf = cpuid(6, 0);
       GUEST_CHECK(leaf.eax == 4 && leaf.ebx == 0 && leaf.ecx == 0 && leaf.edx == 0);
     },
     Caller::kChild},
    {kOne, "how many processors there are besides",
     [] { GUEST_CHECK((cpuid(kOne, 0).ebx >> 16 & 0xFF) == 4); }, Caller::kChild,
     add_two_processors},
    {kTopology, "how many processors there are besides",
     [] {
       GUEST_CHECK(cpuid(kTopology, 0).ebx == 1);
       GUEST_CHECK(cpuid(kTopology, 1).ebx == 3);
     },
     Caller::kChild, add_two_processors},
    {kOne, "no hypervisor, when the parent says so, and no leaves of one",
     [] {
       GUEST_CHECK((cpuid(kOne, 0).ecx & hv::kCpuidHypervisorPresent) == 0);
       GUEST_CHECK(is_empty(hv::kCpuidVendor));
     },
     Caller::kChild, nullptr, with_features<0>},
};

PartitionId partition_without_sse42() {
  hv::CreatePartitionInput input;
  input.disabled_processor_features[0] = 1u << 4;
  const PartitionId id = created_partition(input);
  initialize_with_memory(id);
  create_vp(id, 0);
  return id;
}

hv::HypercallResult values_of(PartitionId id, std::uint32_t vp, std::uint32_t flags,
                              std::uint32_t leaf) {
  hv::GetVpCpuidValuesInput input;
  input.partition = id;
  input.vp = hv::VpIndex{vp};
  input.flags = flags;
  const std::array<hv::CpuidLeaf, 2> leaves{{{leaf, 0}, {hv::kCpuidVendor, 0}}};
  return call(HypercallControl(kCode), input, std::span<const hv::CpuidLeaf>(leaves));
}

/// Answers all of EAX of a leaf, in a subleaf or in each.
void register_eax(PartitionId id, std::uint32_t leaf, std::uint32_t eax, bool only_subleaf_1) {
  hv::CpuidResultParameters answer;
  answer.leaf = leaf;
  answer.subleaf = only_subleaf_1 ? 1 : 0;
  answer.subleaf_specific = only_subleaf_1 ? 1 : 0;
  answer.always_override = 1;
  answer.eax = eax;
  answer.eax_mask = ~0u;
  hv::InterceptResultInput input{id, hv::VpIndex{0}, hv::InterceptType::kX64Cpuid, {}, 0};
  std::memcpy(input.parameters.data(), &answer, sizeof(answer));
  GUEST_CHECK(call(HypercallControl(CallCode::kRegisterInterceptResult), input).status() ==
              Status::kSuccess);
}

constexpr CallCase kCalls[] = {
    {kCode, "two leaves: one of the processor, one of the hypervisor", Status::kSuccess,
     [] {
       const hv::HypercallResult result = values_of(partition_without_sse42(), 0, 0, kOne);
       GUEST_CHECK(result.reps_completed() == 2);
       const auto answers = output<std::array<hv::CpuidValues, 2>>();
       GUEST_CHECK(answers[0].eax == cpuid(kOne, 0).eax);
       GUEST_CHECK((cpuid(kOne, 0).ecx & kSse42) != 0);
       GUEST_CHECK((answers[0].ecx & kSse42) == 0);  // what the parent hides
       GUEST_CHECK(answers[1].ebx == hv::kVendorEbx);
       return result.status();
     }},
    {kCode, "with the flags: nothing registered, so the same", Status::kSuccess,
     [] {
       const hv::HypercallResult result = values_of(partition_without_sse42(), 0, 3, kOne);
       const auto answers = output<std::array<hv::CpuidValues, 2>>();
       GUEST_CHECK(answers[0].eax == cpuid(kOne, 0).eax);
       return result.status();
     }},
    {kCode, "what the parent registered, for those who ask for it", Status::kSuccess,
     [] {
       const PartitionId id = partition_without_sse42();
       register_eax(id, kOne, 0x1111, false);
       register_eax(id, kOne, 0x2222, true);
       register_eax(id, 2, 0x3333, false);
       GUEST_CHECK(values_of(id, 0, 0, kOne).status() == Status::kSuccess);
       GUEST_CHECK(output<hv::CpuidValues>().eax == cpuid(kOne, 0).eax);
       const Status status =
           values_of(id, 0, hv::GetVpCpuidValuesInput::kApplyRegistered, kOne).status();
       const auto answers = output<std::array<hv::CpuidValues, 2>>();
       GUEST_CHECK(answers[0].eax == 0x1111 && (answers[0].ecx & kSse42) == 0);
       GUEST_CHECK(answers[1].ebx == hv::kVendorEbx && answers[1].eax > 0x3333);
       return status;
     }},
    {kCode, "a flag that does not exist", Status::kInvalidParameter,
     [] { return values_of(partition_without_sse42(), 0, 4, kOne).status(); }},
    {kCode, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return values_of(partition_without_sse42(), 1, 0, kOne).status(); }},
    {kCode, "a partition that is not initialized", Status::kInvalidPartitionState,
     [] { return values_of(created_partition(), 0, 0, kOne).status(); }},
    {kCode, "no partition's id", Status::kInvalidPartitionId,
     [] { return values_of(kNobody, 0, 0, kOne).status(); }},
    {kCode, "the caller itself", Status::kAccessDenied,
     [] { return values_of(hv::kPartitionIdSelf, 0, 0, kOne).status(); }},
    {kCode, "a child without the privilege", Status::kAccessDenied,
     [] { return values_of(hv::kPartitionIdSelf, 0, 0, kOne).status(); }, Caller::kChild},

    {CallCode::kGetPartitionProperty, "processor features, less what the parent hides",
     Status::kSuccess,
     [] {
       const PartitionId id = partition_without_sse42();
       const std::uint64_t own = property_of(hv::kPartitionIdSelf, Property::kProcessorFeatures0);
       GUEST_CHECK((own & 1u << 4) != 0);
       GUEST_CHECK(property_of(id, Property::kProcessorFeatures0) == (own & ~(1ull << 4)));
       return get_property(id, Property::kProcessorFeatures1);
     }},
    {CallCode::kCreatePartition, "an older compatibility version", Status::kSuccess,
     [] {
       hv::CreatePartitionInput input;
       input.compatibility_version = hv::kCompatibilityVersionOldest;
       const PartitionId id = created_partition(input);
       initialize_with_memory(id);
       GUEST_CHECK(property_of(id, Property::kCompatibilityVersion) ==
                   hv::kCompatibilityVersionOldest);
       return get_property(id, Property::kCompatibilityVersion);
     }},
    {CallCode::kCreatePartition, "an EXO partition with super pages and x2APIC", Status::kSuccess,
     [] {
       hv::CreatePartitionInput input;
       input.flags = hv::kCreateExoPartition | hv::kCreateGpaSuperPages |
                     hv::kCreateLocalApicEmulation | hv::kCreateX2ApicCapable;
       return call(HypercallControl(CallCode::kCreatePartition), input).status();
     }},
    {CallCode::kCreatePartition, "a partition for hypervisors", Status::kInvalidParameter,
     [] {
       hv::CreatePartitionInput input;
       input.flags = hv::kCreateNestedCapable;
       return call(HypercallControl(CallCode::kCreatePartition), input).status();
     }},
    {CallCode::kCreatePartition, "a compatibility version that is to come",
     Status::kInvalidParameter,
     [] {
       hv::CreatePartitionInput input;
       input.compatibility_version = hv::kCompatibilityVersion21H2 + 1;
       return call(HypercallControl(CallCode::kCreatePartition), input).status();
     }},
    {CallCode::kCreatePartition, "isolation", Status::kInvalidParameter,
     [] {
       hv::CreatePartitionInput input;
       input.isolation_properties = 1;
       return call(HypercallControl(CallCode::kCreatePartition), input).status();
     }},
    {CallCode::kCreatePartition, "a proximity flag that does not exist", Status::kInvalidParameter,
     [] {
       hv::CreatePartitionInput input;
       input.proximity.flags = 2;
       return call(HypercallControl(CallCode::kCreatePartition), input).status();
     }},
};

}  // namespace

std::span<const LeafCase> cpuid_leaf_cases() { return kLeaves; }
std::span<const CallCase> cpuid_call_cases() { return kCalls; }

}  // namespace interface_test
