#include "partitions/devices/chipset.h"

#include <algorithm>

namespace devices {
namespace {

constexpr std::uint32_t kTimerLine = 0;
constexpr std::uint32_t kSerialLine = 4;
constexpr std::uint32_t kClockLine = 8;
constexpr std::uint16_t kSerialBase = 0x3F8;
constexpr std::uint32_t kFirmwareBusMasterBase = 0xC000;
constexpr std::uint32_t kDecodeChannel = 0x8000;

constexpr std::uint64_t kMiB = 1024 * 1024;

}  // namespace

Chipset::Chipset(Platform& platform, InterruptPin& processor, ConsoleSink& console,
                 const ChipsetOptions& options)
    : interrupts_(processor),
      timer_(platform, kTimerLine),
      clock_(platform, kClockLine, options.power_on_seconds),
      serial_port_(platform, console, kSerialBase, kSerialLine),
      ide_{IdeChannel(platform, kPrimaryChannel), IdeChannel(platform, kSecondaryChannel)},
      pci_(bus_, ide_) {
  bus_.claim(0x20, 2, interrupts_);
  bus_.claim(0xA0, 2, interrupts_);
  bus_.claim(0x4D0, 2, interrupts_);
  bus_.claim(0x40, 4, timer_);
  bus_.claim(0x61, 1, timer_);
  bus_.claim(0x70, 2, clock_);
  bus_.claim(kSerialBase, 8, serial_port_);
  bus_.claim(0xCF8, 8, pci_);
  for (std::size_t index = 0; index < kDriveCount; ++index) {
    ide_[index / 2].attach(index % 2, options.drives[index]);
  }
  if (options.set_up_by_firmware) {
    set_up_as_firmware(options.memory_size_bytes);
  }
}

void Chipset::set_up_as_firmware(std::uint64_t memory_size_bytes) {
  pci_.write_ide_configuration(0x20, 4, kFirmwareBusMasterBase);
  pci_.write_ide_configuration(0x40, 4, kDecodeChannel << 16 | kDecodeChannel);
  pci_.write_ide_configuration(0x04, 2, 0x0001);

  // CMOS memory as PC firmware keeps it: KiB below 1 MiB, KiB above it, 64 KiB blocks above 16 MiB.
  const auto put_u16 = [this](std::uint8_t index, std::uint64_t value) {
    clock_.set_memory(index, static_cast<std::uint8_t>(value));
    clock_.set_memory(static_cast<std::uint8_t>(index + 1), static_cast<std::uint8_t>(value >> 8));
  };
  const std::uint64_t above_1 = memory_size_bytes > kMiB ? memory_size_bytes - kMiB : 0;
  const std::uint64_t above_16 = memory_size_bytes > 16 * kMiB ? memory_size_bytes - 16 * kMiB : 0;
  put_u16(0x15, 640);
  put_u16(0x17, std::min<std::uint64_t>(above_1 / 1024, 0xFFFF));
  put_u16(0x30, std::min<std::uint64_t>(above_1 / 1024, 0xFFFF));
  put_u16(0x34, std::min<std::uint64_t>(above_16 / (64 * 1024), 0xFFFF));
}

std::uint32_t Chipset::read_port(std::uint16_t port, std::uint32_t size) {
  return bus_.read_port(port, size);
}

void Chipset::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  bus_.write_port(port, size, value);
}

void Chipset::set_interrupt_line(std::uint32_t line, bool level) {
  interrupts_.set_line(line, level);
}

std::uint8_t Chipset::acknowledge_interrupt() { return interrupts_.acknowledge(); }

}  // namespace devices
