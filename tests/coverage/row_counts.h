// How many rows of tests/interface/ there are of a call, of MSRs, of a CPUID leaf.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coverage {

/// By what the rows expect.
struct RowCounts {
  std::size_t accepted = 0;
  std::size_t refused = 0;
};

[[nodiscard]] RowCounts rows_of_call(std::uint16_t code);
[[nodiscard]] RowCounts rows_of_msrs(std::uint32_t first, std::uint32_t last);
[[nodiscard]] std::size_t rows_of_leaf(std::uint32_t leaf);

}  // namespace coverage
