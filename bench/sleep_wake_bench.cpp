// Sleep and wake-up of actors in virtual time, against SystemC's SC_THREAD waits in the same
// process. Both sides sleep for a microsecond again and again and count each wake-up alike; the
// worlds are built and warm when the watch starts. SystemC has no random stalls, so ours are off in
// "times_as_fast"; "with_stalls" tells the same with them.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>
// Asked for before the header, or sc_spawn is not there.
// Debian built the library as C++17, and the headers check for it.
#define SC_CPLUSPLUS 201703L
#define SC_INCLUDE_DYNAMIC_PROCESSES
#include <systemc>

#include "bench/measure.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "sim/decider.h"
#include "sim/world.h"

namespace {

constexpr std::uint64_t kWarmUpSleeps = 50'000;
constexpr std::uint64_t kSleeps = 400'000;

/// Counts the sleeps of all actors of one side.
class SleepCount {
 public:
  void begin() { sleeps_ = 0; }
  /// An actor was woken; true once that was the last one.
  [[nodiscard]] bool add() {
    ++sleeps_;
    if (sleeps_ == kWarmUpSleeps) {
      bench::stopwatch().start();
    } else if (sleeps_ == kWarmUpSleeps + kSleeps) {
      bench::stopwatch().stop();
      return true;
    }
    return false;
  }

 private:
  std::uint64_t sleeps_ = 0;
};

SleepCount sleep_count;

double measured_sleep_ns() {
  return bench::stopwatch().nanoseconds() / static_cast<double>(kSleeps);
}

// --- Ours: logical processors that let a microsecond pass ----------------------------------------

void sleep_again_and_again(const machine::BootInformation&, std::uint32_t) {
  for (;;) {
    machine::spend(1'000);
    if (sleep_count.add()) {
      machine::stop(0);
    }
  }
}

/// Processors start one nanosecond after another, as SystemC's threads run one after another; all
/// else is drawn as in any run.
class InOrderDecider final : public sim::Decider {
 public:
  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                     std::uint64_t operation) override {
    return site.id() == kStart.id() ? next_++ : seeded_.decide(site, domain, operation);
  }

 private:
  static constexpr machine::Site kStart{"sim.start.processor"};
  sim::SeededDecider seeded_{1};
  std::uint32_t next_ = 0;
};

double our_sleep_ns(std::uint32_t actors, std::uint32_t stall_interval_ns) {
  sim::WorldConfiguration configuration;
  configuration.stall_interval_ns = stall_interval_ns;
  configuration.logical_processors = actors;
  configuration.hypervisor.entry = sleep_again_and_again;
  InOrderDecider decider;
  sim::World world(std::move(configuration), decider);
  sleep_count.begin();
  const sim::RunResult result = world.run();
  if (!result.passed()) {
    std::cerr << "the world did not end well: " << result.error << '\n';
    for (const sim::Violation& violation : result.violations) {
      std::cerr << violation.property << ": " << violation.message << '\n';
    }
    std::abort();
  }
  return measured_sleep_ns();
}

// --- SystemC -------------------------------------------------------------------------------------

/// A group of threads that sleep while the group is awake. All groups are made before the
/// simulation starts, as SystemC wants it.
class SleeperGroup : public sc_core::sc_module {
 public:
  SC_HAS_PROCESS(SleeperGroup);
  SleeperGroup(const sc_core::sc_module_name& name, std::uint32_t threads) : sc_module(name) {
    for (std::uint32_t index = 0; index < threads; ++index) {
      sc_core::sc_spawn([this] { sleep_while_awake(); });
    }
  }
  double sleep_ns() {
    sleep_count.begin();
    awake_ = true;
    wake_up_.notify();
    sc_core::sc_start(1, sc_core::SC_SEC);  // pauses when all sleeps are done
    awake_ = false;
    sc_core::sc_start(2, sc_core::SC_US);
    return measured_sleep_ns();
  }

 private:
  void sleep_while_awake() {
    for (;;) {
      wait(wake_up_);
      while (awake_) {
        wait(1, sc_core::SC_US);
        if (sleep_count.add()) {
          sc_core::sc_pause();
        }
      }
    }
  }
  sc_core::sc_event wake_up_;
  bool awake_ = false;
};

SleeperGroup& group_of(std::int64_t actors) {
  static SleeperGroup ten("ten", 10);
  static SleeperGroup thirty_two("thirty_two", 32);
  static SleeperGroup sixty_four("sixty_four", 64);
  static SleeperGroup many("many", 256);
  static SleeperGroup thousand("thousand", 1000);
  static const bool started = [] {
    sc_core::sc_start(1, sc_core::SC_NS);
    return true;
  }();
  static_cast<void>(started);
  switch (actors) {
    case 10:
      return ten;
    case 32:
      return thirty_two;
    case 64:
      return sixty_four;
    case 256:
      return many;
    default:
      return thousand;
  }
}

void sleep_and_wake(benchmark::State& state) {
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratios;
  std::vector<double> stalled;
  std::vector<double> instructions;
  const auto actors = static_cast<std::uint32_t>(state.range(0));
  SleeperGroup& group = group_of(state.range(0));
  for (auto unused : state) {
    static_cast<void>(unused);
    theirs.push_back(group.sleep_ns());
    stalled.push_back(theirs.back() /
                      our_sleep_ns(actors, sim::WorldConfiguration().stall_interval_ns));
    ours.push_back(our_sleep_ns(actors, 0));
    ratios.push_back(theirs.back() / ours.back());
    if (const auto executed = bench::stopwatch().instructions()) {
      instructions.push_back(*executed / static_cast<double>(kSleeps));
    }
  }
  state.counters["ns"] = bench::median(ours);
  state.counters["systemc_ns"] = bench::median(theirs);
  state.counters["times_as_fast"] = bench::median(ratios);
  state.counters["with_stalls"] = bench::median(stalled);
  if (!instructions.empty()) {
    state.counters["instructions"] = bench::median(instructions);
  }
}
BENCHMARK(sleep_and_wake)
    ->Arg(10)
    ->Arg(32)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1000)
    ->Unit(benchmark::kMillisecond);

}  // namespace

// SystemC's library brings a main of its own, which calls this.
int sc_main(int count, char** arguments) {
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
