#include "scenarios/judgement.h"

#include <catch2/catch.hpp>

using scenarios::Expectation;
using scenarios::judge;
using scenarios::Verdict;

namespace {

struct Fixture {
  scenarios::Scenario scenario;
  sim::RunResult result;

  Fixture() {
    scenario.partitions.children = 2;
    result.outcome = sim::Outcome::kStopped;
  }
  void log(std::string text) { result.console.push_back({0, std::move(text)}); }
  scenarios::Judgement judged(bool cut_short = false) {
    Expectation expectation;
    expectation.may_be_cut_short = cut_short;
    return judge(scenario, expectation, result);
  }
};

}  // namespace

TEST_CASE("a run that ends in good order passes", "[scenarios][judgement]") {
  Fixture fixture;
  REQUIRE(fixture.judged().verdict == Verdict::kPass);
}

TEST_CASE("each bad end has its verdict", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.result.stop_code = 3;
  REQUIRE(fixture.judged().verdict == Verdict::kFail);
  fixture.result.stop_code = 0;
  for (const auto& [outcome, verdict] : {std::pair{sim::Outcome::kViolation, Verdict::kFail},
                                         {sim::Outcome::kTimeLimit, Verdict::kFail},
                                         {sim::Outcome::kOperationLimit, Verdict::kFail},
                                         {sim::Outcome::kHang, Verdict::kBroken},
                                         {sim::Outcome::kHarnessError, Verdict::kBroken}}) {
    fixture.result.outcome = outcome;
    REQUIRE(fixture.judged().verdict == verdict);
  }
}

TEST_CASE("a run that was to be cut short may be", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.scenario.properties.logged = {"done"};
  fixture.result.outcome = sim::Outcome::kTimeLimit;
  REQUIRE(fixture.judged(true).verdict == Verdict::kPass);
  fixture.result.outcome = sim::Outcome::kViolation;
  fixture.result.violations.push_back(
      {.property = "p", .virtual_ns = 1, .event = 1, .processor = 0, .message = "m"});
  REQUIRE(fixture.judged(true).verdict == Verdict::kFail);
}

TEST_CASE("a required property that nobody evaluated is a violation", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.scenario.properties.evaluated = {"root.every_page_returned"};
  REQUIRE(fixture.judged().verdict == Verdict::kFail);
  fixture.result.always["root.every_page_returned"] = 1;
  REQUIRE(fixture.judged().verdict == Verdict::kPass);
}

TEST_CASE("a required goal that was never true is a violation", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.scenario.properties.reached = {"goal"};
  fixture.result.sometimes["goal"] = 0;
  REQUIRE(fixture.judged().verdict == Verdict::kFail);
  fixture.result.sometimes["goal"] = 2;
  REQUIRE(fixture.judged().verdict == Verdict::kPass);
}

TEST_CASE("a required line must be in the log", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.scenario.properties.logged = {"all pages returned"};
  REQUIRE(fixture.judged().verdict == Verdict::kFail);
  fixture.log("[root] all pages returned");
  REQUIRE(fixture.judged().verdict == Verdict::kPass);
}

TEST_CASE("every child must log the right digest", "[scenarios][judgement]") {
  Fixture fixture;
  const std::string digest(64, 'a');
  Expectation expectation;
  expectation.data_disk_digest = digest;
  const auto judged = [&] { return judge(fixture.scenario, expectation, fixture.result); };
  fixture.log("[child 1] disk 0 sha256 " + digest);
  REQUIRE(judged().violations.size() == 1);  // child 2 has not told
  fixture.log("[child 2] disk 0 sha256 " + digest);
  REQUIRE(judged().verdict == Verdict::kPass);
  fixture.log("[child 2] disk 0 sha256 b" + digest.substr(1));
  REQUIRE(judged().verdict == Verdict::kFail);
}

TEST_CASE("what a child flushed must be on the medium", "[scenarios][judgement]") {
  Fixture fixture;
  Expectation expectation;
  expectation.scratch_digests = {std::string(64, 'c'), std::string(64, 'd')};
  fixture.log("[child 1] disk 1 sha256 " + std::string(64, 'c'));
  fixture.log("[child 2] disk 1 sha256 " + std::string(64, 'e'));
  const auto judgement = judge(fixture.scenario, expectation, fixture.result);
  REQUIRE(judgement.violations.size() == 1);
  REQUIRE(judgement.violations[0].property == "what was flushed survives the loss of power");
}

TEST_CASE("a child that works logs what it logs when nobody lies", "[scenarios][judgement]") {
  Fixture fixture;
  fixture.log("[child 1] one");
  fixture.log("[child 3] what a liar says is its own affair");
  fixture.log("[child 2] one");
  fixture.log("[child 1] two");
  const auto judged = [&fixture](std::vector<std::vector<std::string>> undisturbed) {
    Expectation expectation;
    expectation.undisturbed_logs = std::move(undisturbed);
    return judge(fixture.scenario, expectation, fixture.result);
  };
  REQUIRE(judged({{"one", "two"}, {"one"}}).verdict == Verdict::kPass);
  for (const auto& other : {std::vector<std::string>{"one"},
                            {"one", "two", "three"},
                            {"one", "to"},
                            {"two", "one"},
                            {}}) {
    const scenarios::Judgement judgement = judged({other, {"one"}});
    REQUIRE(judgement.verdict == Verdict::kFail);
    REQUIRE(judgement.violations.at(0).message.starts_with("child 1 logs "));
  }
}
