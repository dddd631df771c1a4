#include "partitions/devices/pci_host.h"

#include <catch2/catch.hpp>
#include <memory>

#include "partitions/devices/chipset.h"
#include "tests/support/recording_device_platform.h"

namespace {

struct Fixture {
  test_support::RecordingDevicePlatform platform;
  test_support::RecordingInterruptPin pin;
  test_support::RecordingConsole console;
  test_support::RecordingStorage disk{64};
  devices::Chipset chipset;

  explicit Fixture(bool firmware = true) : chipset(platform, pin, console, options(firmware)) {}

  devices::ChipsetOptions options(bool firmware) {
    devices::ChipsetOptions options;
    options.drives[0] = {.storage = &disk, .model = "Disk", .serial = "1"};
    options.memory_size_bytes = 64ULL * 1024 * 1024;
    options.set_up_by_firmware = firmware;
    return options;
  }
  std::uint32_t read(std::uint32_t function, std::uint32_t offset) {
    chipset.write_port(0xCF8, 4, 0x80000000 | function << 8 | offset);
    return chipset.read_port(0xCFC, 4);
  }
  void write(std::uint32_t function, std::uint32_t offset, std::uint32_t value) {
    chipset.write_port(0xCF8, 4, 0x80000000 | function << 8 | offset);
    chipset.write_port(0xCFC, 4, value);
  }
};

constexpr std::uint32_t kIde = 0x09;

}  // namespace

TEST_CASE("the bus shows host bridge, ISA bridge and IDE function", "[devices][pci]") {
  Fixture fixture;
  REQUIRE(fixture.read(0x00, 0) == 0x12378086);
  REQUIRE(fixture.read(0x08, 0) == 0x70008086);
  REQUIRE(fixture.read(kIde, 0) == 0x70108086);
  REQUIRE(fixture.read(kIde, 8) >> 8 == 0x010180);
  REQUIRE((fixture.read(0x08, 0x0C) & 0x00800000) != 0);
  REQUIRE(fixture.read(0x10, 0) == 0xFFFFFFFF);
  REQUIRE(fixture.read(0x100 * 1, 0) == 0xFFFFFFFF);  // bus 1
}

TEST_CASE("without the enable bit configuration reads all-ones", "[devices][pci]") {
  Fixture fixture;
  fixture.chipset.write_port(0xCF8, 4, kIde << 8);
  REQUIRE(fixture.chipset.read_port(0xCFC, 4) == 0xFFFFFFFF);
}

TEST_CASE("bytes and words of a configuration register are reachable", "[devices][pci]") {
  Fixture fixture;
  fixture.chipset.write_port(0xCF8, 4, 0x80000900);
  REQUIRE(fixture.chipset.read_port(0xCFE, 2) == 0x7010);
  REQUIRE(fixture.chipset.read_port(0xCFD, 1) == 0x80);
}

TEST_CASE("identity cannot be written", "[devices][pci]") {
  Fixture fixture;
  fixture.write(kIde, 0, 0);
  fixture.write(0x00, 0, 0);
  REQUIRE(fixture.read(kIde, 0) == 0x70108086);
  REQUIRE(fixture.read(0x00, 0) == 0x12378086);
}

TEST_CASE("base address 4 sizes as sixteen ports and moves the engine", "[devices][pci]") {
  Fixture fixture;
  REQUIRE(fixture.read(kIde, 0x20) == 0xC001);
  REQUIRE(fixture.chipset.read_port(0xC002, 1) == 0x00);
  fixture.write(kIde, 0x20, 0xFFFFFFFF);
  REQUIRE(fixture.read(kIde, 0x20) == 0x0000FFF1);
  fixture.write(kIde, 0x20, 0xD000);
  REQUIRE(fixture.chipset.read_port(0xC002, 1) == 0xFF);
  fixture.chipset.write_port(0xD004, 4, 0x00123458);
  REQUIRE(fixture.chipset.read_port(0xD004, 4) == 0x00123458);
  REQUIRE(fixture.chipset.read_port(0xD00C, 4) == 0);  // the secondary channel's own
  fixture.write(kIde, 0x04, 0x0000);
  REQUIRE(fixture.chipset.read_port(0xD004, 4) == 0xFFFFFFFF);
}

TEST_CASE("a channel answers only while its timing register decodes it", "[devices][pci]") {
  Fixture fixture(false);
  REQUIRE(fixture.chipset.read_port(0x1F7, 1) == 0xFF);
  fixture.write(kIde, 0x04, 0x0001);
  REQUIRE(fixture.chipset.read_port(0x1F7, 1) == 0xFF);
  fixture.write(kIde, 0x40, 0x00008000);
  REQUIRE(fixture.chipset.read_port(0x1F7, 1) == 0x50);
}

TEST_CASE("DMA runs through the chipset up to the processor's pin", "[devices][chipset]") {
  Fixture fixture;
  fixture.write(kIde, 0x04, 0x0005);
  const std::uint32_t base = fixture.read(kIde, 0x20) & 0xFFF0;
  // One region of one sector at 0x2000, its table at 0x1000.
  fixture.platform.memory[0x1001] = std::byte{0x20};
  fixture.platform.memory[0x1005] = std::byte{0x02};
  fixture.platform.memory[0x1007] = std::byte{0x80};
  const auto engine = static_cast<std::uint16_t>(base);
  fixture.chipset.write_port(static_cast<std::uint16_t>(engine + 4), 4, 0x1000);
  for (const auto& [port, value] : {std::pair<std::uint16_t, std::uint32_t>{0x1F6, 0xE0},
                                    {0x1F2, 1},
                                    {0x1F3, 7},
                                    {0x1F4, 0},
                                    {0x1F5, 0},
                                    {0x1F7, 0xC8}}) {
    fixture.chipset.write_port(port, 1, value);
  }
  fixture.chipset.write_port(engine, 1, 0x09);
  REQUIRE(fixture.platform.run_next_timer());
  REQUIRE(std::equal(fixture.disk.data.begin() + 7 * 512, fixture.disk.data.begin() + 8 * 512,
                     fixture.platform.memory.begin() + 0x2000));

  // The platform carries lines; the interrupt controller makes vectors of them.
  REQUIRE(fixture.platform.level(14));
  for (const auto& [port, value] : {std::pair<std::uint16_t, std::uint32_t>{0x20, 0x11},
                                    {0x21, 0x20},
                                    {0x21, 0x04},
                                    {0x21, 0x01},
                                    {0xA0, 0x11},
                                    {0xA1, 0x28},
                                    {0xA1, 0x02},
                                    {0xA1, 0x01}}) {
    fixture.chipset.write_port(port, 1, value);
  }
  fixture.chipset.set_interrupt_line(14, true);
  REQUIRE(fixture.pin.level());
  REQUIRE(fixture.chipset.acknowledge_interrupt() == 0x2E);
}

TEST_CASE("ports without a device read all-ones in each width", "[devices][ports]") {
  Fixture fixture;
  REQUIRE(fixture.chipset.read_port(0x80, 1) == 0xFF);
  REQUIRE(fixture.chipset.read_port(0x80, 2) == 0xFFFF);
  REQUIRE(fixture.chipset.read_port(0x80, 4) == 0xFFFFFFFF);
  fixture.chipset.write_port(0x80, 1, 0);
}

TEST_CASE("firmware tells the memory size through CMOS", "[devices][chipset]") {
  Fixture fixture;
  fixture.chipset.write_port(0x70, 1, 0x34);
  const std::uint32_t low = fixture.chipset.read_port(0x71, 1);
  fixture.chipset.write_port(0x70, 1, 0x35);
  REQUIRE((fixture.chipset.read_port(0x71, 1) << 8 | low) == 48 * 1024 / 64);
}
