// The memory of one partition inside the hypervisor: page pools, EPT tables, the GPA space with its
// overlay pages.
//
// The partition manager owns one PagePool and one GpaSpace per partition and calls them under the
// management lock. They decide nothing about who may do what; they invalidate no TLB (they say when
// somebody has to), and they know neither virtual processors nor hypercalls.
#pragma once

#include <cstdint>
#include <optional>

#include "machine/address.h"

namespace hv {

/// The pages that were deposited for one partition (TLFS "Partition Memory Pools"). The free pages
/// are listed in some of themselves, so a pool of any size costs nothing else, and most of them
/// stay untouched.
class PagePool {
 public:
  constexpr PagePool() = default;
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// Makes `page` part of the pool. Its content is lost.
  void deposit(machine::Spn page);
  /// Takes a free page out of the pool, zeroed; nothing when none is free.
  [[nodiscard]] std::optional<machine::Spn> withdraw();

  /// A zeroed page for the hypervisor's own use on behalf of the partition; nothing when the pool
  /// is empty.
  [[nodiscard]] std::optional<machine::Spn> take();
  /// Returns a page that came from take(). Its content is lost.
  void give(machine::Spn page);

  [[nodiscard]] std::uint64_t available() const { return available_; }
  [[nodiscard]] std::uint64_t in_use() const { return in_use_; }

 private:
  [[nodiscard]] std::optional<machine::Spn> pop();
  void push(machine::Spn page);

  /// A list's first word is the next list.
  static constexpr std::uint32_t kPagesPerList = machine::kPageSize / sizeof(std::uint64_t) - 1;
  [[nodiscard]] machine::Spa entry(std::uint32_t index) const {
    return machine::Spa(list_) + sizeof(std::uint64_t) * (index + 1);
  }

  /// The free page that lists others, `listed_` of them; the lists behind it are full.
  machine::Spn list_;
  std::uint32_t listed_ = 0;
  std::uint64_t available_ = 0;
  std::uint64_t in_use_ = 0;
};

}  // namespace hv
