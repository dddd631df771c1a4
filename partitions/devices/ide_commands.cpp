// What an ATA drive does with its commands.
#include <algorithm>

#include "partitions/devices/ata.h"
#include "partitions/devices/ide_drive.h"

namespace devices {

void IdeDrive::execute(std::uint8_t command) {
  force_unit_access_ = command == ata::kWriteDmaFuaExt;
  switch (command) {
    case ata::kReadSectors:
    case ata::kReadSectorsExt:
      start_transfer(command, false, false);
      return;
    case ata::kWriteSectors:
    case ata::kWriteSectorsExt:
      start_transfer(command, true, false);
      return;
    case ata::kReadDma:
    case ata::kReadDmaExt:
      start_transfer(command, false, true);
      return;
    case ata::kWriteDma:
    case ata::kWriteDmaExt:
    case ata::kWriteDmaFuaExt:
      start_transfer(command, true, true);
      return;
    case ata::kIdentifyDevice:
      wait_for_medium(Phase::kReadingSector, 0);
      return;
    default:
      wait_for_medium(Phase::kNoData, 0);
      return;
  }
}

void IdeDrive::start_transfer(std::uint8_t command, bool write, bool dma) {
  constexpr std::array<std::uint8_t, 5> kExtended{ata::kReadSectorsExt, ata::kReadDmaExt,
                                                  ata::kWriteSectorsExt, ata::kWriteDmaExt,
                                                  ata::kWriteDmaFuaExt};
  const bool extended = std::ranges::find(kExtended, command) != kExtended.end();
  if (!take_extent(extended)) {
    return;
  }
  direction_ = write ? DmaDirection::kFromMemory : DmaDirection::kToMemory;
  if (!dma) {
    if (write) {
      // ATA 9.6: the first sector is asked for without an interrupt.
      host_may_transfer(Phase::kHostWrites, false);
    } else {
      wait_for_medium(Phase::kReadingSector, 1);
    }
    return;
  }
  phase_ = Phase::kDmaWaiting;
  status_ = ata::kReady | ata::kDataRequest;
  dma_engine_changed();
}

bool IdeDrive::take_address(bool extended) {
  const std::uint64_t low = lba_[0].current | static_cast<std::uint64_t>(lba_[1].current) << 8 |
                            static_cast<std::uint64_t>(lba_[2].current) << 16;
  const bool by_lba = (device_ & ata::kLbaMode) != 0;
  if (extended) {
    sector_ = low | static_cast<std::uint64_t>(lba_[0].previous) << 24 |
              static_cast<std::uint64_t>(lba_[1].previous) << 32 |
              static_cast<std::uint64_t>(lba_[2].previous) << 40;
    return by_lba;
  }
  if (by_lba) {
    sector_ = low | static_cast<std::uint64_t>(device_ & 0x0F) << 24;
    return true;
  }
  const std::uint64_t cylinder = low >> 8;
  const std::uint64_t in_track = low & 0xFF;
  if (in_track == 0 || in_track > ata::kSectorsPerTrack) {
    return false;
  }
  const std::uint64_t track = cylinder * ata::kHeads + (device_ & 0x0F);
  sector_ = track * ata::kSectorsPerTrack + in_track - 1;
  return true;
}

bool IdeDrive::take_extent(bool extended) {
  extended_ = extended;
  const bool addressable = take_address(extended);
  // ATA 5.3: a count of zero stands for the largest.
  const std::uint32_t count =
      extended ? static_cast<std::uint32_t>(count_.previous) << 8 | count_.current : count_.current;
  const std::uint32_t largest = extended ? 0x10000 : 0x100;
  remaining_ = count == 0 ? largest : count;
  const std::uint64_t capacity = storage_->sector_count();
  if (!addressable || sector_ >= capacity || remaining_ > capacity - sector_) {
    finish(ata::kIdNotFound);
    return false;
  }
  return true;
}

std::uint8_t IdeDrive::execute_without_data(std::uint8_t command) {
  switch (command) {
    case ata::kFlushCache:
    case ata::kFlushCacheExt:
    case ata::kStandbyImmediate:
      return flush();
    case ata::kSetFeatures:
      return set_features();
    case ata::kCheckPowerMode:
      count_.current = 0xFF;  // active
      return 0;
    case ata::kReadVerify:
    case ata::kReadVerifyExt: {
      if (!take_extent(command == ata::kReadVerifyExt)) {
        return error_;
      }
      for (; remaining_ != 0; advance(1)) {
        const auto sector = std::span(buffer_).first(kSectorBytes);
        const std::uint8_t error = storage_error(storage_->read(sector_, sector));
        if (error != 0) {
          show_address();
          return error;
        }
      }
      return 0;
    }
    case ata::kExecuteDiagnostic:
    case ata::kInitializeParameters:
    case ata::kIdleImmediate:
      return 0;
    default:
      // Commands 0x10..0x1F were one in old drives.
      return (command & 0xF0) == ata::kRecalibrate ? 0 : ata::kAborted;
  }
}

std::uint8_t IdeDrive::flush() {
  return storage_->flush() == StorageStatus::kOk ? 0 : ata::kAborted;
}

std::uint8_t IdeDrive::set_features() {
  switch (features_.current) {
    case ata::kEnableWriteCache:
      write_cache_ = true;
      return 0;
    case ata::kDisableWriteCache: {
      // ATA 6.49.5: what is in the cache goes to the medium first.
      const std::uint8_t error = flush();
      write_cache_ = error != 0 && write_cache_;
      return error;
    }
    case ata::kSetTransferMode: {
      const std::uint8_t mode = count_.current & 0x07;
      switch (count_.current >> 3) {
        case 0:  // default PIO mode
        case 1:  // PIO mode with flow control
          return mode <= 4 ? 0 : ata::kAborted;
        case 4:  // multiword DMA
          if (mode > 2) {
            return ata::kAborted;
          }
          break;
        case 8:  // Ultra DMA
          if (mode > 5) {
            return ata::kAborted;
          }
          break;
        default:
          return ata::kAborted;
      }
      transfer_mode_ = count_.current;
      return 0;
    }
    case ata::kEnableReadLookAhead:
    case ata::kDisableReadLookAhead:
      return 0;
    default:
      return ata::kAborted;
  }
}

std::uint8_t IdeDrive::storage_error(StorageStatus status) const {
  switch (status) {
    case StorageStatus::kOk:
      return 0;
    case StorageStatus::kUnreadable:
      return ata::kUncorrectable;
    case StorageStatus::kWriteFailed:
      return ata::kAborted;
  }
  return ata::kAborted;
}

Durability IdeDrive::durability() const {
  return write_cache_ && !force_unit_access_ ? Durability::kVolatile : Durability::kDurable;
}

void IdeDrive::advance(std::uint64_t sectors) {
  sector_ += sectors;
  remaining_ -= sectors;
}

void IdeDrive::show_address() {
  if (!extended_ && (device_ & ata::kLbaMode) == 0) {
    const std::uint64_t track = sector_ / ata::kSectorsPerTrack;
    lba_[0].current = static_cast<std::uint8_t>(sector_ % ata::kSectorsPerTrack + 1);
    lba_[1].current = static_cast<std::uint8_t>(track / ata::kHeads);
    lba_[2].current = static_cast<std::uint8_t>(track / ata::kHeads >> 8);
    device_ = static_cast<std::uint8_t>((device_ & 0xF0) | track % ata::kHeads);
    return;
  }
  for (std::size_t index = 0; index < lba_.size(); ++index) {
    lba_[index].current = static_cast<std::uint8_t>(sector_ >> (8 * index));
    if (extended_) {
      lba_[index].previous = static_cast<std::uint8_t>(sector_ >> (8 * index + 24));
    }
  }
  if (!extended_) {
    device_ = static_cast<std::uint8_t>((device_ & 0xF0) | (sector_ >> 24 & 0x0F));
  }
}

void IdeDrive::read_next_sector() {
  if (command_ == ata::kIdentifyDevice) {
    identify();
    return;
  }
  const auto sector = std::span(buffer_).first(kSectorBytes);
  const std::uint8_t error = storage_error(storage_->read(sector_, sector));
  if (error != 0) {
    show_address();
    finish(error);
    return;
  }
  host_may_transfer(Phase::kHostReads, true);
}

void IdeDrive::write_received_sector() {
  const auto sector = std::span<const std::byte>(buffer_).first(kSectorBytes);
  const std::uint8_t error = storage_error(storage_->write(sector_, sector, durability()));
  if (error != 0) {
    show_address();
    finish(error);
    return;
  }
  advance(1);
  if (remaining_ == 0) {
    finish(0);
  } else {
    host_may_transfer(Phase::kHostWrites, true);
  }
}

bool IdeDrive::dma_read(std::span<std::byte> buffer) {
  const std::uint8_t error = storage_error(storage_->read(sector_, buffer));
  if (error != 0) {
    show_address();
    finish(error);
    return false;
  }
  return bus_master_.to_memory(buffer);
}

bool IdeDrive::dma_write(std::span<std::byte> buffer) {
  if (!bus_master_.from_memory(buffer)) {
    return false;
  }
  const std::uint8_t error = storage_error(storage_->write(sector_, buffer, durability()));
  if (error != 0) {
    show_address();
    finish(error);
    return false;
  }
  return true;
}

void IdeDrive::run_dma() {
  while (remaining_ != 0) {
    const std::uint64_t sectors = std::min<std::uint64_t>(remaining_, kBufferSectors);
    const auto buffer = std::span(buffer_).first(sectors * kSectorBytes);
    const bool moved = direction_ == DmaDirection::kToMemory ? dma_read(buffer) : dma_write(buffer);
    if (!moved) {
      if (phase_ == Phase::kDmaRunning) {
        // The descriptor table was too short: the drive waits for an engine that has stopped.
        phase_ = Phase::kDmaWaiting;
        status_ = ata::kReady | ata::kDataRequest;
      }
      return;
    }
    advance(sectors);
  }
  finish(0);
}

}  // namespace devices
