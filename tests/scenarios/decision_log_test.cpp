#include "scenarios/decision_log.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>

using scenarios::DecisionLog;
using scenarios::RecordingDecider;
using scenarios::ReplayingDecider;

namespace {

constexpr machine::Site kNext{"test.next"};
constexpr machine::Site kDelay{"test.delay"};

/// Drives any decider with the same choices: what a deterministic program would do.
std::vector<std::uint32_t> drive(sim::Decider& decider, std::uint32_t choices) {
  std::vector<std::uint32_t> answers;
  std::uint64_t operation = 0;
  for (std::uint32_t index = 0; index < choices; ++index) {
    operation += 1 + index % 300;
    const bool first = index % 3 != 0;
    answers.push_back(decider.decide(first ? kNext : kDelay, first ? 4 : 1000, operation));
    if (index % 10 == 9) {
      decider.at_operation(operation, operation * 17);
    }
  }
  return answers;
}

DecisionLog recorded(std::uint64_t seed, std::uint32_t choices,
                     std::vector<std::uint32_t>* answers = nullptr) {
  sim::SeededDecider seeded(seed, {{.prefix = "test.", .one_in = 1}});
  RecordingDecider recorder(seeded);
  const auto given = drive(recorder, choices);
  if (answers != nullptr) {
    *answers = given;
  }
  return recorder.take();
}

}  // namespace

TEST_CASE("a log answers as the run did", "[scenarios][recording]") {
  REQUIRE(rc::check("replay", [](std::uint64_t seed) {
    const auto choices = *rc::gen::inRange<std::uint32_t>(0, 500);
    std::vector<std::uint32_t> answers;
    const DecisionLog log = recorded(seed, choices, &answers);
    ReplayingDecider replaying(log);
    RC_ASSERT(drive(replaying, choices) == answers);
    RC_ASSERT(!replaying.divergence(true));
  }));
}

TEST_CASE("a decision takes few bytes", "[scenarios][recording]") {
  const DecisionLog log = recorded(1, 10'000);
  REQUIRE(log.decision_count == 10'000);
  REQUIRE(log.decisions.size() <= 4 * log.decision_count + log.decision_count / 2);
}

TEST_CASE("the first departure is named, and only that", "[scenarios][recording]") {
  const DecisionLog log = recorded(1, 100);
  SECTION("another decision") {
    ReplayingDecider replaying(log);
    static_cast<void>(replaying.decide(kDelay, 1000, 1));
    static_cast<void>(replaying.decide(kDelay, 1000, 3));
    static_cast<void>(replaying.decide(kDelay, 1000, 9));
    const auto divergence = replaying.divergence(false);
    REQUIRE(divergence);
    REQUIRE(divergence->contains("decision 1: recorded is \"test.next\""));
  }
  SECTION("another moment") {
    ReplayingDecider replaying(log);
    static_cast<void>(replaying.decide(kDelay, 1000, 2));
    REQUIRE(replaying.divergence(false)->contains("at operation 1, but \"test.delay\""));
  }
  SECTION("another number of answers") {
    ReplayingDecider replaying(log);
    static_cast<void>(replaying.decide(kDelay, 999, 1));
    REQUIRE(replaying.divergence(false));
  }
  SECTION("another state") {
    ReplayingDecider replaying(log);
    replaying.at_operation(log.hashes[0].operation, log.hashes[0].hash + 1);
    REQUIRE(replaying.divergence(false)->contains("something else happened"));
  }
  SECTION("too few decisions") {
    ReplayingDecider replaying(log);
    static_cast<void>(drive(replaying, 99));
    REQUIRE_FALSE(replaying.divergence(false));
    REQUIRE(replaying.divergence(true)->contains("ended after 99 decisions"));
  }
  SECTION("too many decisions") {
    ReplayingDecider replaying(log);
    static_cast<void>(drive(replaying, 101));
    REQUIRE(replaying.divergence(true)->contains("no more decisions"));
  }
}
