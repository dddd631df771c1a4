// What the modelled processor can do, as its VMX capability MSRs tell it (SDM vol. 3 appendix A).
// A control that the model does not implement is not allowed by these MSRs.
#pragma once

#include <cstdint>
#include <optional>

namespace sim::vtx {

/// One pair of control capabilities: a bit of the control must be 1 where `required` has one and
/// may be 1 only where `allowed` has one (SDM vol. 3 A.2).
struct ControlCapability {
  std::uint32_t required = 0;
  std::uint32_t allowed = 0;

  [[nodiscard]] constexpr bool permits(std::uint32_t value) const {
    return (value & required) == required && (value & ~allowed) == 0;
  }
  [[nodiscard]] constexpr std::uint64_t msr() const {
    return required | (static_cast<std::uint64_t>(allowed) << 32);
  }
};

struct Capabilities {
  std::uint64_t basic = 0;
  std::uint64_t misc = 0;
  std::uint64_t ept_vpid = 0;
  /// The controls as the TRUE_ MSRs have them, and what the older MSRs add to the required bits.
  ControlCapability pin_based;
  ControlCapability processor_based;
  ControlCapability secondary;
  ControlCapability exit;
  ControlCapability entry;
  std::uint32_t pin_default1 = 0;
  std::uint32_t processor_default1 = 0;
  std::uint32_t exit_default1 = 0;
  std::uint32_t entry_default1 = 0;
  std::uint64_t cr0_fixed0 = 0;
  std::uint64_t cr0_fixed1 = 0;
  std::uint64_t cr4_fixed0 = 0;
  std::uint64_t cr4_fixed1 = 0;
  std::uint64_t vmcs_enumeration = 0;
  std::uint64_t feature_control = 0;
  std::uint32_t physical_address_bits = 0;
  std::uint32_t linear_address_bits = 0;

  [[nodiscard]] std::uint32_t revision() const {
    return static_cast<std::uint32_t>(basic) & 0x7FFF'FFFF;
  }
  [[nodiscard]] std::uint32_t preemption_timer_shift() const {
    return static_cast<std::uint32_t>(misc) & 0x1F;
  }
  [[nodiscard]] std::uint32_t max_cr3_targets() const {
    return static_cast<std::uint32_t>(misc >> 16) & 0x1FF;
  }
  /// Whether an address has no bit beyond the physical-address width.
  [[nodiscard]] bool is_physical(std::uint64_t address) const {
    return (address >> physical_address_bits) == 0;
  }
  [[nodiscard]] bool is_canonical(std::uint64_t address) const {
    const auto upper = static_cast<std::int64_t>(address) >> (linear_address_bits - 1);
    return upper == 0 || upper == -1;
  }

  /// RDMSR of IA32_FEATURE_CONTROL and IA32_VMX_*; nullopt for any other MSR.
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t msr) const;
};

/// A processor like Intel's fourth generation (Haswell), less what the model leaves out: TPR
/// shadow, APIC virtualisation, VMCS shadowing, VMFUNC, monitor trap flag, dual-monitor SMM.
[[nodiscard]] Capabilities haswell();

}  // namespace sim::vtx
