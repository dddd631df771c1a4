#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <vector>

#include "vmbus/storage/scsi.h"

using namespace vmbus::storage;

namespace {

std::vector<int> bytes_of(const Cdb& cdb) {
  return {cdb.bytes.begin(), cdb.bytes.begin() + cdb.length};
}

}  // namespace

TEST_CASE("READ(10) and WRITE(10) lie as SBC says", "[vmbus][storage]") {
  CHECK(bytes_of(read_command(0x01020304, 0x0506)) ==
        std::vector<int>{0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0});
  CHECK(bytes_of(write_command(0x01020304, 0x0506, false)) ==
        std::vector<int>{0x2A, 0, 1, 2, 3, 4, 0, 5, 6, 0});
  CHECK(bytes_of(write_command(1, 1, true))[1] == 0x08);
}

TEST_CASE("what does not fit the 10-byte form takes 16 bytes", "[vmbus][storage]") {
  CHECK(read_command(0xFFFFFFFF, 0xFFFF).length == 10);
  CHECK(bytes_of(read_command(0x100000000, 1)) ==
        std::vector<int>{0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0});
  CHECK(bytes_of(write_command(1, 0x10000, false)) ==
        std::vector<int>{0x8A, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0});
}

TEST_CASE("the other commands lie as SPC and SBC say", "[vmbus][storage]") {
  CHECK(bytes_of(test_unit_ready_command()) == std::vector<int>{0, 0, 0, 0, 0, 0});
  CHECK(bytes_of(inquiry_command(36)) == std::vector<int>{0x12, 0, 0, 0, 36, 0});
  CHECK(bytes_of(inquiry_page_command(0x83, 64)) == std::vector<int>{0x12, 1, 0x83, 0, 64, 0});
  CHECK(bytes_of(request_sense_command(18)) == std::vector<int>{3, 0, 0, 0, 18, 0});
  CHECK(bytes_of(mode_sense_6_command(8, 64)) == std::vector<int>{0x1A, 0, 8, 0, 64, 0});
  CHECK(bytes_of(synchronize_cache_command()) == std::vector<int>{0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(bytes_of(read_capacity_10_command()) == std::vector<int>{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(bytes_of(read_capacity_16_command(32)) ==
        std::vector<int>{0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0});
  CHECK(bytes_of(report_luns_command(0x1000)) ==
        std::vector<int>{0xA0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0});
}

TEST_CASE("what is built is parsed back, for every address and count", "[vmbus][storage]") {
  REQUIRE(rc::check([](std::uint64_t sector, std::uint32_t count, bool write, bool fua) {
    const Cdb cdb = write ? write_command(sector, count, fua) : read_command(sector, count);
    const auto parsed = parse_transfer(std::span(cdb.bytes).first(cdb.length));
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(parsed->sector == sector);
    RC_ASSERT(parsed->sector_count == count);
    RC_ASSERT(parsed->is_write == write);
    RC_ASSERT(parsed->force_unit_access == (write && fua));
  }));
}

TEST_CASE("a CDB that is short, or no transfer, is not parsed as one", "[vmbus][storage]") {
  const Cdb read = read_command(1, 1);
  for (std::size_t size = 0; size < 10; ++size) {
    CHECK_FALSE(parse_transfer(std::span(read.bytes).first(size)));
  }
  const Cdb long_read = read_command(0x100000000, 1);
  for (std::size_t size = 0; size < 16; ++size) {
    CHECK_FALSE(parse_transfer(std::span(long_read.bytes).first(size)));
  }
  CHECK_FALSE(parse_transfer(inquiry_command(36).bytes));
}

TEST_CASE("sense data goes there and back in the fixed format", "[vmbus][storage]") {
  const auto bytes = sense_bytes(kSenseAddressOutOfRange);
  CHECK(bytes[0] == 0x70);
  CHECK(bytes[2] == 0x05);
  CHECK(bytes[7] == 10);
  CHECK(bytes[12] == 0x21);
  CHECK(parse_sense(bytes) == kSenseAddressOutOfRange);
  CHECK_FALSE(parse_sense(std::span(bytes).first(13)));
  auto other = bytes;
  other[0] = 0x72;  // descriptor format
  CHECK_FALSE(parse_sense(other));
  other[0] = 0xF0;  // fixed, with valid information
  CHECK(parse_sense(other));
}

TEST_CASE("capacities are the last sector plus one", "[vmbus][storage]") {
  std::array<std::uint8_t, 32> data{};
  store_big_u32(data, 99);
  store_big_u32(std::span(data).subspan(4), 512);
  CHECK(parse_capacity_10(data) == Capacity{100, 512});
  CHECK_FALSE(parse_capacity_10(std::span(data).first(7)));
  store_big_u32(data, 0xFFFFFFFF);
  CHECK_FALSE(parse_capacity_10(data));
  store_big_u64(data, 0x1FFFFFFFF);
  store_big_u32(std::span(data).subspan(8), 4096);
  CHECK(parse_capacity_16(data) == Capacity{0x200000000, 4096});
  CHECK_FALSE(parse_capacity_16(std::span(data).first(11)));
  store_big_u64(data, ~std::uint64_t{0});
  CHECK_FALSE(parse_capacity_16(data));
}
