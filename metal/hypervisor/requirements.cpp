#include "metal/hypervisor/requirements.h"

#include <array>
#include <cstdint>
#include <string_view>

#include "machine/common.h"
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "metal/metal.h"

namespace metal {
namespace {

namespace x86 = machine::x86;
namespace vmx = machine::vmx;

constexpr std::uint32_t kCpuidVmx = 1u << 5;           // CPUID.1:ECX
constexpr std::uint32_t kCpuidX2Apic = 1u << 21;       // CPUID.1:ECX
constexpr std::uint32_t kCpuidTscDeadline = 1u << 24;  // CPUID.1:ECX
constexpr std::uint32_t kCpuidXsave = 1u << 26;        // CPUID.1:ECX
constexpr std::uint64_t kFeatureControlLocked = 1u << 0;
constexpr std::uint64_t kFeatureControlVmx = 1u << 2;

bool require(bool present, std::string_view message) {
  if (!present) {
    serial_write("chronovisor: ");
    serial_write(message);
    serial_write("\n");
  }
  return present;
}

/// What a capability MSR allows to be 1 is its upper half (SDM vol. 3 A.3).
std::uint32_t allowed(std::uint32_t msr) {
  return static_cast<std::uint32_t>(machine::read_msr(msr) >> 32);
}

bool has_secondary_controls() {
  if (!require((allowed(x86::kMsrVmxProcbasedControls) & vmx::kActivateSecondaryControls) != 0,
               "this processor has no EPT (secondary processor-based controls)")) {
    return false;
  }
  const std::uint32_t secondary = allowed(x86::kMsrVmxProcbasedControls2);
  const bool ept = require((secondary & vmx::kEnableEpt) != 0, "this processor has no EPT");
  const bool unrestricted = require((secondary & vmx::kUnrestrictedGuest) != 0,
                                    "this processor has no unrestricted guest mode");
  return ept && unrestricted;
}

bool has_vmx() {
  if (!require((machine::cpuid(1, 0).ecx & kCpuidVmx) != 0,
               "this processor has no VT-x, or a hypervisor beneath hides it")) {
    return false;
  }
  const std::uint64_t control = machine::read_msr(x86::kMsrFeatureControl);
  const bool locked_off =
      (control & kFeatureControlLocked) != 0 && (control & kFeatureControlVmx) == 0;
  return require(!locked_off, "VT-x is switched off in the firmware settings") &&
         has_secondary_controls();
}

}  // namespace

bool processor_has_what_is_needed() {
  const std::uint32_t features = machine::cpuid(1, 0).ecx;
  const bool x2apic = require((features & kCpuidX2Apic) != 0, "this processor has no x2APIC");
  const bool deadline = require((features & kCpuidTscDeadline) != 0,
                                "this processor's local APIC timer has no TSC-deadline mode");
  // The second leaf exists where the first bit is set.
  const bool xsave = require(
      (features & kCpuidXsave) != 0 && (machine::cpuid(x86::kCpuidExtendedState, 1).eax & 1) != 0,
      "this processor has no XSAVEOPT");
  return has_vmx() && x2apic && deadline && xsave;
}

void allow_vmx_operation() {
  std::uint64_t cr0 = 0;
  std::uint64_t cr4 = 0;
  asm volatile("movq %%cr0, %0" : "=r"(cr0));
  asm volatile("movq %%cr4, %0" : "=r"(cr4));
  // The registers of the x87 and SSE units are guests' own, but saving and restoring them is not:
  // neither may trap (SDM vol. 1 13.2, 13.5).
  cr0 &= ~(x86::kCr0Em | x86::kCr0Ts);
  cr0 |= machine::read_msr(x86::kMsrVmxCr0Fixed0) | x86::kCr0Mp;
  cr4 |= machine::read_msr(x86::kMsrVmxCr4Fixed0) | x86::kCr4Vmxe | x86::kCr4Osfxsr |
         x86::kCr4Osxmmexcpt | x86::kCr4Osxsave;
  asm volatile("movq %0, %%cr0" : : "r"(cr0) : "memory");
  asm volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
}

}  // namespace metal
