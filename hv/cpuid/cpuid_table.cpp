#include "hv/cpuid/cpuid_table.h"

#include <bit>

#include "hv/cpuid/feature_masks.h"
#include "hv/hypervisor_limits.h"
#include "hv/processor/physical_apic.h"
#include "hv/tlfs/cpuid.h"
#include "machine/x86.h"

namespace hv {
namespace {

using machine::CpuidResult;

constexpr std::uint32_t kBuildNumber = 1;
constexpr std::uint32_t kMajorVersion = 1;
constexpr std::uint32_t kMinorVersion = 0;
/// Turns of a spin loop before a guest should call HvCallNotifyLongSpinWait.
constexpr std::uint32_t kSpinRetries = 0xFFF;
constexpr std::uint32_t kSpinNeverNotify = 0xFFFF'FFFF;
/// What HvCallMapDeviceInterrupt hands out, one by one.
constexpr std::uint32_t kRemappingVectors =
    physical_apic::kFirstHypervisorVector - physical_apic::kFirstInterruptVector;

// Leaf 1 ECX and EDX (SDM vol. 2 CPUID).
constexpr std::uint32_t kMonitor = 1u << 3;
constexpr std::uint32_t kVmx = 1u << 5;
constexpr std::uint32_t kSmx = 1u << 6;
constexpr std::uint32_t kFma = 1u << 12;
constexpr std::uint32_t kPdcm = 1u << 15;
constexpr std::uint32_t kPcid = 1u << 17;
constexpr std::uint32_t kX2Apic = 1u << 21;
constexpr std::uint32_t kApic = 1u << 9;  // in EDX
constexpr std::uint32_t kTscDeadline = 1u << 24;
constexpr std::uint32_t kXsave = 1u << 26;
constexpr std::uint32_t kOsXsave = 1u << 27;
constexpr std::uint32_t kAvx = 1u << 28;
constexpr std::uint32_t kF16c = 1u << 29;
constexpr std::uint32_t kHiddenEcx =
    kMonitor | kVmx | kSmx | kPdcm | kPcid | kTscDeadline | kOsXsave;
/// Leaf 6 EAX: a local APIC's timer that no power state stops.
constexpr std::uint32_t kAlwaysRunningApicTimer = 1u << 2;
/// What computes with the upper halves of YMM registers.
constexpr std::uint32_t kNeedsAvxEcx = kFma | kAvx | kF16c;
constexpr std::uint32_t kMachineCheckException = 1u << 7;
constexpr std::uint32_t kMtrr = 1u << 12;
constexpr std::uint32_t kMachineCheck = 1u << 14;
constexpr std::uint32_t kDebugStore = 1u << 21;
constexpr std::uint32_t kThermal = 1u << 22;
constexpr std::uint32_t kHyperThreading = 1u << 28;
constexpr std::uint32_t kThermalMonitor = 1u << 29;
constexpr std::uint32_t kHiddenEdx =
    kMachineCheckException | kMtrr | kMachineCheck | kDebugStore | kThermal | kThermalMonitor;

// Leaf 7 EBX: what needs no state of its own.
constexpr std::uint32_t kFsGsBase = 1u << 0;
constexpr std::uint32_t kBmi1 = 1u << 3;
constexpr std::uint32_t kSmep = 1u << 7;
constexpr std::uint32_t kBmi2 = 1u << 8;
constexpr std::uint32_t kErms = 1u << 9;
constexpr std::uint32_t kSmap = 1u << 20;
constexpr std::uint32_t kShownLeaf7Ebx = kFsGsBase | kBmi1 | kSmep | kBmi2 | kErms | kSmap;
constexpr std::uint32_t kAvx2 = 1u << 5;
// AVX512F, DQ, CD, BW, VL.
constexpr std::uint32_t kAvx512Ebx = (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31);

// Leaf 0xD, subleaf 1: XSAVEOPT, XSAVEC, XGETBV of the components in use. XSAVES is not offered.
constexpr std::uint32_t kShownLeafDEax = 7;

constexpr std::uint32_t kRdtscp = 1u << 27;       // 0x80000001 EDX
constexpr std::uint32_t kInvariantTsc = 1u << 8;  // 0x80000007 EDX

constexpr std::uint32_t kTopologyThread = 1u << 8;  // leaf 0xB ECX: level type
constexpr std::uint32_t kTopologyCore = 2u << 8;

CpuidResult features(const CpuidSubject& subject) {
  CpuidResult result;
  result.eax = static_cast<std::uint32_t>(subject.privileges.bits());
  result.ebx = static_cast<std::uint32_t>(subject.privileges.bits() >> 32);
  result.edx = FeaturesEdx::kSintPolling | FeaturesEdx::kGuestCrashMsrs |
               FeaturesEdx::kXmmHypercallInput | FeaturesEdx::kHypercallMsrLock;
  if (subject.privileges.has(Privilege::kExtendedGvaRanges)) {
    result.edx |= FeaturesEdx::kExtendedGvaRanges;
  }
  if (subject.privileges.has(Privilege::kFastHypercallOutput)) {
    result.edx |= FeaturesEdx::kXmmHypercallOutput;
  }
  if ((subject.synthetic_features & SyntheticFeatures::kDirectTimers) != 0) {
    result.edx |= FeaturesEdx::kDirectSyntheticTimers;
  }
  if (subject.privileges.has(Privilege::kAccessSyntheticTimerRegs)) {
    result.edx |= FeaturesEdx::kTimeUnhaltedTimer;
  }
  if (subject.privileges.has(Privilege::kAccessGuestIdleReg)) {
    result.edx |= FeaturesEdx::kGuestIdleState;
  }
  if (subject.privileges.has(Privilege::kAccessFrequencyRegs)) {
    result.edx |= FeaturesEdx::kFrequencyMsrs;
  }
  return result;
}

/// Recommendations name what is there and pays.
CpuidResult recommendations(const CpuidSubject& subject) {
  struct Choice {
    std::uint64_t feature;
    std::uint32_t recommendation;
  };
  constexpr Choice kChoices[] = {
      {SyntheticFeatures::kFlushCalls, Recommendations::kRemoteFlushCall},
      {SyntheticFeatures::kClusterIpi, Recommendations::kSyntheticClusterIpi},
      {SyntheticFeatures::kExtendedProcessorMasks, Recommendations::kExProcessorMasks},
      {SyntheticFeatures::kMmioCalls, Recommendations::kMmioCalls},
  };
  CpuidResult result;
  result.eax = Recommendations::kRelaxedTiming | Recommendations::kAutoEoiDeprecated;
  for (const Choice& choice : kChoices) {
    result.eax |= (subject.synthetic_features & choice.feature) != 0 ? choice.recommendation : 0;
  }
  if (subject.privileges.has(Privilege::kAccessResetReg)) {
    result.eax |= Recommendations::kResetMsr;
  }
  const bool notify = (subject.synthetic_features & SyntheticFeatures::kLongSpinWait) != 0;
  result.ebx = notify ? kSpinRetries : kSpinNeverNotify;
  result.ecx = subject.physical_address_bits;
  return result;
}

bool is_enlightened(const CpuidSubject& subject) {
  return (subject.synthetic_features & SyntheticFeatures::kHypervisorPresent) != 0;
}

/// Processors that share a package: all, unless the parent says how many.
std::uint32_t package_size(const CpuidSubject& subject) {
  return subject.vp_count < subject.processors_per_socket ? subject.vp_count
                                                          : subject.processors_per_socket;
}

CpuidResult leaf_1(const CpuidSubject& subject, CpuidResult result) {
  const std::uint32_t in_package = package_size(subject);
  result.ebx =
      (result.ebx & 0xFF00) | (subject.apic_id << 24) | (std::bit_ceil(in_package) & 0xFF) << 16;
  result.ecx = (result.ecx & ~kHiddenEcx) | (subject.may_be_x2apic ? kX2Apic : 0);
  // The local APIC is the hypervisor's, with all that its timer can do, whatever the processor's.
  result.ecx |= subject.has_apic ? kTscDeadline : 0;
  result.edx &= subject.has_apic ? ~0u : ~kApic;
  result.ecx = is_enlightened(subject) ? (result.ecx | kCpuidHypervisorPresent)
                                       : (result.ecx & ~kCpuidHypervisorPresent);
  if ((subject.extended_components & machine::x86::kXcr0Avx) == 0) {
    result.ecx &= ~kNeedsAvxEcx;
  }
  if (subject.extended_components == 0) {
    result.ecx &= ~kXsave;
  } else if (subject.os_xsave) {
    result.ecx |= kOsXsave;
  }
  result.edx &= ~kHiddenEdx;
  result.edx = in_package > 1 ? (result.edx | kHyperThreading) : (result.edx & ~kHyperThreading);
  return result;
}

CpuidResult leaf_7(const CpuidSubject& subject, const CpuidResult& processor) {
  std::uint32_t shown = kShownLeaf7Ebx;
  if ((subject.extended_components & machine::x86::kXcr0Avx) != 0) {
    shown |= kAvx2;
  }
  if ((subject.extended_components & machine::x86::kXcr0Avx512) != 0) {
    shown |= kAvx512Ebx;
  }
  return {0, processor.ebx & shown, 0, 0};
}

/// The size for what XCR0 has now is the processor's own answer: the guest's XCR0 is in force there
/// (SDM vol. 2 CPUID leaf 0DH).
CpuidResult extended_state(const CpuidSubject& subject, std::uint32_t subleaf,
                           const CpuidResult& processor) {
  constexpr std::uint32_t kComponents = 64;
  if (subject.extended_components == 0) {
    return {};
  }
  if (subleaf == 0) {
    return {static_cast<std::uint32_t>(subject.extended_components), processor.ebx,
            subject.extended_area_bytes,
            static_cast<std::uint32_t>(subject.extended_components >> 32)};
  }
  if (subleaf == 1) {
    return {processor.eax & kShownLeafDEax, processor.ebx, 0, 0};
  }
  const bool offered = subleaf < kComponents && (subject.extended_components >> subleaf & 1) != 0;
  return offered ? processor : CpuidResult{};
}

/// Every virtual processor is a core of its package.
CpuidResult topology(const CpuidSubject& subject, std::uint32_t subleaf) {
  CpuidResult result;
  result.ecx = subleaf & 0xFF;
  result.edx = subject.apic_id;
  if (subleaf == 0) {
    result.ebx = 1;
    result.ecx |= kTopologyThread;
  } else if (subleaf == 1) {
    result.eax = static_cast<std::uint32_t>(std::bit_width(package_size(subject) - 1));
    result.ebx = package_size(subject);
    result.ecx |= kTopologyCore;
  }
  return result;
}

/// Physical and linear address bits; what the guest's own are follows the GPA space.
CpuidResult address_sizes(const CpuidSubject& subject, CpuidResult result) {
  if (subject.physical_address_bits != 0) {
    result.eax = (result.eax & 0xFF00) | subject.physical_address_bits;
  }
  return {result.eax, 0, 0, 0};
}

CpuidResult visible_cpuid(const CpuidSubject& subject, std::uint32_t leaf, std::uint32_t subleaf,
                          CpuidResult result) {
  switch (leaf) {
    case kCpuidProcessorFeatures:
      return leaf_1(subject, result);
    case 0x4:
      result.eax &= ~0xFFFF'C000u;  // no sharing of caches or cores is promised
      return result;
    case 0x7:
      return subleaf == 0 ? leaf_7(subject, result) : CpuidResult{};
    case 0x6:  // thermal and power management
      return {subject.has_apic ? kAlwaysRunningApicTimer : 0, 0, 0, 0};
    case 0x5:   // MONITOR and MWAIT
    case 0xA:   // performance monitoring
    case 0xF:   // resource monitoring
    case 0x10:  // resource allocation
    case 0x12:  // SGX
    case 0x14:  // processor trace
      return {};
    case machine::x86::kCpuidExtendedState:
      return extended_state(subject, subleaf, result);
    case kCpuidTopology:
      return topology(subject, subleaf);
    case 0x8000'0001:
      result.edx = subject.rdtscp ? result.edx : (result.edx & ~kRdtscp);
      return result;
    case 0x8000'0007:
      return {0, 0, 0, subject.hides_invariant_tsc ? 0 : (result.edx & kInvariantTsc)};
    case 0x8000'0008:
      return address_sizes(subject, result);
    default:
      return result;
  }
}

}  // namespace

CpuidResult hypervisor_cpuid(const CpuidSubject& subject, std::uint32_t leaf) {
  const bool has_interface = (subject.synthetic_features & SyntheticFeatures::kHv1) != 0;
  if (!is_enlightened(subject) || (!has_interface && leaf >= kCpuidInterface)) {
    return {};
  }
  switch (leaf) {
    case kCpuidVendor:
      return {has_interface ? kCpuidIsolation : kCpuidInterface, kVendorEbx, kVendorEcx,
              kVendorEdx};
    case kCpuidInterface:
      return {kInterfaceHv1, 0, 0, 0};
    case kCpuidVersion:
      return {kBuildNumber, (kMajorVersion << 16) | kMinorVersion, 0, 0};
    case kCpuidFeatures:
      return features(subject);
    case kCpuidRecommendations:
      return recommendations(subject);
    case kCpuidLimits:
      return {kMaxVirtualProcessors, kMaxLogicalProcessors,
              subject.privileges.has(Privilege::kCpuManagement) ? kRemappingVectors : 0, 0};
    case kCpuidHardwareFeatures:
      return {HardwareFeatures::kMsrBitmaps | HardwareFeatures::kSecondLevelTranslation |
                  HardwareFeatures::kUnrestrictedGuest,
              0, 0, 0};
    case kCpuidCpuManagement:
      return {
          subject.privileges.has(Privilege::kCpuManagement)
              ? CpuManagementFeatures::kStartLogicalProcessor | CpuManagementFeatures::kCreateRootVp
              : 0,
          0, 0, 0};
    default:
      return {};
  }
}

CpuidResult guest_cpuid(const CpuidSubject& subject, std::uint32_t leaf, std::uint32_t subleaf,
                        const CpuidResult& processor) {
  CpuidResult result = visible_cpuid(subject, leaf, subleaf, processor);
  if (subject.disabled_features != nullptr) {
    hide_features(*subject.disabled_features, leaf, subleaf, result);
  }
  return result;
}

}  // namespace hv
