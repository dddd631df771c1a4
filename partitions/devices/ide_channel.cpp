#include "partitions/devices/ide_channel.h"

#include "machine/invariant.h"
#include "partitions/devices/ata.h"

namespace devices {
namespace {

constexpr std::uint32_t kDataRegister = 0;
constexpr std::uint32_t kDeviceRegister = 6;
constexpr std::uint32_t kStatusRegister = 7;

/// The drive and the bus master raise an interrupt that never arrives.
constexpr machine::Site kInterruptLost{"device.disk.interrupt_lost"};

}  // namespace

IdeChannel::IdeChannel(Platform& platform, const ChannelPorts& ports)
    : platform_(platform),
      ports_(ports),
      bus_master_(platform),
      drives_{IdeDrive(platform, bus_master_, *this), IdeDrive(platform, bus_master_, *this)} {}

void IdeChannel::attach(std::size_t drive, const DriveDescription& description) {
  INVARIANT(drive < drives_.size());
  drives_[drive].attach(description, drive == 1);
  bus_master_.set_client(selected());
}

std::uint32_t IdeChannel::read_port(std::uint16_t port, std::uint32_t size) {
  const bool any_drive = drives_[0].present() || drives_[1].present();
  if (!any_drive) {
    return 0xFFFFFFFF;
  }
  if (port == ports_.control_block) {
    return size == 1 ? status() : 0xFFFFFFFF;
  }
  const auto index = static_cast<std::uint32_t>(port - ports_.command_block);
  if (index == kDataRegister) {
    return read_data(size);
  }
  return size == 1 ? read_register(index) : 0xFFFFFFFF;
}

void IdeChannel::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  const auto index = static_cast<std::uint32_t>(port - ports_.command_block);
  if (port != ports_.control_block && index == kDataRegister) {
    write_data(size, value);
    return;
  }
  if (size != 1) {
    return;
  }
  if (port == ports_.control_block) {
    write_control(static_cast<std::uint8_t>(value));
  } else {
    write_register(index, static_cast<std::uint8_t>(value));
  }
}

std::uint8_t IdeChannel::status() { return selected().present() ? selected().status() : 0; }

std::uint8_t IdeChannel::read_register(std::uint32_t index) {
  if (index == kStatusRegister) {
    const std::uint8_t value = status();
    selected().acknowledge_interrupt();
    return value;
  }
  // The present drive answers for the absent one.
  const IdeDrive& drive = selected().present() ? selected() : drives_[1 - selected_];
  return drive.read_register(index, (control_ & ata::kHighOrderByte) != 0);
}

void IdeChannel::write_register(std::uint32_t index, std::uint8_t value) {
  // Any write to the command block ends the high-order view (ATA 5.7).
  control_ &= static_cast<std::uint8_t>(~ata::kHighOrderByte);
  if (index == kStatusRegister) {
    if (value == ata::kExecuteDiagnostic) {
      // ATA 6.13: both drives carry it out; the first one reports.
      write_register(kDeviceRegister, 0);
    }
    selected().write_command(value);
    return;
  }
  for (IdeDrive& drive : drives_) {
    drive.write_register(index, value);
  }
  if (index == kDeviceRegister) {
    selected_ = (value & ata::kSecondDrive) != 0 ? 1 : 0;
    bus_master_.set_client(selected());
    interrupt_changed();
  }
}

void IdeChannel::write_control(std::uint8_t value) {
  const auto changed = static_cast<std::uint8_t>(control_ ^ value);
  control_ = value & (ata::kHighOrderByte | ata::kSoftwareReset | ata::kInterruptsOff);
  if ((changed & ata::kSoftwareReset) != 0) {
    for (IdeDrive& drive : drives_) {
      if ((value & ata::kSoftwareReset) != 0) {
        drive.begin_reset();
      } else {
        drive.end_reset();
      }
    }
    selected_ = 0;
    bus_master_.set_client(selected());
  }
  interrupt_changed();
}

std::uint32_t IdeChannel::read_data(std::uint32_t size) {
  const std::uint32_t low = selected().read_data();
  if (size != 4) {
    return low;
  }
  const std::uint32_t high = selected().read_data();
  return high << 16 | low;
}

void IdeChannel::write_data(std::uint32_t size, std::uint32_t value) {
  selected().write_data(static_cast<std::uint16_t>(value));
  if (size == 4) {
    selected().write_data(static_cast<std::uint16_t>(value >> 16));
  }
}

void IdeChannel::interrupt_changed() {
  // Only the selected drive drives the line, and only while the host lets it (ATA 5.7: nIEN).
  const bool allowed = (control_ & ata::kInterruptsOff) == 0;
  const bool level = allowed && selected().interrupt_requested();
  if (level == interrupt_level_) {
    return;
  }
  interrupt_level_ = level;
  if (level) {
    bus_master_.interrupt_raised();
  }
  const bool arrives = level && platform_.decide(kInterruptLost, 2) == 0;
  if (arrives != line_level_) {
    line_level_ = arrives;
    platform_.set_interrupt_line(ports_.interrupt_line, arrives);
  }
}

}  // namespace devices
