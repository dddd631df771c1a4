#include "scenarios/progress.h"

#include <catch2/catch.hpp>

#include "scenarios/figures.h"

TEST_CASE("progress tells virtual time, events and their rate", "[scenarios][progress]") {
  REQUIRE(scenarios::progress_text(12'000'000, 1'234'567'890, 2'000'000'000) ==
          "... 1.234 s of virtual time, 12,000,000 events, 6,000,000 a second");
  REQUIRE(scenarios::progress_text(5, 0, 0) == "... 0.000 s of virtual time, 5 events, 0 a second");
}

TEST_CASE("a guest's line cannot disturb the terminal", "[scenarios][progress]") {
  REQUIRE(scenarios::console_text("a\x1b[2Jb\r\n\x7f", 61'000'002'000) ==
          "    61.000002 a?[2Jb???");
}

TEST_CASE("figures are grouped by thousands", "[scenarios][progress]") {
  REQUIRE(scenarios::grouped(0) == "0");
  REQUIRE(scenarios::grouped(999) == "999");
  REQUIRE(scenarios::grouped(1000) == "1,000");
  REQUIRE(scenarios::grouped(12345678) == "12,345,678");
}
