// What the interface has, whether or not the hypervisor has it: the other half of the coverage
// table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace coverage {

struct InterfaceCall {
  std::uint16_t code;
  std::string_view name;
};

struct InterfaceMsr {
  std::uint32_t first;
  std::uint32_t last;
  std::string_view name;
};

struct InterfaceLeaf {
  std::uint32_t leaf;
  std::string_view meaning;
};

/// In ascending order (TLFS "Hypercall Reference" and the MSR and CPUID tables).
[[nodiscard]] std::span<const InterfaceCall> interface_calls();
[[nodiscard]] std::span<const InterfaceMsr> interface_msrs();
[[nodiscard]] std::span<const InterfaceLeaf> interface_leaves();

}  // namespace coverage
