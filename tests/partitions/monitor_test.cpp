// Signals by way of a monitor page: none is lost, and none is late.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "tests/partitions/world_fixture.h"

using partitions_test::computer;
using partitions_test::kMib;
using partitions_test::lines_of;

namespace {

constexpr machine::Site kTriggered("child.bus.monitor_triggered");
constexpr machine::Site kPassedOn("root.bus.monitored_signal_passed_on");
constexpr std::uint64_t kLatencyNs = 100'000;
/// From one look to the next, the latency again and what the root does beside looking.
constexpr std::uint64_t kLongestNs = 2 * kLatencyNs + 50'000;

/// When each child set which trigger, and how late the latest was passed on.
struct Triggers {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> pending;
  std::uint64_t latest_ns = 0;
  std::uint64_t passed_on = 0;

  void take(const sim::TraceEvent& event) {
    const std::pair key(event.id, event.a);
    if (event.site.id() == kTriggered.id()) {
      pending.emplace(key, event.virtual_ns);
    } else if (event.site.id() == kPassedOn.id()) {
      ++passed_on;
      if (const auto found = pending.find(key); found != pending.end()) {
        latest_ns = std::max(latest_ns, event.virtual_ns - found->second);
        pending.erase(found);
      }
    }
  }
};

enum class Processors : std::uint8_t { kSteady, kStalling };

sim::RunResult run(const std::string& parameters, std::uint64_t seed, Triggers& triggers,
                   Processors processors = Processors::kStalling) {
  auto configuration = computer("children=2\nchild_processors=2\n" + parameters);
  configuration.disks.push_back({"data", "1", 512 * 1024, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 2 * kMib, nullptr, 64});
  configuration.on_trace = [&triggers](const sim::TraceEvent& event) { triggers.take(event); };
  if (processors == Processors::kSteady) {
    configuration.stall_interval_ns = 0;
  }
  sim::SeededDecider decider(seed);
  sim::World world(std::move(configuration), decider);
  return world.run();
}

constexpr const char* kStorage = "workload=storage\nrequests=100\nscratch_mib=1\nin_flight=4\n";

}  // namespace

TEST_CASE("a signal by way of the monitor page is passed on", "[partitions][vmbus][monitor]") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Triggers triggers;
    const sim::RunResult result =
        run(std::string(kStorage) + "monitor_latency_us=100\n", seed, triggers);
    CHECK(result.passed());
    CHECK(triggers.passed_on > 100);
    // What came when a channel was about to close is nobody's any more.
    CHECK(triggers.pending.size() <= 4);
    CHECK(std::ranges::count(lines_of(result), "[child 1] disk 1: 100 requests verified") == 1);
  }
}

TEST_CASE("a signal by way of the monitor page comes within twice its latency",
          "[partitions][vmbus][monitor]") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Triggers triggers;
    CHECK(
        run(std::string(kStorage) + "monitor_latency_us=100\n", seed, triggers, Processors::kSteady)
            .passed());
    CHECK(triggers.passed_on > 100);
    CHECK(triggers.latest_ns >= kLatencyNs);
    CHECK(triggers.latest_ns <= kLongestNs);
  }
}

TEST_CASE("a child whose root offers no monitor signals by hypercall",
          "[partitions][vmbus][monitor]") {
  Triggers triggers;
  const sim::RunResult result = run(kStorage, 1, triggers);
  CHECK(result.passed());
  CHECK(triggers.passed_on == 0);
  CHECK(triggers.pending.empty());
}

TEST_CASE("monitored channels come and go, and no page of a child is looked at after",
          "[partitions][vmbus][monitor]") {
  for (const std::uint64_t seed : {1u, 2u}) {
    Triggers triggers;
    const sim::RunResult result =
        run("workload=plug\nopenings=24\nremovals=100\nsubchannels=1\nmonitor_latency_us=50\n",
            seed, triggers);
    CHECK(result.passed());
    CHECK(triggers.passed_on != 0);
    CHECK(std::ranges::count(lines_of(result), "[root] all pages returned") == 1);
  }
}
