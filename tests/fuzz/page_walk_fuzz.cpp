// A guest's own page tables, which say something else each time they are read. A walk reads no more
// entries than there are levels, and ends.
#include <cstdlib>

#include "hv/memory/page_walk.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

class LyingTables {
 public:
  explicit LyingTables(fuzz::FuzzInput& input) : input_(input) {}

  std::expected<std::uint64_t, hv::TranslateCode> load(machine::Gpa entry, std::uint32_t size) {
    ++loads_;
    require(size == 4 || size == 8);
    require(entry.value() % size == 0);
    if (input_.below(8) == 0) {
      return std::unexpected(hv::TranslateCode::kGpaUnmapped);
    }
    // Present more often than not.
    const auto value = input_.take<std::uint64_t>() | (input_.below(8) == 0 ? 0 : 1);
    return size == 4 ? value & 0xFFFF'FFFF : value;
  }
  std::expected<bool, hv::TranslateCode> exchange(machine::Gpa entry, std::uint32_t size,
                                                  std::uint64_t expected, std::uint64_t desired) {
    require(entry.value() % size == 0);
    require((expected & ~desired) == 0);  // bits are only set
    return input_.below(8) != 0;
  }
  [[nodiscard]] std::uint32_t loads() const { return loads_; }

 private:
  fuzz::FuzzInput& input_;
  std::uint32_t loads_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  hv::PagingState state;
  state.cr0 = input.take<std::uint64_t>();
  state.cr3 = input.take<std::uint64_t>();
  state.cr4 = input.take<std::uint64_t>();
  state.efer = input.take<std::uint64_t>();
  state.alignment_check = input.below(2) == 1;
  state.physical_address_bits = 36 + input.below(17);
  while (!input.empty()) {
    const std::uint32_t wish = input.take<std::uint32_t>();
    hv::WalkAccess access;
    access.read = (wish & 1) != 0;
    access.write = (wish & 2) != 0;
    access.execute = (wish & 4) != 0;
    access.user = (wish & 8) != 0;
    access.privilege_exempt = (wish & 16) != 0;
    access.enforce_smap = (wish & 32) != 0;
    access.override_smap = (wish & 64) != 0;
    access.set_page_table_bits = (wish & 128) != 0;
    LyingTables tables(input);
    hv::PageWalker<LyingTables> walker(tables, state);
    const hv::PageWalk walk = walker.walk(input.take<std::uint64_t>(), access);
    require(tables.loads() <= 5);
    require(walk.pat_index < 8);
    require(walk.code != hv::TranslateCode::kSuccess || walk.changed || walk.page_shift >= 12);
  }
  return 0;
}
