#include "tests/sim_vtx/broken_state.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

namespace sim_vtx_test {

namespace {

std::string first_failure(const TestProcessor& p, CheckGroup group) {
  auto& platform = const_cast<test_support::VtxPlatform&>(p.platform);
  const CheckContext context(*p.cpu.current_vmcs(), p.capabilities, platform);
  for (std::uint8_t earlier = 0; earlier < static_cast<std::uint8_t>(group); ++earlier) {
    if (const Check* failed = find_failure(static_cast<CheckGroup>(earlier), context)) {
      return failed->name;
    }
  }
  const Check* failed = find_failure(group, context);
  return failed != nullptr ? failed->name : "none";
}

void require_failed_entry(TestProcessor& p, const EntryResult& result,
                          std::uint64_t qualification) {
  CHECK(result.outcome == EntryOutcome::kFailedEntry);
  CHECK(p.read(VmcsReadOnly32::kExitReason) == (33u | vmx::kExitReasonEntryFailure));
  CHECK(p.read(VmcsReadOnlyNatural::kExitQualification) == qualification);
}

void require_fail_valid(TestProcessor& p, const EntryResult& result, std::uint64_t error) {
  CHECK(result.outcome == EntryOutcome::kFailValid);
  CHECK(p.instruction_error() == error);
}

void require_refusal(CheckGroup group, const Broken& row) {
  TestProcessor p;
  row.break_it(p);
  CHECK(first_failure(p, group) == row.check);
  const std::span<const Check> checks = checks_of(group);
  const auto check = std::ranges::find(checks, std::string(row.check),
                                       [](const Check& c) { return std::string(c.name); });
  REQUIRE(check != checks.end());
  const EntryResult result = p.launch();
  CHECK_FALSE(result.event);
  CHECK_FALSE(p.cpu.in_non_root_mode());
  switch (group) {
    case CheckGroup::kControls:
    case CheckGroup::kInjection:
      require_fail_valid(p, result, vmx::kErrorInvalidControlFields);
      break;
    case CheckGroup::kHostState:
      require_fail_valid(p, result, vmx::kErrorInvalidHostState);
      break;
    case CheckGroup::kGuestRegisters:
    case CheckGroup::kGuestSegments:
    case CheckGroup::kGuestActivity:
      require_failed_entry(p, result, check->qualification);
      break;
  }
  // A refused launch left the VMCS clear, and a second attempt is refused in the same way.
  CHECK(p.launch().outcome == result.outcome);
  p.write_baseline();
  CHECK(p.launch().outcome == EntryOutcome::kEntered);
}

}  // namespace

void require_refusals(CheckGroup group, std::span<const Broken> rows) {
  for (const Broken& row : rows) {
    INFO(row.check);
    require_refusal(group, row);
  }
  for (const Check& check : checks_of(group)) {
    INFO(check.name);
    CHECK(std::ranges::any_of(
        rows, [&](const Broken& row) { return std::string(row.check) == check.name; }));
  }
}

}  // namespace sim_vtx_test
