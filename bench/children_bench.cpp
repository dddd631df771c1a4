// What one more child costs: host memory of an idle child of one processor, and events a second
// with 1,000 children against 10. Both run scenarios/thousand-children.toml with other numbers in
// it.
#include <benchmark/benchmark.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "scenarios/run.h"
#include "scenarios/scenario.h"
#include "scenarios/world_builder.h"
#include "sim/decider.h"
#include "sim/world.h"

namespace {

constexpr std::uint32_t kFew = 10;
constexpr std::uint32_t kMany = 1000;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << why << '\n';
  std::abort();
}

scenarios::Scenario load(const char* name) {
  auto scenario = scenarios::load_scenario(std::filesystem::path(CHRONOVISOR_SCENARIOS) /
                                           (std::string(name) + ".toml"));
  if (!scenario) {
    give_up(scenario.error().what());
  }
  return std::move(*scenario);
}

// --- Memory --------------------------------------------------------------------------------------

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Of a world in which so many children have nothing to do, and nothing has ended yet.
std::uint64_t resident_bytes_with(std::uint32_t children) {
  scenarios::Scenario scenario = load("thousand-children");
  scenario.partitions.children = children;
  scenario.partitions.children_at_once = children;
  // What each processor caches of a child is not the child's.
  scenario.machine.logical_processors = 2;
  // They sleep until long after the world ends: no tick, no message.
  scenario.workload.timer_hz = 1;
  scenario.workload.duration_ms = 1'000'000;
  sim::WorldConfiguration configuration = scenarios::build_world(scenario, {}, 1);
  configuration.limits.virtual_ns = 20'000'000'000;
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  const sim::RunResult result = world.run();
  if (result.outcome != sim::Outcome::kTimeLimit) {
    give_up("the idle world did not run to its limit: " + result.error);
  }
  return resident_bytes();
}

/// In a process of its own, so that nothing of an earlier world is counted or reused.
std::uint64_t measured_apart(std::uint32_t children) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    give_up("no pipe");
  }
  const pid_t child = fork();
  if (child == 0) {
    const std::uint64_t bytes = resident_bytes_with(children);
    _exit(write(ends[1], &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
  }
  std::uint64_t bytes = 0;
  close(ends[1]);
  const bool got = child > 0 && read(ends[0], &bytes, sizeof bytes) == sizeof bytes;
  close(ends[0]);
  int status = 0;
  if (child > 0) {
    waitpid(child, &status, 0);
  }
  if (!got || status != 0) {
    give_up("the measured process failed");
  }
  return bytes;
}

void idle_child_memory(benchmark::State& state) {
  std::uint64_t few = 0;
  std::uint64_t many = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    few = measured_apart(kFew);
    many = measured_apart(kMany);
  }
  state.counters["kb_a_child"] = static_cast<double>(many - few) / 1024 / (kMany - kFew);
}
BENCHMARK(idle_child_memory)->Iterations(1)->Unit(benchmark::kMillisecond);

// --- Speed ---------------------------------------------------------------------------------------

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Run {
  double seconds = 0;
  double events = 0;
};

Run run(const scenarios::Scenario& scenario) {
  sim::SeededDecider decider(1);
  const double start = thread_seconds();
  const scenarios::RunReport report = scenarios::run_once({.scenario = scenario,
                                                           .materials = {},
                                                           .seed = 1,
                                                           .until_ns = {},
                                                           .perturbation = {},
                                                           .trace_recorder = nullptr,
                                                           .on_console_line = {},
                                                           .on_progress = {}},
                                                          decider);
  const double elapsed = thread_seconds() - start;
  if (report.judgement.verdict != scenarios::Verdict::kPass) {
    give_up("the run of " + scenario.name + " did not pass: " + report.result.error);
  }
  return {elapsed, static_cast<double>(report.result.events)};
}

/// So long that both have about as many ticks to handle.
scenarios::Scenario ticking(std::uint32_t children) {
  scenarios::Scenario scenario = load("thousand-children");
  scenario.partitions.children = children;
  scenario.partitions.children_at_once = children;
  scenario.workload.duration_ms = 5'000 * std::uint64_t{kMany} / children;
  scenario.limits.virtual_ns = ~std::uint64_t{0};
  return scenario;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

void events_a_second(benchmark::State& state) {
  const scenarios::Scenario few = ticking(kFew);
  const scenarios::Scenario many = ticking(kMany);
  std::vector<double> ratios;
  double few_rate = 0;
  double many_rate = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    const Run with_few = run(few);
    const Run with_many = run(many);
    few_rate = with_few.events / with_few.seconds;
    many_rate = with_many.events / with_many.seconds;
    ratios.push_back(many_rate / few_rate);
  }
  state.counters["of_few"] = median(ratios);
  state.counters["few_per_second"] = few_rate;
  state.counters["many_per_second"] = many_rate;
}
BENCHMARK(events_a_second)->Unit(benchmark::kMillisecond);

// --- Idling --------------------------------------------------------------------------------------

/// Two children of two processors with 100 Hz timers for 10 virtual minutes.
void ten_idle_minutes(benchmark::State& state) {
  const scenarios::Scenario idle = load("idle");
  double total = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    total += run(idle).seconds;
  }
  state.counters["seconds"] = total / static_cast<double>(state.iterations());
}
BENCHMARK(ten_idle_minutes)->Unit(benchmark::kMillisecond);

}  // namespace
