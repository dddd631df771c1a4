// Checks on VM-execution, VM-exit and VM-entry control fields (SDM vol. 3 26.2.1).
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"
#include "sim/vtx/ept.h"

namespace sim::vtx {

namespace {

namespace vmx = machine::vmx;
using machine::Vmcs16;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using C = const CheckContext&;

constexpr const char* kExecution = "26.2.1.1";
constexpr const char* kExit = "26.2.1.2";
constexpr const char* kEntry = "26.2.1.3";

bool is_page(C c, Vmcs64 field) {
  const std::uint64_t address = c.get(field);
  return (address & 0xFFF) == 0 && c.capabilities.is_physical(address);
}

// An area of `count` entries of 16 bytes, or none (26.2.1.2).
bool is_msr_area(C c, Vmcs32 count_field, Vmcs64 address_field) {
  const std::uint64_t count = c.get(count_field);
  const std::uint64_t address = c.get(address_field);
  return count == 0 || ((address & 0xF) == 0 && c.capabilities.is_physical(address) &&
                        c.capabilities.is_physical(address + count * 16 - 1));
}

bool implies(bool condition, bool consequence) { return !condition || consequence; }

constexpr Check kControlChecks[] = {
    {"pin-based controls have their fixed bits", kExecution,
     [](C c) { return c.capabilities.pin_based.permits(c.pin); }},
    {"primary processor-based controls have their fixed bits", kExecution,
     [](C c) { return c.capabilities.processor_based.permits(c.primary); }},
    {"secondary processor-based controls have their fixed bits", kExecution,
     [](C c) { return c.capabilities.secondary.permits(c.secondary); }},
    {"the CR3-target count is supported", kExecution,
     [](C c) { return c.get(Vmcs32::kCr3TargetCount) <= c.capabilities.max_cr3_targets(); }},
    {"I/O bitmap A is a page", kExecution,
     [](C c) {
       return implies((c.primary & vmx::kUseIoBitmaps) != 0, is_page(c, Vmcs64::kIoBitmapA));
     }},
    {"I/O bitmap B is a page", kExecution,
     [](C c) {
       return implies((c.primary & vmx::kUseIoBitmaps) != 0, is_page(c, Vmcs64::kIoBitmapB));
     }},
    {"the MSR bitmap is a page", kExecution,
     [](C c) {
       return implies((c.primary & vmx::kUseMsrBitmaps) != 0, is_page(c, Vmcs64::kMsrBitmap));
     }},
    {"virtual NMIs need NMI exiting", kExecution,
     [](C c) {
       return implies((c.pin & vmx::kPinVirtualNmis) != 0, (c.pin & vmx::kPinNmiExiting) != 0);
     }},
    {"NMI-window exiting needs virtual NMIs", kExecution,
     [](C c) {
       return implies((c.primary & vmx::kNmiWindowExiting) != 0,
                      (c.pin & vmx::kPinVirtualNmis) != 0);
     }},
    {"VPID 0 is the hypervisor's own", kExecution,
     [](C c) { return implies((c.secondary & vmx::kEnableVpid) != 0, c.get(Vmcs16::kVpid) != 0); }},
    {"the EPT pointer is valid", kExecution,
     [](C c) {
       return implies((c.secondary & vmx::kEnableEpt) != 0,
                      is_valid_eptp(c.capabilities, c.get(Vmcs64::kEptPointer)));
     }},
    {"an unrestricted guest needs EPT", kExecution,
     [](C c) { return implies(c.unrestricted(), (c.secondary & vmx::kEnableEpt) != 0); }},
    {"VM-exit controls have their fixed bits", kExit,
     [](C c) { return c.capabilities.exit.permits(c.exit); }},
    {"saving the preemption timer needs the preemption timer", kExit,
     [](C c) {
       return implies((c.exit & vmx::kExitSavePreemptionTimer) != 0,
                      (c.pin & vmx::kPinPreemptionTimer) != 0);
     }},
    {"the VM-exit MSR-store area is in physical memory", kExit,
     [](C c) {
       return is_msr_area(c, Vmcs32::kVmExitMsrStoreCount, Vmcs64::kVmExitMsrStoreAddress);
     }},
    {"the VM-exit MSR-load area is in physical memory", kExit,
     [](C c) {
       return is_msr_area(c, Vmcs32::kVmExitMsrLoadCount, Vmcs64::kVmExitMsrLoadAddress);
     }},
    {"VM-entry controls have their fixed bits", kEntry,
     [](C c) { return c.capabilities.entry.permits(c.entry); }},
    {"the VM-entry MSR-load area is in physical memory", kEntry,
     [](C c) {
       return is_msr_area(c, Vmcs32::kVmEntryMsrLoadCount, Vmcs64::kVmEntryMsrLoadAddress);
     }},
};

// --- Event injection (26.2.1.3) ------------------------------------------------------------------

struct Injection {
  explicit Injection(C c)
      : information(c.get32(Vmcs32::kVmEntryInterruptionInformation)),
        valid((information & vmx::kEventValid) != 0),
        type((information >> vmx::kEventTypeShift) & 7),
        vector(information & 0xFF),
        error_code((information & vmx::kEventErrorCodeValid) != 0) {}

  std::uint32_t information;
  bool valid;
  std::uint32_t type;
  std::uint32_t vector;
  bool error_code;
};

bool pushes_error_code(C c, const Injection& event) {
  constexpr std::uint32_t kVectorsWithErrorCode =
      (1u << 8) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << 13) | (1u << 14) | (1u << 17);
  const bool real_mode =
      c.unrestricted() && (c.get(VmcsNatural::kGuestCr0) & machine::x86::kCr0Pe) == 0;
  return !real_mode && event.type == vmx::kEventTypeHardwareException && event.vector < 32 &&
         ((kVectorsWithErrorCode >> event.vector) & 1) != 0;
}

constexpr Check kInjectionChecks[] = {
    {"the injected event has a type that exists", kEntry,
     [](C c) {
       // Type 1 is reserved; type 7 needs the monitor trap flag, which the processor lacks.
       const Injection event(c);
       return implies(event.valid, event.type != 1 && event.type != 7);
     }},
    {"an injected NMI has vector 2", kEntry,
     [](C c) {
       const Injection event(c);
       return implies(event.valid && event.type == vmx::kEventTypeNmi, event.vector == 2);
     }},
    {"an injected hardware exception has a vector below 32", kEntry,
     [](C c) {
       const Injection event(c);
       return implies(event.valid && event.type == vmx::kEventTypeHardwareException,
                      event.vector < 32);
     }},
    {"an error code is delivered with the exceptions that have one and no others", kEntry,
     [](C c) {
       const Injection event(c);
       return implies(event.valid, event.error_code == pushes_error_code(c, event));
     }},
    {"reserved bits of the interruption information are clear", kEntry,
     [](C c) {
       const Injection event(c);
       return implies(event.valid, (event.information & 0x7FFF'F000) == 0);
     }},
    {"an error code has 15 bits", kEntry,
     [](C c) {
       const Injection event(c);
       return implies(event.valid && event.error_code,
                      (c.get(Vmcs32::kVmEntryExceptionErrorCode) & 0xFFFF'8000) == 0);
     }},
    {"an injected software interrupt or exception has an instruction length", kEntry,
     [](C c) {
       const Injection event(c);
       const std::uint64_t length = c.get(Vmcs32::kVmEntryInstructionLength);
       return implies(event.valid && event.type >= vmx::kEventTypeSoftwareInterrupt &&
                          event.type <= vmx::kEventTypeSoftwareException,
                      length >= 1 && length <= 15);
     }},
};

}  // namespace

std::span<const Check> control_checks() { return kControlChecks; }
std::span<const Check> injection_checks() { return kInjectionChecks; }

}  // namespace sim::vtx
