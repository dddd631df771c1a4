#include <catch2/catch.hpp>

#include "partitions/devices/bus_master.h"
#include "tests/devices/ide_fixture.h"

namespace ata = devices::ata;
using test_support::IdeFixture;

namespace {

constexpr std::uint8_t kActive = 0x01;
constexpr std::uint8_t kInterrupt = 0x04;

bool holds_sectors(const IdeFixture& fixture, std::uint64_t address, std::uint64_t sector,
                   std::size_t bytes) {
  const auto memory = fixture.platform.memory.begin() + static_cast<std::ptrdiff_t>(address);
  const auto disk = fixture.first.data.begin() + static_cast<std::ptrdiff_t>(sector * 512);
  return std::equal(disk, disk + static_cast<std::ptrdiff_t>(bytes), memory);
}

}  // namespace

TEST_CASE("READ DMA scatters sectors over the table's regions", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 1024 + 256, false);
  fixture.descriptor(1, 0x3000, 256, false);
  fixture.descriptor(2, 0x4000, 10 * 512 - 1536, true);
  fixture.command_48(ata::kReadDmaExt, 1000, 10);
  REQUIRE_FALSE(fixture.platform.run_next_timer());  // the engine is not started yet
  fixture.start_engine(true);
  REQUIRE(fixture.engine_status() == kActive);
  REQUIRE(fixture.alternate_status() == ata::kBusy);
  REQUIRE(fixture.platform.run_next_timer());

  REQUIRE(fixture.platform.level(14));
  REQUIRE(fixture.engine_status() == kInterrupt);
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
  REQUIRE(holds_sectors(fixture, 0x8000, 1000, 1024));
  REQUIRE(fixture.platform.memory[0x3000] == fixture.first.data[1000 * 512 + 1280]);
  REQUIRE(fixture.platform.memory[0x4000] == fixture.first.data[1000 * 512 + 1536]);
  fixture.channel.bus_master().write(2, kInterrupt);
  REQUIRE(fixture.engine_status() == 0);
}

TEST_CASE("an interrupt that is lost leaves everything but the line as it would be",
          "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.platform.decisions = {0, 0, 1};  // service time, command kept, interrupt lost
  fixture.command_28(ata::kReadDma, 3, 1);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.platform.decisions_asked.back() == "device.disk.interrupt_lost");
  CHECK_FALSE(fixture.platform.level(14));
  CHECK(fixture.engine_status() == kInterrupt);
  CHECK(fixture.status() == (ata::kReady | ata::kSeekComplete));
  CHECK(holds_sectors(fixture, 0x8000, 3, 512));
  fixture.channel.bus_master().write(2, kInterrupt);

  fixture.command_28(ata::kReadDma, 4, 1);  // the next one arrives
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  CHECK(fixture.platform.level(14));
}

TEST_CASE("a drive that lost a command is busy until it is reset", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.platform.decisions = {0, 1};  // service time, command lost
  fixture.command_28(ata::kReadDma, 3, 1);
  fixture.start_engine(true);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
  CHECK(fixture.alternate_status() == ata::kBusy);

  fixture.channel.bus_master().write(0, 0);
  fixture.control(ata::kSoftwareReset);
  fixture.control(0);
  while (fixture.platform.run_next_timer()) {
  }
  CHECK((fixture.status() & (ata::kBusy | ata::kReady)) == ata::kReady);
  fixture.command_28(ata::kReadDma, 3, 1);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  CHECK(holds_sectors(fixture, 0x8000, 3, 512));
}

TEST_CASE("the engine may be started before the command", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.start_engine(true);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
  fixture.command_28(ata::kReadDma, 3, 1);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(holds_sectors(fixture, 0x8000, 3, 512));
}

TEST_CASE("WRITE DMA gathers regions, and a count of zero is 64 KiB", "[devices][ide][dma]") {
  IdeFixture fixture;
  for (std::size_t index = 0; index < 0x10000; ++index) {
    fixture.platform.memory[0x10000 + index] = static_cast<std::byte>(index * 31 >> 3);
  }
  fixture.descriptor(0, 0x10000, 0, true);
  fixture.command_28(ata::kWriteDma, 64, 128);
  fixture.start_engine(false);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.engine_status() == kInterrupt);
  REQUIRE(holds_sectors(fixture, 0x10000, 64, 0x10000));
}

TEST_CASE("a table longer than the transfer leaves the engine active", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 4096, true);
  fixture.command_28(ata::kReadDma, 0, 1);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.engine_status() == (kActive | kInterrupt));
  fixture.channel.bus_master().write(0, 0x08);
  REQUIRE(fixture.engine_status() == kInterrupt);
}

TEST_CASE("a table shorter than the transfer ends in silence, which a reset ends",
          "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.command_28(ata::kReadDma, 0, 16);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.engine_status() == 0);
  REQUIRE_FALSE(fixture.platform.level(14));
  REQUIRE((fixture.alternate_status() & ata::kDataRequest) != 0);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
  fixture.control(ata::kSoftwareReset);
  fixture.control(0);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.status() == (ata::kReady | ata::kSeekComplete));
}

TEST_CASE("an engine set for the other direction moves nothing", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.command_28(ata::kReadDma, 0, 1);
  fixture.start_engine(false);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
}

TEST_CASE("without bus mastering enabled the engine stands still", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.channel.bus_master().set_enabled(false);
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.command_28(ata::kReadDma, 0, 1);
  fixture.start_engine(true);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
  fixture.channel.bus_master().set_enabled(true);
  REQUIRE(fixture.platform.run_next_timer());
}

TEST_CASE("stopping the engine under way stops the transfer", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.command_28(ata::kReadDma, 0, 1);
  fixture.start_engine(true);
  fixture.channel.bus_master().write(0, 0x08);
  REQUIRE_FALSE(fixture.platform.run_next_timer());
  REQUIRE((fixture.engine_status() & kActive) == 0);
  REQUIRE(fixture.platform.memory[0x8000] == std::byte{0});
}

TEST_CASE("a region that crosses 64 KiB wraps to its start", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x1FF00, 512, true);
  fixture.command_28(ata::kReadDma, 8, 1);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(holds_sectors(fixture, 0x1FF00, 8, 256));
  REQUIRE(fixture.platform.memory[0x10000] == fixture.first.data[8 * 512 + 256]);
  REQUIRE(fixture.platform.memory[0x20000] == std::byte{0});
}

TEST_CASE("an unreadable sector stops the transfer with an interrupt", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.first.unreadable = 20;
  fixture.descriptor(0, 0x8000, 32 * 512, true);
  fixture.command_28(ata::kReadDma, 0, 32);
  fixture.start_engine(true);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE((fixture.engine_status() & kInterrupt) != 0);
  REQUIRE((fixture.status() & ata::kError) != 0);
  REQUIRE(fixture.read(1) == ata::kUncorrectable);
}

TEST_CASE("a forced write is durable whatever the cache", "[devices][ide][dma]") {
  IdeFixture fixture;
  fixture.descriptor(0, 0x8000, 512, true);
  fixture.command_48(ata::kWriteDmaFuaExt, 0, 1);
  fixture.start_engine(false);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.first.durabilities == std::vector{devices::Durability::kDurable});
  fixture.start_engine(false);
  fixture.command_48(ata::kWriteDmaExt, 0, 1);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(fixture.first.durabilities.back() == devices::Durability::kVolatile);
}

TEST_CASE("the descriptor table's address keeps no low bits and reads back",
          "[devices][ide][dma]") {
  IdeFixture fixture;
  devices::BusMaster& engine = fixture.channel.bus_master();
  engine.write(4, 0x37);
  engine.write(5, 0x12);
  REQUIRE(engine.read(4) == 0x34);
  REQUIRE(engine.read(5) == 0x12);
  engine.write(2, 0x60);
  REQUIRE(engine.read(2) == 0x60);
}
