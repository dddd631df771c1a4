// Runs a world of the tests and shows what went wrong in it.
#pragma once

#include "sim/world.h"

namespace tiny {

/// With a seeded decider of ordinary chance.
[[nodiscard]] sim::RunResult run_world(sim::WorldConfiguration configuration,
                                       std::uint64_t seed = 1);

}  // namespace tiny
