#include "scenarios/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <new>

#include "scenarios/delivery_oracle.h"
#include "scenarios/world_builder.h"

namespace scenarios {
namespace {

const DiskMaterial* data_disk_of(const RunRequest& request) {
  if (request.scenario.workload.kind != WorkloadKind::kStorage) {
    return nullptr;
  }
  return &request.materials.disks[request.scenario.workload.data_disk];
}

/// What is left of each child's range of the scratch disk.
std::vector<std::string> scratch_digests(const Scenario& scenario, const sim::World& world) {
  std::vector<std::string> digests;
  if (!scenario.properties.scratch_disk_digest) {
    return digests;
  }
  const std::uint64_t range_bytes = std::uint64_t{scenario.workload.scratch_mib} << 20;
  for (std::uint64_t child = 0; child < scenario.partitions.children; ++child) {
    digests.push_back(sha256_of(
        world.read_disk(scenario.workload.scratch_disk, child * range_bytes, range_bytes)));
  }
  return digests;
}

bool disks_fail(const Scenario& scenario) {
  return std::ranges::any_of(scenario.chances, [](const Chance& chance) {
    return chance.site.starts_with("device.disk.");
  });
}

sim::RunResult run_world(const RunRequest& request, sim::Decider& decider,
                         Expectation& expectation) {
  sim::WorldConfiguration configuration =
      build_world(request.scenario, request.materials, request.seed);
  if (request.until_ns) {
    configuration.limits.virtual_ns = std::min(configuration.limits.virtual_ns, *request.until_ns);
  }
  configuration.perturbation = request.perturbation;
  configuration.trace_recorder = request.trace_recorder;
  configuration.on_console_line = request.on_console_line;
  configuration.on_progress = request.on_progress;
  DeliveryOracle packets(disks_fail(request.scenario));
  configuration.on_trace = [&packets](const sim::TraceEvent& event) { packets.take(event); };
  sim::World world(std::move(configuration), decider);
  sim::RunResult result = world.run();
  packets.conclude(result, expectation.may_be_cut_short);
  if (result.passed()) {
    expectation.scratch_digests = scratch_digests(request.scenario, world);
  }
  return result;
}

/// The same run with nobody who lies: what a child logs does not depend on time, so that any
/// decisions will do.
std::vector<std::vector<std::string>> undisturbed_logs(const RunRequest& request) {
  Scenario peaceful = request.scenario;
  peaceful.liars.at_once = 0;
  sim::SeededDecider decider(request.seed, chances_of(peaceful));
  sim::World world(build_world(peaceful, request.materials, request.seed), decider);
  const sim::RunResult result = world.run();
  std::vector<std::vector<std::string>> logs;
  for (std::uint32_t child = 1; child <= peaceful.partitions.children; ++child) {
    logs.push_back(log_of_child(result, child));
  }
  return logs;
}

}  // namespace

std::vector<sim::ChanceRule> chances_of(const Scenario& scenario) {
  std::vector<sim::ChanceRule> rules = sim::ordinary_chance();
  for (const Chance& chance : scenario.chances) {
    rules.push_back({chance.site, chance.one_in});
  }
  return rules;
}

RunReport run_once(const RunRequest& request, sim::Decider& decider) {
  RunReport report;
  report.scenario = request.scenario.name;
  report.seed = request.seed;
  const auto begin = std::chrono::steady_clock::now();
  const DiskMaterial* const data_disk = data_disk_of(request);
  Expectation expectation;
  expectation.may_be_cut_short =
      request.until_ns && *request.until_ns <= request.scenario.limits.virtual_ns;
  try {
    if (request.scenario.properties.data_disk_digest && data_disk != nullptr) {
      expectation.data_disk_digest = sha256_of(*data_disk);
    }
    if (request.scenario.liars.at_once != 0 && !expectation.may_be_cut_short) {
      expectation.undisturbed_logs = undisturbed_logs(request);
    }
    report.result = run_world(request, decider, expectation);
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

  report.judgement = judge(request.scenario, expectation, report.result);
  return report;
}

std::string hash_text(std::uint64_t trace_hash) { return fmt::format("{:016x}", trace_hash); }

}  // namespace scenarios
