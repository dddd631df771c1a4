#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/child/workloads/storage.h"

namespace child {

namespace {

constexpr std::uint32_t kSectorBytes = 512;
/// What hashing a page costs on a processor of today.
constexpr std::uint64_t kHashPageNs = 4'000;

using Page = std::array<std::byte, machine::kPageSize>;

}  // namespace

DiskHasher::DiskHasher(Program& program, StorageClient& disk, std::uint32_t number,
                       std::uint32_t padding_bytes)
    : program_(program),
      disk_(disk),
      number_(number),
      padding_bytes_(padding_bytes),
      chunk_sectors_(std::min(program.settings().chunk_kib * 1024, disk.max_transfer_bytes()) /
                     kSectorBytes),
      chunk_pages_((chunk_sectors_ * kSectorBytes + machine::kPageSize - 1) / machine::kPageSize),
      chunk_total_((disk.sector_count() + chunk_sectors_ - 1) / chunk_sectors_),
      window_(std::clamp<std::size_t>(program.settings().in_flight, 1, kMaxChunks)) {}

bool DiskHasher::allocate() {
  for (; allocated_ < window_; ++allocated_) {
    const auto pages = program_.pages().allocate(chunk_pages_);
    if (!pages) {
      return false;
    }
    chunks_[allocated_].pages = *pages;
  }
  return true;
}

void DiskHasher::free() {
  for (std::size_t index = 0; index < allocated_; ++index) {
    program_.pages().free(chunks_[index].pages, chunk_pages_);
  }
}

std::uint32_t DiskHasher::sectors_of(std::uint64_t index) const {
  const std::uint64_t left = disk_.sector_count() - index * chunk_sectors_;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(left, chunk_sectors_));
}

std::uint32_t DiskHasher::hashed_bytes_of(std::uint64_t index) const {
  const std::uint32_t size_bytes = sectors_of(index) * kSectorBytes;
  return index + 1 == chunk_total_ ? size_bytes - padding_bytes_ : size_bytes;
}

void DiskHasher::start(std::uint64_t index) {
  if (index < chunk_total_) {
    Chunk& chunk = chunks_[index % window_];
    chunk.done.clear();
    read(chunk, index * chunk_sectors_, sectors_of(index)).spawn();
  }
}

kernel::Task<> DiskHasher::read(Chunk& chunk, std::uint64_t sector, std::uint32_t sector_count) {
  chunk.good = co_await disk_.read(sector, sector_count, chunk.pages);
  chunk.done.set();
}

void DiskHasher::hash(const Chunk& chunk, std::uint32_t size_bytes) {
  Page* page = program_.heap().create<Page>();
  for (std::uint32_t done = 0; done < size_bytes; done += machine::kPageSize) {
    const auto part =
        std::span(*page).first(std::min<std::size_t>(size_bytes - done, machine::kPageSize));
    machine::read_memory(machine::Gpa(chunk.pages) + done, part);
    sha256_.add(part);
    machine::spend(kHashPageNs);
  }
  program_.heap().destroy(page);
}

kernel::Task<bool> DiskHasher::run() {
  bool good = allocate();
  for (std::uint64_t index = 0; good && index < window_; ++index) {
    start(index);
  }
  // After a failure the chunks that are under way are still waited for: they write to our pages.
  for (std::uint64_t index = 0; index < chunk_total_ && (good || index < window_); ++index) {
    if (allocated_ < window_) {
      break;
    }
    Chunk& chunk = chunks_[index % window_];
    co_await chunk.done.wait();
    good = good && chunk.good;
    if (good) {
      hash(chunk, hashed_bytes_of(index));
      start(index + window_);
    }
  }
  free();
  if (good) {
    const auto digest = sha256_.finish();
    kernel::TextLine text;
    text << "disk " << number_ << " sha256 " << kernel::HexBytes{digest};
    program_.console().line(text.view());
  }
  co_return good;
}

}  // namespace child
