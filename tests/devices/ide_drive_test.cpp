#include "partitions/devices/ide_drive.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <string>

#include "tests/devices/ide_fixture.h"

namespace ata = devices::ata;
using test_support::IdeFixture;
using test_support::LineChange;

TEST_CASE("a drive that was reset shows the signature of a disk", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kReadSectors, 5, 1);
  fixture.control(ata::kSoftwareReset);
  REQUIRE(fixture.alternate_status() == ata::kBusy);
  fixture.platform.advance(1'000'000);
  fixture.control(0);
  REQUIRE(fixture.alternate_status() == ata::kBusy);
  while (fixture.platform.run_next_timer()) {
  }
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
  REQUIRE(fixture.read(1) == 0x01);
  REQUIRE(fixture.read(2) == 0x01);
  REQUIRE(fixture.read(3) == 0x01);
  REQUIRE(fixture.read(4) == 0x00);
  REQUIRE(fixture.read(5) == 0x00);
  REQUIRE(fixture.platform.line_changes.empty());
}

TEST_CASE("IDENTIFY DEVICE names the drive and counts its sectors", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kIdentifyDevice, 0, 0);
  REQUIRE(fixture.alternate_status() == ata::kBusy);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.level(14));
  REQUIRE((fixture.status() & ata::kDataRequest) != 0);
  REQUIRE_FALSE(fixture.platform.level(14));
  const std::vector<std::uint16_t> words = fixture.read_words(256);
  std::string model;
  for (std::size_t index = 27; index < 47; ++index) {
    model.push_back(static_cast<char>(words[index] >> 8));
    model.push_back(static_cast<char>(words[index] & 0xFF));
  }
  REQUIRE(model == "Chronovisor disk                        ");
  REQUIRE((words[60] | words[61] << 16) == 4096);
  REQUIRE((words[100] | words[101] << 16) == 4096);
  REQUIRE((words[49] & 0x0300) == 0x0300);
  REQUIRE((words[83] & 0x3400) == 0x3400);
  REQUIRE((words[85] & 0x0020) == 0x0020);
  std::uint8_t sum = 0;
  for (const std::uint16_t word : words) {
    sum = static_cast<std::uint8_t>(sum + (word & 0xFF) + (word >> 8));
  }
  REQUIRE(sum == 0);
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
}

TEST_CASE("READ SECTORS interrupts before each sector and hands it over", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kReadSectors, 100, 3);
  for (std::uint64_t sector = 100; sector < 103; ++sector) {
    REQUIRE(fixture.alternate_status() == ata::kBusy);
    REQUIRE(fixture.platform.run_next_timer());
    REQUIRE(fixture.platform.level(14));
    REQUIRE((fixture.status() & (ata::kBusy | ata::kDataRequest)) == ata::kDataRequest);
    REQUIRE(fixture.read_sector() == IdeFixture::sector_of(fixture.first, sector));
  }
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
  REQUIRE_FALSE(fixture.platform.run_next_timer());
}

TEST_CASE("WRITE SECTORS asks without an interrupt first and confirms each sector",
          "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_48(ata::kWriteSectorsExt, 7, 2);
  REQUIRE((fixture.alternate_status() & ata::kDataRequest) != 0);
  REQUIRE(fixture.platform.line_changes.empty());
  fixture.write_sector(0x11);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.level(14));
  REQUIRE((fixture.status() & ata::kDataRequest) != 0);
  fixture.write_sector(0x22);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.level(14));
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
  REQUIRE(fixture.first.data[7 * 512] == std::byte{0x11});
  REQUIRE(fixture.first.data[8 * 512 + 511] == std::byte{0x22});
  REQUIRE(fixture.first.durabilities ==
          std::vector{devices::Durability::kVolatile, devices::Durability::kVolatile});
}

TEST_CASE("a count of zero stands for 256 sectors", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kReadSectors, 0, 0);
  int sectors = 0;
  while (fixture.platform.run_next_timer()) {
    fixture.read_sector();
    ++sectors;
  }
  REQUIRE(sectors == 256);
}

TEST_CASE("cylinder, head and sector address the same disk", "[devices][ide]") {
  IdeFixture fixture;
  fixture.write(6, 0xA0 | 3);
  fixture.write(2, 1);
  fixture.write(3, 5);
  fixture.write(4, 2);
  fixture.write(5, 0);
  fixture.write(7, ata::kReadSectors);
  REQUIRE(fixture.platform.run_next_timer());
  const std::uint64_t sector = (2 * 16 + 3) * 63 + 4;
  REQUIRE(fixture.read_sector() == IdeFixture::sector_of(fixture.first, sector));
}

TEST_CASE("an extent beyond the end is refused before anything moves", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kWriteSectors, 4095, 2);
  REQUIRE(fixture.platform.level(14));
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete | ata::kError));
  REQUIRE(fixture.read(1) == ata::kIdNotFound);
  fixture.command_48(ata::kReadDmaExt, 0xFFFFFFFFFFFF, 1);
  REQUIRE(fixture.read(1) == ata::kIdNotFound);
}

TEST_CASE("an unknown command is aborted", "[devices][ide]") {
  IdeFixture fixture;
  fixture.write(6, 0xE0);
  fixture.write(7, 0xA1);  // IDENTIFY PACKET DEVICE: it is no packet device
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE((fixture.status() & ata::kError) != 0);
  REQUIRE(fixture.read(1) == ata::kAborted);
}

TEST_CASE("an unreadable sector tells its address", "[devices][ide]") {
  IdeFixture fixture;
  fixture.first.unreadable = 0x101;
  fixture.command_28(ata::kReadSectors, 0x100, 4);
  REQUIRE(fixture.platform.run_next_timer());
  fixture.read_sector();
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE((fixture.status() & (ata::kError | ata::kDataRequest)) == ata::kError);
  REQUIRE(fixture.read(1) == ata::kUncorrectable);
  REQUIRE(fixture.read(3) == 0x01);
  REQUIRE(fixture.read(4) == 0x01);
}

TEST_CASE("the high-order view shows what was written before", "[devices][ide]") {
  IdeFixture fixture;
  fixture.write(3, 0x12);
  fixture.write(3, 0x34);
  REQUIRE(fixture.read(3) == 0x34);
  fixture.control(ata::kHighOrderByte);
  REQUIRE(fixture.read(3) == 0x12);
  fixture.write(2, 1);  // any write of the command block ends it
  REQUIRE(fixture.read(3) == 0x34);
}

TEST_CASE("registers of a busy drive ignore writes", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kReadSectors, 9, 1);
  fixture.write(3, 0x77);
  fixture.write(7, ata::kFlushCache);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.read_sector() == IdeFixture::sector_of(fixture.first, 9));
  REQUIRE(fixture.first.flushes == 0);
}

TEST_CASE("the alternate status leaves the interrupt pending", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kFlushCache, 0, 0);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.alternate_status() == (ata::kReady | ata::kSeekComplete));
  REQUIRE(fixture.platform.level(14));
  fixture.status();
  REQUIRE_FALSE(fixture.platform.level(14));
}

TEST_CASE("nIEN holds the line down until it is cleared", "[devices][ide]") {
  IdeFixture fixture;
  fixture.control(ata::kInterruptsOff);
  fixture.command_28(ata::kFlushCacheExt, 0, 0);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.line_changes.empty());
  fixture.control(0);
  REQUIRE(fixture.platform.line_changes == std::vector<LineChange>{{14, true}});
}

TEST_CASE("only the selected drive drives the line", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kFlushCache, 0, 0, 1);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.second.flushes == 1);
  REQUIRE(fixture.first.flushes == 0);
  REQUIRE(fixture.platform.level(14));
  fixture.write(6, 0xE0);
  REQUIRE_FALSE(fixture.platform.level(14));
  fixture.write(6, 0xF0);
  REQUIRE(fixture.platform.level(14));
}

TEST_CASE("a flush that fails is told", "[devices][ide]") {
  IdeFixture fixture;
  fixture.first.fail_flush = true;
  fixture.command_28(ata::kFlushCache, 0, 0);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE((fixture.status() & ata::kError) != 0);
  REQUIRE(fixture.first.flushes == 1);
}

TEST_CASE("with the write cache off writes are durable when acknowledged", "[devices][ide]") {
  IdeFixture fixture;
  fixture.write(6, 0xE0);
  fixture.write(1, ata::kDisableWriteCache);
  fixture.write(7, ata::kSetFeatures);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE((fixture.status() & ata::kError) == 0);
  REQUIRE(fixture.first.flushes == 1);
  fixture.command_28(ata::kWriteSectors, 0, 1);
  fixture.write_sector(1);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.first.durabilities == std::vector{devices::Durability::kDurable});
}

TEST_CASE("SET FEATURES refuses transfer modes that the drive has not", "[devices][ide]") {
  IdeFixture fixture;
  const auto set_mode = [&](std::uint8_t mode) {
    fixture.write(6, 0xE0);
    fixture.write(1, ata::kSetTransferMode);
    fixture.write(2, mode);
    fixture.write(7, ata::kSetFeatures);
    REQUIRE(fixture.platform.run_next_timer());
    return (fixture.status() & ata::kError) == 0;
  };
  REQUIRE(set_mode(0x45));
  REQUIRE_FALSE(set_mode(0x46));
  REQUIRE(set_mode(0x22));
  REQUIRE_FALSE(set_mode(0x23));
  REQUIRE(set_mode(0x0C));
  REQUIRE_FALSE(set_mode(0x98));
}

TEST_CASE("a channel without drives reads all-ones, an absent neighbour zero", "[devices][ide]") {
  test_support::RecordingDevicePlatform platform;
  devices::IdeChannel empty(platform, devices::kSecondaryChannel);
  REQUIRE(empty.read_port(0x177, 1) == 0xFFFFFFFF);
  REQUIRE(empty.read_port(0x170, 2) == 0xFFFFFFFF);

  test_support::RecordingStorage storage{64};
  empty.attach(0, {.storage = &storage, .model = "a", .serial = "b"});
  empty.write_port(0x176, 1, 0xB0);
  REQUIRE(empty.read_port(0x177, 1) == 0);
  empty.write_port(0x177, 1, ata::kIdentifyDevice);
  REQUIRE_FALSE(platform.run_next_timer());
  empty.write_port(0x176, 1, 0xA0);
  REQUIRE(empty.read_port(0x177, 1) == (ata::kReady | ata::kSeekComplete));
}

TEST_CASE("how long a command takes is a decision", "[devices][ide]") {
  IdeFixture fixture;
  fixture.command_28(ata::kFlushCache, 0, 0);
  REQUIRE(fixture.platform.run_next_timer());
  const std::uint64_t shortest = fixture.platform.now;
  fixture.platform.decisions = {15};
  fixture.command_28(ata::kFlushCache, 0, 0);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.now - shortest > shortest);
  REQUIRE(fixture.platform.decisions_asked.front() == "device.disk.service_time");
}
