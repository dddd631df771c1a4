// The types of interrupts that a parent may assert in a child (TLFS HV_INTERRUPT_TYPE). Others, SMI
// among them, a virtual processor here does not have.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "hv/apic/interrupt_command.h"
#include "hv/tlfs/hypercall_inputs.h"

namespace hv::calls {

struct VirtualInterruptRule {
  VirtualInterruptType type{};
  InterruptDelivery delivery{};
  bool may_be_level = false;
  std::uint32_t first_vector = 0;
  std::uint32_t last_vector = 0;
  /// A signal at this pin of the local APIC, whose vector table says what it means; `delivery` then
  /// does not count, and the vector only for ExtINT.
  std::optional<std::uint32_t> pin = std::nullopt;

  [[nodiscard]] constexpr bool takes(std::uint32_t vector) const {
    return vector >= first_vector && vector <= last_vector;
  }
};

inline constexpr std::array<VirtualInterruptRule, 8> kVirtualInterrupts{{
    {VirtualInterruptType::kFixed, InterruptDelivery::kFixed, true, 16, 255},
    {VirtualInterruptType::kLowestPriority, InterruptDelivery::kLowestPriority, true, 16, 255},
    {VirtualInterruptType::kNmi, InterruptDelivery::kNmi, false, 0, 0},
    {VirtualInterruptType::kInit, InterruptDelivery::kInit, false, 0, 0},
    {VirtualInterruptType::kSipi, InterruptDelivery::kStartup, false, 0, 255},
    {VirtualInterruptType::kExtInt, InterruptDelivery::kExtInt, true, 0, 255},
    {VirtualInterruptType::kLocalInt0, InterruptDelivery::kFixed, true, 0, 255, 0},
    {VirtualInterruptType::kLocalInt1, InterruptDelivery::kFixed, true, 0, 255, 1},
}};

/// Null for a type that is refused.
[[nodiscard]] constexpr const VirtualInterruptRule* find_rule(VirtualInterruptType type) {
  for (const VirtualInterruptRule& rule : kVirtualInterrupts) {
    if (rule.type == type) {
      return &rule;
    }
  }
  return nullptr;
}

}  // namespace hv::calls
