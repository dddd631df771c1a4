// Sleep and wake-up of actors in virtual time, against SystemC's SC_THREAD waits in the same
// process.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <memory>
// Asked for before the header, or sc_spawn is not there.
// Debian built the library as C++17, and the headers check for it.
#define SC_CPLUSPLUS 201703L
#define SC_INCLUDE_DYNAMIC_PROCESSES
#include <systemc>
#include <vector>

#include "bench/measure.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "sim/decider.h"
#include "sim/world.h"

namespace {

constexpr std::uint64_t kSleepsOfAll = 200'000;

// --- Ours: logical processors that let a microsecond pass
// ------------------------------------------

void sleep_again_and_again(const machine::BootInformation& information, std::uint32_t lp) {
  const std::uint64_t sleeps = kSleepsOfAll / information.logical_processor_count;
  for (std::uint64_t index = 0; index < sleeps; ++index) {
    machine::spend(1'000);
  }
  if (lp == 0) {
    machine::stop(0);
  }
  for (;;) {
    machine::sti_hlt();
  }
}

double our_sleep_ns(std::uint32_t actors) {
  sim::WorldConfiguration configuration;
  configuration.logical_processors = actors;
  configuration.hypervisor.entry = sleep_again_and_again;
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  sim::RunResult result;
  const double elapsed = bench::nanoseconds_of([&] { result = world.run(); });
  if (!result.passed()) {
    std::cerr << "the world did not end well: " << result.error << '\n';
    for (const sim::Violation& violation : result.violations) {
      std::cerr << violation.property << ": " << violation.message << '\n';
    }
    std::abort();
  }
  return elapsed / static_cast<double>(kSleepsOfAll);
}

// --- SystemC
// ---------------------------------------------------------------------------------------

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
    sleeps_ = 0;
    awake_ = true;
    wake_up_.notify();
    const double elapsed = bench::nanoseconds_of([&] {
      while (sleeps_ < kSleepsOfAll) {
        sc_core::sc_start(100, sc_core::SC_US);
      }
    });
    awake_ = false;
    sc_core::sc_start(2, sc_core::SC_US);
    return elapsed / static_cast<double>(sleeps_);
  }

 private:
  void sleep_while_awake() {
    for (;;) {
      wait(wake_up_);
      while (awake_) {
        wait(1, sc_core::SC_US);
        ++sleeps_;
      }
    }
  }
  sc_core::sc_event wake_up_;
  std::uint64_t sleeps_ = 0;
  bool awake_ = false;
};

SleeperGroup& group_of(std::int64_t actors) {
  static SleeperGroup ten("ten", 10);
  static SleeperGroup thirty_two("thirty_two", 32);
  static SleeperGroup sixty_four("sixty_four", 64);
  static const bool started = [] {
    sc_core::sc_start(1, sc_core::SC_NS);
    return true;
  }();
  static_cast<void>(started);
  return actors == 10 ? ten : actors == 32 ? thirty_two : sixty_four;
}

void sleep_and_wake(benchmark::State& state) {
  double ours = 0;
  double theirs = 0;
  SleeperGroup& group = group_of(state.range(0));
  for (auto unused : state) {
    static_cast<void>(unused);
    ours += our_sleep_ns(static_cast<std::uint32_t>(state.range(0)));
    theirs += group.sleep_ns();
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["ns"] = ours / runs;
  state.counters["systemc_ns"] = theirs / runs;
  state.counters["times_as_fast"] = theirs / ours;
}
BENCHMARK(sleep_and_wake)->Arg(10)->Arg(32)->Arg(64)->Unit(benchmark::kMillisecond);

}  // namespace

// SystemC's library brings a main of its own, which calls this.
int sc_main(int count, char** arguments) {
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
