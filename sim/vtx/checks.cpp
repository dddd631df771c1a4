#include "sim/vtx/checks.h"

#include <algorithm>

#include "machine/x86.h"

namespace sim::vtx {

namespace vmx = machine::vmx;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;

CheckContext::CheckContext(const Vmcs& checked, const Capabilities& processor, Platform& memory)
    : vmcs(checked),
      capabilities(processor),
      platform(memory),
      pin(checked.get32(Vmcs32::kPinBasedControls)),
      primary(checked.get32(Vmcs32::kProcessorBasedControls)),
      secondary((primary & vmx::kActivateSecondaryControls) != 0
                    ? checked.get32(Vmcs32::kSecondaryProcessorBasedControls)
                    : 0),
      exit(checked.get32(Vmcs32::kVmExitControls)),
      entry(checked.get32(Vmcs32::kVmEntryControls)) {}

std::span<const Check> checks_of(CheckGroup group) {
  switch (group) {
    case CheckGroup::kControls:
      return control_checks();
    case CheckGroup::kInjection:
      return injection_checks();
    case CheckGroup::kHostState:
      return host_checks();
    case CheckGroup::kGuestRegisters:
      return guest_register_checks();
    case CheckGroup::kGuestSegments:
      return guest_segment_checks();
    case CheckGroup::kGuestActivity:
      return guest_activity_checks();
  }
  return {};
}

const Check* find_failure(CheckGroup group, const CheckContext& context) {
  for (const Check& check : checks_of(group)) {
    if (!check.holds(context)) {
      return &check;
    }
  }
  return nullptr;
}

bool is_plainly_runnable(const Vmcs& vmcs, const Capabilities& capabilities) {
  constexpr std::uint64_t kRflagsReserved = 0xFFFF'FFFF'FFC0'802A;
  constexpr std::uint64_t kRflagsVm = 1u << 17;
  constexpr std::uint32_t kCodeSegmentLong = 1u << 13;
  const std::uint64_t rip = vmcs.get(VmcsNatural::kGuestRip);
  const std::uint64_t rflags = vmcs.get(VmcsNatural::kGuestRflags);
  // Nothing is injected, or an external interrupt into a guest that takes interrupts.
  const std::uint32_t event = vmcs.get32(Vmcs32::kVmEntryInterruptionInformation);
  const bool event_fits =
      (event & vmx::kEventValid) == 0 ||
      ((event & ~0xFFu) == vmx::kEventValid && (rflags & machine::x86::kRflagsIf) != 0);
  return event_fits && vmcs.get(Vmcs32::kGuestInterruptibilityState) == 0 &&
         vmcs.get(Vmcs32::kGuestActivityState) == vmx::kActivityActive &&
         vmcs.get(VmcsNatural::kGuestPendingDebugExceptions) == 0 &&
         (rflags & (kRflagsReserved | kRflagsVm)) == machine::x86::kRflagsFixed &&
         (vmcs.get32(Vmcs32::kVmEntryControls) & vmx::kEntryIa32eModeGuest) != 0 &&
         (vmcs.get32(Vmcs32::kGuestCsAccessRights) & kCodeSegmentLong) != 0 &&
         capabilities.is_canonical(rip) && vmcs.get(Vmcs64::kVmcsLinkPointer) == ~std::uint64_t{0};
}

bool guest_checks_read_more(const CheckContext& c) {
  constexpr std::uint64_t kPaging = machine::x86::kCr0Pg;
  const bool pae_from_memory = !c.ia32e_guest() && (c.secondary & vmx::kEnableEpt) == 0 &&
                               (c.get(VmcsNatural::kGuestCr0) & kPaging) != 0 &&
                               (c.get(VmcsNatural::kGuestCr4) & machine::x86::kCr4Pae) != 0;
  return c.virtual_8086() || pae_from_memory;
}

bool is_valid_pat(std::uint64_t pat) {
  for (std::uint32_t shift = 0; shift < 64; shift += 8) {
    const std::uint64_t type = (pat >> shift) & 0xFF;
    if (type > 7 || type == 2 || type == 3) {
      return false;
    }
  }
  return true;
}

}  // namespace sim::vtx
