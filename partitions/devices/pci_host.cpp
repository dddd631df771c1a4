#include "partitions/devices/pci_host.h"

#include <span>

namespace devices {
namespace {

constexpr std::uint16_t kAddressPort = 0xCF8;
constexpr std::uint16_t kDataPort = 0xCFC;
constexpr std::uint32_t kEnable = 0x80000000;

// Offsets in configuration space (PCI 6.1).
constexpr std::uint8_t kCommand = 0x04;
constexpr std::uint8_t kStatusHigh = 0x07;
constexpr std::uint8_t kInterruptLine = 0x3C;
constexpr std::uint8_t kBusMasterBase = 0x20;
/// PIIX3 2.3.9: IDETIM, one word for each channel; bit 15 decodes the channel's ports.
constexpr std::uint8_t kIdeTiming = 0x40;
constexpr std::uint8_t kSlaveTiming = 0x44;

constexpr std::uint8_t kCommandIo = 0x01;
constexpr std::uint8_t kCommandBusMaster = 0x04;

constexpr std::uint16_t kBusMasterPorts = 16;

struct Identity {
  std::uint16_t vendor;
  std::uint16_t device;
  std::uint8_t revision;
  std::uint32_t class_code;
  std::uint8_t header_type;
};

constexpr Identity kHostBridge{0x8086, 0x1237, 0x02, 0x060000, 0x00};
/// Header type 0x80: the device has several functions.
constexpr Identity kIsaBridge{0x8086, 0x7000, 0x00, 0x060100, 0x80};
/// Programming interface 0x80: a bus master, channels at their legacy ports.
constexpr Identity kIdeFunction{0x8086, 0x7010, 0x00, 0x010180, 0x00};

void identify(std::span<std::uint8_t, 256> function, const Identity& identity) {
  function[0x00] = static_cast<std::uint8_t>(identity.vendor);
  function[0x01] = static_cast<std::uint8_t>(identity.vendor >> 8);
  function[0x02] = static_cast<std::uint8_t>(identity.device);
  function[0x03] = static_cast<std::uint8_t>(identity.device >> 8);
  function[0x08] = identity.revision;
  function[0x09] = static_cast<std::uint8_t>(identity.class_code);
  function[0x0A] = static_cast<std::uint8_t>(identity.class_code >> 8);
  function[0x0B] = static_cast<std::uint8_t>(identity.class_code >> 16);
  function[0x0E] = identity.header_type;
  // PIIX3 and 440FX: DEVSEL timing medium.
  function[kStatusHigh] = 0x02;
}

/// The bits of a byte of the IDE function that software may change.
constexpr std::uint8_t writable_bits(std::uint8_t offset) {
  switch (offset) {
    case kCommand:
      return kCommandIo | kCommandBusMaster;
    case 0x0D:            // latency timer
    case kBusMasterBase:  // sixteen ports; bit 0 tells that they are ports
      return 0xF0;
    case kBusMasterBase + 1:
    case kInterruptLine:
    case kIdeTiming:
    case kIdeTiming + 1:
    case kIdeTiming + 2:
    case kIdeTiming + 3:
    case kSlaveTiming:
      return 0xFF;
    default:
      return 0;
  }
}

}  // namespace

std::uint32_t PciHost::BusMasterPorts::read_port(std::uint16_t port, std::uint32_t size) {
  std::uint32_t value = 0;
  for (std::uint32_t index = 0; index < size; ++index) {
    const std::uint32_t offset = (static_cast<std::uint32_t>(port - base_) + index) & 0x0F;
    BusMaster& engine = ide_[offset / 8].bus_master();
    value |= static_cast<std::uint32_t>(engine.read(offset % 8)) << (8 * index);
  }
  return value;
}

void PciHost::BusMasterPorts::write_port(std::uint16_t port, std::uint32_t size,
                                         std::uint32_t value) {
  for (std::uint32_t index = 0; index < size; ++index) {
    const std::uint32_t offset = (static_cast<std::uint32_t>(port - base_) + index) & 0x0F;
    ide_[offset / 8].bus_master().write(offset % 8,
                                        static_cast<std::uint8_t>(value >> (8 * index)));
  }
}

PciHost::PciHost(PortBus& bus, std::array<IdeChannel, 2>& ide)
    : bus_(bus), ide_(ide), bus_master_(ide) {
  identify(host_bridge_, kHostBridge);
  identify(isa_bridge_, kIsaBridge);
  identify(ide_function_, kIdeFunction);
  ide_function_[kBusMasterBase] = 0x01;
  for (std::size_t index = 0; index < ide.size(); ++index) {
    const ChannelPorts& ports = ide[index].ports();
    channel_ranges_[2 * index] = bus.claim(ports.command_block, 8, ide[index]);
    channel_ranges_[2 * index + 1] = bus.claim(ports.control_block, 1, ide[index]);
  }
  bus_master_range_ = bus.claim(0, kBusMasterPorts, bus_master_);
  apply_ide_configuration();
}

PciHost::Configuration* PciHost::selected() {
  if ((address_ & kEnable) == 0) {
    return nullptr;
  }
  // Bus 0 only; bits 15..8 are device and function.
  switch (address_ >> 8 & 0xFFFF) {
    case 0x0000:
      return &host_bridge_;
    case 0x0008:
      return &isa_bridge_;
    case 0x0009:
      return &ide_function_;
    default:
      return nullptr;
  }
}

std::uint32_t PciHost::read_port(std::uint16_t port, std::uint32_t size) {
  if (port < kDataPort) {
    // Only an access of 32 bits reaches the address register (PCI 3.2.2.3.2).
    return port == kAddressPort && size == 4 ? address_ : 0xFFFFFFFF;
  }
  const Configuration* const function = selected();
  if (function == nullptr) {
    return 0xFFFFFFFF;
  }
  std::uint32_t value = 0;
  for (std::uint32_t index = 0; index < size; ++index) {
    const std::uint32_t lane = static_cast<std::uint32_t>(port - kDataPort) + index;
    const std::uint32_t byte = lane < 4 ? (*function)[(address_ & 0xFC) + lane] : 0xFF;
    value |= byte << (8 * index);
  }
  return value;
}

void PciHost::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  if (port < kDataPort) {
    if (port == kAddressPort && size == 4) {
      address_ = value & 0x80FFFFFC;
    }
    return;
  }
  Configuration* const function = selected();
  if (function == nullptr) {
    return;
  }
  for (std::uint32_t index = 0; index < size; ++index) {
    const std::uint32_t lane = static_cast<std::uint32_t>(port - kDataPort) + index;
    if (lane < 4) {
      write_byte(*function, static_cast<std::uint8_t>((address_ & 0xFC) + lane),
                 static_cast<std::uint8_t>(value >> (8 * index)));
    }
  }
  apply_ide_configuration();
}

void PciHost::write_byte(Configuration& function, std::uint8_t offset, std::uint8_t value) {
  if (&function != &ide_function_) {
    return;  // nothing in the bridges can be changed here
  }
  const std::uint8_t writable = writable_bits(offset);
  function[offset] = static_cast<std::uint8_t>((function[offset] & ~writable) | (value & writable));
}

void PciHost::write_ide_configuration(std::uint8_t offset, std::uint32_t size,
                                      std::uint32_t value) {
  for (std::uint32_t index = 0; index < size; ++index) {
    write_byte(ide_function_, static_cast<std::uint8_t>(offset + index),
               static_cast<std::uint8_t>(value >> (8 * index)));
  }
  apply_ide_configuration();
}

void PciHost::apply_ide_configuration() {
  const std::uint8_t command = ide_function_[kCommand];
  const bool io = (command & kCommandIo) != 0;
  const auto base = static_cast<std::uint16_t>((ide_function_[kBusMasterBase] & 0xF0) |
                                               ide_function_[kBusMasterBase + 1] << 8);
  bus_master_.set_base(base);
  bus_.move(bus_master_range_, base, io && base != 0);
  for (std::size_t index = 0; index < ide_.size(); ++index) {
    const bool decoded = io && (ide_function_[kIdeTiming + 2 * index + 1] & 0x80) != 0;
    const ChannelPorts& ports = ide_[index].ports();
    bus_.move(channel_ranges_[2 * index], ports.command_block, decoded);
    bus_.move(channel_ranges_[2 * index + 1], ports.control_block, decoded);
    ide_[index].bus_master().set_enabled((command & kCommandBusMaster) != 0);
  }
}

}  // namespace devices
