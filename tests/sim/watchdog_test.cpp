// A program that never reaches the seam.
#include <catch2/catch.hpp>

#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

/// Not inlined, not optimised away: what the stack has to show.
[[gnu::noinline]] void spin_for_ever() {
  volatile bool stays = true;
  while (stays) {
  }
}

}  // namespace

TEST_CASE("a program that never reaches the seam is ended with its stack", "[sim][watchdog]") {
  const auto hypervisor = [](const machine::BootInformation&, std::uint32_t) { spin_for_ever(); };
  sim::WorldConfiguration configuration = tiny::world(hypervisor, [] {});
  configuration.limits.watchdog_seconds = 1;
  const sim::RunResult result = tiny::run_world(configuration);
  CHECK(result.outcome == sim::Outcome::kHang);
  CHECK_THAT(result.error, Catch::Contains("spin_for_ever()+0x"));
}

TEST_CASE("a world runs after another one hung", "[sim][watchdog]") {
  const auto hanging = [](const machine::BootInformation&, std::uint32_t) { spin_for_ever(); };
  sim::WorldConfiguration configuration = tiny::world(hanging, [] {});
  configuration.limits.watchdog_seconds = 1;
  CHECK(tiny::run_world(configuration).outcome == sim::Outcome::kHang);
  const auto fine = [](const machine::BootInformation&, std::uint32_t) { machine::stop(0); };
  CHECK(tiny::run_world(tiny::world(fine, [] {})).passed());
}
