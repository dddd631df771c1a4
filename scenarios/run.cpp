#include "scenarios/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <new>

#include "scenarios/world_builder.h"

namespace scenarios {
namespace {

const DiskMaterial* data_disk_of(const RunRequest& request) {
  if (request.scenario.workload.kind != WorkloadKind::kStorage) {
    return nullptr;
  }
  return &request.materials.disks[request.scenario.workload.data_disk];
}

sim::RunResult run_world(const RunRequest& request, sim::Decider& decider) {
  sim::WorldConfiguration configuration =
      build_world(request.scenario, request.materials, request.seed);
  if (request.until_ns) {
    configuration.limits.virtual_ns = std::min(configuration.limits.virtual_ns, *request.until_ns);
  }
  configuration.perturbation = request.perturbation;
  configuration.trace_recorder = request.trace_recorder;
  configuration.on_console_line = request.on_console_line;
  sim::World world(std::move(configuration), decider);
  return world.run();
}

}  // namespace

RunReport run_once(const RunRequest& request, sim::Decider& decider) {
  RunReport report;
  report.scenario = request.scenario.name;
  report.seed = request.seed;
  const auto begin = std::chrono::steady_clock::now();
  try {
    report.result = run_world(request, decider);
  } catch (const std::bad_alloc&) {
    report.result.outcome = sim::Outcome::kHarnessError;
    report.result.error = "out of memory";
  } catch (const std::exception& error) {
    report.result.outcome = sim::Outcome::kHarnessError;
    report.result.error = error.what();
  }
  const auto end = std::chrono::steady_clock::now();
  report.wall_ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());

  const DiskMaterial* const data_disk = data_disk_of(request);
  report.data_disk_bytes = data_disk != nullptr ? data_disk->size_bytes : 0;
  const bool check_digest = request.scenario.properties.data_disk_digest;
  const bool cut_short =
      request.until_ns && *request.until_ns <= request.scenario.limits.virtual_ns;
  report.judgement =
      judge(request.scenario, {check_digest ? data_disk : nullptr, cut_short}, report.result);
  return report;
}

std::string hash_text(std::uint64_t trace_hash) { return fmt::format("{:016x}", trace_hash); }

}  // namespace scenarios
