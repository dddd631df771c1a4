#include "vmbus/gpadl_storage.h"

#include "machine/invariant.h"

namespace vmbus {

namespace {

constexpr std::uint64_t kInUse = 1;

constexpr std::size_t block_size(std::uint64_t head) { return static_cast<std::size_t>(head >> 1); }
constexpr std::uint64_t block_head(std::size_t size, std::uint64_t in_use) {
  return std::uint64_t{size} * 2 + in_use;
}

}  // namespace

FixedGpadlStorage::FixedGpadlStorage(std::span<std::uint64_t> memory) : memory_(memory) {
  INVARIANT(!memory.empty());
  memory_[0] = block_head(memory_.size(), 0);
}

void FixedGpadlStorage::join_free_blocks(std::size_t head) {
  std::size_t size = block_size(memory_[head]);
  while (head + size < memory_.size() && (memory_[head + size] & kInUse) == 0) {
    size += block_size(memory_[head + size]);
  }
  memory_[head] = block_head(size, 0);
}

std::span<std::uint64_t> FixedGpadlStorage::allocate(std::size_t count) {
  const std::size_t wanted = count + 1;
  for (std::size_t head = 0; head < memory_.size(); head += block_size(memory_[head])) {
    if ((memory_[head] & kInUse) != 0) {
      continue;
    }
    join_free_blocks(head);
    const std::size_t size = block_size(memory_[head]);
    if (size < wanted) {
      continue;
    }
    if (size > wanted) {
      memory_[head + wanted] = block_head(size - wanted, 0);
    }
    memory_[head] = block_head(wanted, kInUse);
    used_words_ += wanted;
    return memory_.subspan(head + 1, count);
  }
  return {};
}

void FixedGpadlStorage::release(std::span<std::uint64_t> words) {
  const auto head = static_cast<std::size_t>(words.data() - memory_.data()) - 1;
  INVARIANT(head < memory_.size());
  INVARIANT(memory_[head] == block_head(words.size() + 1, kInUse));
  memory_[head] = block_head(words.size() + 1, 0);
  used_words_ -= words.size() + 1;
}

}  // namespace vmbus
