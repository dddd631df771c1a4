// A guest's own page tables, which say something else each time they are read. A walk reads no more
// entries than there are levels, and ends.
#include <cstdlib>

#include "hv/memory/page_walk.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

constexpr std::uint64_t kLowCanonical = 0x0000'7FFF'FFFF'FFFF;

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
    // Present and without reserved bits more often than not.
    constexpr std::uint64_t kPresent = 1;
    constexpr std::uint64_t kRightsAndLowAddress = 0x0000'000F'FFFF'FFFF;
    const std::uint32_t form = input_.below(16);
    const auto value = input_.take<std::uint64_t>() | (form == 1 ? 0 : kPresent);
    const std::uint64_t wanted = form < 2 ? value : value & kRightsAndLowAddress;
    return size == 4 ? wanted & 0xFFFF'FFFF : wanted;
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
  state.cr0 = input.take<std::uint32_t>();
  state.cr3 = input.take<std::uint64_t>();
  state.cr4 = input.take<std::uint32_t>();
  state.efer = input.take<std::uint16_t>();
  if (input.below(8) != 0) {
    state.cr0 |= machine::x86::kCr0Pg;
  }
  state.alignment_check = input.below(2) == 1;
  state.physical_address_bits = 36 + input.below(17);
  while (!input.empty()) {
    const std::uint32_t wish = input.below(0x100);
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
    const auto address = input.take<std::uint64_t>();
    // Canonical more often than not.
    const bool any_address = input.below(16) == 0;
    const hv::PageWalk walk = walker.walk(any_address ? address : address & kLowCanonical, access);
    require(tables.loads() <= 5);
    require(walk.pat_index < 8);
    require(walk.code != hv::TranslateCode::kSuccess || walk.changed || walk.page_shift >= 12);
  }
  return 0;
}
