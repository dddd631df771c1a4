// The image of a kernel, the same on both machines: a header, then whatever the machine needs to
// run it. The hypervisor loads the root's image and the root loads its children's, by the header
// alone: copy the file to load_gpa, zero the rest of memory_size_bytes, write the boot page, point
// a virtual processor at the entry.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "machine/boot.h"

namespace machine {

inline constexpr std::uint64_t kImageMagic = 0x474D494E4F524843;     // "CHRONIMG"
inline constexpr std::uint64_t kBootPageMagic = 0x544F4F424E524843;  // "CHRNBOOT"
inline constexpr std::uint32_t kImageVersion = 1;

/// At the image's first byte, which is loaded at load_gpa. All addresses are guest physical and
/// page aligned but for the entries.
struct ImageHeader {
  std::uint64_t magic = kImageMagic;
  std::uint32_t version = kImageVersion;
  std::uint32_t max_processors = 0;
  std::uint64_t load_gpa = 0;
  std::uint64_t file_size_bytes = 0;
  /// What the image occupies once loaded: file, stacks and arena. At least file_size_bytes.
  std::uint64_t memory_size_bytes = 0;
  /// First instruction of VP 0, and of every other VP; 64-bit mode, identity page tables.
  std::uint64_t entry_gpa = 0;
  std::uint64_t processor_entry_gpa = 0;
  std::uint64_t page_tables_gpa = 0;
  std::uint64_t boot_page_gpa = 0;
  /// VP n starts with RSP = stacks_gpa + (n + 1) * stack_size_bytes.
  std::uint64_t stacks_gpa = 0;
  std::uint64_t stack_size_bytes = 0;
  std::uint64_t arena_gpa = 0;
  std::uint64_t arena_size_bytes = 0;
  std::array<char, 16> name{};
};
static_assert(sizeof(ImageHeader) == 120);
static_assert(offsetof(ImageHeader, load_gpa) == 16);
static_assert(offsetof(ImageHeader, name) == 104);

inline constexpr std::size_t kMaxParameterBytes = 3008;

/// What the loader tells the kernel. Addresses are guest physical in the kernel's own space; ranges
/// are the RAM it owns, its image included.
struct BootPage {
  std::uint64_t magic = kBootPageMagic;
  std::uint32_t version = kImageVersion;
  std::uint32_t processor_count = 0;
  std::uint32_t memory_range_count = 0;
  std::uint32_t module_count = 0;
  std::uint32_t parameter_size_bytes = 0;
  std::uint32_t reserved = 0;
  std::array<MemoryRange, kMaxMemoryRanges> memory_ranges{};
  std::array<BootModule, kMaxBootModules> modules{};
  /// Lines of `key=value`, ASCII, each ended by a newline.
  std::array<char, kMaxParameterBytes> parameters{};
};
static_assert(sizeof(BootPage) <= 4096);
static_assert(offsetof(BootPage, memory_ranges) == 32);
static_assert(offsetof(BootPage, modules) == 288);
static_assert(offsetof(BootPage, parameters) == 672);

}  // namespace machine
