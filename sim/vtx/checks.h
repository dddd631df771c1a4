// The checks that VMLAUNCH and VMRESUME make (SDM vol. 3 26.2, 26.3), as tables: what each is
// called, where it is written, and whether it holds for a VMCS.
#pragma once

#include <cstdint>
#include <span>

#include "machine/vmx_architecture.h"
#include "sim/vtx/capabilities.h"
#include "sim/vtx/platform.h"
#include "sim/vtx/vmcs.h"

namespace sim::vtx {

/// What the checks look at: the VMCS, its controls decoded, the processor.
struct CheckContext {
  CheckContext(const Vmcs& checked, const Capabilities& processor, Platform& memory);

  const Vmcs& vmcs;
  const Capabilities& capabilities;
  Platform& platform;
  std::uint32_t pin = 0;
  std::uint32_t primary = 0;
  /// 0 unless the primary controls activate the secondary ones (24.6.2).
  std::uint32_t secondary = 0;
  std::uint32_t exit = 0;
  std::uint32_t entry = 0;

  [[nodiscard]] bool ia32e_guest() const {
    return (entry & machine::vmx::kEntryIa32eModeGuest) != 0;
  }
  [[nodiscard]] bool unrestricted() const {
    return (secondary & machine::vmx::kUnrestrictedGuest) != 0;
  }
  [[nodiscard]] bool virtual_8086() const {
    return (vmcs.get(machine::VmcsNatural::kGuestRflags) & (1u << 17)) != 0;
  }
  template <class Field>
  [[nodiscard]] std::uint64_t get(Field field) const {
    return vmcs.get(field);
  }
  template <class Field>
  [[nodiscard]] std::uint32_t get32(Field field) const {
    return vmcs.get32(field);
  }
};

struct Check {
  const char* name;
  const char* section;  // of SDM vol. 3
  bool (*holds)(const CheckContext&);
  /// Exit qualification of the entry failure, for checks on guest state (26.7).
  std::uint64_t qualification = 0;
};

/// Groups in the order in which they are made. A failure of the first two is VM-instruction error
/// 7, of the third 8, of the others a VM exit with reason 33 | bit 31.
enum class CheckGroup : std::uint8_t {
  kControls,
  kInjection,  // made at every entry
  kHostState,
  kGuestRegisters,
  kGuestSegments,
  kGuestActivity,  // made at every entry
};
inline constexpr std::uint8_t kCheckGroups = 6;

[[nodiscard]] std::span<const Check> checks_of(CheckGroup group);

[[nodiscard]] std::span<const Check> control_checks();
[[nodiscard]] std::span<const Check> injection_checks();
[[nodiscard]] std::span<const Check> host_checks();
[[nodiscard]] std::span<const Check> guest_register_checks();
[[nodiscard]] std::span<const Check> guest_segment_checks();
[[nodiscard]] std::span<const Check> guest_activity_checks();

/// The first check of a group that fails; null if all hold.
[[nodiscard]] const Check* find_failure(CheckGroup group, const CheckContext& context);

/// True only if every check of kInjection and kGuestActivity holds: the common state in one look
/// (nothing but an external interrupt injected, nothing blocked, active, no pending debug
/// exceptions, 64-bit code).
[[nodiscard]] bool is_plainly_runnable(const Vmcs& vmcs, const Capabilities& capabilities);

/// Whether the checks of guest registers and segments read what software can change without
/// VMWRITE to their fields (virtual-8086 mode, memory): then no earlier pass counts.
[[nodiscard]] bool guest_checks_read_more(const CheckContext& context);

/// Whether each byte of an IA32_PAT value is a memory type (SDM vol. 3 11.12.2).
[[nodiscard]] bool is_valid_pat(std::uint64_t pat);
/// The bits of IA32_EFER that the processor has: SCE, LME, LMA, NXE.
inline constexpr std::uint64_t kEferBits = 0xD01;
/// The bits of IA32_DEBUGCTL that the processor has.
inline constexpr std::uint64_t kDebugctlBits = 0xFFC3;

}  // namespace sim::vtx
