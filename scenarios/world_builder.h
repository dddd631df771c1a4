// From a scenario to a computer: its parts, its programs, and what the root is told.
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/materials.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace scenarios {

/// The root's `key=value` lines (partitions/root/parameters.h).
[[nodiscard]] std::string root_parameters(const Scenario& scenario, const Materials& materials,
                                          std::uint64_t seed);

/// The computer that runs `scenario` with the hypervisor, root and child of this program.
[[nodiscard]] sim::WorldConfiguration build_world(const Scenario& scenario,
                                                  const Materials& materials, std::uint64_t seed);

}  // namespace scenarios
