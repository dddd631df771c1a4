#include "hv/vtx/capabilities.h"

#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;

constexpr std::uint32_t kPinRequired =
    vmx::kPinExternalInterruptExiting | vmx::kPinNmiExiting | vmx::kPinPreemptionTimer;
constexpr std::uint32_t kProcessorRequired = vmx::kHltExiting | vmx::kCr8LoadExiting |
                                             vmx::kCr8StoreExiting | vmx::kUseIoBitmaps |
                                             vmx::kUseMsrBitmaps | vmx::kActivateSecondaryControls;
constexpr std::uint32_t kSecondaryRequired = vmx::kEnableEpt | vmx::kUnrestrictedGuest;
constexpr std::uint32_t kSecondaryWanted = vmx::kEnableRdtscp | vmx::kEnableInvpcid;
constexpr std::uint32_t kExitRequired = vmx::kExitHostAddressSpaceSize |
                                        vmx::kExitAcknowledgeInterrupt | vmx::kExitSaveEfer |
                                        vmx::kExitLoadEfer;
constexpr std::uint32_t kExitWanted =
    vmx::kExitSaveDebugControls | vmx::kExitSavePat | vmx::kExitLoadPat;
constexpr std::uint32_t kEntryRequired = vmx::kEntryLoadEfer;
constexpr std::uint32_t kEntryWanted = vmx::kEntryLoadDebugControls | vmx::kEntryLoadPat;

// IA32_VMX_BASIC and IA32_VMX_EPT_VPID_CAP (SDM vol. 3 A.1, A.10).
constexpr std::uint64_t kBasicTrueControls = 1ull << 55;
constexpr std::uint64_t kEptWalkLength4 = 1ull << 6;
constexpr std::uint64_t kEptWriteBack = 1ull << 14;
constexpr std::uint64_t kEptLargePages = 1ull << 16;
constexpr std::uint64_t kInvept = 1ull << 20;
constexpr std::uint64_t kEptAccessedDirty = 1ull << 21;
constexpr std::uint64_t kInveptSingle = 1ull << 25;
constexpr std::uint64_t kInveptAll = 1ull << 26;
constexpr std::uint64_t kEptNeeded = kEptWalkLength4 | kEptWriteBack | kEptLargePages | kInvept;

// IA32_FEATURE_CONTROL (SDM vol. 3 23.7).
constexpr std::uint64_t kFeatureControlLocked = 1u << 0;
constexpr std::uint64_t kFeatureControlVmxOutsideSmx = 1u << 2;

constexpr std::uint32_t kAddressSizes = 0x8000'0008;  // a CPUID leaf

AllowedSettings read_allowed(std::uint32_t msr) {
  return AllowedSettings::from_msr(machine::read_msr(msr));
}

/// Turns VMX on in IA32_FEATURE_CONTROL where the firmware left the register open.
bool firmware_allows_vmx() {
  const std::uint64_t value = machine::read_msr(x86::kMsrFeatureControl);
  if ((value & kFeatureControlLocked) == 0) {
    machine::write_msr(x86::kMsrFeatureControl,
                       value | kFeatureControlLocked | kFeatureControlVmxOutsideSmx);
    return true;
  }
  return (value & kFeatureControlVmxOutsideSmx) != 0;
}

std::optional<Controls> read_controls(bool true_controls) {
  const auto pin = control_value(kPinRequired, 0,
                                 read_allowed(true_controls ? x86::kMsrVmxTruePinbasedControls
                                                            : x86::kMsrVmxPinbasedControls));
  const auto processor =
      control_value(kProcessorRequired, 0,
                    read_allowed(true_controls ? x86::kMsrVmxTrueProcbasedControls
                                               : x86::kMsrVmxProcbasedControls));
  const auto exit = control_value(
      kExitRequired, kExitWanted,
      read_allowed(true_controls ? x86::kMsrVmxTrueExitControls : x86::kMsrVmxExitControls));
  const auto entry = control_value(
      kEntryRequired, kEntryWanted,
      read_allowed(true_controls ? x86::kMsrVmxTrueEntryControls : x86::kMsrVmxEntryControls));
  if (!pin || !processor || !exit || !entry) {
    return std::nullopt;
  }
  const auto secondary = control_value(kSecondaryRequired, kSecondaryWanted,
                                       read_allowed(x86::kMsrVmxProcbasedControls2));
  if (!secondary) {
    return std::nullopt;
  }
  return Controls{.pin_based = *pin,
                  .processor_based = *processor,
                  .secondary = *secondary,
                  .exit = *exit,
                  .entry = *entry};
}

/// Every component that lies within the page that a virtual processor's area is (SDM vol. 1 13.2).
void read_extended_state(Capabilities& capabilities) {
  constexpr std::uint32_t kFirstOptional = 2;
  constexpr std::uint32_t kComponents = 8;
  constexpr std::uint32_t kLegacyBytes = x86::kXsaveHeader + x86::kXsaveHeaderBytes;
  constexpr std::uint64_t kKnown = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx | x86::kXcr0Avx512;
  const machine::CpuidResult all = machine::cpuid(x86::kCpuidExtendedState, 0);
  std::uint64_t offered = all.eax & kKnown;
  if ((offered & x86::kXcr0Avx512) != x86::kXcr0Avx512) {
    offered &= ~x86::kXcr0Avx512;
  }
  std::uint32_t end = kLegacyBytes;
  for (std::uint32_t component = kFirstOptional; component < kComponents; ++component) {
    if ((offered >> component & 1) != 0) {
      const machine::CpuidResult one = machine::cpuid(x86::kCpuidExtendedState, component);
      end = one.ebx + one.eax > end ? one.ebx + one.eax : end;
    }
  }
  capabilities.extended_components = offered;
  capabilities.extended_area_bytes = end;
}

}  // namespace

std::optional<Capabilities> read_capabilities() {
  if (!firmware_allows_vmx()) {
    return std::nullopt;
  }
  const std::uint64_t basic = machine::read_msr(x86::kMsrVmxBasic);
  const auto controls = read_controls((basic & kBasicTrueControls) != 0);
  if (!controls) {
    return std::nullopt;
  }
  const std::uint64_t ept = machine::read_msr(x86::kMsrVmxEptVpidCap);
  if ((ept & kEptNeeded) != kEptNeeded || (ept & (kInveptSingle | kInveptAll)) == 0) {
    return std::nullopt;
  }
  Capabilities capabilities;
  capabilities.revision = static_cast<std::uint32_t>(basic) & 0x7FFF'FFFF;
  capabilities.controls = *controls;
  capabilities.cr0.must_be_one = machine::read_msr(x86::kMsrVmxCr0Fixed0);
  capabilities.cr0.may_be_one = machine::read_msr(x86::kMsrVmxCr0Fixed1);
  capabilities.cr4.must_be_one = machine::read_msr(x86::kMsrVmxCr4Fixed0);
  capabilities.cr4.may_be_one = machine::read_msr(x86::kMsrVmxCr4Fixed1);
  // An unrestricted guest chooses PE and PG itself (SDM vol. 3 26.3.1.1).
  capabilities.cr0.must_be_one &= ~(x86::kCr0Pe | x86::kCr0Pg);
  capabilities.preemption_timer_shift =
      static_cast<std::uint32_t>(machine::read_msr(x86::kMsrVmxMisc)) & 0x1F;
  capabilities.invept_single_context = (ept & kInveptSingle) != 0;
  capabilities.ept_accessed_dirty = (ept & kEptAccessedDirty) != 0;
  capabilities.rdtscp = (controls->secondary & vmx::kEnableRdtscp) != 0;
  capabilities.linear_address_bits = (machine::cpuid(kAddressSizes, 0).eax >> 8) & 0xFF;
  read_extended_state(capabilities);
  if ((capabilities.extended_components & x86::kXcr0Sse) == 0 ||
      capabilities.extended_area_bytes > machine::kPageSize) {
    return std::nullopt;
  }
  return capabilities;
}

bool enter_vmx_operation(const Capabilities& capabilities, std::uint64_t region_spa) {
  const machine::Spa region(region_spa);
  machine::store_u32(region, capabilities.revision);
  return machine::vmxon(region) == machine::VmxResult::kSucceed;
}

}  // namespace hv::vtx
