#include "partitions/root/disks/disks.h"

#include "partitions/root/disks/pci.h"

namespace root {

namespace {

constexpr std::uint16_t kIdeClass = 0x0101;
constexpr std::uint8_t kPciCommand = 0x04;
constexpr std::uint32_t kIoAndBusMaster = 0x05;
constexpr std::uint8_t kBusMasterBar = 0x20;
constexpr std::uint32_t kBarAddressMask = 0xFFF0;
constexpr std::uint16_t kBusMasterSpan = 8;

}  // namespace

Disks::Disks(kernel::Kernel& kernel) : kernel_(kernel) {}

void Disks::set_up(LegacyInterrupts& interrupts) {
  const auto controller = find_pci_class(kIdeClass);
  if (!controller) {
    return;
  }
  const std::uint32_t command = read_pci(*controller, kPciCommand);
  write_pci(*controller, kPciCommand, (command & 0xFFFF) | kIoAndBusMaster);
  const std::uint32_t bar = read_pci(*controller, kBusMasterBar);
  const auto bus_master = static_cast<std::uint16_t>(bar & kBarAddressMask);
  if (bus_master == 0) {
    return;
  }
  const std::array<AtaChannelPorts, 2> ports = {{
      {0x1F0, 0x3F6, bus_master, 14},
      {0x170, 0x376, static_cast<std::uint16_t>(bus_master + kBusMasterSpan), 15},
  }};
  for (std::size_t index = 0; index < channels_.size(); ++index) {
    auto* channel = kernel_.heap().create<AtaChannel>(kernel_, ports[index]);
    if (channel->set_up(interrupts)) {
      channels_[index] = channel;
    } else {
      kernel_.heap().destroy(channel);
    }
  }
}

std::uint64_t Disks::sector_count(std::uint32_t disk) const {
  if (disk >= kMaxDisks || channels_[disk / 2] == nullptr) {
    return 0;
  }
  return channels_[disk / 2]->sector_count(disk % 2);
}

kernel::Task<DiskStatus> Disks::run(std::uint32_t disk, DiskCommand& command) {
  const std::uint64_t sectors = sector_count(disk);
  if (sectors == 0 || command.sector > sectors || sectors - command.sector < command.sector_count) {
    co_return DiskStatus::kFailed;
  }
  command.drive = disk % 2;
  const DiskStatus status = co_await channels_[disk / 2]->run(command);
  co_return status;
}

}  // namespace root
