// What a disk keeps its sectors in. The model of the drive is above it; files, memory and faults
// are below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace devices {

inline constexpr std::uint32_t kSectorBytes = 512;

enum class StorageStatus : std::uint8_t {
  kOk,
  /// The sectors cannot be read back (ATA: UNC).
  kUnreadable,
  /// The write or flush did not happen, or not completely (ATA: IDNF or ABRT).
  kWriteFailed,
};

/// What a write promises when it has returned.
enum class Durability : std::uint8_t {
  /// A power loss before the next flush may undo the write, sector by sector.
  kVolatile,
  /// The data survives power loss.
  kDurable,
};

/// A run of sectors of 512 bytes. Callers pass whole sectors within [0, sector_count()).
///
/// A read returns what was last written to each sector, in a cache or not. After a flush has
/// returned kOk, every write that returned kOk before it survives power loss.
class BlockStorage {
 public:
  [[nodiscard]] virtual std::uint64_t sector_count() const = 0;
  [[nodiscard]] virtual StorageStatus read(std::uint64_t sector,
                                           std::span<std::byte> destination) = 0;
  [[nodiscard]] virtual StorageStatus write(std::uint64_t sector, std::span<const std::byte> source,
                                            Durability durability) = 0;
  [[nodiscard]] virtual StorageStatus flush() = 0;

 protected:
  ~BlockStorage() = default;
};

}  // namespace devices
