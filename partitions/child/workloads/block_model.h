// What a disk must hold: which write each sector shows, and who is at it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "partitions/kernel/heap.h"

namespace child {

struct SectorRange {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

/// Sectors [0, sector_count) of one disk. A sector that was never written is not checked. Requests
/// that are under way at the same time do not overlap, so each read has one right answer.
class BlockModel {
 public:
  static constexpr std::size_t kSectorBytes = 512;
  using Sector = std::array<std::byte, kSectorBytes>;

  BlockModel(kernel::Heap& heap, std::uint64_t seed, std::uint32_t sector_count);
  ~BlockModel();
  BlockModel(const BlockModel&) = delete;
  BlockModel& operator=(const BlockModel&) = delete;

  [[nodiscard]] std::uint32_t sector_count() const { return sector_count_; }

  /// Whether a request on the range may start.
  [[nodiscard]] bool is_free(const SectorRange& range) const;
  /// Begins and ends a request; `place` tells the requests under way apart.
  void begin(std::size_t place, const SectorRange& range);
  void end(std::size_t place);

  /// The number of a new write, and what it puts into a sector.
  [[nodiscard]] std::uint32_t next_version() { return ++version_; }
  void fill(std::uint64_t sector, std::uint32_t version, Sector& content) const;
  /// The write arrived, or may have.
  void written(const SectorRange& range, std::uint32_t version);
  void unknown(const SectorRange& range) { written(range, kUnknown); }

  /// Whether the content is what the last write to the sector put there.
  [[nodiscard]] bool is_right(std::uint64_t sector, const Sector& content) const;

 private:
  static constexpr std::uint32_t kUnknown = 0;
  static constexpr std::size_t kPlaces = 64;

  kernel::Heap& heap_;
  std::uint64_t seed_;
  std::uint32_t sector_count_;
  std::uint32_t version_ = 0;
  std::span<std::uint32_t> versions_;
  std::array<SectorRange, kPlaces> under_way_{};
};

}  // namespace child
