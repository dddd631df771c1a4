#include <catch2/catch.hpp>

#include "tests/sim_vtx/test_processor.h"

using namespace sim_vtx_test;

TEST_CASE("the baseline of the tests enters", "[vtx][entry]") {
  TestProcessor p;
  const CheckContext context(*p.cpu.current_vmcs(), p.capabilities, p.platform);
  for (std::uint8_t group = 0; group < kCheckGroups; ++group) {
    const Check* failed = find_failure(static_cast<CheckGroup>(group), context);
    INFO((failed != nullptr ? failed->name : "none"));
    CHECK(failed == nullptr);
  }
  CHECK(p.launch().outcome == EntryOutcome::kEntered);
  CHECK(p.platform.misuses.empty());
}

TEST_CASE("a virtual-8086 guest and an unrestricted real-mode guest enter", "[vtx][entry]") {
  TestProcessor v86;
  v86.make_virtual_8086();
  CHECK(v86.launch().outcome == EntryOutcome::kEntered);
  TestProcessor real;
  real.make_unrestricted_real_mode();
  CHECK(real.launch().outcome == EntryOutcome::kEntered);
}
