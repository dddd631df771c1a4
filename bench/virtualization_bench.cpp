// What a VM exit, a hypercall, a guest's load or store and a switch between processors cost, in
// switches of plain Boost.Context fibers measured beside them.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>

#include "bench/measure.h"
#include "hv/boot.h"
#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "sim/decider.h"
#include "tests/hv/test_kernel.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

constexpr std::uint64_t kOperations = 400'000;

/// Runs a world to its end; returns nanoseconds per operation.
double run(sim::WorldConfiguration configuration, std::uint64_t operations) {
  configuration.limits.virtual_ns = ~std::uint64_t{0};
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
  return elapsed / static_cast<double>(operations);
}

// --- VM exit and entry ---------------------------------------------------------------------------

void exit_again_and_again() {
  for (std::uint64_t index = 0; index < kOperations; ++index) {
    benchmark::DoNotOptimize(machine::cpuid(1, 0));
  }
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
    ratio.add(run(tiny::world(enter_hypervisor, exit_again_and_again), kOperations));
  }
  ratio.report(state);
}
BENCHMARK(vm_exit_and_entry)->Unit(benchmark::kMillisecond);

// --- Hypercalls ----------------------------------------------------------------------------------

void call_again_and_again() {
  test_kernel::begin();
  const hv::HypercallControl control =
      hv::HypercallControl(hv::CallCode::kNotifyLongSpinWait).fast();
  for (std::uint64_t index = 0; index < kOperations; ++index) {
    static_cast<void>(machine::hypercall(test_kernel::kHypercallPage, control.value(), 1, 0));
  }
  test_kernel::end(0);
}

void null_hypercall(benchmark::State& state) {
  bench::SwitchRatio ratio;
  for (auto unused : state) {
    static_cast<void>(unused);
    ratio.add(run(test_kernel::world(call_again_and_again), kOperations));
  }
  ratio.report(state);
}
BENCHMARK(null_hypercall)->Unit(benchmark::kMillisecond);

// --- Guest memory --------------------------------------------------------------------------------

constexpr std::uint64_t kAccesses = 4 * kOperations;

void load_again_and_again() {
  test_kernel::begin();
  for (std::uint64_t index = 0; index < kAccesses; ++index) {
    benchmark::DoNotOptimize(machine::load_u64(test_kernel::kInputPage + (index & 511) * 8));
  }
  test_kernel::end(0);
}

void store_again_and_again() {
  test_kernel::begin();
  for (std::uint64_t index = 0; index < kAccesses; ++index) {
    machine::store_u64(test_kernel::kInputPage + (index & 511) * 8, index);
  }
  test_kernel::end(0);
}

void guest_access(benchmark::State& state, void (*kernel)()) {
  bench::SwitchRatio ratio;
  for (auto unused : state) {
    static_cast<void>(unused);
    ratio.add(run(test_kernel::world(kernel), kAccesses));
  }
  ratio.report(state);
}
BENCHMARK_CAPTURE(guest_access, load, load_again_and_again)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(guest_access, store, store_again_and_again)->Unit(benchmark::kMillisecond);

// --- The hash ------------------------------------------------------------------------------------

void hashing(benchmark::State& state) {
  double with = 0;
  double without = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    sim::WorldConfiguration configuration = test_kernel::world(call_again_and_again);
    with += run(configuration, kOperations);
    configuration.hash_operations = false;
    without += run(configuration, kOperations);
  }
  state.counters["slower_by_percent"] = 100.0 * (with / without - 1.0);
}
BENCHMARK(hashing)->Unit(benchmark::kMillisecond);

// --- A switch between processors, decision included ----------------------------------------------

/// Where both processors meet: they execute operations of the same cost, so that each operation of
/// one is followed by one of the other.
void take_turns(const machine::BootInformation&, std::uint32_t lp) {
  auto& word = *reinterpret_cast<machine::Shared<std::uint64_t>*>(machine::arena().data());
  for (std::uint64_t index = 0; index < kAccesses; ++index) {
    benchmark::DoNotOptimize(word.load());
  }
  if (lp == 0) {
    machine::stop(0);
  }
  for (;;) {
    machine::sti_hlt();
  }
}

void actor_switch(benchmark::State& state) {
  double elapsed = 0;
  double switches = 0;
  double boost = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    sim::WorldConfiguration configuration;
    configuration.logical_processors = 2;
    configuration.hypervisor.entry = take_turns;
    sim::SeededDecider decider(1);
    sim::World world(std::move(configuration), decider);
    sim::RunResult result;
    elapsed += bench::nanoseconds_of([&] { result = world.run(); });
    switches += static_cast<double>(result.context_switches);
    boost += bench::boost_switch_ns();
  }
  const double mean_boost = boost / static_cast<double>(state.iterations());
  state.counters["ns"] = elapsed / switches;
  state.counters["boost_switches"] = elapsed / switches / mean_boost;
}
BENCHMARK(actor_switch)->Unit(benchmark::kMillisecond);

}  // namespace
