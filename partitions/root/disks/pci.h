// PCI configuration space by mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2).
#pragma once

#include <cstdint>
#include <optional>

namespace root {

/// One function on bus 0.
struct PciFunction {
  std::uint8_t device = 0;
  std::uint8_t function = 0;
};

[[nodiscard]] std::uint32_t read_pci(PciFunction where, std::uint8_t offset);
void write_pci(PciFunction where, std::uint8_t offset, std::uint32_t value);

/// The first function on bus 0 whose base class and subclass are these.
[[nodiscard]] std::optional<PciFunction> find_pci_class(std::uint16_t base_and_sub_class);

}  // namespace root
