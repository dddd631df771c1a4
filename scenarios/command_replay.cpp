// chronovisor replay
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "scenarios/commands.h"
#include "scenarios/outcome.h"
#include "scenarios/progress.h"
#include "scenarios/recording.h"
#include "scenarios/report.h"

namespace scenarios {
namespace {

struct Loaded {
  Recording recording;
  Scenario scenario;
  Materials materials;
};

std::expected<Loaded, std::string> load(const std::string& file) {
  auto recording = read_recording(file);
  if (!recording) {
    return std::unexpected(recording.error());
  }
  auto scenario = parse_scenario(recording->scenario_text, recording->scenario_path);
  if (!scenario) {
    return std::unexpected(
        fmt::format("{}: its scenario is refused: {}", file, scenario.error().what()));
  }
  std::vector<sim::Bytes> contents;
  for (const auto& disk : recording->disks) {
    contents.push_back(disk != nullptr ? *disk : sim::Bytes());
  }
  auto materials = make_materials(*scenario, std::move(contents));
  if (!materials) {
    return std::unexpected(fmt::format("{}: {}", file, materials.error()));
  }
  return Loaded{std::move(*recording), std::move(*scenario), std::move(*materials)};
}

/// How the replayed run differs from the recorded one; empty if it does not.
std::string difference(const Recording& recording, const RunReport& report,
                       const ReplayingDecider& decider) {
  const bool ended = report.result.outcome != sim::Outcome::kHang;
  if (const auto divergence = decider.divergence(ended)) {
    return *divergence;
  }
  if (recording.events != report.result.events) {
    return fmt::format("the recorded run had {} events, this one {}", recording.events,
                       report.result.events);
  }
  if (recording.trace_hash != report.result.trace_hash) {
    return fmt::format("the recorded run's hash is {}, this one's {}",
                       hash_text(recording.trace_hash), hash_text(report.result.trace_hash));
  }
  if (recording.outcome != report.result.outcome) {
    return fmt::format("the recorded run ended with \"{}\", this one with \"{}\"",
                       sim::name_of(recording.outcome), sim::name_of(report.result.outcome));
  }
  return "";
}

}  // namespace

ExitCode execute(const ReplayCommand& command) {
  const auto loaded = load(command.file);
  if (!loaded) {
    fmt::print(stderr, "error: {}\n", loaded.error());
    return ExitCode::kBadInput;
  }
  const Recording& recording = loaded->recording;
  RunRequest request{.scenario = loaded->scenario,
                     .materials = loaded->materials,
                     .seed = recording.seed,
                     .until_ns = recording.until_ns,
                     .perturbation = {},
                     .trace_recorder = nullptr,
                     .on_console_line = {},
                     .on_progress = {}};
  ProgressDisplay display(::isatty(STDERR_FILENO) == 1);
  if (!command.json) {
    request.on_console_line = [&display](const std::string& line, std::uint64_t virtual_ns) {
      display.console_line(line, virtual_ns);
    };
    request.on_progress = [&display](std::uint64_t events, std::uint64_t virtual_ns) {
      display.progress(events, virtual_ns);
    };
  }
  ReplayingDecider decider(recording.log);
  RunReport report = run_once(request, decider);
  display.clear();
  const std::string different = difference(recording, report, decider);
  if (!different.empty()) {
    const bool same_build = recording.build == build_identity();
    report.judgement.verdict = Verdict::kBroken;
    report.result.error =
        fmt::format("the replay departs from the recording: {}{}", different,
                    same_build ? " (by the same build: the run is not deterministic)"
                               : " (another build made the recording: its code differs)");
  }
  if (command.json) {
    fmt::print("{}", json_text(report));
  } else {
    fmt::print("{}{}", summary_text(report), violations_text(report));
    if (different.empty()) {
      fmt::print("the replay went as recorded: {} decisions\n", recording.log.decision_count);
    }
  }
  return exit_code_of({report});
}

}  // namespace scenarios
