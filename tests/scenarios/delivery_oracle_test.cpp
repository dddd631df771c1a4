#include "scenarios/delivery_oracle.h"

#include <catch2/catch.hpp>

using scenarios::DeliveryOracle;

namespace {

constexpr machine::Site kSent("vmbus.packet.sent_to_server");
constexpr machine::Site kReceived("vmbus.packet.received_by_server");
constexpr machine::Site kState("vmbus.server.channel_state");
constexpr std::uint64_t kChannel = (3 << 16) | 2;
constexpr std::uint64_t kSize = 64;

class Run {
 public:
  void sent(std::uint64_t digest, std::uint64_t at_ns = 0) {
    oracle_.take({kSent, machine::Track::kChannel, kChannel, digest, kSize, at_ns});
  }
  void received(std::uint64_t digest, std::uint64_t at_ns = 0) {
    oracle_.take({kReceived, machine::Track::kChannel, kChannel, digest, kSize, at_ns});
  }
  void state(std::uint64_t state) {
    oracle_.take({kState, machine::Track::kChannel, kChannel, state, 0, 0});
  }
  sim::RunResult end(sim::Outcome outcome = sim::Outcome::kStopped, bool cut_short = false) {
    sim::RunResult result;
    result.outcome = outcome;
    oracle_.conclude(result, cut_short);
    return result;
  }

 private:
  DeliveryOracle oracle_;
};

void require_violation(const sim::RunResult& result, const std::string& property) {
  REQUIRE(result.violations.size() == 1);
  CHECK_THAT(result.violations[0].property, Catch::StartsWith(property));
  CHECK_THAT(result.violations[0].message, Catch::Contains("channel 2 of partition 3"));
}

}  // namespace

TEST_CASE("packets that arrive as they were sent violate nothing", "[scenarios][packets]") {
  Run run;
  run.sent(1);
  run.sent(2);
  run.received(1);
  run.sent(1);
  run.received(2);
  run.received(1);
  const sim::RunResult result = run.end();
  CHECK(result.violations.empty());
  CHECK(result.passed());
  REQUIRE(result.always.size() == 2);
  CHECK(result.always.begin()->second == 3);
}

TEST_CASE("a packet that is lost, doubled, swapped or altered is found", "[scenarios][packets]") {
  Run run;
  run.sent(1);
  run.sent(2);
  SECTION("lost") { run.received(2); }
  SECTION("doubled") {
    run.received(1);
    run.received(1);
  }
  SECTION("swapped") {
    run.received(2);
    run.received(1);
  }
  SECTION("altered") { run.received(7); }
  SECTION("made up") {
    run.received(1);
    run.received(2);
    run.received(3);
  }
  const sim::RunResult result = run.end();
  require_violation(result, "rings deliver once, in order, unaltered");
  CHECK(result.outcome == sim::Outcome::kViolation);
}

TEST_CASE("a packet that nobody reads is a lost wake-up", "[scenarios][packets]") {
  Run run;
  run.sent(1, 5);
  SECTION("when the run runs out of time") {
    require_violation(run.end(sim::Outcome::kTimeLimit), "no wake-up is lost");
  }
  SECTION("when it is read long after") {
    run.received(1, 6 + DeliveryOracle::kLongestWaitNs);
    require_violation(run.end(), "no wake-up is lost");
  }
  SECTION("but not when the user ended the run") {
    CHECK(run.end(sim::Outcome::kTimeLimit, true).violations.empty());
  }
}

TEST_CASE("what a closed channel held is nobody's", "[scenarios][packets]") {
  Run run;
  run.sent(1);
  run.state(5);  // closing
  run.state(3);  // opening, with other rings
  run.state(4);  // open
  run.sent(2);
  run.received(2);
  CHECK(run.end().violations.empty());
}

TEST_CASE("what a closed channel held may still be read, but only as it was sent",
          "[scenarios][packets]") {
  Run run;
  run.sent(1);
  run.sent(2);
  run.state(5);  // closing
  run.received(1);
  SECTION("unread it is nobody's loss") {
    CHECK(run.end(sim::Outcome::kTimeLimit).violations.empty());
  }
  SECTION("altered it is a violation") {
    run.received(3);
    require_violation(run.end(), "rings deliver once");
  }
}

TEST_CASE("a disk command that ends after long is a lost wake-up", "[scenarios][packets]") {
  constexpr machine::Site kIssued("root.disk.issued");
  constexpr machine::Site kEnded("root.disk.ended");
  const std::uint64_t took_ns = DeliveryOracle::kLongestWaitNs + GENERATE(0u, 1u);
  DeliveryOracle oracle;
  oracle.take({kIssued, machine::Track::kDevice, 14, 0, 0, 9});
  oracle.take({kEnded, machine::Track::kDevice, 14, 0, 0, 9 + took_ns});
  sim::RunResult result;
  oracle.conclude(result, false);
  CHECK(result.violations.size() == took_ns - DeliveryOracle::kLongestWaitNs);
}

TEST_CASE("where disks fail, their driver's timeout may rescue a command", "[scenarios][packets]") {
  constexpr machine::Site kOverdue("root.disk.overdue");
  DeliveryOracle oracle(true);
  oracle.take({kOverdue, machine::Track::kDevice, 14, 1, 0, 9});
  oracle.take({kSent, machine::Track::kChannel, kChannel, 1, kSize, 9});
  oracle.take({kReceived, machine::Track::kChannel, kChannel, 1, kSize,
               9 + DeliveryOracle::kLongestWaitForFailingNs});
  sim::RunResult result;
  oracle.conclude(result, false);
  CHECK(result.violations.empty());
}

TEST_CASE("a disk command that its timeout had to rescue is a lost wake-up",
          "[scenarios][packets]") {
  constexpr machine::Site kOverdue("root.disk.overdue");
  DeliveryOracle oracle;
  oracle.take({kOverdue, machine::Track::kDevice, 14, 1, 0, 9});
  sim::RunResult result;
  result.outcome = sim::Outcome::kStopped;
  oracle.conclude(result, false);
  REQUIRE(result.violations.size() == 1);
  CHECK(result.violations[0].virtual_ns == 9);
  CHECK_THAT(result.violations[0].property, Catch::StartsWith("no wake-up is lost"));
  CHECK(result.outcome == sim::Outcome::kViolation);
}
