#include "scenarios/world_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "hv/boot.h"
#include "partitions/child/child.h"
#include "partitions/root/root.h"

namespace scenarios {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
/// As many as the smaller arena of the root has room for.
constexpr std::uint64_t kFewChildren = 64;

/// As metal/ places them, so that both machines run the same images.
sim::GuestProgram root_program(const Scenario& scenario) {
  const std::uint64_t children =
      std::min(scenario.partitions.children, scenario.partitions.children_at_once);
  return {.name = "root",
          .boot = root::boot,
          .boot_processor = root::boot_processor,
          // Boot modules lie at 48 MiB: an image that would reach them goes behind them.
          .load_gpa = children <= kFewChildren ? 32 * kMiB : 64 * kMiB,
          .max_processors = 16,
          .arena_bytes = (8 + (children > kFewChildren ? children / 32 : 0)) * kMiB};
}

sim::GuestProgram child_program() {
  return {.name = "child",
          .boot = child::boot,
          .boot_processor = child::boot_processor,
          .load_gpa = kMiB,
          .max_processors = 8,
          .arena_bytes = kMiB};
}

sim::Module text_module(std::string name, const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {std::move(name), sim::Bytes(bytes.begin(), bytes.end())};
}

}  // namespace

std::string root_parameters(const Scenario& scenario, const Materials& materials,
                            std::uint64_t seed) {
  const WorkloadDescription& workload = scenario.workload;
  std::string text;
  const auto put = [&text](std::string_view key, const auto& value) {
    text += fmt::format("{}={}\n", key, value);
  };
  put("children", scenario.partitions.children);
  put("children_at_once", scenario.partitions.children_at_once);
  put("child_processors", scenario.partitions.processors);
  put("child_memory_mib", scenario.partitions.memory_mib);
  put("workload", name_of(workload.kind));
  put("seed", seed);
  put("monitor_latency_us", scenario.partitions.monitor_latency_us);
  put("bus_version", static_cast<std::uint32_t>(scenario.partitions.bus));
  put("child_bus_version", static_cast<std::uint32_t>(scenario.partitions.child_bus));
  for (const LoopDescription& loop : scenario.partitions.loops) {
    put("connection",
        fmt::format("{} {} {} {}", loop.id, loop.sint, loop.vp, loop.event ? loop.flags : 0));
  }
  if (scenario.liars.at_once != 0) {
    put("lying_children", scenario.liars.at_once);
    put("lying_processors", scenario.liars.processors);
    put("lies", scenario.liars.lies);
    put("liars_fail", scenario.liars.fail ? 1 : 0);
  }
  switch (workload.kind) {
    case WorkloadKind::kHello:
      break;
    case WorkloadKind::kIdle:
      put("timer_hz", workload.timer_hz);
      put("idle_ms", workload.duration_ms);
      break;
    case WorkloadKind::kWork:
      put("rounds", workload.rounds);
      break;
    case WorkloadKind::kStream:
      put("connections", workload.connections);
      put("messages", workload.messages);
      put("calls", workload.calls);
      break;
    case WorkloadKind::kLoop:
      put("messages", workload.messages);
      break;
    case WorkloadKind::kPlug:
      put("openings", workload.openings);
      put("removals", workload.removals);
      put("disks", workload.disks);
      put("subchannels", workload.subchannels);
      put("data_disk", workload.data_disk);
      break;
    case WorkloadKind::kStorage:
      put("requests", workload.requests);
      put("in_flight", workload.in_flight);
      put("chunk_kib", workload.chunk_kib);
      put("ring_kib", workload.ring_kib);
      put("busy_us", workload.busy_us);
      put("removals", workload.removals);
      put("subchannels", workload.subchannels);
      put("moves", workload.moves);
      put("padding_bytes", materials.disks[workload.data_disk].padding_bytes);
      put("data_disk", workload.data_disk);
      put("scratch_disk", workload.scratch_disk);
      put("scratch_mib", workload.scratch_mib);
      break;
  }
  return text;
}

sim::WorldConfiguration build_world(const Scenario& scenario, const Materials& materials,
                                    std::uint64_t seed) {
  sim::WorldConfiguration world;
  world.logical_processors = scenario.machine.logical_processors;
  world.memory_bytes = scenario.machine.memory_mib * kMiB;
  world.tsc_frequency_hz = scenario.machine.tsc_mhz * std::uint64_t{1'000'000};
  world.hypervisor.entry = hv::boot;
  world.guests = {root_program(scenario), child_program()};
  world.modules = {text_module("parameters", root_parameters(scenario, materials, seed))};
  for (std::size_t index = 0; index < scenario.disks.size(); ++index) {
    const DiskDescription& disk = scenario.disks[index];
    world.disks.push_back({.model = "Chronovisor " + disk.name,
                           .serial = fmt::format("CV{:06}", index + 1),
                           .size_bytes = materials.disks[index].size_bytes,
                           .content = materials.disks[index].content,
                           .write_cache_sectors = disk.write_cache_sectors});
  }
  world.limits = {.virtual_ns = scenario.limits.virtual_ns,
                  .operations = scenario.limits.operations,
                  .watchdog_seconds = scenario.limits.watchdog_seconds};
  return world;
}

}  // namespace scenarios
