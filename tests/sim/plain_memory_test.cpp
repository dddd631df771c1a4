// The watch on plain memory, in a world: what instrumented code would report is reported by hand.
#include <catch2/catch.hpp>
#include <new>

#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

// What the compiler calls before each plain access (sim/watch/thread_sanitizer_abi.cpp).
extern "C" void __tsan_read8(void* address);
extern "C" void __tsan_write8(void* address);

namespace {

struct Counters {
  machine::Shared<std::uint64_t> ready{1};
  machine::Shared<std::uint64_t> finished{0};
  machine::SpinLock lock{machine::LockRank{1}};
  std::uint64_t counter = 0;
};

// Processor 0 builds it in a place that is zero at first.
Counters& counters() { return *reinterpret_cast<Counters*>(machine::arena().data()); }

void count() {
  std::uint64_t& counter = counters().counter;
  __tsan_read8(&counter);
  const std::uint64_t before = counter;
  machine::fence();
  __tsan_write8(&counter);
  counter = before + 1;
}

template <bool kGuarded>
void boot(const machine::BootInformation&, std::uint32_t lp) {
  if (lp == 0) {
    new (machine::arena().data()) Counters;
  }
  while (counters().ready.load() != 1) {
    machine::pause();
  }
  for (std::uint32_t turn = 0; turn < 20; ++turn) {
    if (kGuarded) {
      counters().lock.acquire();
    }
    count();
    if (kGuarded) {
      counters().lock.release();
    }
  }
  counters().finished.fetch_add(1);
  while (counters().finished.load() < 2) {
    machine::pause();
  }
  if (lp == 0) {
    machine::stop(0);
  }
  for (;;) {
    machine::pause();
  }
}

sim::RunResult run(machine::HypervisorEntry entry) {
  sim::WorldConfiguration configuration = tiny::world(entry, [] {});
  configuration.logical_processors = 2;
  configuration.watch_plain_memory = true;
  return tiny::run_world(configuration);
}

}  // namespace

TEST_CASE("an unguarded counter of two processors is a race", "[sim][watch]") {
  const sim::RunResult result = run(boot<false>);
  REQUIRE_FALSE(result.violations.empty());
  CHECK(result.violations[0].property == "plain memory is guarded");
  CHECK_THAT(result.violations[0].message, Catch::Contains("by actor 1"));
  CHECK_FALSE(result.passed());
}

TEST_CASE("a counter that a lock guards is none", "[sim][watch]") {
  CHECK(run(boot<true>).passed());
}
