// Images of kernels that run natively: the header and page tables that metal has too, and an entry
// page that names the program instead of holding its code. Behind the names it has the instructions
// that the program's operations stand for (instructions.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/world.h"

namespace sim {

/// What stands where a kernel's first instruction would.
struct EntryMarker {
  /// Of the program's name.
  std::uint64_t program = 0;
  bool boot_processor = false;  // VP 0's entry
  friend bool operator==(const EntryMarker&, const EntryMarker&) = default;
};

inline constexpr std::size_t kEntryMarkerBytes = 16;

[[nodiscard]] std::uint64_t program_key(const std::string& name);
/// Where the entry page of its image is loaded.
[[nodiscard]] std::uint64_t entry_page_gpa(const GuestProgram& program);
[[nodiscard]] std::optional<EntryMarker> read_marker(
    std::span<const std::byte, kEntryMarkerBytes> bytes);

/// Header, entry page and page tables; boot page, stacks and arena follow in memory.
[[nodiscard]] Bytes build_image(const GuestProgram& program);

}  // namespace sim
