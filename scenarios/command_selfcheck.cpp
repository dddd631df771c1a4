// chronovisor selfcheck: runs that differ in nothing that may matter must not differ.
#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "scenarios/commands.h"
#include "scenarios/outcome.h"
#include "scenarios/places.h"
#include "scenarios/report.h"
#include "scenarios/run.h"

namespace scenarios {
namespace {

struct Twin {
  std::string_view name;
  sim::Perturbation perturbation;
};

constexpr std::array kTwins = {
    Twin{"as it is", {.fill = 0x00, .displacement_pages = 0}},
    Twin{"again", {.fill = 0x00, .displacement_pages = 0}},
    Twin{"arenas filled with 0xFF", {.fill = 0xFF, .displacement_pages = 0}},
    Twin{"arenas and stacks moved", {.fill = 0x00, .displacement_pages = 37}},
    Twin{"filled and moved", {.fill = 0xA5, .displacement_pages = 1021}},
};

/// The exit code, after telling how the twins of one scenario did.
ExitCode check(const Scenario& scenario, const Materials& materials, std::uint64_t seed) {
  std::uint64_t expected = 0;
  ExitCode code = ExitCode::kPass;
  for (const Twin& twin : kTwins) {
    sim::SeededDecider decider(seed, chances_of(scenario));
    const RunRequest request{.scenario = scenario,
                             .materials = materials,
                             .seed = seed,
                             .until_ns = std::nullopt,
                             .perturbation = twin.perturbation,
                             .trace_recorder = nullptr,
                             .on_console_line = {},
                             .on_progress = {}};
    const RunReport report = run_once(request, decider);
    const bool first = &twin == kTwins.data();
    expected = first ? report.result.trace_hash : expected;
    const bool same = report.result.trace_hash == expected;
    fmt::print("{:<16} {:<26} {} {}\n", scenario.name, twin.name,
               hash_text(report.result.trace_hash), same ? "" : "DIFFERENT");
    std::fflush(stdout);
    if (first && report.judgement.verdict != Verdict::kPass) {
      fmt::print("{}", violations_text(report));
      return exit_code_of({report});
    }
    if (!same) {
      code = ExitCode::kHarnessFailed;
    }
  }
  return code;
}

}  // namespace

ExitCode execute(const SelfcheckCommand& command) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& name : command.scenarios) {
    const auto path = find_scenario(name);
    if (!path) {
      fmt::print(stderr, "error: {}\n", path.error());
      return ExitCode::kBadInput;
    }
    paths.push_back(*path);
  }
  if (paths.empty()) {
    paths = list_scenarios();
  }
  if (paths.empty()) {
    fmt::print(stderr,
               "error: no scenario is in the folder scenarios/ here or beside the build; name "
               "scenario files\n");
    return ExitCode::kBadInput;
  }
  ExitCode worst = ExitCode::kPass;
  for (const std::filesystem::path& path : paths) {
    const auto scenario = load_scenario(path);
    if (!scenario) {
      fmt::print(stderr, "error: {}\n", scenario.error().what());
      return ExitCode::kBadInput;
    }
    const auto materials =
        load_materials(*scenario, {.data_disk = std::nullopt, .ext4_image = ext4_image_path()});
    if (!materials) {
      fmt::print(stderr, "error: {}\n", materials.error());
      return ExitCode::kBadInput;
    }
    worst = std::max(worst, check(*scenario, *materials, command.seed));
  }
  if (worst == ExitCode::kPass) {
    fmt::print("every twin has its scenario's hash\n");
  }
  return worst;
}

}  // namespace scenarios
