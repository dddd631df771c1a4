#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/gpadl_wire.h"
#include "vmbus/gpa_range.h"

using namespace vmbus;
using gpadl_wire::range_head;

TEST_CASE("a range needs as many pages as its bytes touch", "[vmbus][gpadl]") {
  CHECK(pages_touched(0, 1) == 1);
  CHECK(pages_touched(0, 4096) == 1);
  CHECK(pages_touched(0, 4097) == 2);
  CHECK(pages_touched(4095, 1) == 1);
  CHECK(pages_touched(4095, 2) == 2);
  CHECK(pages_touched(4095, 4096) == 2);
  CHECK(pages_touched(4095, 0xFFFFFFFF) == 0x100001);
}

TEST_CASE("ranges are taken one after the other", "[vmbus][gpadl]") {
  const std::vector<std::uint64_t> words = {range_head(4096), 7, range_head(100, 4090), 8, 9};
  std::span<const std::uint64_t> rest(words);
  const auto first = take_range(rest);
  REQUIRE(first);
  CHECK(first->byte_count == 4096);
  CHECK(first->byte_offset == 0);
  CHECK(first->pages.size() == 1);
  CHECK(first->pages[0] == 7);
  const auto second = take_range(rest);
  REQUIRE(second);
  CHECK(second->byte_offset == 4090);
  CHECK(second->pages.size() == 2);
  CHECK(second->pages[1] == 9);
  CHECK(rest.empty());
  CHECK_FALSE(take_range(rest));
}

TEST_CASE("a malformed range is not taken", "[vmbus][gpadl]") {
  const std::vector<std::vector<std::uint64_t>> rows = {
      {range_head(0), 1},         // no bytes
      {range_head(16, 4096), 1},  // begins behind the first page
      {range_head(16, 0xFFFFFFFF), 1},
      {range_head(4097), 1},  // a page is missing
      {range_head(2, 4095), 1},
      {range_head(0xFFFFFFFF, 4095), 1, 2, 3},
      {range_head(1)},
      {},
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    CAPTURE(row);
    std::span<const std::uint64_t> rest(rows[row]);
    CHECK_FALSE(take_range(rest));
    CHECK(rest.size() == rows[row].size());
  }
}

TEST_CASE("a list is valid if it is exactly its ranges", "[vmbus][gpadl]") {
  const std::vector<std::uint64_t> words = {range_head(4096), 7, range_head(10), 8};
  CHECK(ranges_are_valid(words, 2));
  CHECK_FALSE(ranges_are_valid(words, 1));  // something is left
  CHECK_FALSE(ranges_are_valid(words, 3));
  CHECK_FALSE(ranges_are_valid(words, 0));
  CHECK_FALSE(ranges_are_valid({}, 0));
}
