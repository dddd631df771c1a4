#include "scenarios/seed_runner.h"

#include <catch2/catch.hpp>

using scenarios::parse_seed;
using scenarios::parse_seeds;

TEST_CASE("a range of seeds is one number or two", "[scenarios][seeds]") {
  REQUIRE(parse_seeds("7")->first == 7);
  REQUIRE(parse_seeds("7")->last == 7);
  REQUIRE(parse_seeds("1..100")->count() == 100);
  REQUIRE(parse_seeds("0..0")->count() == 1);
  for (const char* text : {"", "..", "1..", "..5", "a..b", "5..1", "1...3", "-1..4", "1..4x",
                           "0..18446744073709551615", "99999999999999999999"}) {
    INFO(text);
    REQUIRE_FALSE(parse_seeds(text));
  }
}

TEST_CASE("a seed is a number that fits, not the nearest one", "[scenarios][seeds]") {
  REQUIRE(parse_seed("18446744073709551615") == 18446744073709551615ULL);
  for (const char* text : {"", "-1", "+1", "1e3", "0x10", " 1", "1 ", "18446744073709551616"}) {
    INFO(text);
    REQUIRE_FALSE(parse_seed(text));
  }
}
