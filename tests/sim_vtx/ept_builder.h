// Writes EPT paging structures into the memory of a TestProcessor, as a hypervisor does.
#pragma once

#include "tests/sim_vtx/test_processor.h"

namespace sim_vtx_test {

inline constexpr std::uint64_t kWriteBack = vmx::kMemoryTypeWriteBack << vmx::kEptMemoryTypeShift;

class EptBuilder {
 public:
  /// Tables come from `root` on, upwards.
  explicit EptBuilder(test_support::VtxPlatform& platform, std::uint64_t root = kEptRoot)
      : platform_(platform), root_(root), next_table_(root + machine::kPageSize) {}

  /// Maps a page of level 0 (4 KiB), 1 (2 MiB) or 2 (1 GiB).
  void map(std::uint64_t gpa, std::uint64_t spa, std::uint64_t rights = kRightsAll,
           std::uint8_t level = 0) {
    store(gpa, level, spa | rights | kWriteBack | (level > 0 ? vmx::kEptLargePage : 0));
  }
  void unmap(std::uint64_t gpa, std::uint8_t level = 0) { store(gpa, level, 0); }

  /// Where the entry of a level for an address stands; tables above it are made as needed.
  Spa entry(std::uint64_t gpa, std::uint8_t level) {
    std::uint64_t table = root_;
    for (std::uint8_t at = 3; at > level; --at) {
      const Spa slot = slot_in(table, gpa, at);
      if ((platform_.load<std::uint64_t>(slot) & kRightsAll) == 0) {
        platform_.store_u64(slot, next_table_ | kRightsAll);
        next_table_ += machine::kPageSize;
      }
      table = platform_.load<std::uint64_t>(slot) & vmx::kEptAddressMask;
    }
    return slot_in(table, gpa, level);
  }
  void store(std::uint64_t gpa, std::uint8_t level, std::uint64_t value) {
    platform_.store_u64(entry(gpa, level), value);
  }
  std::uint64_t load(std::uint64_t gpa, std::uint8_t level) {
    return platform_.load<std::uint64_t>(entry(gpa, level));
  }
  /// An empty table, for tests that link it themselves.
  std::uint64_t new_table() {
    const std::uint64_t table = next_table_;
    next_table_ += machine::kPageSize;
    return table;
  }

 private:
  static Spa slot_in(std::uint64_t table, std::uint64_t gpa, std::uint8_t level) {
    return Spa(table + ((gpa >> (12 + 9 * level)) & 511) * 8);
  }

  test_support::VtxPlatform& platform_;
  std::uint64_t root_;
  std::uint64_t next_table_;
};

}  // namespace sim_vtx_test
