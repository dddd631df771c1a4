// Checks of the seam on the real computer: a program in the hypervisor's place that tries one
// function of the seam after the other, and a few guests of some instructions each. Every property
// has a name and a PASS or FAIL line on the serial port; the launcher's test reads them.
#pragma once

#include <cstdint>
#include <string_view>

#include "machine/boot.h"
#include "machine/vmx_root.h"

namespace seam_check {

/// Prints the line of one property.
void check(std::string_view property, bool holds);

/// Number of properties checked and of those that did not hold.
struct Tally {
  std::uint32_t checked = 0;
  std::uint32_t failed = 0;
};
[[nodiscard]] Tally tally();

void check_boot_information(const machine::BootInformation& information);
void check_instructions();
void check_interrupts(const machine::BootInformation& information);
void check_vmx();
void check_guests();
/// The module is the image that image_check.cpp is built into.
void check_image(const machine::BootModule& module);

/// The current VMCS ready for a guest that shares this program's page tables, descriptors and
/// interrupt table, with all memory below 512 MiB mapped by the EPT but for kUnmappedGpa's page.
void prepare_guest(std::uint64_t rip);
inline constexpr std::uint64_t kUnmappedGpa = 0x20000000;

/// A page-aligned page of this program's own, zero at first.
enum class Page : std::uint8_t { kVmxon, kVmcs, kMsrBitmap, kIoBitmapA, kIoBitmapB, kCount };
[[nodiscard]] machine::Spa page(Page which);

}  // namespace seam_check
