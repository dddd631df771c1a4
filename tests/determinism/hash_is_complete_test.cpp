// The hash of a run covers every operation's result: whichever is turned over, another hash comes
// out. Tried on the whole stack, hypervisor, root and child.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <optional>
#include <random>

#include "scenarios/world_builder.h"
#include "sim/decider.h"

namespace {

constexpr std::uint64_t kSeed = 1;

struct Ending {
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::uint64_t virtual_ns = 0;
  sim::Outcome outcome = sim::Outcome::kHarnessError;
};

Ending run(const sim::WorldConfiguration& configuration) {
  sim::SeededDecider decider(kSeed);
  sim::World world(configuration, decider);
  const sim::RunResult result = world.run();
  return {result.trace_hash, result.events, result.virtual_ns, result.outcome};
}

/// Runs in a process of its own, because software that is told wrong results may do anything: a
/// word of the hypervisor's own memory read wrongly is a pointer to anywhere. Nothing if that
/// process came to grief.
std::optional<Ending> run_apart(const sim::WorldConfiguration& configuration) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t process = fork();
  REQUIRE(process >= 0);
  if (process == 0) {
    // Whoever catches signals for this program would report them as its own.
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    const Ending ending = run(configuration);
    const bool told = write(ends[1], &ending, sizeof ending) == sizeof ending;
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  Ending ending;
  const bool heard = read(ends[0], &ending, sizeof ending) == sizeof ending;
  close(ends[0]);
  int status = 0;
  waitpid(process, &status, 0);
  return heard ? std::optional(ending) : std::nullopt;
}

sim::WorldConfiguration hello() {
  const auto scenario = scenarios::load_scenario(CHRONOVISOR_SCENARIOS "/hello.toml");
  REQUIRE(scenario);
  return scenarios::build_world(*scenario, {}, kSeed);
}

}  // namespace

TEST_CASE("each of 1,000 flipped results of the whole stack changes the hash",
          "[determinism][hash]") {
  sim::WorldConfiguration configuration = hello();
  const std::optional<Ending> whole = run_apart(configuration);
  REQUIRE(whole);
  REQUIRE(whole->outcome == sim::Outcome::kStopped);
  // A flip may make the software wait for ever.
  configuration.limits.virtual_ns = whole->virtual_ns * 2;
  configuration.limits.operations = whole->events * 2;
  std::mt19937_64 draw(Catch::rngSeed());
  std::uint32_t same = 0;
  std::uint32_t came_to_grief = 0;
  for (std::uint32_t turn = 0; turn < 1000; ++turn) {
    configuration.flip_operation = draw() % whole->events;
    const std::optional<Ending> flipped = run_apart(configuration);
    if (!flipped) {
      ++came_to_grief;
    } else if (flipped->trace_hash == whole->trace_hash) {
      ++same;
      WARN("operation " << configuration.flip_operation << " is not in the hash");
    }
  }
  CHECK(same == 0);
  // An end by a signal is another end than the whole run's, but says nothing of the hash.
  CHECK(came_to_grief < 10);
}
