#include "sim/memory_disk.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace {

using devices::kSectorBytes;

sim::Bytes pattern(std::size_t size, unsigned start) {
  sim::Bytes bytes(size);
  for (std::size_t index = 0; index < size; ++index) {
    bytes[index] = static_cast<std::byte>(start + index * 7);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a disk holds its content, then zeros, then what was written", "[sim][disk]") {
  const auto content = std::make_shared<sim::Bytes>(pattern(1000, 3));
  sim::MemoryDisk disk(1 << 20, content);
  CHECK(disk.sector_count() == 2048);
  sim::Bytes read(3 * kSectorBytes);
  CHECK(disk.read(0, read) == devices::StorageStatus::kOk);
  sim::Bytes expected = *content;
  expected.resize(3 * kSectorBytes);
  CHECK(read == expected);

  // Over the border of two of the disk's chunks.
  const sim::Bytes written = pattern(4 * kSectorBytes, 9);
  CHECK(disk.write(126, written, devices::Durability::kDurable) == devices::StorageStatus::kOk);
  sim::Bytes again(6 * kSectorBytes);
  CHECK(disk.read(125, again) == devices::StorageStatus::kOk);
  CHECK(std::equal(written.begin(), written.end(), again.begin() + kSectorBytes));
  CHECK(again.front() == std::byte{0});
  CHECK(again.back() == std::byte{0});
}

TEST_CASE("writing one sector keeps its neighbours", "[sim][disk]") {
  const auto content = std::make_shared<sim::Bytes>(pattern(1 << 17, 1));
  sim::MemoryDisk disk(1 << 17, content);
  const sim::Bytes written(kSectorBytes, std::byte{0xEE});
  CHECK(disk.write(7, written, devices::Durability::kVolatile) == devices::StorageStatus::kOk);
  sim::Bytes read(1 << 17);
  CHECK(disk.read(0, read) == devices::StorageStatus::kOk);
  sim::Bytes expected = *content;
  std::copy(written.begin(), written.end(), expected.begin() + 7 * kSectorBytes);
  CHECK(read == expected);
}

TEST_CASE("impossible disks are refused", "[sim][disk]") {
  CHECK_THROWS(sim::MemoryDisk(1000, nullptr));
  CHECK_THROWS(sim::MemoryDisk(0, nullptr));
  CHECK_THROWS(sim::MemoryDisk(512, std::make_shared<sim::Bytes>(513)));
}
