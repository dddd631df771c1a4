#include <catch2/catch.hpp>

#include "hv/vtx/guest_context.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "sim/decider.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

// Access rights of segments (SDM vol. 3 24.4.1).
constexpr std::uint32_t kPresentSegment = (1u << 7) | (1u << 4);
constexpr std::uint32_t kCode = 11;
constexpr std::uint32_t kConformingCode = 15;
constexpr std::uint32_t kData = 3;
constexpr std::uint32_t kLong = 1u << 13;

std::uint32_t rights(std::uint32_t type, std::uint32_t dpl, std::uint32_t more = 0) {
  return kPresentSegment | type | (dpl << 5) | more;
}

struct Mode {
  std::uint32_t code;
  std::uint32_t stack;
  std::uint64_t efer;
  std::uint8_t privilege_level;
  bool wide;
};

void check_modes() {
  constexpr std::uint64_t kLongMode = machine::x86::kEferLme | machine::x86::kEferLma;
  const Mode modes[] = {
      {rights(kCode, 0, kLong), rights(kData, 0), kLongMode, 0, true},
      {rights(kCode, 3, kLong), rights(kData, 3), kLongMode, 3, true},
      {rights(kConformingCode, 0, kLong), rights(kData, 3), kLongMode, 3, true},
      {rights(kConformingCode, 0, kLong), rights(kData, 0), kLongMode, 0, true},
      {rights(kCode, 0), rights(kData, 0), kLongMode, 0, false},
      {rights(kCode, 0, kLong), rights(kData, 0), 0, 0, false},
      {rights(kData, 3), rights(kData, 3), 0, 3, false},  // virtual-8086 mode
  };
  for (const Mode& mode : modes) {
    machine::vmwrite(machine::Vmcs32::kGuestCsAccessRights, mode.code);
    machine::vmwrite(machine::Vmcs32::kGuestSsAccessRights, mode.stack);
    machine::vmwrite(machine::Vmcs64::kGuestEfer, mode.efer);
    const hv::vtx::CodeMode found = hv::vtx::code_mode();
    INVARIANT(found.privilege_level == mode.privilege_level);
    INVARIANT(found.wide == mode.wide);
  }
  machine::stop(0);
}

void enter_hypervisor(const machine::BootInformation& information, std::uint32_t lp) {
  tiny::run(information, lp, check_modes, [](tiny::Guest&) {});
}

}  // namespace

TEST_CASE("mode and privilege level are those of the segments, whether code conforms or not",
          "[hv][vtx]") {
  sim::SeededDecider decider(1);
  sim::World world(tiny::world(enter_hypervisor, [] {}), decider);
  const sim::RunResult result = world.run();
  CAPTURE(result.violations.empty() ? "" : result.violations[0].message);
  CHECK(result.passed());
}
