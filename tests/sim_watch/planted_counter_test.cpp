// The watch on plain memory, as the compiler feeds it.
#include <catch2/catch.hpp>

#include "sim/decider.h"
#include "sim/world.h"
#include "tests/sim_watch/planted_counter.h"

namespace {

sim::RunResult run(machine::HypervisorEntry entry, std::uint64_t seed, bool watched = true) {
  sim::WorldConfiguration configuration;
  configuration.logical_processors = 2;
  configuration.memory_bytes = std::uint64_t{64} << 20;
  configuration.hypervisor.entry = entry;
  configuration.limits.operations = 1'000'000;
  configuration.watch_plain_memory = watched;
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  return world.run();
}

}  // namespace

TEST_CASE("an unguarded ++ of two processors is found, and named", "[sim][watch]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    const sim::RunResult result = run(planted::boot_unguarded, seed);
    REQUIRE_FALSE(result.passed());
    REQUIRE_FALSE(result.violations.empty());
    CHECK(result.violations[0].property == "plain memory is guarded");
    CHECK_THAT(result.violations[0].message, Catch::Contains("count_one()+0x"));
  }
}

TEST_CASE("a ++ that a lock guards is none", "[sim][watch]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    const sim::RunResult result = run(planted::boot_guarded, seed);
    INFO((result.violations.empty() ? std::string() : result.violations[0].message));
    CHECK(result.violations.empty());
    CHECK(result.passed());
  }
}

TEST_CASE("an unguarded copy of a structure is found", "[sim][watch]") {
  const sim::RunResult result = run(planted::boot_copying, 1);
  REQUIRE_FALSE(result.violations.empty());
  CHECK_THAT(result.violations[0].message, Catch::Contains("exchange_plate"));
}

TEST_CASE("whether plain memory is watched makes no difference to the hash", "[sim][watch]") {
  CHECK(run(planted::boot_guarded, 1, true).trace_hash ==
        run(planted::boot_guarded, 1, false).trace_hash);
}
