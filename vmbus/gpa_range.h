// Ranges of guest pages as the wire has them, in GPADLs and in GPA-direct packets: one word of byte
// count (low half) and byte offset (high half), then the page numbers that the bytes touch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "machine/address.h"
#include "vmbus/gpadl_arithmetic.h"

namespace vmbus {

/// A checked range: the pages hold all of its bytes, the first of which lies `byte_offset` into the
/// first page. Whether a page exists is for whoever touches it to find out.
struct GpaRange {
  std::uint32_t byte_count = 0;
  std::uint32_t byte_offset = 0;
  std::span<const std::uint64_t> pages;
};

/// How many pages `byte_count` bytes touch, the first of them `byte_offset` into the first page.
[[nodiscard]] constexpr std::uint64_t pages_touched(std::uint32_t byte_offset,
                                                    std::uint32_t byte_count) {
  return gpadl::pages_touched(byte_offset, byte_count);
}

/// Takes the first range off `values`; nothing (and `values` untouched) if it is malformed: empty,
/// an offset beyond the first page, or fewer page numbers than its bytes need.
[[nodiscard]] std::optional<GpaRange> take_range(std::span<const std::uint64_t>& values);

/// Whether `values` is exactly `range_count` well-formed ranges.
[[nodiscard]] bool ranges_are_valid(std::span<const std::uint64_t> values,
                                    std::uint32_t range_count);

}  // namespace vmbus
