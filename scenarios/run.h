// One run of a scenario: a world, a decider, a judgement.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "scenarios/judgement.h"
#include "scenarios/materials.h"
#include "scenarios/scenario.h"
#include "sim/decider.h"
#include "sim/world.h"

namespace scenarios {

struct RunRequest {
  const Scenario& scenario;
  const Materials& materials;
  std::uint64_t seed = 1;
  /// Ends the run at this virtual time, which is then no failure.
  std::optional<std::uint64_t> until_ns;
  sim::Perturbation perturbation;
  sim::TraceRecorder* trace_recorder = nullptr;
  std::function<void(const std::string& line, std::uint64_t virtual_ns)> on_console_line;
  std::function<void(std::uint64_t events, std::uint64_t virtual_ns)> on_progress;
};

struct RunReport {
  std::string scenario;
  std::uint64_t seed = 0;
  sim::RunResult result;
  Judgement judgement;
  std::uint64_t wall_ns = 0;
  /// Where the recording was written, if it was.
  std::string recording;
  /// Why it was not, though it should have been.
  std::string recording_error;
};

/// Builds the world, runs it on the calling thread, judges it. Failures of the harness are in the
/// report, out of memory included; throws nothing of its own.
/// What a seed decides by chance in runs of a scenario.
[[nodiscard]] std::vector<sim::ChanceRule> chances_of(const Scenario& scenario);

[[nodiscard]] RunReport run_once(const RunRequest& request, sim::Decider& decider);

/// 16 hexadecimal digits, as reports show it.
[[nodiscard]] std::string hash_text(std::uint64_t trace_hash);

}  // namespace scenarios
