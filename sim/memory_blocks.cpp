#include "sim/memory_blocks.h"

#include <bit>
#include <cstring>

namespace sim {

namespace {

constexpr std::size_t kInitialEntries = 1024;

}  // namespace

MemoryBlocks::MemoryBlocks() : entries_(kInitialEntries) {
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(entries_.size()));
}

std::byte* MemoryBlocks::add(std::uint64_t address) {
  if ((used_ + 1) * 4 > entries_.size() * 3) {
    grow();
  }
  std::uint32_t place = fresh_;
  if (!free_.empty()) {
    place = free_.back();
    free_.pop_back();
  } else if (++fresh_; place / kBlocksPerChunk == chunks_.size()) {
    // Without a value: what was never used is not touched.
    chunks_.push_back(std::unique_ptr<Chunk>(new Chunk));
  }
  insert({static_cast<std::uint32_t>(address / kBlockBytes), place});
  ++used_;
  std::byte* const fresh = block(place);
  std::memset(fresh, 0, kBlockBytes);
  return fresh;
}

void MemoryBlocks::insert(const Entry& entry) {
  std::size_t at = home_of(entry.number);
  while (entries_[at].number != kNone) {
    at = next(at);
  }
  entries_[at] = entry;
}

void MemoryBlocks::grow() {
  std::vector<Entry> old(entries_.size() * 2);
  std::swap(old, entries_);
  --shift_;
  for (const Entry& entry : old) {
    if (entry.number != kNone) {
      insert(entry);
    }
  }
}

void MemoryBlocks::remove(std::uint64_t address) {
  const std::uint64_t number = address / kBlockBytes;
  std::size_t hole = home_of(number);
  while (entries_[hole].number != number) {
    if (entries_[hole].number == kNone) {
      return;
    }
    hole = next(hole);
  }
  free_.push_back(entries_[hole].place);
  --used_;
  // Those behind it move up, unless that would take one before its home.
  for (std::size_t at = next(hole); entries_[at].number != kNone; at = next(at)) {
    const std::size_t home = home_of(entries_[at].number);
    const std::size_t mask = entries_.size() - 1;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      entries_[hole] = entries_[at];
      hole = at;
    }
  }
  entries_[hole] = {};
}

}  // namespace sim
