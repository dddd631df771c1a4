#include "partitions/kernel/heap.h"

#include <bit>

#include "partitions/kernel/lock_order.h"

namespace kernel {

namespace {

/// What must be skipped for the rest to begin aligned.
std::size_t bytes_to_alignment(const std::byte* place) {
  const auto offset = std::bit_cast<std::uintptr_t>(place) % Heap::kAlignment;
  return offset == 0 ? 0 : Heap::kAlignment - offset;
}

}  // namespace

Heap::Heap(std::span<std::byte> region)
    : lock_(kHeapRank), rest_(region), reserve_bytes_(region.size() / kReservePart) {
  rest_ = rest_.subspan(bytes_to_alignment(rest_.data()));
}

std::size_t Heap::class_of(std::size_t size_bytes) {
  std::size_t index = 0;
  while (index < kClassCount && (kSmallestBlock << index) < size_bytes) {
    ++index;
  }
  return index;
}

void* Heap::take(std::size_t size_bytes, std::size_t keep_bytes) {
  const std::size_t index = class_of(size_bytes);
  if (index == kClassCount) {
    return nullptr;
  }
  const std::size_t block_bytes = kSmallestBlock << index;
  const machine::LockGuard guard(lock_);
  if (FreeBlock* block = free_[index]; block != nullptr) {
    free_[index] = block->next;
    ++blocks_in_use_;
    return block;
  }
  if (rest_.size() < block_bytes + keep_bytes) {
    return nullptr;
  }
  void* block = rest_.data();
  rest_ = rest_.subspan(block_bytes);
  ++blocks_in_use_;
  return block;
}

void Heap::free(void* block, std::size_t size_bytes) {
  const std::size_t index = class_of(size_bytes);
  INVARIANT(block != nullptr && index < kClassCount);
  const machine::LockGuard guard(lock_);
  INVARIANT(blocks_in_use_ > 0);
  free_[index] = new (block) FreeBlock{free_[index]};
  --blocks_in_use_;
}

std::size_t Heap::blocks_in_use() {
  const machine::LockGuard guard(lock_);
  return blocks_in_use_;
}

}  // namespace kernel
