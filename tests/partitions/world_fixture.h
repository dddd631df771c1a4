// A simulated computer with the hypervisor and a root, for whole runs with a given child.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hv/boot.h"
#include "partitions/child/child.h"
#include "partitions/root/root.h"
#include "sim/decider.h"
#include "sim/world.h"

namespace partitions_test {

constexpr std::uint64_t kMib = 1024 * 1024;

inline sim::GuestProgram root_program() {
  return {.name = "root",
          .boot = root::boot,
          .boot_processor = root::boot_processor,
          .load_gpa = 32 * kMib,
          .max_processors = 16,
          .arena_bytes = 8 * kMib};
}

inline sim::GuestProgram child_program(void (*boot)() = child::boot) {
  return {.name = "child",
          .boot = boot,
          .boot_processor = child::boot_processor,
          .load_gpa = kMib,
          .max_processors = 8,
          .arena_bytes = kMib};
}

inline sim::WorldConfiguration computer(const std::string& parameters,
                                        const sim::GuestProgram& child = child_program()) {
  sim::WorldConfiguration world;
  world.logical_processors = 2;
  world.hypervisor.entry = hv::boot;
  world.guests = {root_program(), child};
  const auto bytes = std::as_bytes(std::span(parameters));
  world.modules = {{"parameters", sim::Bytes(bytes.begin(), bytes.end())}};
  world.limits.virtual_ns = 60'000'000'000;
  return world;
}

inline std::vector<std::string> lines_of(const sim::RunResult& result) {
  std::vector<std::string> lines;
  for (const sim::ConsoleLine& line : result.console) {
    lines.push_back(line.text);
  }
  return lines;
}

}  // namespace partitions_test
