// An IDE channel with two drives, driven by its registers as a disk driver would.
#pragma once

#include <cstdint>
#include <vector>

#include "partitions/devices/ata.h"
#include "partitions/devices/ide_channel.h"
#include "tests/support/recording_device_platform.h"

namespace test_support {

struct IdeFixture {
  static constexpr std::uint16_t kBase = 0x1F0;
  static constexpr std::uint16_t kControl = 0x3F6;
  static constexpr std::uint32_t kTable = 0x1000;

  RecordingDevicePlatform platform;
  RecordingStorage first{4096};
  RecordingStorage second{64};
  devices::IdeChannel channel{platform, devices::kPrimaryChannel};

  IdeFixture() {
    channel.attach(0, {.storage = &first, .model = "Chronovisor disk", .serial = "CV0001"});
    channel.attach(1, {.storage = &second, .model = "Scratch", .serial = "CV0002"});
    channel.bus_master().set_enabled(true);
  }

  std::uint8_t read(std::uint32_t index) {
    return static_cast<std::uint8_t>(
        channel.read_port(static_cast<std::uint16_t>(kBase + index), 1));
  }
  void write(std::uint32_t index, std::uint32_t value) {
    channel.write_port(static_cast<std::uint16_t>(kBase + index), 1, value & 0xFF);
  }
  std::uint8_t status() { return read(7); }
  std::uint8_t alternate_status() {
    return static_cast<std::uint8_t>(channel.read_port(kControl, 1));
  }
  void control(std::uint8_t value) { channel.write_port(kControl, 1, value); }

  void command_28(std::uint8_t command, std::uint64_t sector, std::uint32_t count,
                  std::uint32_t drive = 0) {
    write(6, 0xE0 | drive << 4 | static_cast<std::uint32_t>(sector >> 24));
    write(2, count);
    write(3, static_cast<std::uint32_t>(sector));
    write(4, static_cast<std::uint32_t>(sector >> 8));
    write(5, static_cast<std::uint32_t>(sector >> 16));
    write(7, command);
  }
  void command_48(std::uint8_t command, std::uint64_t sector, std::uint32_t count) {
    write(6, 0x40);
    write(2, count >> 8);
    write(3, static_cast<std::uint32_t>(sector >> 24));
    write(4, static_cast<std::uint32_t>(sector >> 32));
    write(5, static_cast<std::uint32_t>(sector >> 40));
    write(2, count);
    write(3, static_cast<std::uint32_t>(sector));
    write(4, static_cast<std::uint32_t>(sector >> 8));
    write(5, static_cast<std::uint32_t>(sector >> 16));
    write(7, command);
  }

  std::vector<std::uint16_t> read_words(std::size_t count) {
    std::vector<std::uint16_t> words;
    for (std::size_t index = 0; index < count; ++index) {
      words.push_back(static_cast<std::uint16_t>(channel.read_port(kBase, 2)));
    }
    return words;
  }
  std::vector<std::byte> read_sector() {
    std::vector<std::byte> bytes;
    for (const std::uint16_t word : read_words(256)) {
      bytes.push_back(static_cast<std::byte>(word & 0xFF));
      bytes.push_back(static_cast<std::byte>(word >> 8));
    }
    return bytes;
  }
  void write_sector(std::uint8_t fill) {
    for (int index = 0; index < 256; ++index) {
      channel.write_port(kBase, 2, fill * 0x0101U);
    }
  }
  static std::vector<std::byte> sector_of(const RecordingStorage& storage, std::uint64_t sector) {
    const auto begin = storage.data.begin() + static_cast<std::ptrdiff_t>(sector * 512);
    return {begin, begin + 512};
  }

  void put_u32(std::uint64_t address, std::uint32_t value) {
    for (std::size_t index = 0; index < 4; ++index) {
      platform.memory[address + index] = static_cast<std::byte>(value >> (8 * index));
    }
  }
  void descriptor(std::uint32_t index, std::uint32_t address, std::uint32_t bytes, bool last) {
    put_u32(kTable + 8ULL * index, address);
    put_u32(kTable + 8ULL * index + 4, (bytes & 0xFFFF) | (last ? 0x80000000 : 0));
  }
  std::uint8_t engine_status() { return channel.bus_master().read(2); }
  void start_engine(bool to_memory) {
    for (std::uint32_t index = 0; index < 4; ++index) {
      channel.bus_master().write(4 + index, static_cast<std::uint8_t>(kTable >> (8 * index)));
    }
    channel.bus_master().write(0, to_memory ? 0x08 : 0x00);
    channel.bus_master().write(0, to_memory ? 0x09 : 0x01);
  }
};

}  // namespace test_support
