#include "tests/sim/run_world.h"

#include <catch2/catch.hpp>
#include <utility>

namespace tiny {

sim::RunResult run_world(sim::WorldConfiguration configuration, std::uint64_t seed) {
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  sim::RunResult result = world.run();
  UNSCOPED_INFO("seed " << seed << ": " << sim::name_of(result.outcome) << " " << result.error);
  for (const sim::Violation& violation : result.violations) {
    UNSCOPED_INFO(violation.property << ": " << violation.message);
  }
  return result;
}

}  // namespace tiny
