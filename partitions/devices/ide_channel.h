// An IDE channel: a cable with up to two drives, its control block and its DMA engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "partitions/devices/bus_master.h"
#include "partitions/devices/ide_drive.h"
#include "partitions/devices/platform.h"

namespace devices {

struct ChannelPorts {
  std::uint16_t command_block = 0;
  std::uint16_t control_block = 0;
  std::uint32_t interrupt_line = 0;
};

inline constexpr ChannelPorts kPrimaryChannel{0x1F0, 0x3F6, 14};
inline constexpr ChannelPorts kSecondaryChannel{0x170, 0x376, 15};

/// Decodes eight ports of the command block and one of the control block. A channel without drives
/// reads all-ones; a drive that is selected but absent beside a present one reads zero in its
/// status (ATA 7: device 0 answers for it).
class IdeChannel final : public PortDevice, private DriveCable {
 public:
  IdeChannel(Platform& platform, const ChannelPorts& ports);
  IdeChannel(const IdeChannel&) = delete;
  IdeChannel& operator=(const IdeChannel&) = delete;

  void attach(std::size_t drive, const DriveDescription& description);

  [[nodiscard]] const ChannelPorts& ports() const { return ports_; }
  [[nodiscard]] BusMaster& bus_master() { return bus_master_; }

  [[nodiscard]] std::uint32_t read_port(std::uint16_t port, std::uint32_t size) override;
  void write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) override;

 private:
  void interrupt_changed() override;

  [[nodiscard]] std::uint8_t read_register(std::uint32_t index);
  void write_register(std::uint32_t index, std::uint8_t value);
  [[nodiscard]] std::uint32_t read_data(std::uint32_t size);
  void write_data(std::uint32_t size, std::uint32_t value);
  void write_control(std::uint8_t value);
  [[nodiscard]] IdeDrive& selected() { return drives_[selected_]; }
  [[nodiscard]] std::uint8_t status();

  Platform& platform_;
  ChannelPorts ports_;
  BusMaster bus_master_;
  std::array<IdeDrive, 2> drives_;
  std::size_t selected_ = 0;
  std::uint8_t control_ = 0;
  bool interrupt_level_ = false;
  /// What the interrupt controller sees of it.
  bool line_level_ = false;
};

}  // namespace devices
