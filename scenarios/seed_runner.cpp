#include "scenarios/seed_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

#include "scenarios/recording.h"

namespace scenarios {
namespace {

constexpr std::uint64_t kMostSeeds = 10'000'000;

std::filesystem::path recording_path(const RunPlan& plan, std::uint64_t seed) {
  if (!plan.record) {
    return (plan.failure_folder / fmt::format("{}-seed-{}.chrono", plan.scenario.name, seed))
        .lexically_normal();
  }
  if (plan.seeds.count() == 1) {
    return *plan.record;
  }
  std::filesystem::path path = *plan.record;
  const std::string extension = path.extension().string();
  path.replace_extension();
  path += fmt::format("-{}{}", seed, extension);
  return path;
}

RunReport run_seed(const RunPlan& plan, std::uint64_t seed) {
  const RunRequest request{.scenario = plan.scenario,
                           .materials = plan.materials,
                           .seed = seed,
                           .until_ns = plan.until_ns,
                           .perturbation = {},
                           .trace_recorder = plan.trace_recorder,
                           .on_console_line = plan.on_console_line,
                           .on_progress = plan.on_progress};
  sim::SeededDecider seeded(seed, chances_of(plan.scenario));
  RecordingDecider recorder(seeded);
  RunReport report = run_once(request, recorder);
  const bool failed = report.judgement.verdict != Verdict::kPass;
  if (plan.record || failed) {
    const std::filesystem::path path = recording_path(plan, seed);
    const auto written = write_recording(make_recording(request, report, recorder.take()), path);
    if (written) {
      report.recording = path.string();
    } else {
      report.recording_error = written.error();
    }
  }
  return report;
}

}  // namespace

std::optional<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::expected<SeedRange, std::string> parse_seeds(const std::string& text) {
  const std::size_t dots = text.find("..");
  const std::string_view all(text);
  const auto first = parse_seed(all.substr(0, dots));
  const auto last = dots == std::string::npos ? first : parse_seed(all.substr(dots + 2));
  if (!first || !last) {
    return std::unexpected(
        fmt::format("\"{}\" is no range of seeds; expected is like 1..100", text));
  }
  if (*first > *last) {
    return std::unexpected(fmt::format("\"{}\" ends before it begins", text));
  }
  if (*last - *first >= kMostSeeds) {
    return std::unexpected(fmt::format("\"{}\" has more than {} seeds", text, kMostSeeds));
  }
  return SeedRange{*first, *last};
}

std::vector<RunReport> run_seeds(const RunPlan& plan) {
  std::vector<RunReport> reports(plan.seeds.count());
  std::atomic<std::uint64_t> next{0};
  std::uint64_t finished = 0;
  std::mutex mutex;
  const auto work = [&] {
    for (std::uint64_t index = next++; index < reports.size(); index = next++) {
      RunReport report = run_seed(plan, plan.seeds.first + index);
      const std::lock_guard lock(mutex);
      reports[index] = std::move(report);
      ++finished;
      if (plan.on_report) {
        plan.on_report(reports[index], finished);
      }
    }
  };
  const std::uint64_t workers = std::min<std::uint64_t>(plan.jobs, plan.seeds.count());
  if (workers <= 1) {
    work();
    return reports;
  }
  std::vector<std::jthread> threads;
  threads.reserve(workers);
  for (std::uint64_t index = 0; index < workers; ++index) {
    threads.emplace_back(work);
  }
  threads.clear();  // joins
  return reports;
}

}  // namespace scenarios
