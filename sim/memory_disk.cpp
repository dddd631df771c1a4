#include "sim/memory_disk.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace sim {

using devices::kSectorBytes;
using devices::StorageStatus;

MemoryDisk::MemoryDisk(std::uint64_t size_bytes, std::shared_ptr<const Bytes> content)
    : sector_count_(size_bytes / kSectorBytes), content_(std::move(content)) {
  if (size_bytes == 0 || size_bytes % kSectorBytes != 0) {
    throw std::invalid_argument("the size of a disk is not a positive multiple of 512");
  }
  if (content_ != nullptr && content_->size() > size_bytes) {
    throw std::invalid_argument("the content of a disk is larger than the disk");
  }
}

void MemoryDisk::read_content(std::uint64_t offset, std::span<std::byte> destination) const {
  std::uint64_t known = 0;
  if (content_ != nullptr && offset < content_->size()) {
    known = std::min<std::uint64_t>(destination.size(), content_->size() - offset);
    std::memcpy(destination.data(), content_->data() + offset, known);
  }
  std::fill(destination.begin() + static_cast<std::ptrdiff_t>(known), destination.end(),
            std::byte{0});
}

MemoryDisk::Chunk& MemoryDisk::written_chunk(std::uint64_t index) {
  std::unique_ptr<Chunk>& chunk = written_[index];
  if (chunk == nullptr) {
    chunk = std::make_unique<Chunk>();
    read_content(index * kChunkBytes, *chunk);
  }
  return *chunk;
}

StorageStatus MemoryDisk::read(std::uint64_t sector, std::span<std::byte> destination) {
  std::uint64_t offset = sector * kSectorBytes;
  while (!destination.empty()) {
    const std::uint64_t within = offset % kChunkBytes;
    const std::uint64_t size = std::min<std::uint64_t>(destination.size(), kChunkBytes - within);
    if (const auto found = written_.find(offset / kChunkBytes); found != written_.end()) {
      std::memcpy(destination.data(), found->second->data() + within, size);
    } else {
      read_content(offset, destination.first(size));
    }
    destination = destination.subspan(size);
    offset += size;
  }
  return StorageStatus::kOk;
}

StorageStatus MemoryDisk::write(std::uint64_t sector, std::span<const std::byte> source,
                                devices::Durability /*durability*/) {
  std::uint64_t offset = sector * kSectorBytes;
  while (!source.empty()) {
    const std::uint64_t within = offset % kChunkBytes;
    const std::uint64_t size = std::min<std::uint64_t>(source.size(), kChunkBytes - within);
    std::memcpy(written_chunk(offset / kChunkBytes).data() + within, source.data(), size);
    source = source.subspan(size);
    offset += size;
  }
  return StorageStatus::kOk;
}

StorageStatus MemoryDisk::flush() { return StorageStatus::kOk; }

}  // namespace sim
