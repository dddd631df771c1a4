// What a VM exit, a hypercall, a guest's load or store and a switch between processors cost, in
// switches of plain Boost.Context fibers measured beside them.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <utility>
#include <vector>

#include "bench/measure.h"
#include "hv/boot.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "sim/decider.h"
#include "tests/hv/test_kernel.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

constexpr std::uint64_t kOperations = 400'000;
constexpr std::uint64_t kWarmUp = kOperations / 16;

/// All processors start at the same time; all else is drawn as in any run.
class TogetherDecider final : public sim::SeededDecider {
 public:
  TogetherDecider() : SeededDecider(1) {}
  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                                     std::uint64_t operation) override {
    return site.id() == kStart.id() ? kStartNs - 1 : SeededDecider::decide(site, domain, operation);
  }

 private:
  static constexpr machine::Site kStart{"sim.start.processor"};
  static constexpr std::uint32_t kStartNs = 1000;
};

sim::RunResult run(sim::WorldConfiguration configuration) {
  configuration.limits.virtual_ns = ~std::uint64_t{0};
  TogetherDecider decider;
  sim::World world(std::move(configuration), decider);
  sim::RunResult result = world.run();
  if (!result.passed()) {
    std::cerr << "the world did not end well: " << result.error << '\n';
    for (const sim::Violation& violation : result.violations) {
      std::cerr << violation.property << ": " << violation.message << '\n';
    }
    std::abort();
  }
  return result;
}

/// In a world: times `operations` of them, after some to warm up.
template <class Operate>
void time_operations(std::uint64_t operations, Operate operate) {
  for (std::uint64_t index = 0; index < kWarmUp; ++index) {
    operate(index);
  }
  bench::stopwatch().start();
  for (std::uint64_t index = 0; index < operations; ++index) {
    operate(index);
  }
  bench::stopwatch().stop();
}

// --- VM exit and entry ---------------------------------------------------------------------------

void exit_again_and_again() {
  time_operations(kOperations,
                  [](std::uint64_t) { benchmark::DoNotOptimize(machine::cpuid(1, 0)); });
  for (;;) {
    static_cast<void>(machine::hypercall(machine::Gpa(tiny::kHypercallPage), 0, 0, 0));
  }
}

void handle_exit(tiny::Guest& guest) {
  if (guest.reason != machine::vmx::ExitReason::kCpuid) {
    machine::stop(0);
  }
  tiny::advance();
}

void enter_hypervisor(const machine::BootInformation& information, std::uint32_t lp) {
  tiny::run(information, lp, nullptr, handle_exit);
}

void vm_exit_and_entry(benchmark::State& state) {
  bench::SwitchRatio ratio;
  for (auto unused : state) {
    static_cast<void>(unused);
    static_cast<void>(run(tiny::world(enter_hypervisor, exit_again_and_again)));
    ratio.add_measured(kOperations);
  }
  ratio.report(state);
}
BENCHMARK(vm_exit_and_entry)->Unit(benchmark::kMillisecond);

// --- Hypercalls ----------------------------------------------------------------------------------

/// An interrupt to nobody: the whole way of a call that then has nothing to do.
void call_again_and_again() {
  test_kernel::begin();
  const hv::HypercallControl control =
      hv::HypercallControl(hv::CallCode::kSendSyntheticClusterIpi).fast();
  constexpr std::uint64_t kVector = 0x50;
  time_operations(kOperations, [control](std::uint64_t) {
    benchmark::DoNotOptimize(
        machine::hypercall(test_kernel::kHypercallPage, control.value(), kVector, 0));
  });
  test_kernel::end(0);
}

void null_hypercall(benchmark::State& state) {
  bench::SwitchRatio ratio;
  for (auto unused : state) {
    static_cast<void>(unused);
    static_cast<void>(run(test_kernel::world(call_again_and_again)));
    ratio.add_measured(kOperations);
  }
  ratio.report(state);
}
BENCHMARK(null_hypercall)->Unit(benchmark::kMillisecond);

// --- Guest memory --------------------------------------------------------------------------------

constexpr std::uint64_t kAccesses = 4 * kOperations;

void load_again_and_again() {
  test_kernel::begin();
  time_operations(kAccesses, [](std::uint64_t index) {
    benchmark::DoNotOptimize(machine::load_u64(test_kernel::kInputPage + (index & 511) * 8));
  });
  test_kernel::end(0);
}

void store_again_and_again() {
  test_kernel::begin();
  time_operations(kAccesses, [](std::uint64_t index) {
    machine::store_u64(test_kernel::kInputPage + (index & 511) * 8, index);
  });
  test_kernel::end(0);
}

void guest_access(benchmark::State& state, void (*kernel)()) {
  bench::SwitchRatio ratio;
  for (auto unused : state) {
    static_cast<void>(unused);
    static_cast<void>(run(test_kernel::world(kernel)));
    ratio.add_measured(kAccesses);
  }
  ratio.report(state);
}
BENCHMARK_CAPTURE(guest_access, load, load_again_and_again)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(guest_access, store, store_again_and_again)->Unit(benchmark::kMillisecond);

// --- The hash ------------------------------------------------------------------------------------

void hashing(benchmark::State& state) {
  std::vector<double> ratios;
  for (auto unused : state) {
    static_cast<void>(unused);
    sim::WorldConfiguration configuration = test_kernel::world(call_again_and_again);
    static_cast<void>(run(configuration));
    const double with = bench::stopwatch().nanoseconds();
    configuration.hash_operations = false;
    static_cast<void>(run(std::move(configuration)));
    ratios.push_back(with / bench::stopwatch().nanoseconds());
  }
  state.counters["slower_by_percent"] = 100.0 * (bench::median(ratios) - 1.0);
}
BENCHMARK(hashing)->Unit(benchmark::kMillisecond);

// --- A switch between processors, decision included ----------------------------------------------

constexpr std::uint64_t kMeetings = 8 * kOperations;
std::uint64_t meetings = 0;

/// Where all processors meet: they execute operations of the same cost at the same times, so that
/// after each turn of all a decision says who is first.
template <class Count>
void meet(std::uint32_t lp, Count count) {
  const auto& word = *reinterpret_cast<machine::Shared<std::uint64_t>*>(machine::arena().data());
  if (lp == 0) {
    machine::spend(100'000);  // the others have come; a multiple of an operation's time
    meetings = 0;
  }
  for (;;) {
    benchmark::DoNotOptimize(word.load());
    count(lp);
    ++meetings;
    if (meetings == kWarmUp) {
      bench::stopwatch().start();
    } else if (meetings == kWarmUp + kMeetings) {
      bench::stopwatch().stop();
      machine::stop(0);
    }
  }
}

void meet_again_and_again(const machine::BootInformation&, std::uint32_t lp) {
  meet(lp, [](std::uint32_t) {});
}

std::uint32_t last_lp = 0;
std::uint64_t changes = 0;

void count_changes(const machine::BootInformation&, std::uint32_t lp) {
  meet(lp, [](std::uint32_t now) { changes += std::exchange(last_lp, now) != now ? 1 : 0; });
}

sim::RunResult run_meeting(std::uint32_t processors,
                           void (*program)(const machine::BootInformation&, std::uint32_t)) {
  sim::WorldConfiguration configuration;
  configuration.logical_processors = processors;
  configuration.hypervisor.entry = program;
  configuration.stall_interval_ns = 0;  // who stalls is not switched to for long
  return run(std::move(configuration));
}

double operation_ns() { return bench::stopwatch().nanoseconds() / static_cast<double>(kMeetings); }

/// A switch is executed at each end of a turn; before each second one a decision says to whom. What
/// an operation costs where nobody takes turns, measured beside, is subtracted. Of the switches a
/// quarter goes to the one that had the turn: "boost_switches_a_change" puts their cost on the
/// others.
void actor_switch(benchmark::State& state) {
  bench::SwitchRatio switching;
  bench::SwitchRatio changing;
  changes = 0;
  const double operations = static_cast<double>(run_meeting(2, count_changes).events);
  const double changes_an_operation = static_cast<double>(changes) / operations;
  for (auto unused : state) {
    static_cast<void>(unused);
    const auto turns = static_cast<double>(run_meeting(2, meet_again_and_again).turns);
    const double together_ns = operation_ns();
    static_cast<void>(run_meeting(1, meet_again_and_again));
    const double switch_ns = together_ns - operation_ns();
    switching.add(switch_ns / (turns / operations));
    changing.add(switch_ns / changes_an_operation);
  }
  switching.report(state);
  changing.report(state, "boost_switches_a_change", "ns_a_change");
  state.counters["changes_an_operation"] = changes_an_operation;
}
BENCHMARK(actor_switch)->Unit(benchmark::kMillisecond);

}  // namespace
