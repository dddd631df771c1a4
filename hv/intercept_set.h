// What a parent wants to hear of in a child (TLFS HvCallInstallIntercept): ports, MSRs, CPUID
// leaves. What needs more room than lies here takes pages of the child's pool, so that a deposit is
// all that one more intercept can need.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/memory/page_pool.h"
#include "hv/memory/record_pages.h"
#include "hv/tlfs/status.h"
#include "machine/address.h"

namespace hv {

/// A set of I/O ports: a bit for each, in a page for each half of them that has any.
class PortSet {
 public:
  explicit PortSet(PagePool& pool) : pool_(&pool) {}
  PortSet(const PortSet&) = delete;
  PortSet& operator=(const PortSet&) = delete;

  /// Whether one of the ports from `first` to `last` is in it.
  [[nodiscard]] bool has_any(std::uint32_t first, std::uint32_t last) const;
  /// kInsufficientMemory, with nothing changed: the pool has no page for them.
  [[nodiscard]] Status add(std::uint16_t first, std::uint16_t last);
  /// Ports that are not in it count for nothing.
  void remove(std::uint16_t first, std::uint16_t last);
  void destroy();

 private:
  static constexpr std::uint32_t kPortsPerPage = 8 * machine::kPageSize;
  static constexpr std::size_t kWords = machine::kPageSize / sizeof(std::uint64_t);
  using Page = std::array<std::uint64_t, kWords>;

  void give(std::size_t half);

  PagePool* pool_;
  std::array<Page*, 2> pages_{};
  std::array<machine::Spn, 2> places_{};
};

/// Numbers of MSRs or of leaves, with the accesses that are wanted of each.
class NumberSet {
 public:
  explicit NumberSet(PagePool& pool) : records_(pool) {}
  NumberSet(const NumberSet&) = delete;
  NumberSet& operator=(const NumberSet&) = delete;

  /// 0 for a number that is not in it.
  [[nodiscard]] std::uint32_t access_of(std::uint32_t number) const;
  /// With 0, takes the number out. kInsufficientMemory: the pool has no page for one more.
  [[nodiscard]] Status set(std::uint32_t number, std::uint32_t access);
  void destroy();

 private:
  struct Record {
    Record* next = nullptr;
    std::uint32_t number = 0;
    std::uint32_t access = 0;
  };
  static constexpr std::size_t kOwnRecords = 8;

  RecordPages<Record, kOwnRecords> records_;
  Record* first_ = nullptr;
};

struct InterceptSet {
  explicit InterceptSet(PagePool& pool) : ports(pool), msrs(pool), leaves(pool) {}

  [[nodiscard]] bool wants_port(std::uint16_t first, std::uint8_t size_bytes) const {
    return ports.has_any(first, first + size_bytes - 1u);
  }
  [[nodiscard]] bool wants_msr(std::uint32_t msr, bool write) const;
  [[nodiscard]] bool wants_cpuid(std::uint32_t leaf) const {
    return all_leaves || leaves.access_of(leaf) != 0;
  }
  /// Returns all pages to the pool; nothing is wanted any more.
  void destroy();

  PortSet ports;
  NumberSet msrs;
  NumberSet leaves;
  /// All MSRs that the hypervisor does not virtualize.
  bool unknown_msrs = false;
  bool all_leaves = false;
};

}  // namespace hv
