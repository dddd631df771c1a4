// VT-x of this processor: what it can do, and the controls that the hypervisor makes of that.
//
// hv/vtx/ is the only place that knows VMCS fields, controls and exit qualifications. The run loop
// and the handlers above it see decoded exits, registers and events; hv/vtx/ knows nothing of
// partitions, hypercalls or scheduling, the exit dispatcher (exit_dispatch.cpp) apart.
#pragma once

#include <cstdint>
#include <optional>

namespace hv::vtx {

/// One pair of allowed settings (SDM vol. 3 A.3-A.5): a control bit must be 1 where must_be_one has
/// it and may be 1 only where may_be_one has it.
struct AllowedSettings {
  std::uint32_t must_be_one = 0;
  std::uint32_t may_be_one = 0;

  [[nodiscard]] static constexpr AllowedSettings from_msr(std::uint64_t msr) {
    return {static_cast<std::uint32_t>(msr), static_cast<std::uint32_t>(msr >> 32)};
  }
};

/// The value of a control field: `required`, what of `wanted` the processor has, and what it
/// insists on. Nothing if a required bit cannot be set.
[[nodiscard]] constexpr std::optional<std::uint32_t> control_value(std::uint32_t required,
                                                                   std::uint32_t wanted,
                                                                   AllowedSettings allowed) {
  if ((required & ~allowed.may_be_one) != 0) {
    return std::nullopt;
  }
  return (required | (wanted & allowed.may_be_one) | allowed.must_be_one);
}

struct Controls {
  std::uint32_t pin_based = 0;
  std::uint32_t processor_based = 0;
  std::uint32_t secondary = 0;
  std::uint32_t exit = 0;
  std::uint32_t entry = 0;
};

/// Bits that VMX operation fixes in CR0 or CR4 (SDM vol. 3 A.7, A.8).
struct FixedBits {
  std::uint64_t must_be_one = 0;
  std::uint64_t may_be_one = 0;
  [[nodiscard]] constexpr std::uint64_t apply(std::uint64_t value) const {
    return (value | must_be_one) & may_be_one;
  }
};

struct Capabilities {
  std::uint32_t revision = 0;
  Controls controls;
  FixedBits cr0;
  FixedBits cr4;
  /// The preemption timer counts one for every 2^shift ticks of the TSC.
  std::uint32_t preemption_timer_shift = 0;
  bool invept_single_context = false;
  bool ept_accessed_dirty = false;
  /// Guests have RDTSCP, and the MSR that it reads.
  bool rdtscp = false;
  /// Bits of a linear address; those above repeat the highest (SDM vol. 1 3.3.7.1).
  std::uint32_t linear_address_bits = 48;
  /// Extended state components that guests may have, as bits of XCR0, and the bytes that all of
  /// them take in the standard format: at most a page.
  std::uint64_t extended_components = 0;
  std::uint32_t extended_area_bytes = 0;
};

/// Reads the capability MSRs of the executing processor. Nothing if it lacks something that the
/// hypervisor cannot do without (EPT with 4-level walks, unrestricted guest, preemption timer, MSR
/// bitmaps, INVEPT, VMX enabled by the firmware).
[[nodiscard]] std::optional<Capabilities> read_capabilities();

/// Enters VMX operation on the executing processor with the VMXON region at `page`, whose first
/// word it writes.
[[nodiscard]] bool enter_vmx_operation(const Capabilities& capabilities, std::uint64_t region_spa);

}  // namespace hv::vtx
