// The RAM pages that a kernel owns and has not given away.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/address.h"
#include "machine/image.h"
#include "machine/spin_lock.h"
#include "partitions/kernel/heap.h"

namespace kernel {

/// Runs of free pages, in ascending order, none touching the next. First fit. Any processor may
/// call; interrupt handlers may not.
class PageAllocator {
 public:
  explicit PageAllocator(Heap& heap);
  PageAllocator(const PageAllocator&) = delete;
  PageAllocator& operator=(const PageAllocator&) = delete;

  /// Adds [first, first + count). A page is added once.
  void add(machine::Gpn first, std::uint64_t count);
  /// Takes out whatever part of [first, first + count) is free.
  void remove(machine::Gpn first, std::uint64_t count);

  /// `count` pages in a row, the first a multiple of `alignment` pages; nullopt if there are none.
  [[nodiscard]] std::optional<machine::Gpn> allocate(std::uint64_t count,
                                                     std::uint64_t alignment = 1);
  /// Pages that allocate() gave, in whatever portions.
  void free(machine::Gpn first, std::uint64_t count);

  [[nodiscard]] std::uint64_t free_pages();

 private:
  struct Run {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    Run* next = nullptr;
  };

  void insert(std::uint64_t first, std::uint64_t count);
  void cut(std::uint64_t first, std::uint64_t count);

  machine::SpinLock lock_;
  Heap& heap_;
  Run* runs_ = nullptr;
  std::uint64_t free_pages_ = 0;
};

}  // namespace kernel
