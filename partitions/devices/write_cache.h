// A drive's volatile write cache in front of a medium: what makes FLUSH CACHE matter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "partitions/devices/block_storage.h"
#include "partitions/devices/platform.h"

namespace devices {

/// One sector that was acknowledged and is not on the medium yet.
struct CachedSector {
  std::uint64_t sector = 0;
  /// Order of acknowledgement; 0 means that the slot is free.
  std::uint64_t sequence = 0;
  std::array<std::byte, kSectorBytes> data{};
};

/// Decides, for each sector that is in the cache when the power fails, whether the drive had
/// already moved it to the medium on its own: 0 it is lost, 1 it survives.
inline constexpr machine::Site kDestagedSite{"device.disk.destaged_before_power_loss"};

/// A write-back cache of as many sectors as the caller gives slots. When it is full, the oldest
/// sector goes to the medium. Writes of a whole request are not atomic: each sector is kept or lost
/// on its own.
class WriteCache final : public BlockStorage {
 public:
  WriteCache(Platform& platform, BlockStorage& medium, std::span<CachedSector> slots);

  [[nodiscard]] std::uint64_t sector_count() const override;
  [[nodiscard]] StorageStatus read(std::uint64_t sector, std::span<std::byte> destination) override;
  [[nodiscard]] StorageStatus write(std::uint64_t sector, std::span<const std::byte> source,
                                    Durability durability) override;
  [[nodiscard]] StorageStatus flush() override;

  /// The power fails: the cache is empty afterwards. Platform::decide tells which sectors the drive
  /// had destaged already; a sector that was written again since counts with its last data only.
  void power_loss();

  [[nodiscard]] std::size_t cached_sectors() const { return used_; }

 private:
  [[nodiscard]] CachedSector* find(std::uint64_t sector);
  [[nodiscard]] CachedSector* oldest();
  [[nodiscard]] StorageStatus destage(CachedSector& slot);
  [[nodiscard]] StorageStatus cache_sector(std::uint64_t sector, std::span<const std::byte> source);
  void release(CachedSector& slot);

  Platform& platform_;
  BlockStorage& medium_;
  std::span<CachedSector> slots_;
  std::uint64_t next_sequence_ = 1;
  std::size_t used_ = 0;
};

}  // namespace devices
