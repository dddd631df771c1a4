#include "partitions/root/disks/pci.h"

#include "machine/common.h"

namespace root {

namespace {

constexpr std::uint16_t kAddressPort = 0xCF8;
constexpr std::uint16_t kDataPort = 0xCFC;
constexpr std::uint32_t kEnable = 1u << 31;
constexpr std::uint8_t kIdentityOffset = 0x00;
constexpr std::uint8_t kClassOffset = 0x08;
constexpr std::uint8_t kHeaderOffset = 0x0C;
constexpr std::uint32_t kMultiFunction = 1u << 23;
constexpr std::uint32_t kNothingThere = 0xFFFFFFFF;
constexpr std::uint8_t kDevices = 32;
constexpr std::uint8_t kFunctions = 8;

void select(PciFunction where, std::uint8_t offset) {
  const std::uint32_t address = kEnable | (static_cast<std::uint32_t>(where.device) << 11) |
                                (static_cast<std::uint32_t>(where.function) << 8) |
                                (offset & 0xFCu);
  machine::out_u32(kAddressPort, address);
}

}  // namespace

std::uint32_t read_pci(PciFunction where, std::uint8_t offset) {
  select(where, offset);
  return machine::in_u32(kDataPort);
}

void write_pci(PciFunction where, std::uint8_t offset, std::uint32_t value) {
  select(where, offset);
  machine::out_u32(kDataPort, value);
}

std::optional<PciFunction> find_pci_class(std::uint16_t base_and_sub_class) {
  for (std::uint8_t device = 0; device < kDevices; ++device) {
    std::uint8_t functions = 1;
    for (std::uint8_t function = 0; function < functions; ++function) {
      const PciFunction where{device, function};
      if (read_pci(where, kIdentityOffset) == kNothingThere) {
        continue;
      }
      const std::uint32_t header = read_pci(where, kHeaderOffset);
      if (function == 0 && (header & kMultiFunction) != 0) {
        functions = kFunctions;
      }
      const std::uint32_t class_code = read_pci(where, kClassOffset);
      if ((class_code >> 16) == base_and_sub_class) {
        return where;
      }
    }
  }
  return std::nullopt;
}

}  // namespace root
