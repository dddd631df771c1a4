#include "hv/cpuid/cpuid_table.h"

#include <bit>

#include "hv/hypervisor_limits.h"
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

// Leaf 1 ECX and EDX (SDM vol. 2 CPUID).
constexpr std::uint32_t kMonitor = 1u << 3;
constexpr std::uint32_t kVmx = 1u << 5;
constexpr std::uint32_t kSmx = 1u << 6;
constexpr std::uint32_t kFma = 1u << 12;
constexpr std::uint32_t kPdcm = 1u << 15;
constexpr std::uint32_t kPcid = 1u << 17;
constexpr std::uint32_t kX2Apic = 1u << 21;
constexpr std::uint32_t kTscDeadline = 1u << 24;
constexpr std::uint32_t kXsave = 1u << 26;
constexpr std::uint32_t kOsXsave = 1u << 27;
constexpr std::uint32_t kAvx = 1u << 28;
constexpr std::uint32_t kF16c = 1u << 29;
constexpr std::uint32_t kHiddenEcx =
    kMonitor | kVmx | kSmx | kPdcm | kPcid | kTscDeadline | kOsXsave;
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
  result.edx = FeaturesEdx::kDirectSyntheticTimers | FeaturesEdx::kSintPolling |
               FeaturesEdx::kGuestCrashMsrs | FeaturesEdx::kXmmHypercallInput |
               FeaturesEdx::kHypercallMsrLock;
  if (subject.privileges.has(Privilege::kFastHypercallOutput)) {
    result.edx |= FeaturesEdx::kXmmHypercallOutput;
  }
  if (subject.privileges.has(Privilege::kAccessGuestIdleReg)) {
    result.edx |= FeaturesEdx::kGuestIdleState;
  }
  if (subject.privileges.has(Privilege::kAccessFrequencyRegs)) {
    result.edx |= FeaturesEdx::kFrequencyMsrs;
  }
  return result;
}

CpuidResult leaf_1(const CpuidSubject& subject, CpuidResult result) {
  result.ebx = (result.ebx & 0xFF00) | (subject.apic_id << 24) |
               (std::bit_ceil(subject.vp_count) & 0xFF) << 16;
  result.ecx = (result.ecx & ~kHiddenEcx) | kX2Apic | kCpuidHypervisorPresent;
  if ((subject.extended_components & machine::x86::kXcr0Avx) == 0) {
    result.ecx &= ~kNeedsAvxEcx;
  }
  if (subject.extended_components == 0) {
    result.ecx &= ~kXsave;
  } else if (subject.os_xsave) {
    result.ecx |= kOsXsave;
  }
  result.edx &= ~kHiddenEdx;
  result.edx =
      subject.vp_count > 1 ? (result.edx | kHyperThreading) : (result.edx & ~kHyperThreading);
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

/// Every virtual processor is a core of one package.
CpuidResult topology(const CpuidSubject& subject, std::uint32_t subleaf) {
  CpuidResult result;
  result.ecx = subleaf & 0xFF;
  result.edx = subject.apic_id;
  if (subleaf == 0) {
    result.ebx = 1;
    result.ecx |= kTopologyThread;
  } else if (subleaf == 1) {
    result.eax = static_cast<std::uint32_t>(std::bit_width(subject.vp_count - 1));
    result.ebx = subject.vp_count;
    result.ecx |= kTopologyCore;
  }
  return result;
}

}  // namespace

CpuidResult hypervisor_cpuid(const CpuidSubject& subject, std::uint32_t leaf) {
  switch (leaf) {
    case kCpuidVendor:
      return {kCpuidIsolation, kVendorEbx, kVendorEcx, kVendorEdx};
    case kCpuidInterface:
      return {kInterfaceHv1, 0, 0, 0};
    case kCpuidVersion:
      return {kBuildNumber, (kMajorVersion << 16) | kMinorVersion, 0, 0};
    case kCpuidFeatures:
      return features(subject);
    case kCpuidRecommendations:
      return {Recommendations::kRemoteFlushCall | Recommendations::kRelaxedTiming |
                  Recommendations::kAutoEoiDeprecated | Recommendations::kSyntheticClusterIpi |
                  Recommendations::kExProcessorMasks,
              kSpinRetries, 0, 0};
    case kCpuidLimits:
      return {kMaxVirtualProcessors, kMaxLogicalProcessors, 0, 0};
    case kCpuidHardwareFeatures:
      return {HardwareFeatures::kMsrBitmaps | HardwareFeatures::kSecondLevelTranslation |
                  HardwareFeatures::kUnrestrictedGuest,
              0, 0, 0};
    case kCpuidCpuManagement:
      return {subject.privileges.has(Privilege::kCpuManagement)
                  ? CpuManagementFeatures::kCreateRootVp
                  : 0,
              0, 0, 0};
    default:
      return {};
  }
}

CpuidResult guest_cpuid(const CpuidSubject& subject, std::uint32_t leaf, std::uint32_t subleaf,
                        const CpuidResult& processor) {
  CpuidResult result = processor;
  switch (leaf) {
    case kCpuidProcessorFeatures:
      return leaf_1(subject, result);
    case 0x4:
      result.eax &= ~0xFFFF'C000u;  // no sharing of caches or cores is promised
      return result;
    case 0x7:
      return subleaf == 0 ? leaf_7(subject, result) : CpuidResult{};
    case 0x5:   // MONITOR and MWAIT
    case 0x6:   // thermal and power management
    case 0xA:   // performance monitoring
    case 0xF:   // resource monitoring
    case 0x10:  // resource allocation
    case 0x12:  // SGX
    case 0x14:  // processor trace
      return {};
    case machine::x86::kCpuidExtendedState:
      return extended_state(subject, subleaf, result);
    case 0xB:
      return topology(subject, subleaf);
    case 0x8000'0001:
      result.edx = subject.rdtscp ? result.edx : (result.edx & ~kRdtscp);
      return result;
    case 0x8000'0007:
      return {0, 0, 0, result.edx & kInvariantTsc};
    default:
      return result;
  }
}

}  // namespace hv
