#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "vmbus/storage/requests.h"
#include "vmbus/storage/scsi_disk.h"

using namespace vmbus::storage;

namespace {

constexpr DiskGeometry kDisk{.sector_count = 1000,
                             .read_only = false,
                             .write_cache = true,
                             .max_transfer_bytes = 64 * 1024,
                             .serial = {'A', 'B', 'C'}};

Srb request(const Cdb& cdb, DataDirection direction, std::uint32_t bytes) {
  return srb_of(execute_packet(cdb, {}, direction, bytes));
}
Srb asking(const Cdb& cdb, std::uint32_t bytes = 255) {
  return request(cdb, DataDirection::kFromDevice, bytes);
}
Srb bare(const Cdb& cdb) { return request(cdb, DataDirection::kNone, 0); }

std::string text(const DiskDecision& decision, std::size_t at, std::size_t size) {
  return {decision.answer.begin() + static_cast<std::ptrdiff_t>(at),
          decision.answer.begin() + static_cast<std::ptrdiff_t>(at + size)};
}

void check_fails(const Srb& srb, Sense sense, const DiskGeometry& disk = kDisk) {
  const DiskDecision decision = decide(srb, disk);
  CHECK(decision.action == DiskAction::kFail);
  CHECK(decision.sense == sense);
}

}  // namespace

TEST_CASE("reads and writes inside the medium are let through", "[vmbus][storage]") {
  const DiskDecision read =
      decide(request(read_command(990, 10), DataDirection::kFromDevice, 5120), kDisk);
  CHECK(read.action == DiskAction::kRead);
  CHECK(read.transfer.sector == 990);
  CHECK(read.transfer.sector_count == 10);
  const DiskDecision write =
      decide(request(write_command(0, 1, true), DataDirection::kToDevice, 512), kDisk);
  CHECK(write.action == DiskAction::kWrite);
  CHECK(write.transfer.force_unit_access);
}

TEST_CASE("a transfer that leaves the medium is refused, wherever it wraps", "[vmbus][storage]") {
  const auto read = [](std::uint64_t sector, std::uint32_t count) {
    return request(read_command(sector, count), DataDirection::kFromDevice, count * 512);
  };
  check_fails(read(999, 2), kSenseAddressOutOfRange);
  check_fails(read(1000, 1), kSenseAddressOutOfRange);
  check_fails(read(1000, 0), kSenseAddressOutOfRange);  // not even nothing
  check_fails(read(0xFFFFFFFF, 1), kSenseAddressOutOfRange);
  check_fails(read(~std::uint64_t{0}, 2), kSenseAddressOutOfRange);
  check_fails(read(0, 1001), kSenseAddressOutOfRange);
}

TEST_CASE("a transfer whose buffer or direction does not match is refused", "[vmbus][storage]") {
  check_fails(request(read_command(0, 2), DataDirection::kFromDevice, 512), kSenseInvalidField);
  check_fails(request(read_command(0, 1), DataDirection::kFromDevice, 1024), kSenseInvalidField);
  check_fails(request(read_command(0, 1), DataDirection::kToDevice, 512), kSenseInvalidField);
  check_fails(request(write_command(0, 1, false), DataDirection::kFromDevice, 512),
              kSenseInvalidField);
  check_fails(request(read_command(0, 1), DataDirection::kNone, 0), kSenseInvalidField);
  check_fails(request(read_command(0, 129), DataDirection::kFromDevice, 129 * 512),
              kSenseInvalidField);  // longer than the disk takes
}

TEST_CASE("a transfer of no sectors succeeds and moves nothing", "[vmbus][storage]") {
  const DiskDecision decision = decide(bare(read_command(5, 0)), kDisk);
  CHECK(decision.action == DiskAction::kAnswer);
  CHECK(decision.answer_bytes == 0);
}

TEST_CASE("a read-only disk refuses writes and says so before", "[vmbus][storage]") {
  DiskGeometry disk = kDisk;
  disk.read_only = true;
  check_fails(request(write_command(0, 1, false), DataDirection::kToDevice, 512),
              kSenseWriteProtected, disk);
  CHECK(decide(asking(mode_sense_6_command(0x3F, 64)), disk).answer[2] == 0x90);
  CHECK(decide(asking(mode_sense_6_command(0x3F, 64)), kDisk).answer[2] == 0x10);
  CHECK(decide(request(read_command(0, 1), DataDirection::kFromDevice, 512), disk).action ==
        DiskAction::kRead);
}

TEST_CASE("SYNCHRONIZE CACHE asks for a flush", "[vmbus][storage]") {
  CHECK(decide(bare(synchronize_cache_command()), kDisk).action == DiskAction::kFlush);
}

TEST_CASE("INQUIRY describes a disk of SPC-3", "[vmbus][storage]") {
  const DiskDecision decision = decide(asking(inquiry_command(255)), kDisk);
  CHECK(decision.action == DiskAction::kAnswer);
  CHECK(decision.answer_bytes == 36);
  CHECK(decision.answer[0] == 0);
  CHECK(decision.answer[2] >= 5);
  CHECK(decision.answer[4] == 31);
  CHECK(text(decision, 8, 8) == "Msft    ");
  CHECK(text(decision, 16, 16) == "Virtual Disk    ");
}

TEST_CASE("an answer is never longer than the allocation or the buffer", "[vmbus][storage]") {
  CHECK(decide(asking(inquiry_command(10)), kDisk).answer_bytes == 10);
  CHECK(decide(asking(inquiry_command(255), 20), kDisk).answer_bytes == 20);
  CHECK(decide(asking(inquiry_command(0)), kDisk).answer_bytes == 0);
  check_fails(request(inquiry_command(36), DataDirection::kToDevice, 36), kSenseInvalidField);
}

TEST_CASE("the list of pages names exactly the pages that there are", "[vmbus][storage]") {
  const DiskDecision list = decide(asking(inquiry_page_command(0, 255)), kDisk);
  const std::size_t count = list.answer[3];
  for (unsigned page = 0; page < 256; ++page) {
    const auto number = static_cast<std::uint8_t>(page);
    const DiskDecision decision = decide(asking(inquiry_page_command(number, 255)), kDisk);
    const auto* const begin = list.answer.data() + 4;
    const bool listed = std::find(begin, begin + count, number) != begin + count;
    CAPTURE(page);
    CHECK(listed == (decision.action == DiskAction::kAnswer));
    if (listed) {
      CHECK(decision.answer[1] == number);
      CHECK(decision.answer_bytes == 4u + load_big_u16(std::span(decision.answer).subspan(2)));
    } else {
      CHECK(decision.sense == kSenseInvalidField);
    }
  }
  CHECK(text(decide(asking(inquiry_page_command(0x80, 255)), kDisk), 4, 3) == "ABC");
}

TEST_CASE("both forms of READ CAPACITY tell the size", "[vmbus][storage]") {
  const DiskDecision small = decide(asking(read_capacity_10_command()), kDisk);
  CHECK(parse_capacity_10(std::span(small.answer).first(small.answer_bytes)) ==
        Capacity{1000, 512});
  DiskGeometry huge = kDisk;
  huge.sector_count = std::uint64_t{1} << 33;
  const DiskDecision ten = decide(asking(read_capacity_10_command()), huge);
  CHECK_FALSE(parse_capacity_10(ten.answer));  // ask with 16 bytes
  const DiskDecision sixteen = decide(asking(read_capacity_16_command(32)), huge);
  CHECK(sixteen.answer_bytes == 32);
  CHECK(parse_capacity_16(sixteen.answer) == Capacity{std::uint64_t{1} << 33, 512});
}

TEST_CASE("MODE SENSE tells of the write cache in both forms", "[vmbus][storage]") {
  const DiskDecision six = decide(asking(mode_sense_6_command(8, 64)), kDisk);
  CHECK(six.answer_bytes == 24);
  CHECK(six.answer[0] == 23);
  CHECK(six.answer[4] == 8);
  CHECK(six.answer[6] == 4);
  Cdb cdb;
  cdb.length = 10;
  cdb.bytes = {0x5A, 0, 8, 0, 0, 0, 0, 0, 64, 0};
  const DiskDecision ten = decide(asking(cdb), kDisk);
  CHECK(ten.answer_bytes == 28);
  CHECK(ten.answer[1] == 26);
  CHECK(ten.answer[8] == 8);
  DiskGeometry through = kDisk;
  through.write_cache = false;
  CHECK(decide(asking(mode_sense_6_command(8, 64)), through).answer[6] == 0);
  check_fails(asking(mode_sense_6_command(0x1C, 64)), kSenseInvalidField);
}

TEST_CASE("the remaining commands of a probe are answered", "[vmbus][storage]") {
  CHECK(decide(bare(test_unit_ready_command()), kDisk).action == DiskAction::kAnswer);
  const DiskDecision luns = decide(asking(report_luns_command(4096), 4096), kDisk);
  CHECK(luns.answer_bytes == 16);
  CHECK(load_big_u32(luns.answer) == 8);
  const DiskDecision sense = decide(asking(request_sense_command(18)), kDisk);
  CHECK(parse_sense(std::span(sense.answer).first(sense.answer_bytes)) == kSenseNone);
}

TEST_CASE("an unknown opcode is refused as such, a short CDB as malformed", "[vmbus][storage]") {
  Cdb unknown;
  unknown.length = 10;
  unknown.bytes[0] = 0x42;  // UNMAP, which this disk does not have
  check_fails(bare(unknown), kSenseInvalidOpcode);
  Cdb read = read_command(0, 1);
  read.length = 6;
  check_fails(request(read, DataDirection::kFromDevice, 512), kSenseInvalidField);
  read.length = 0;
  check_fails(request(read, DataDirection::kFromDevice, 512), kSenseInvalidField);
  read.length = 17;
  check_fails(request(read, DataDirection::kFromDevice, 512), kSenseInvalidField);
}

TEST_CASE("where there is no disk an INQUIRY says so and the rest is an invalid LUN",
          "[vmbus][storage]") {
  const DiskDecision inquiry = decide_absent(asking(inquiry_command(36)), true);
  CHECK(inquiry.action == DiskAction::kAnswer);
  CHECK(inquiry.answer[0] == 0x7F);
  CHECK(inquiry.answer_bytes == 36);
  CHECK(decide_absent(asking(inquiry_page_command(0x83, 36)), true).answer_bytes == 0);
  CHECK(load_big_u32(decide_absent(asking(report_luns_command(4096)), false).answer) == 0);
  CHECK(load_big_u32(decide_absent(asking(report_luns_command(4096)), true).answer) == 8);
  CHECK(decide_absent(bare(test_unit_ready_command()), true).action == DiskAction::kInvalidLun);
  CHECK(decide_absent(asking(read_command(0, 1)), true).action == DiskAction::kInvalidLun);
}

TEST_CASE("whatever a request says, what is let through lies inside the medium",
          "[vmbus][storage][hostile][property]") {
  REQUIRE(rc::check([](std::array<std::uint8_t, 16> noise, std::uint32_t length,
                       std::uint8_t direction, std::uint8_t cdb_length) {
    static constexpr std::uint8_t kOpcodes[] = {0x00, 0x03, 0x12, 0x1A, 0x25, 0x28, 0x2A,
                                                0x35, 0x5A, 0x88, 0x8A, 0x9E, 0xA0};
    Srb srb;
    std::copy(noise.begin(), noise.end(), srb.cdb_or_sense.begin());
    srb.cdb_or_sense[0] = kOpcodes[noise[0] % std::size(kOpcodes)];
    srb.transfer_length = length % 3 == 0 ? noise[1] * 512u : length;
    srb.direction = static_cast<DataDirection>(direction % 3);
    srb.cdb_length = cdb_length % 18;
    const DiskDecision decision = decide(srb, kDisk);
    if (decision.action == DiskAction::kRead || decision.action == DiskAction::kWrite) {
      RC_ASSERT(decision.transfer.sector_count > 0u);
      RC_ASSERT(decision.transfer.sector < kDisk.sector_count);
      RC_ASSERT(decision.transfer.sector_count <= kDisk.sector_count - decision.transfer.sector);
      RC_ASSERT(decision.transfer.sector_count * 512u == srb.transfer_length);
    }
    if (decision.action == DiskAction::kAnswer) {
      RC_ASSERT(decision.answer_bytes <= decision.answer.size());
      RC_ASSERT(decision.answer_bytes <= srb.transfer_length);
    }
  }));
}
