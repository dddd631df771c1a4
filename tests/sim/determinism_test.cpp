// One seed, one run: what may differ between two computers must not differ between two runs.
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "machine/guest.h"
#include "machine/machine.h"
#include "machine/vmx_architecture.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"
#include "tests/sim/run_world.h"
#include "tests/sim/tiny_hypervisor.h"

namespace {

using machine::Gpa;
using machine::vmx::ExitReason;

constexpr machine::Site kChoice{"test.choice"};
constexpr machine::Site kGoal{"test.goal"};

/// Two processors that fight for a word and count in the arena.
void fight() {
  const std::span<std::byte> arena = machine::arena();
  auto& turns = *reinterpret_cast<machine::Shared<std::uint32_t>*>(arena.data());
  const std::uint64_t word = 0x0070'0000;
  for (std::uint32_t round = 0; round < 100; ++round) {
    while (machine::exchange_u32(Gpa(word), 1) != 0) {
      machine::pause();
    }
    const std::uint64_t counter = machine::load_u64(Gpa(word + 8));
    machine::sometimes(kGoal, counter % 7 == machine::choose(kChoice, 7));
    static_cast<void>(machine::cpuid(round, 0));
    machine::store_u64(Gpa(word + 8), counter + 1);
    turns.fetch_add(1);
    machine::store_u32(Gpa(word), 0);
  }
  while (turns.load() < 200) {
    machine::pause();
  }
  static_cast<void>(machine::hypercall(Gpa(tiny::kHypercallPage), 1, 0, 0));
}

void boot_first() {
  // The arena is undefined at boot.
  const std::span<std::byte> arena = machine::arena();
  auto& turns = *reinterpret_cast<machine::Shared<std::uint32_t>*>(arena.data());
  turns.store(0);
  machine::store_u32(Gpa(0x0070'0010), 1);
  fight();
}

void boot_second() {
  while (machine::load_u32(Gpa(0x0070'0010)) == 0) {
    machine::pause();
  }
  fight();
}

void serve(tiny::Guest& guest) {
  if (guest.reason == ExitReason::kVmcall) {
    machine::stop(0);
  }
  INVARIANT(guest.reason == ExitReason::kCpuid);
  tiny::advance();
}

sim::WorldConfiguration fighters() {
  // The second processor enters the kernel only once the first one has.
  const auto hypervisor = [](const machine::BootInformation& information, std::uint32_t lp) {
    if (lp != 0) {
      while (machine::load_u32(machine::Spa(0x0070'0010)) == 0) {
        machine::pause();
      }
    }
    tiny::run(information, lp, nullptr, serve);
  };
  sim::WorldConfiguration configuration = tiny::world(hypervisor, boot_first, boot_second);
  configuration.logical_processors = 2;
  return configuration;
}

}  // namespace

TEST_CASE("the same seed gives the same hash, another seed another", "[sim][determinism]") {
  const sim::RunResult first = tiny::run_world(fighters(), 5);
  REQUIRE(first.passed());
  const sim::RunResult again = tiny::run_world(fighters(), 5);
  const sim::RunResult other = tiny::run_world(fighters(), 6);
  CHECK(first.trace_hash == again.trace_hash);
  CHECK(first.events == again.events);
  CHECK(first.virtual_ns == again.virtual_ns);
  CHECK(first.sometimes == again.sometimes);
  CHECK(first.trace_hash != other.trace_hash);
  CHECK(first.turns > 100);
}

TEST_CASE("what memory holds by chance and where it lies makes no difference",
          "[sim][determinism]") {
  const std::uint64_t hash = tiny::run_world(fighters(), 5).trace_hash;
  sim::WorldConfiguration filled = fighters();
  filled.perturbation.fill = 0xA5;
  CHECK(tiny::run_world(filled, 5).trace_hash == hash);
  sim::WorldConfiguration displaced = fighters();
  displaced.perturbation.displacement_pages = 37;
  CHECK(tiny::run_world(displaced, 5).trace_hash == hash);
}

TEST_CASE("worlds on several threads do not see each other", "[sim][determinism]") {
  const std::uint64_t hash = tiny::run_world(fighters(), 5).trace_hash;
  std::vector<std::uint64_t> hashes(4);
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t& result : hashes) {
      threads.emplace_back([&result] {
        sim::SeededDecider decider(5);
        sim::World world(fighters(), decider);
        result = world.run().trace_hash;
      });
    }
  }
  CHECK(hashes == std::vector<std::uint64_t>(4, hash));
}

TEST_CASE("each flipped result of an operation changes the hash", "[sim][determinism]") {
  const sim::RunResult whole = tiny::run_world(fighters(), 5);
  std::mt19937_64 draw(Catch::rngSeed());
  std::size_t same = 0;
  for (std::uint32_t turn = 0; turn < 1000; ++turn) {
    sim::WorldConfiguration configuration = fighters();
    configuration.flip_operation = draw() % whole.events;
    configuration.limits.virtual_ns = whole.virtual_ns * 2;
    sim::SeededDecider decider(5);
    sim::World world(configuration, decider);
    same += world.run().trace_hash == whole.trace_hash ? 1 : 0;
  }
  CHECK(same == 0);
}
