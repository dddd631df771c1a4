// What a recording costs: the same runs with and without one, and replayed, side by side. The file
// that a recording becomes is part of its cost; "bytes_a_decision" is what the file is longer than
// one without decisions.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "scenarios/decision_log.h"
#include "scenarios/materials.h"
#include "scenarios/recording.h"
#include "scenarios/run.h"
#include "scenarios/scenario.h"
#include "sim/decider.h"

namespace {

using scenarios::Recording;
using scenarios::RunReport;
using scenarios::RunRequest;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << why << '\n';
  std::abort();
}

struct Loaded {
  scenarios::Scenario scenario;
  scenarios::Materials materials;
};

Loaded load(const std::string& name) {
  auto scenario =
      scenarios::load_scenario(std::filesystem::path(CHRONOVISOR_SCENARIOS) / (name + ".toml"));
  if (!scenario) {
    give_up(scenario.error().what());
  }
  auto materials =
      scenarios::load_materials(*scenario, {.data_disk = {}, .ext4_image = CHRONOVISOR_EXT4_IMAGE});
  if (!materials) {
    give_up(materials.error());
  }
  return {std::move(*scenario), std::move(*materials)};
}

/// Time of this thread alone: what else the machine does meanwhile counts for none of the sides.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

template <class Work>
double seconds(Work&& work) {
  const double start = thread_seconds();
  work();
  return thread_seconds() - start;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

RunReport run(const RunRequest& request, sim::Decider& decider) {
  RunReport report = scenarios::run_once(request, decider);
  if (report.judgement.verdict != scenarios::Verdict::kPass) {
    give_up("the run of " + report.scenario + " did not pass: " + report.result.error);
  }
  return report;
}

class Comparison {
 public:
  explicit Comparison(const std::string& name) : loaded_(load(name)) {}

  void run_once() {
    const double plain = seconds([&] {
      sim::SeededDecider seeded(request_.seed);
      static_cast<void>(run(request_, seeded));
    });
    const double recorded = seconds([&] { record(); });
    const double replayed = seconds([&] { replay(); });
    slower_.push_back(100 * (recorded / plain - 1));
    replay_.push_back(replayed / recorded);
  }

  void report(benchmark::State& state) const {
    Recording empty = recording_;
    empty.log.decisions.clear();
    empty.log.decision_count = 0;
    empty.log.hashes.clear();
    const auto decisions = static_cast<double>(recording_.log.decision_count);
    const std::size_t bytes = file_.size() - scenarios::pack(empty).size();
    state.counters["slower_by_percent"] = median(slower_);
    state.counters["replay_of_recorded"] = median(replay_);
    state.counters["bytes_a_decision"] = static_cast<double>(bytes) / decisions;
    state.counters["decisions"] = decisions;
  }

 private:
  void record() {
    sim::SeededDecider seeded(request_.seed);
    scenarios::RecordingDecider recorder(seeded);
    const RunReport report = run(request_, recorder);
    recording_ = scenarios::make_recording(request_, report, recorder.take());
    file_ = scenarios::pack(recording_);
  }
  void replay() const {
    const auto recording = scenarios::unpack(file_);
    if (!recording) {
      give_up(recording.error());
    }
    scenarios::ReplayingDecider decider(recording->log);
    const RunReport report = run(request_, decider);
    if (decider.divergence(true) || report.result.trace_hash != recording->trace_hash) {
      give_up("the replay of " + report.scenario + " departs from the recording");
    }
  }

  Loaded loaded_;
  RunRequest request_{.scenario = loaded_.scenario,
                      .materials = loaded_.materials,
                      .seed = 1,
                      .until_ns = {},
                      .perturbation = {},
                      .trace_recorder = nullptr,
                      .on_console_line = {},
                      .on_progress = {}};
  Recording recording_;
  sim::Bytes file_;
  std::vector<double> slower_;
  std::vector<double> replay_;
};

void recording(benchmark::State& state, const char* scenario) {
  Comparison comparison(scenario);
  comparison.run_once();
  for (auto unused : state) {
    static_cast<void>(unused);
    comparison.run_once();
  }
  comparison.report(state);
}
// Long enough for a median of several runs.
BENCHMARK_CAPTURE(recording, many_children, "many-children")
    ->MinTime(2)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(recording, storage, "storage")->MinTime(4)->Unit(benchmark::kMillisecond);

}  // namespace
