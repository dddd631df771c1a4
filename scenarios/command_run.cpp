// chronovisor run
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "scenarios/commands.h"
#include "scenarios/outcome.h"
#include "scenarios/places.h"
#include "scenarios/progress.h"
#include "scenarios/report.h"
#include "scenarios/seed_runner.h"
#include "sim/trace_recorder.h"

namespace scenarios {
namespace {

struct Refused {
  std::string problem;
};

SeedRange seeds_of(const RunCommand& command) {
  if (command.seeds.empty()) {
    const std::uint64_t seed = command.seed.value_or(1);
    return {seed, seed};
  }
  const auto seeds = parse_seeds(command.seeds);
  if (!seeds) {
    throw Refused{"--seeds: " + seeds.error()};
  }
  if (!command.trace.empty() && seeds->count() > 1) {
    throw Refused{"--trace: traces one run; give one seed"};
  }
  return *seeds;
}

std::optional<std::uint64_t> until_of(const RunCommand& command) {
  if (command.until.empty()) {
    return std::nullopt;
  }
  const auto until_ns = parse_duration(command.until);
  if (!until_ns || *until_ns == 0) {
    throw Refused{
        fmt::format("--until: \"{}\" is no time; expected is a number and its unit (ns, "
                    "us, ms, s, min), like 90s",
                    command.until)};
  }
  return until_ns;
}

Scenario scenario_of(const RunCommand& command) {
  const auto path = find_scenario(command.scenario);
  if (!path) {
    throw Refused{path.error()};
  }
  auto scenario = load_scenario(*path);
  if (!scenario) {
    throw Refused{scenario.error().what()};
  }
  return std::move(*scenario);
}

Materials materials_of(const RunCommand& command, const Scenario& scenario) {
  MaterialOptions options;
  options.ext4_image = ext4_image_path();
  if (!command.disk.empty()) {
    options.data_disk = command.disk;
  }
  auto materials = load_materials(scenario, options);
  if (!materials) {
    throw Refused{materials.error()};
  }
  if (options.data_disk) {
    const DiskMaterial& disk = materials->disks[scenario.workload.data_disk];
    const std::uint64_t content_bytes = disk.content != nullptr ? disk.content->size() : 0;
    if (content_bytes + disk.padding_bytes != disk.size_bytes) {
      fmt::print(stderr, "note: disk \"{}\" has {} bytes: zeros follow those of {}\n",
                 scenario.disks[scenario.workload.data_disk].name, disk.size_bytes, command.disk);
    }
  }
  return std::move(*materials);
}

/// A file that cannot be written is bad input: better told before the run than after it.
void check_writable(const std::string& path, std::string_view option) {
  if (path.empty()) {
    return;
  }
  const auto refuse = [&](std::string_view why) {
    throw Refused{fmt::format("{}: {} cannot be written: {}", option, path, why)};
  };
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::filesystem::path folder = parent.empty() ? "." : parent;
  if (std::filesystem::is_directory(status)) {
    refuse("it is a folder");
  }
  // A recording is renamed to its place, which is no way to treat a device.
  if (option == "--record" && std::filesystem::exists(status) &&
      !std::filesystem::is_regular_file(status)) {
    refuse("it is there and is no plain file");
  }
  if (!std::filesystem::is_directory(folder, error)) {
    refuse("there is no folder " + folder.string());
  }
  if (::access(folder.c_str(), W_OK) != 0 ||
      (std::filesystem::exists(status) && ::access(path.c_str(), W_OK) != 0)) {
    refuse("no permission");
  }
}

bool write_trace(const std::string& path, const sim::TraceRecorder& trace) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream << trace.json();
  return static_cast<bool>(stream.flush());
}

void show_progress(const RunReport& report, std::uint64_t finished, std::uint64_t count) {
  const bool failed = report.judgement.verdict != Verdict::kPass;
  if (failed) {
    fmt::print(stderr, "seed {}: {}\n{}", report.seed, name_of(report.judgement.verdict),
               violations_text(report));
  }
  const std::uint64_t step = std::max<std::uint64_t>(count / 20, 1);
  if (failed || finished % step == 0 || finished == count) {
    fmt::print(stderr, "{} of {} seeds\n", finished, count);
  }
}

void show_results(const std::vector<RunReport>& reports) {
  if (reports.size() == 1) {
    fmt::print("{}", summary_text(reports.front()));
  } else {
    std::uint64_t passed = 0;
    for (const RunReport& report : reports) {
      passed += report.judgement.verdict == Verdict::kPass ? 1 : 0;
    }
    fmt::print("{}: {} of {} seeds passed\n", reports.front().scenario, passed, reports.size());
  }
  for (const RunReport& report : reports) {
    if (reports.size() == 1) {
      fmt::print("{}", violations_text(report));
    }
    if (!report.recording_error.empty()) {
      fmt::print(stderr, "error: no recording: {}\n", report.recording_error);
    }
    if (!report.recording.empty()) {
      fmt::print("recording: {0}\nreplay:    {1} replay {0}\n", report.recording, program_name());
    }
  }
}

std::vector<RunReport> run(const RunCommand& command, sim::TraceRecorder* trace) {
  const SeedRange seeds = seeds_of(command);
  const auto until_ns = until_of(command);
  check_writable(command.record, "--record");
  check_writable(command.trace, "--trace");
  const Scenario scenario = scenario_of(command);
  const Materials materials = materials_of(command, scenario);
  RunPlan plan{.scenario = scenario,
               .materials = materials,
               .seeds = seeds,
               .jobs = command.jobs,
               .until_ns = until_ns,
               .record = std::nullopt,
               .failure_folder = ".",
               .trace_recorder = trace,
               .on_console_line = {},
               .on_progress = {},
               .on_report = {}};
  ProgressDisplay display(::isatty(STDERR_FILENO) == 1);
  if (!command.record.empty()) {
    plan.record = command.record;
  }
  if (!command.json && seeds.count() == 1) {
    plan.on_console_line = [&display](const std::string& line, std::uint64_t virtual_ns) {
      display.console_line(line, virtual_ns);
    };
    plan.on_progress = [&display](std::uint64_t events, std::uint64_t virtual_ns) {
      display.progress(events, virtual_ns);
    };
  }
  if (!command.json && seeds.count() > 1) {
    plan.on_report = [count = seeds.count()](const RunReport& report, std::uint64_t finished) {
      show_progress(report, finished, count);
    };
  }
  return run_seeds(plan);
}

}  // namespace

ExitCode execute(const RunCommand& command) {
  try {
    sim::TraceRecorder trace;
    const auto reports = run(command, command.trace.empty() ? nullptr : &trace);
    if (command.json) {
      fmt::print("{}", reports.size() == 1 ? json_text(reports.front()) : json_text(reports));
    } else {
      show_results(reports);
    }
    if (!command.trace.empty() && !write_trace(command.trace, trace)) {
      fmt::print(stderr, "error: --trace: {} cannot be written\n", command.trace);
      return ExitCode::kHarnessFailed;
    }
    return exit_code_of(reports);
  } catch (const Refused& refused) {
    fmt::print(stderr, "error: {}\n", refused.problem);
    return ExitCode::kBadInput;
  }
}

}  // namespace scenarios
