// The coverage table leaves out nothing that the hypervisor has, and has no row without a test.
#include "tests/coverage/interface_lists.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "hv/hypercall/call_table.h"
#include "hv/msr/msr_table.h"
#include "tests/coverage/row_counts.h"

namespace {

constexpr std::uint32_t kFirstSynthetic = 0x4000'0000;
constexpr std::uint32_t kLastSynthetic = 0x4000'FFFF;

constexpr auto kDispatchVp = static_cast<std::uint16_t>(hv::CallCode::kDispatchVp);

bool is_synthetic(const hv::MsrDescription& entry) {
  return entry.first >= kFirstSynthetic && entry.first <= kLastSynthetic;
}

bool is_listed(std::uint32_t msr) {
  return std::ranges::any_of(coverage::interface_msrs(), [msr](const auto& listed) {
    return listed.first <= msr && msr <= listed.last;
  });
}

}  // namespace

TEST_CASE("every call of the dispatch table is in the coverage table", "[coverage]") {
  for (const hv::CallEntry& entry : hv::call_table()) {
    INFO(entry.description.name);
    const auto code = static_cast<std::uint16_t>(entry.description.code);
    CHECK(std::ranges::any_of(coverage::interface_calls(),
                              [code](const auto& listed) { return listed.code == code; }));
  }
}

TEST_CASE("every MSR of the dispatch table is in the coverage table", "[coverage]") {
  for (const hv::MsrDescription& entry : hv::msr_table()) {
    INFO(entry.name);
    // Architectural ones are taken from the dispatch table itself.
    for (std::uint32_t msr = entry.first; is_synthetic(entry) && msr <= entry.last; ++msr) {
      CHECK(is_listed(msr));
    }
  }
}

TEST_CASE("the lists of the interface ascend", "[coverage]") {
  const auto ascends = [](auto list, auto first_of, auto last_of) {
    return std::ranges::adjacent_find(list, [&](const auto& one, const auto& next) {
             return last_of(one) >= first_of(next);
           }) == list.end();
  };
  const auto code = [](const auto& call) { return call.code; };
  const auto leaf = [](const auto& listed) { return listed.leaf; };
  CHECK(ascends(coverage::interface_calls(), code, code));
  CHECK(ascends(
      coverage::interface_msrs(), [](const auto& msr) { return msr.first; },
      [](const auto& msr) { return msr.last; }));
  CHECK(ascends(coverage::interface_leaves(), leaf, leaf));
}

TEST_CASE("the coverage table has no row without a test", "[coverage]") {
  for (const coverage::InterfaceCall& call : coverage::interface_calls()) {
    INFO(call.name);
    if (call.code == kDispatchVp && hv::find_call(kDispatchVp) == nullptr) {
      continue;  // of the root scheduler, which is not there
    }
    const coverage::RowCounts rows = coverage::rows_of_call(call.code);
    CHECK(rows.accepted + rows.refused > 0);
  }
  for (const coverage::InterfaceMsr& msr : coverage::interface_msrs()) {
    INFO(msr.name);
    const coverage::RowCounts rows = coverage::rows_of_msrs(msr.first, msr.last);
    CHECK(rows.accepted + rows.refused > 0);
  }
  for (const hv::MsrDescription& entry : hv::msr_table()) {
    INFO(entry.name);
    const coverage::RowCounts rows = coverage::rows_of_msrs(entry.first, entry.last);
    CHECK(rows.accepted + rows.refused > 0);
  }
  for (const coverage::InterfaceLeaf& leaf : coverage::interface_leaves()) {
    INFO(leaf.meaning);
    CHECK(coverage::rows_of_leaf(leaf.leaf) > 0);
  }
}
