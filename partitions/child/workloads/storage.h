// The storage workload: the whole first disk is read and hashed, then the second is written, read
// and flushed at random, every byte checked, and hashed too once all is flushed.
#pragma once

#include <cstdint>
#include <optional>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/program.h"
#include "partitions/child/storage/storage_client.h"
#include "partitions/child/workloads/block_model.h"
#include "partitions/child/workloads/sha256.h"
#include "partitions/kernel/random.h"

namespace child {

/// How the child uses its bus and its disks, as its parameters say.
[[nodiscard]] BusOptions bus_options_of(Program& program);
[[nodiscard]] StorageOptions storage_options_of(const Program& program);

/// Reads a disk from end to end with several requests in flight and hashes it in order.
class DiskHasher {
 public:
  /// `number` is the disk's, for the log; the last `padding_bytes` of less than a sector are read,
  /// but not hashed.
  DiskHasher(Program& program, StorageClient& disk, std::uint32_t number,
             std::uint32_t padding_bytes);

  /// False if a read failed; otherwise the digest has been logged.
  kernel::Task<bool> run();

 private:
  static constexpr std::size_t kMaxChunks = 32;

  struct Chunk {
    machine::Gpn pages;
    kernel::Event done;
    bool good = false;
  };

  [[nodiscard]] bool allocate();
  void free();
  void start(std::uint64_t index);
  kernel::Task<> read(Chunk& chunk, std::uint64_t sector, std::uint32_t sector_count);
  void hash(const Chunk& chunk, std::uint32_t size_bytes);
  [[nodiscard]] std::uint32_t sectors_of(std::uint64_t index) const;
  [[nodiscard]] std::uint32_t hashed_bytes_of(std::uint64_t index) const;

  Program& program_;
  StorageClient& disk_;
  std::uint32_t number_;
  std::uint32_t padding_bytes_;
  std::uint32_t chunk_sectors_;
  std::uint64_t chunk_pages_;
  std::uint64_t chunk_total_;
  std::size_t window_;
  std::size_t allocated_ = 0;
  std::array<Chunk, kMaxChunks> chunks_;
  Sha256 sha256_;
};

/// Writes, reads and flushes at random places, in random sizes, several at once.
class RandomTester {
 public:
  RandomTester(Program& program, StorageClient& disk);

  /// False if a request failed or a sector was not what it must be.
  kernel::Task<bool> run();

 private:
  static constexpr std::uint32_t kMaxSectors = 64;
  static constexpr std::uint32_t kModelSectors = 16384;

  kernel::Task<> worker(std::size_t place);
  kernel::Task<bool> one_request(std::size_t place, machine::Gpn buffer);
  kernel::Task<bool> write(SectorRange range, machine::Gpn buffer);
  kernel::Task<bool> read(SectorRange range, machine::Gpn buffer);
  [[nodiscard]] std::optional<SectorRange> choose_range();
  void fill(const SectorRange& range, std::uint32_t version, machine::Gpn buffer) const;
  [[nodiscard]] bool check(const SectorRange& range, machine::Gpn buffer) const;

  Program& program_;
  StorageClient& disk_;
  kernel::Random random_;
  BlockModel model_;
  std::uint32_t left_;
  std::uint32_t workers_ = 0;
  bool good_ = true;
  kernel::Event all_done_;
};

}  // namespace child
