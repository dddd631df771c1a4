#include "partitions/devices/bus_master.h"

#include <algorithm>
#include <array>

namespace devices {
namespace {

constexpr std::uint8_t kStart = 0x01;
constexpr std::uint8_t kToMemoryBit = 0x08;
constexpr std::uint8_t kActive = 0x01;
constexpr std::uint8_t kError = 0x02;
constexpr std::uint8_t kInterrupt = 0x04;
/// Set by firmware for each drive that it has prepared for DMA; the engine ignores them.
constexpr std::uint8_t kCapableBits = 0x60;

constexpr std::uint32_t kDescriptorBytes = 8;
/// Neither the table nor a region may cross a multiple of this.
constexpr std::uint32_t kBoundaryBytes = 64 * 1024;

std::uint32_t little_endian_u32(std::span<const std::byte, 4> bytes) {
  std::uint32_t value = 0;
  for (std::size_t index = 4; index-- > 0;) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[index]);
  }
  return value;
}

}  // namespace

std::uint8_t BusMaster::read(std::uint32_t index) const {
  switch (index) {
    case 0:
      return command_;
    case 2:
      return status_;
    case 4:
    case 5:
    case 6:
    case 7:
      return static_cast<std::uint8_t>(table_ >> (8 * (index - 4)));
    default:
      return 0;
  }
}

void BusMaster::write(std::uint32_t index, std::uint8_t value) {
  switch (index) {
    case 0: {
      const bool was_started = (command_ & kStart) != 0;
      const bool is_started = (value & kStart) != 0;
      // BMIDE 2.1: the direction is not changed while the engine runs.
      const std::uint8_t direction = was_started && is_started ? command_ : value;
      command_ = static_cast<std::uint8_t>((value & kStart) | (direction & kToMemoryBit));
      if (is_started && !was_started) {
        start();
      } else if (!is_started && was_started) {
        status_ &= static_cast<std::uint8_t>(~kActive);
        if (client_ != nullptr) {
          client_->dma_engine_changed();
        }
      }
      return;
    }
    case 2:
      // Interrupt and error are cleared by writing ones (BMIDE 2.2).
      status_ = static_cast<std::uint8_t>((status_ & ~kCapableBits) | (value & kCapableBits));
      status_ &= static_cast<std::uint8_t>(~(value & (kInterrupt | kError)));
      return;
    case 4:
    case 5:
    case 6:
    case 7: {
      const std::uint32_t shift = 8 * (index - 4);
      table_ = (table_ & ~(0xFFU << shift)) | static_cast<std::uint32_t>(value) << shift;
      table_ &= ~3U;
      return;
    }
    default:
      return;
  }
}

void BusMaster::start() {
  status_ |= kActive;
  next_descriptor_ = table_;
  region_bytes_ = 0;
  last_region_ = false;
  if (client_ != nullptr) {
    client_->dma_engine_changed();
  }
}

void BusMaster::set_enabled(bool enabled) {
  if (enabled != enabled_) {
    enabled_ = enabled;
    if (client_ != nullptr) {
      client_->dma_engine_changed();
    }
  }
}

bool BusMaster::ready(DmaDirection direction) const {
  const bool engine_to_memory = (command_ & kToMemoryBit) != 0;
  return enabled_ && (status_ & kActive) != 0 &&
         engine_to_memory == (direction == DmaDirection::kToMemory);
}

bool BusMaster::next_region() {
  if (last_region_) {
    return false;
  }
  std::array<std::byte, kDescriptorBytes> bytes{};
  platform_.read_memory(next_descriptor_, bytes);
  const std::span<const std::byte, kDescriptorBytes> descriptor(bytes);
  const std::uint32_t address = little_endian_u32(descriptor.first<4>());
  const std::uint32_t word = little_endian_u32(descriptor.last<4>());
  // Bit 0 of address and count do not exist; a count of zero is 64 KiB (BMIDE 1.2).
  const std::uint32_t count = word & 0xFFFE;
  region_address_ = address & ~1U;
  region_bytes_ = count == 0 ? 0x10000 : count;
  last_region_ = (word & 0x80000000) != 0;
  const std::uint32_t table_base = next_descriptor_ & ~(kBoundaryBytes - 1);
  next_descriptor_ = table_base | ((next_descriptor_ + kDescriptorBytes) & (kBoundaryBytes - 1));
  return true;
}

std::size_t BusMaster::contiguous_bytes(std::size_t wanted) const {
  const std::size_t to_boundary = kBoundaryBytes - (region_address_ & (kBoundaryBytes - 1));
  return std::min({wanted, static_cast<std::size_t>(region_bytes_), to_boundary});
}

void BusMaster::advance(std::size_t bytes) {
  // A region may not cross a 64 KiB boundary (BMIDE 1.2): the engine counts sixteen address bits,
  // so that one which does wraps to the start of its 64 KiB.
  const std::uint32_t base = region_address_ & ~(kBoundaryBytes - 1);
  const std::uint32_t offset = region_address_ + static_cast<std::uint32_t>(bytes);
  region_address_ = base | (offset & (kBoundaryBytes - 1));
  region_bytes_ -= static_cast<std::uint32_t>(bytes);
  if (region_bytes_ == 0 && last_region_) {
    // BMIDE 3.1: done with the table's last byte. If an interrupt finds the engine still active,
    // the table had more bytes than the drive.
    status_ &= static_cast<std::uint8_t>(~kActive);
  }
}

bool BusMaster::to_memory(std::span<const std::byte> source) {
  while (!source.empty()) {
    if (region_bytes_ == 0 && !next_region()) {
      status_ &= static_cast<std::uint8_t>(~kActive);
      return false;
    }
    const std::size_t bytes = contiguous_bytes(source.size());
    platform_.write_memory(region_address_, source.first(bytes));
    advance(bytes);
    source = source.subspan(bytes);
  }
  return true;
}

bool BusMaster::from_memory(std::span<std::byte> destination) {
  while (!destination.empty()) {
    if (region_bytes_ == 0 && !next_region()) {
      status_ &= static_cast<std::uint8_t>(~kActive);
      return false;
    }
    const std::size_t bytes = contiguous_bytes(destination.size());
    platform_.read_memory(region_address_, destination.first(bytes));
    advance(bytes);
    destination = destination.subspan(bytes);
  }
  return true;
}

void BusMaster::interrupt_raised() { status_ |= kInterrupt; }

}  // namespace devices
