#include "partitions/kernel/page_allocator.h"

#include <algorithm>

#include "partitions/kernel/lock_order.h"

namespace kernel {

PageAllocator::PageAllocator(Heap& heap) : lock_(kPageAllocatorRank), heap_(heap) {}

void PageAllocator::add(machine::Gpn first, std::uint64_t count) {
  const machine::LockGuard guard(lock_);
  insert(first.value(), count);
}

void PageAllocator::remove(machine::Gpn first, std::uint64_t count) {
  const machine::LockGuard guard(lock_);
  cut(first.value(), count);
}

void PageAllocator::free(machine::Gpn first, std::uint64_t count) {
  const machine::LockGuard guard(lock_);
  insert(first.value(), count);
}

std::uint64_t PageAllocator::free_pages() {
  const machine::LockGuard guard(lock_);
  return free_pages_;
}

std::optional<machine::Gpn> PageAllocator::allocate(std::uint64_t count, std::uint64_t alignment) {
  INVARIANT(count > 0 && alignment > 0);
  const machine::LockGuard guard(lock_);
  for (const Run* run = runs_; run != nullptr; run = run->next) {
    const std::uint64_t first = (run->first + alignment - 1) / alignment * alignment;
    if (first - run->first < run->count && run->count - (first - run->first) >= count) {
      cut(first, count);
      return machine::Gpn(first);
    }
  }
  return std::nullopt;
}

void PageAllocator::insert(std::uint64_t first, std::uint64_t count) {
  if (count == 0) {
    return;
  }
  Run* before = nullptr;
  Run* after = runs_;
  while (after != nullptr && after->first < first) {
    before = after;
    after = after->next;
  }
  INVARIANT(before == nullptr || before->first + before->count <= first);
  INVARIANT(after == nullptr || first + count <= after->first);
  free_pages_ += count;
  const bool joins_before = before != nullptr && before->first + before->count == first;
  const bool joins_after = after != nullptr && first + count == after->first;
  if (joins_before && joins_after) {
    before->count += count + after->count;
    before->next = after->next;
    heap_.destroy(after);
  } else if (joins_before) {
    before->count += count;
  } else if (joins_after) {
    after->first = first;
    after->count += count;
  } else {
    Run* run = heap_.create<Run>(first, count, after);
    (before == nullptr ? runs_ : before->next) = run;
  }
}

void PageAllocator::cut(std::uint64_t first, std::uint64_t count) {
  const std::uint64_t end = first + count;
  Run** link = &runs_;
  while (*link != nullptr && (*link)->first < end) {
    Run* run = *link;
    const std::uint64_t run_end = run->first + run->count;
    const std::uint64_t cut_first = std::max(first, run->first);
    const std::uint64_t cut_end = std::min(end, run_end);
    if (cut_first >= cut_end) {
      link = &run->next;
      continue;
    }
    free_pages_ -= cut_end - cut_first;
    if (cut_end < run_end) {
      run->next = heap_.create<Run>(cut_end, run_end - cut_end, run->next);
    }
    if (cut_first > run->first) {
      run->count = cut_first - run->first;
      link = &run->next;
    } else {
      *link = run->next;
      heap_.destroy(run);
    }
  }
}

}  // namespace kernel
