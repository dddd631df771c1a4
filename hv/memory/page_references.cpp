#include "hv/memory/page_references.h"

#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {
namespace {

using machine::Spa;
using machine::Spn;

constexpr std::uint64_t kFramePages = machine::kLargePageSize / machine::kPageSize;
constexpr std::uint64_t kCountBytes = sizeof(std::uint32_t);
constexpr std::size_t kCountsAtOnce = 128;
/// A count that came so far stays there: its page can never be deposited again.
constexpr std::uint32_t kUncountable = ~0u;

std::uint64_t frame_of(Spn page) { return page.value() / kFramePages; }

std::uint64_t counts_of(const machine::MemoryRange& range) {
  const std::uint64_t pages = range.size_bytes >> machine::kPageShift;
  const Spn first(range.base >> machine::kPageShift);
  return pages == 0 ? 0 : pages + frame_of(first + (pages - 1)) - frame_of(first) + 1;
}

void add_to(const std::optional<Spa>& where) {
  if (where) {
    const std::uint32_t count = machine::load_u32(*where);
    machine::store_u32(*where, count == kUncountable ? count : count + 1);
  }
}

void take_from(const std::optional<Spa>& where) {
  if (where) {
    const std::uint32_t count = machine::load_u32(*where);
    INVARIANT(count > 0);
    machine::store_u32(*where, count == kUncountable ? count : count - 1);
  }
}

/// How many entries from the first on lead to pages one behind the other. The first is mapped.
std::size_t run_length(std::span<const EptEntry> leaves) {
  constexpr std::uint64_t kPlace = machine::vmx::kEptAddressMask | EptEntry::kMapped;
  std::uint64_t next = leaves.front().bits() & kPlace;
  std::size_t length = 0;
  for (const EptEntry leaf : leaves) {
    if ((leaf.bits() & kPlace) != next) {
      break;
    }
    next += machine::kPageSize;
    ++length;
  }
  return length;
}

}  // namespace

std::uint64_t PageReferences::pages_needed(std::span<const machine::MemoryRange> ram) {
  std::uint64_t counts = 0;
  for (const machine::MemoryRange& range : ram) {
    counts += counts_of(range);
  }
  return (counts * kCountBytes + machine::kPageSize - 1) / machine::kPageSize;
}

void PageReferences::cover(std::span<const machine::MemoryRange> ram, Spn storage) {
  INVARIANT(range_count_ == 0);
  Spa counts(storage);
  for (const machine::MemoryRange& range : ram) {
    ranges_[range_count_++] = {Spn(range.base >> machine::kPageShift),
                               range.size_bytes >> machine::kPageShift, counts};
    counts = counts + counts_of(range) * kCountBytes;
  }
}

const PageReferences::Range* PageReferences::range_of(Spn page) const {
  for (std::size_t index = 0; index < range_count_; ++index) {
    const Range& range = ranges_[index];
    if (page >= range.first && page.value() - range.first.value() < range.page_count) {
      return &range;
    }
  }
  return nullptr;
}

std::optional<Spa> PageReferences::page_count(Spn page) const {
  const Range* const range = range_of(page);
  if (range == nullptr) {
    return std::nullopt;
  }
  return range->counts + (page.value() - range->first.value()) * kCountBytes;
}

std::optional<Spa> PageReferences::frame_count(Spn page) const {
  const Range* const range = range_of(page);
  const Spn first(frame_of(page) * kFramePages);
  // A frame that is not all in one range is counted page by page.
  if (range == nullptr || range_of(first) != range ||
      range_of(first + (kFramePages - 1)) != range) {
    return std::nullopt;
  }
  const std::uint64_t index = frame_of(page) - frame_of(range->first);
  return range->counts + (range->page_count + index) * kCountBytes;
}

void PageReferences::replace(const std::optional<Spn>& before, const std::optional<Spn>& after) {
  if (before == after) {
    return;
  }
  const machine::LockGuard guard(lock_);
  if (after) {
    add_to(page_count(*after));
  }
  if (before) {
    take_from(page_count(*before));
  }
}

/// Adds to the counts of pages that lie one behind the other, many at once.
void PageReferences::add_run(Spn first, std::size_t count) {
  const Range* const range = range_of(first);
  if (range == nullptr || range_of(first + (count - 1)) != range) {
    for (std::size_t index = 0; index < count; ++index) {
      add_to(page_count(first + index));
    }
    return;
  }
  std::array<std::uint32_t, kCountsAtOnce> counts;
  Spa where = range->counts + (first.value() - range->first.value()) * kCountBytes;
  while (count > 0) {
    const std::span<std::uint32_t> some =
        std::span(counts).first(count < kCountsAtOnce ? count : kCountsAtOnce);
    machine::read_memory(where, std::as_writable_bytes(some));
    for (std::uint32_t& each : some) {
      each += each == kUncountable ? 0 : 1;
    }
    machine::write_memory(where, std::as_bytes(some));
    where = where + some.size_bytes();
    count -= some.size();
  }
}

void PageReferences::add_all(std::span<const EptEntry> leaves) {
  const machine::LockGuard guard(lock_);
  while (!leaves.empty()) {
    const std::size_t run = leaves.front().mapped() ? run_length(leaves) : 1;
    if (leaves.front().mapped()) {
      add_run(leaves.front().page(), run);
    }
    leaves = leaves.subspan(run);
  }
}

void PageReferences::remove_all(std::span<const EptEntry> leaves) {
  const machine::LockGuard guard(lock_);
  for (const EptEntry leaf : leaves) {
    if (leaf.mapped()) {
      take_from(page_count(leaf.page()));
    }
  }
}

void PageReferences::add_each(Spn first) {
  for (std::uint64_t index = 0; index < kFramePages; ++index) {
    add_to(page_count(first + index));
  }
}

void PageReferences::add_large(Spn first) {
  const machine::LockGuard guard(lock_);
  if (const std::optional<Spa> frame = frame_count(first)) {
    add_to(frame);
  } else {
    add_each(first);
  }
}

void PageReferences::remove_large(Spn first) {
  const machine::LockGuard guard(lock_);
  if (const std::optional<Spa> frame = frame_count(first)) {
    take_from(frame);
    return;
  }
  for (std::uint64_t index = 0; index < kFramePages; ++index) {
    take_from(page_count(first + index));
  }
}

void PageReferences::split_large(Spn first) {
  const machine::LockGuard guard(lock_);
  if (const std::optional<Spa> frame = frame_count(first)) {
    add_each(first);
    take_from(frame);
  }
}

bool PageReferences::any(Spn page) {
  const machine::LockGuard guard(lock_);
  const std::optional<Spa> own = page_count(page);
  if (own && machine::load_u32(*own) != 0) {
    return true;
  }
  const std::optional<Spa> frame = frame_count(page);
  return frame && machine::load_u32(*frame) != 0;
}

}  // namespace hv
