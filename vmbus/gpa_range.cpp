#include "vmbus/gpa_range.h"

namespace vmbus {

std::optional<GpaRange> take_range(std::span<const std::uint64_t>& values) {
  if (values.empty()) {
    return std::nullopt;
  }
  GpaRange range;
  range.byte_count = static_cast<std::uint32_t>(values[0]);
  range.byte_offset = static_cast<std::uint32_t>(values[0] >> 32);
  if (!gpadl::range_is_valid(range.byte_offset, range.byte_count)) {
    return std::nullopt;
  }
  const std::uint32_t pages = gpadl::pages_touched(range.byte_offset, range.byte_count);
  const auto count = static_cast<std::uint32_t>(values.size());
  if (!gpadl::range_fits(pages, count)) {
    return std::nullopt;
  }
  range.pages = values.subspan(1, pages);
  values = values.last(gpadl::values_behind(pages, count));
  return range;
}

bool ranges_are_valid(std::span<const std::uint64_t> values, std::uint32_t range_count) {
  for (std::uint32_t taken = 0; taken < range_count; ++taken) {
    if (!take_range(values)) {
      return false;
    }
  }
  return range_count != 0 && values.empty();
}

}  // namespace vmbus
