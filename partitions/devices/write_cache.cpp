#include "partitions/devices/write_cache.h"

#include <algorithm>

namespace devices {

WriteCache::WriteCache(Platform& platform, BlockStorage& medium, std::span<CachedSector> slots)
    : platform_(platform), medium_(medium), slots_(slots) {}

std::uint64_t WriteCache::sector_count() const { return medium_.sector_count(); }

CachedSector* WriteCache::find(std::uint64_t sector) {
  for (CachedSector& slot : slots_) {
    if (slot.sequence != 0 && slot.sector == sector) {
      return &slot;
    }
  }
  return nullptr;
}

CachedSector* WriteCache::oldest() {
  CachedSector* result = nullptr;
  for (CachedSector& slot : slots_) {
    if (slot.sequence != 0 && (result == nullptr || slot.sequence < result->sequence)) {
      result = &slot;
    }
  }
  return result;
}

void WriteCache::release(CachedSector& slot) {
  slot.sequence = 0;
  --used_;
}

StorageStatus WriteCache::destage(CachedSector& slot) {
  const StorageStatus status = medium_.write(slot.sector, slot.data, Durability::kDurable);
  if (status == StorageStatus::kOk) {
    release(slot);
  }
  return status;
}

StorageStatus WriteCache::read(std::uint64_t sector, std::span<std::byte> destination) {
  const std::size_t sectors = destination.size() / kSectorBytes;
  if (used_ == 0) {
    return medium_.read(sector, destination);
  }
  for (std::size_t index = 0; index < sectors; ++index) {
    const auto part = destination.subspan(index * kSectorBytes, kSectorBytes);
    const CachedSector* const slot = find(sector + index);
    if (slot != nullptr) {
      std::ranges::copy(slot->data, part.begin());
      continue;
    }
    const StorageStatus status = medium_.read(sector + index, part);
    if (status != StorageStatus::kOk) {
      return status;
    }
  }
  return StorageStatus::kOk;
}

StorageStatus WriteCache::cache_sector(std::uint64_t sector, std::span<const std::byte> source) {
  CachedSector* slot = find(sector);
  if (slot == nullptr) {
    if (slots_.empty()) {
      return medium_.write(sector, source, Durability::kDurable);
    }
    if (used_ == slots_.size()) {
      const StorageStatus status = destage(*oldest());
      if (status != StorageStatus::kOk) {
        return status;
      }
    }
    slot = &*std::ranges::find(slots_, std::uint64_t{0}, &CachedSector::sequence);
    ++used_;
  }
  slot->sector = sector;
  slot->sequence = next_sequence_++;
  std::ranges::copy(source, slot->data.begin());
  return StorageStatus::kOk;
}

StorageStatus WriteCache::write(std::uint64_t sector, std::span<const std::byte> source,
                                Durability durability) {
  const std::size_t sectors = source.size() / kSectorBytes;
  if (durability == Durability::kVolatile) {
    for (std::size_t index = 0; index < sectors; ++index) {
      const StorageStatus status =
          cache_sector(sector + index, source.subspan(index * kSectorBytes, kSectorBytes));
      if (status != StorageStatus::kOk) {
        return status;
      }
    }
    return StorageStatus::kOk;
  }
  const StorageStatus status = medium_.write(sector, source, Durability::kDurable);
  if (status == StorageStatus::kOk) {
    // What the cache held of these sectors is older.
    for (std::size_t index = 0; index < sectors && used_ != 0; ++index) {
      CachedSector* const slot = find(sector + index);
      if (slot != nullptr) {
        release(*slot);
      }
    }
  }
  return status;
}

StorageStatus WriteCache::flush() {
  for (CachedSector* slot = oldest(); slot != nullptr; slot = oldest()) {
    const StorageStatus status = destage(*slot);
    if (status != StorageStatus::kOk) {
      return status;
    }
  }
  return medium_.flush();
}

void WriteCache::power_loss() {
  for (CachedSector* slot = oldest(); slot != nullptr; slot = oldest()) {
    const std::uint32_t survives = platform_.decide(kDestagedSite, 2);
    if (survives == 0 || destage(*slot) != StorageStatus::kOk) {
      release(*slot);
    }
  }
}

}  // namespace devices
