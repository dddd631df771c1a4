#include "partitions/child/workloads/block_model.h"

#include <algorithm>

#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr std::uint64_t kSectorFactor = 0x9E3779B97F4A7C15;
constexpr std::uint64_t kVersionFactor = 0xD1B54A32D192ED03;

}  // namespace

BlockModel::BlockModel(kernel::Heap& heap, std::uint64_t seed, std::uint32_t sector_count)
    : heap_(heap), seed_(seed), sector_count_(sector_count) {
  const std::size_t bytes = sector_count * sizeof(std::uint32_t);
  versions_ = {static_cast<std::uint32_t*>(heap.allocate(bytes)), sector_count};
  std::fill(versions_.begin(), versions_.end(), kUnknown);
}

BlockModel::~BlockModel() { heap_.free(versions_.data(), versions_.size_bytes()); }

bool BlockModel::is_free(const SectorRange& range) const {
  return std::none_of(under_way_.begin(), under_way_.end(), [&](const SectorRange& other) {
    return other.first < range.first + range.count && range.first < other.first + other.count;
  });
}

void BlockModel::begin(std::size_t place, const SectorRange& range) {
  INVARIANT(under_way_[place].count == 0 && is_free(range));
  under_way_[place] = range;
}

void BlockModel::end(std::size_t place) { under_way_[place] = {}; }

void BlockModel::fill(std::uint64_t sector, std::uint32_t version, Sector& content) const {
  kernel::Random random(seed_ ^ (sector * kSectorFactor) ^ (version * kVersionFactor));
  for (std::size_t offset = 0; offset < kSectorBytes; offset += sizeof(std::uint64_t)) {
    const std::uint64_t word = random.next();
    __builtin_memcpy(&content[offset], &word, sizeof(word));
  }
}

void BlockModel::written(const SectorRange& range, std::uint32_t version) {
  const auto first = versions_.begin() + static_cast<std::ptrdiff_t>(range.first);
  std::fill_n(first, range.count, version);
}

bool BlockModel::is_right(std::uint64_t sector, const Sector& content) const {
  const std::uint32_t version = versions_[sector];
  if (version == kUnknown) {
    return true;
  }
  Sector expected;
  fill(sector, version, expected);
  return expected == content;
}

}  // namespace child
