// PCI configuration mechanism #1 with the three functions of an i440FX/PIIX3 board that matter to a
// disk driver: host bridge 00:00.0, ISA bridge 00:01.0, IDE 00:01.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "partitions/devices/ide_channel.h"
#include "partitions/devices/platform.h"
#include "partitions/devices/port_bus.h"

namespace devices {

/// Ports 0xCF8 (32 bits only) and 0xCFC..0xCFF. Cited as "PCI": PCI Local Bus Specification 3.0;
/// "PIIX3": Intel 290550. The IDE function decodes its channels as their IDETIM words say and its
/// bus master at BAR 4 as the command register says.
class PciHost final : public PortDevice {
 public:
  PciHost(PortBus& bus, std::array<IdeChannel, 2>& ide);

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

  /// Configuration access by firmware: the IDE function.
  void write_ide_configuration(std::uint8_t offset, std::uint32_t size, std::uint32_t value);

 private:
  static constexpr std::size_t kConfigurationBytes = 256;
  using Configuration = std::array<std::uint8_t, kConfigurationBytes>;

  /// The bus master's sixteen ports: eight for each channel.
  class BusMasterPorts final : public PortDevice {
   public:
    explicit BusMasterPorts(std::array<IdeChannel, 2>& ide) : ide_(ide) {}
    void set_base(std::uint16_t base) { base_ = base; }
    [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
    void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

   private:
    std::array<IdeChannel, 2>& ide_;
    std::uint16_t base_ = 0;
  };

  [[nodiscard]] Configuration* selected();
  void write_byte(Configuration& function, std::uint8_t offset, std::uint8_t value);
  void apply_ide_configuration();

  PortBus& bus_;
  std::array<IdeChannel, 2>& ide_;
  BusMasterPorts bus_master_;
  PortBus::RangeId bus_master_range_{};
  std::array<PortBus::RangeId, 4> channel_ranges_{};
  std::uint32_t address_ = 0;
  Configuration host_bridge_{};
  Configuration isa_bridge_{};
  Configuration ide_function_{};
};

}  // namespace devices
