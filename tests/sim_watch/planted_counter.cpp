#include "tests/sim_watch/planted_counter.h"

#include <array>
#include <new>

#include "machine/machine.h"
#include "machine/vmx_root.h"

namespace planted {

namespace {

constexpr std::uint32_t kTurns = 20;

struct Plate {
  std::array<std::uint64_t, 40> words;
};

struct World {
  machine::Shared<std::uint64_t> ready{0};
  machine::Shared<std::uint64_t> finished{0};
  machine::SpinLock lock{machine::LockRank{1}};
  std::uint64_t counter = 0;
  Plate plate{};
};

// Processor 0 builds it in a place that is zero at first.
World& world() { return *reinterpret_cast<World*>(machine::arena().data()); }

[[gnu::noinline]] void count_one() { ++world().counter; }

void count_unguarded(std::uint32_t) { count_one(); }

void count_guarded(std::uint32_t) {
  const machine::LockGuard guard(world().lock);
  count_one();
}

[[gnu::noinline]] void exchange_plate(std::uint32_t lp) {
  Plate mine = world().plate;
  mine.words[0] += lp;
  world().plate = mine;
}

void play(std::uint32_t lp, void (*turn)(std::uint32_t lp)) {
  if (lp == 0) {
    new (machine::arena().data()) World;
    world().ready.store(1);
  }
  while (world().ready.load() != 1) {
    machine::pause();
  }
  for (std::uint32_t count = 0; count < kTurns; ++count) {
    turn(lp);
    machine::pause();
  }
  world().finished.fetch_add(1);
  while (world().finished.load() < 2) {
    machine::pause();
  }
  if (lp == 0) {
    machine::stop(0);
  }
  for (;;) {
    machine::pause();
  }
}

}  // namespace

void boot_unguarded(const machine::BootInformation&, std::uint32_t lp) {
  play(lp, count_unguarded);
}

void boot_guarded(const machine::BootInformation&, std::uint32_t lp) { play(lp, count_guarded); }

void boot_copying(const machine::BootInformation&, std::uint32_t lp) { play(lp, exchange_plate); }

}  // namespace planted
