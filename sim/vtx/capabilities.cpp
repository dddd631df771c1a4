#include "sim/vtx/capabilities.h"

#include "machine/vmx_architecture.h"
#include "machine/x86.h"

namespace sim::vtx {

namespace {

namespace x86 = machine::x86;
namespace vmx = machine::vmx;

constexpr std::uint32_t kMsrVmxVmcsEnumeration = 0x48A;

constexpr std::uint32_t kModelledPin = vmx::kPinExternalInterruptExiting | vmx::kPinNmiExiting |
                                       vmx::kPinVirtualNmis | vmx::kPinPreemptionTimer;
constexpr std::uint32_t kModelledProcessor =
    vmx::kInterruptWindowExiting | vmx::kUseTscOffsetting | vmx::kHltExiting | vmx::kInvlpgExiting |
    vmx::kMwaitExiting | vmx::kRdpmcExiting | vmx::kRdtscExiting | vmx::kCr3LoadExiting |
    vmx::kCr3StoreExiting | vmx::kCr8LoadExiting | vmx::kCr8StoreExiting | vmx::kNmiWindowExiting |
    vmx::kMovDrExiting | vmx::kUnconditionalIoExiting | vmx::kUseIoBitmaps | vmx::kUseMsrBitmaps |
    vmx::kMonitorExiting | vmx::kPauseExiting | vmx::kActivateSecondaryControls;
constexpr std::uint32_t kModelledSecondary = vmx::kEnableEpt | vmx::kEnableRdtscp |
                                             vmx::kEnableVpid | vmx::kWbinvdExiting |
                                             vmx::kUnrestrictedGuest | vmx::kEnableInvpcid;
constexpr std::uint32_t kModelledExit =
    vmx::kExitSaveDebugControls | vmx::kExitHostAddressSpaceSize | vmx::kExitAcknowledgeInterrupt |
    vmx::kExitSavePat | vmx::kExitLoadPat | vmx::kExitSaveEfer | vmx::kExitLoadEfer |
    vmx::kExitSavePreemptionTimer;
constexpr std::uint32_t kModelledEntry = vmx::kEntryLoadDebugControls | vmx::kEntryIa32eModeGuest |
                                         vmx::kEntryLoadPat | vmx::kEntryLoadEfer;

}  // namespace

Capabilities haswell() {
  Capabilities c;
  // Revision 0x12, regions of 1 KiB, write-back, INS/OUTS information, TRUE_ MSRs (A.1).
  c.basic = 0x00D8'0400'0000'0012;
  // The preemption timer counts at TSC/32; LMA is stored on exit; HLT, shutdown and wait-for-SIPI
  // are activity states; 4 CR3 targets (A.6).
  c.misc = 5u | (1u << 5) | (7u << 6) | (4u << 16);
  // Execute-only, 4 levels, UC, WB, 2 MiB, 1 GiB, INVEPT (single, all), accessed and dirty flags,
  // INVVPID (address, single, all, single but globals) (A.10).
  c.ept_vpid = 0x0000'0F01'0633'4141;
  // The defaults that must be 1 are bits 1, 2 and 4; and so on (A.3.1, A.3.2, A.4, A.5).
  c.pin_based = {.required = 0x16, .allowed = 0x16 | kModelledPin};
  c.pin_default1 = 0;
  c.processor_based = {.required = 0x0400'6172, .allowed = 0x0401'E172 | kModelledProcessor};
  c.processor_default1 = 0x0401'E172;
  c.secondary = {.required = 0, .allowed = kModelledSecondary};
  c.exit = {.required = 0x0003'6DFB, .allowed = 0x0003'6DFF | kModelledExit};
  c.exit_default1 = 0x0003'6DFF;
  c.entry = {.required = 0x0000'11FB, .allowed = 0x0000'11FF | kModelledEntry};
  c.entry_default1 = 0x0000'11FF;
  c.cr0_fixed0 = 0x8000'0021;
  c.cr0_fixed1 = 0xFFFF'FFFF;
  c.cr4_fixed0 = 0x2000;
  c.cr4_fixed1 = 0x0017'67FF;
  c.vmcs_enumeration = 0x2E;
  // Locked, VMX outside SMX enabled.
  c.feature_control = 0x5;
  c.physical_address_bits = 46;
  c.linear_address_bits = 48;
  return c;
}

std::optional<std::uint64_t> Capabilities::read(std::uint32_t msr) const {
  const auto with_defaults = [](ControlCapability control, std::uint32_t default1) {
    control.required |= default1;
    return control.msr();
  };
  switch (msr) {
    case x86::kMsrFeatureControl:
      return feature_control;
    case x86::kMsrVmxBasic:
      return basic;
    case x86::kMsrVmxPinbasedControls:
      return with_defaults(pin_based, pin_default1);
    case x86::kMsrVmxProcbasedControls:
      return with_defaults(processor_based, processor_default1);
    case x86::kMsrVmxExitControls:
      return with_defaults(exit, exit_default1);
    case x86::kMsrVmxEntryControls:
      return with_defaults(entry, entry_default1);
    case x86::kMsrVmxMisc:
      return misc;
    case x86::kMsrVmxCr0Fixed0:
      return cr0_fixed0;
    case x86::kMsrVmxCr0Fixed1:
      return cr0_fixed1;
    case x86::kMsrVmxCr4Fixed0:
      return cr4_fixed0;
    case x86::kMsrVmxCr4Fixed1:
      return cr4_fixed1;
    case kMsrVmxVmcsEnumeration:
      return vmcs_enumeration;
    case x86::kMsrVmxProcbasedControls2:
      return secondary.msr();
    case x86::kMsrVmxEptVpidCap:
      return ept_vpid;
    case x86::kMsrVmxTruePinbasedControls:
      return pin_based.msr();
    case x86::kMsrVmxTrueProcbasedControls:
      return processor_based.msr();
    case x86::kMsrVmxTrueExitControls:
      return exit.msr();
    case x86::kMsrVmxTrueEntryControls:
      return entry.msr();
    default:
      return std::nullopt;
  }
}

}  // namespace sim::vtx
