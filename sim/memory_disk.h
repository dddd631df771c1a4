// The medium of a simulated disk: what it held at power-on, and above it what was written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "partitions/devices/block_storage.h"
#include "sim/world.h"

namespace sim {

class MemoryDisk final : public devices::BlockStorage {
 public:
  MemoryDisk(std::uint64_t size_bytes, std::shared_ptr<const Bytes> content);

  [[nodiscard]] std::uint64_t sector_count() const override { return sector_count_; }
  [[nodiscard]] devices::StorageStatus read(std::uint64_t sector,
                                            std::span<std::byte> destination) override;
  [[nodiscard]] devices::StorageStatus write(std::uint64_t sector,
                                             std::span<const std::byte> source,
                                             devices::Durability durability) override;
  [[nodiscard]] devices::StorageStatus flush() override;

 private:
  static constexpr std::uint64_t kChunkBytes = 64 * 1024;
  using Chunk = std::array<std::byte, kChunkBytes>;

  void read_content(std::uint64_t offset, std::span<std::byte> destination) const;
  Chunk& written_chunk(std::uint64_t index);

  std::uint64_t sector_count_ = 0;
  std::shared_ptr<const Bytes> content_;
  std::map<std::uint64_t, std::unique_ptr<Chunk>> written_;
};

}  // namespace sim
