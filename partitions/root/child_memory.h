// A child's RAM as the root reaches it.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/address.h"

namespace root {

/// Pages of root RAM that a child's GPA space shows in a row, first GPN 0.
struct MemoryBlock {
  machine::Gpn first;
  std::uint64_t page_count = 0;

  /// Where the root finds what the child has at [address, address + size); nullopt where the child
  /// has no RAM.
  [[nodiscard]] constexpr std::optional<machine::Gpa> translate(machine::Gpa address,
                                                                std::uint64_t size_bytes) const {
    const std::uint64_t limit = page_count * machine::kPageSize;
    if (size_bytes > limit || address.value() > limit - size_bytes) {
      return std::nullopt;
    }
    return machine::Gpa(first) + address.value();
  }
  [[nodiscard]] constexpr std::optional<machine::Gpn> translate(machine::Gpn page) const {
    if (page.value() >= page_count) {
      return std::nullopt;
    }
    return first + page.value();
  }
};

}  // namespace root
