#include "sim/decider.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace {

constexpr machine::Site kTie{"sim.test.tie"};
constexpr machine::Site kOther{"sim.test.other"};
constexpr machine::Site kFault{"fault.test.lost"};

std::vector<std::uint32_t> draw(sim::Decider& decider, const machine::Site& site,
                                std::size_t count) {
  std::vector<std::uint32_t> values;
  for (std::size_t index = 0; index < count; ++index) {
    values.push_back(decider.decide(site, 1000, index));
  }
  return values;
}

}  // namespace

TEST_CASE("a seed gives the same stream, another seed another", "[sim][decider]") {
  sim::SeededDecider first(7);
  sim::SeededDecider same(7);
  sim::SeededDecider other(8);
  const auto values = draw(first, kTie, 50);
  CHECK(values == draw(same, kTie, 50));
  CHECK(values != draw(other, kTie, 50));
}

TEST_CASE("draws of one name do not shift those of another", "[sim][decider]") {
  sim::SeededDecider alone(7);
  sim::SeededDecider mixed(7);
  const auto values = draw(alone, kTie, 50);
  draw(mixed, kOther, 13);
  CHECK(values == draw(mixed, kTie, 50));
}

TEST_CASE("a fault that no rule names does not happen", "[sim][decider]") {
  sim::SeededDecider ordinary(7);
  CHECK(draw(ordinary, kFault, 20) == std::vector<std::uint32_t>(20, 0));
}

TEST_CASE("a rule says how often a name is drawn", "[sim][decider]") {
  sim::SeededDecider decider(7, {{"fault.", 10}, {"sim.", 1}});
  const auto values = draw(decider, kFault, 1000);
  const auto happened = std::count_if(values.begin(), values.end(), [](auto v) { return v != 0; });
  CHECK(happened > 50);
  CHECK(happened < 200);
}

TEST_CASE("answers that lie ready are those that are given when asked for", "[sim][decider]") {
  sim::SeededDecider asked(7);
  sim::SeededDecider ready(7);
  sim::Coins* const coins = ready.coins_of(kTie);
  REQUIRE(coins != nullptr);
  std::uint32_t taken = 0;
  std::uint32_t ones = 0;
  for (std::uint64_t turn = 0; turn < 1000; ++turn) {
    draw(ready, kOther, turn % 2);  // what others ask for changes nothing
    const std::uint32_t answer = asked.decide(kTie, 2, turn);
    if (coins->left()) {
      ++taken;
      REQUIRE(coins->take() == answer);
    } else {
      REQUIRE(ready.decide(kTie, 2, turn) == answer);
    }
    ones += answer;
  }
  CHECK(taken > 900);
  CHECK(ones > 400);
  CHECK(ones < 600);
}

TEST_CASE("no answers lie ready where most are not drawn", "[sim][decider]") {
  sim::SeededDecider decider(7, {{"fault.", 10}});
  CHECK(decider.coins_of(kFault) == nullptr);
  CHECK(decider.coins_of(kTie) == nullptr);
}

TEST_CASE("every value is below its domain", "[sim][decider]") {
  sim::SeededDecider decider(7);
  for (std::uint32_t domain = 1; domain < 50; ++domain) {
    for (std::uint64_t turn = 0; turn < 50; ++turn) {
      CHECK(decider.decide(kTie, domain, turn) < domain);
    }
  }
}

TEST_CASE("many names have streams of their own", "[sim][decider]") {
  sim::SeededDecider decider(7);
  std::vector<std::uint32_t> firsts;
  constexpr machine::Site kSites[] = {
      machine::Site{"sim.a"}, machine::Site{"sim.b"}, machine::Site{"sim.c"},
      machine::Site{"sim.d"}, machine::Site{"sim.e"}, machine::Site{"sim.f"},
  };
  for (const machine::Site& site : kSites) {
    firsts.push_back(decider.decide(site, 1u << 30, 0));
  }
  for (std::size_t index = 1; index < firsts.size(); ++index) {
    CHECK(firsts[index] != firsts[0]);
  }
}
