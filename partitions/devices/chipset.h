// A PC's legacy hardware, wired: what answers the I/O ports of an i440FX/PIIX3 computer.
//
//   ports 0x20, 0xA0, 0x4D0   interrupt controller pair      0x40, 0x61   interval timer
//         0x70                clock and CMOS memory          0x3F8        serial port, line 4
//         0x1F0/0x3F6 line 14, 0x170/0x376 line 15           IDE channels, two drives each
//         0xCF8, 0xCFC        PCI configuration; the IDE function's BAR 4 is the bus master
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "partitions/devices/block_storage.h"
#include "partitions/devices/clock.h"
#include "partitions/devices/ide_channel.h"
#include "partitions/devices/interrupt_controller.h"
#include "partitions/devices/interval_timer.h"
#include "partitions/devices/pci_host.h"
#include "partitions/devices/platform.h"
#include "partitions/devices/port_bus.h"
#include "partitions/devices/serial_port.h"

namespace devices {

/// Drives in the order primary master, primary slave, secondary master, secondary slave; without
/// storage there is no drive in that place.
inline constexpr std::size_t kDriveCount = 4;

struct ChipsetOptions {
  std::array<DriveDescription, kDriveCount> drives{};
  /// Told through the CMOS memory, as firmware does.
  std::uint64_t memory_size_bytes = 0;
  /// What the clock shows at power-on, in seconds since 2000-01-01 00:00:00 UTC.
  std::uint64_t power_on_seconds = 0;
  /// Leave the PCI functions as firmware would: IDE channels decoded, BAR 4 at 0xC000, decoding
  /// on, bus mastering off. Otherwise they are as after reset.
  bool set_up_by_firmware = true;
};

/// The whole board. Platform::set_interrupt_line(line, level) of the given platform is expected to
/// end in set_interrupt_line here, perhaps later and perhaps (a fault) not at all.
class Chipset final : public PortDevice {
 public:
  Chipset(Platform& platform, InterruptPin& processor, ConsoleSink& console,
          const ChipsetOptions& options);
  Chipset(const Chipset&) = delete;
  Chipset& operator=(const Chipset&) = delete;

  /// What a processor's IN and OUT reach; ports that no device decodes read all-ones.
  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

  void set_interrupt_line(std::uint32_t line, bool level);
  /// The processor's interrupt acknowledge cycle: the vector. The request pin may change.
  [[nodiscard]] std::uint8_t acknowledge_interrupt();

  [[nodiscard]] SerialPort& serial_port() { return serial_port_; }
  [[nodiscard]] IdeChannel& ide_channel(std::size_t index) { return ide_[index]; }

 private:
  void set_up_as_firmware(std::uint64_t memory_size_bytes);

  PortBus bus_;
  InterruptController interrupts_;
  IntervalTimer timer_;
  Clock clock_;
  SerialPort serial_port_;
  std::array<IdeChannel, 2> ide_;
  PciHost pci_;
};

}  // namespace devices
