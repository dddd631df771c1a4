// What GRUB hands over (Multiboot2 3.6), as the hypervisor's BootInformation and a pointer to ACPI.
#pragma once

#include <cstdint>

#include "machine/boot.h"

namespace metal {

inline constexpr std::uint32_t kMultibootMagic = 0x36D76289;

/// The memory map without what the program occupies, and the modules, moved to where nothing will
/// be loaded over them. Clipped to the 4 GiB that the page tables cover. Panics on what it cannot
/// use.
void read_multiboot(std::uint64_t address, machine::BootInformation& information);

/// The ACPI root pointer that the boot loader passed on; 0 if it did not.
[[nodiscard]] std::uint64_t multiboot_acpi_root(std::uint64_t address);

}  // namespace metal
