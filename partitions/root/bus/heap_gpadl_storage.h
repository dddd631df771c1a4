// The page lists of one child's GPADLs, in the root's heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/invariant.h"
#include "partitions/kernel/heap.h"
#include "vmbus/gpadl_storage.h"

namespace root {

/// A child that lends nothing costs nothing; what it can make the root keep is bounded.
class HeapGpadlStorage final : public vmbus::GpadlStorage {
 public:
  /// The longest GPADL that a message can announce (8190 pages), and as much again.
  static constexpr std::size_t kMostWords = 2 * 8192;

  explicit HeapGpadlStorage(kernel::Heap& heap) : heap_(heap) {}
  ~HeapGpadlStorage() { INVARIANT(used_words_ == 0); }
  HeapGpadlStorage(const HeapGpadlStorage&) = delete;
  HeapGpadlStorage& operator=(const HeapGpadlStorage&) = delete;

  [[nodiscard]] std::span<std::uint64_t> allocate(std::size_t count) override {
    if (count > kMostWords - used_words_) {
      return {};
    }
    auto* const words =
        static_cast<std::uint64_t*>(heap_.try_allocate(count * sizeof(std::uint64_t)));
    if (words == nullptr) {
      return {};
    }
    used_words_ += count;
    return {words, count};
  }
  void release(std::span<std::uint64_t> words) override {
    used_words_ -= words.size();
    heap_.free(words.data(), words.size_bytes());
  }

 private:
  kernel::Heap& heap_;
  std::size_t used_words_ = 0;
};

}  // namespace root
