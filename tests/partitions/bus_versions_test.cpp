// The same children on every version of the bus that either end may stop at.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/partitions/world_fixture.h"
#include "vmbus/client/client.h"
#include "vmbus/protocol/version.h"

using partitions_test::computer;
using partitions_test::kMib;
using partitions_test::lines_of;
using vmbus::Version;

namespace {

constexpr machine::Site kClientState("vmbus.client.state");
constexpr auto kConnected = static_cast<std::uint64_t>(vmbus::ClientState::kConnected);

struct Versions {
  Version root;
  Version child;
};

struct Ran {
  sim::RunResult result;
  /// Of each time that a child was connected.
  std::vector<std::uint64_t> agreed;
};

Ran run(const std::string& workload, const Versions& versions) {
  Ran ran;
  auto configuration = computer(
      "children=1\nchild_processors=2\n" + workload +
      "bus_version=" + std::to_string(static_cast<std::uint32_t>(versions.root)) +
      "\nchild_bus_version=" + std::to_string(static_cast<std::uint32_t>(versions.child)) + "\n");
  configuration.disks.push_back({"data", "1", 128 * 1024, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 1 * kMib, nullptr, 64});
  configuration.on_trace = [&ran](const sim::TraceEvent& event) {
    if (event.site.id() == kClientState.id() && event.a == kConnected) {
      ran.agreed.push_back(event.b);
    }
  };
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  ran.result = world.run();
  return ran;
}

void check_storage(const Versions& versions) {
  const Ran ran = run("workload=storage\nrequests=20\nscratch_mib=1\n", versions);
  INFO("root " << static_cast<std::uint32_t>(versions.root) << ", child "
               << static_cast<std::uint32_t>(versions.child));
  CHECK(ran.result.passed());
  const auto lines = lines_of(ran.result);
  CHECK(std::ranges::count(lines, "[child 1] disk 1: 20 requests verified") == 1);
  CHECK(std::ranges::count(lines, "[root] all pages returned") == 1);
  const auto agreed = static_cast<std::uint64_t>(std::min(versions.root, versions.child));
  CHECK(ran.agreed == std::vector<std::uint64_t>{agreed});
}

}  // namespace

TEST_CASE("a child works with every version that it stops at", "[partitions][vmbus][versions]") {
  for (const Version version : vmbus::kVersionsNewestFirst) {
    check_storage({Version::kCopper, version});
  }
}

TEST_CASE("a child of the newest version works with every version that the root stops at",
          "[partitions][vmbus][versions]") {
  for (const Version version : vmbus::kVersionsNewestFirst) {
    check_storage({version, Version::kCopper});
  }
}

TEST_CASE("children come and go, and crash, on every version of the bus",
          "[partitions][vmbus][versions]") {
  for (const Version version : vmbus::kVersionsNewestFirst) {
    const Ran ran = run("workload=plug\nopenings=16\nremovals=4\n", {version, version});
    INFO(static_cast<std::uint32_t>(version));
    CHECK(ran.result.passed());
    CHECK(std::ranges::count(lines_of(ran.result), "[root] all pages returned") == 1);
    CHECK(ran.agreed.size() >= 1);
  }
}

TEST_CASE("a child without a bus works whatever its root speaks", "[partitions][vmbus][versions]") {
  for (const Version version : vmbus::kVersionsNewestFirst) {
    const Ran ran = run("workload=hello\n", {version, version});
    CHECK(ran.result.passed());
    CHECK(ran.agreed.empty());
  }
}
