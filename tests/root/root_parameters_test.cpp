#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "partitions/root/parameters.h"

using root::parse_parameters;

TEST_CASE("the root's parameters have defaults and are taken from the text", "[root][parameters]") {
  const auto defaults = parse_parameters("");
  REQUIRE(defaults.has_value());
  CHECK(defaults->children == 1);
  CHECK(defaults->workload == root::Workload::kHello);

  const auto given = parse_parameters(
      "# two of them\nchildren=2\nchild_processors=2\nworkload=storage\nseed=0x10\n");
  REQUIRE(given.has_value());
  CHECK(given->children == 2);
  CHECK(given->child_processors == 2);
  CHECK(given->workload == root::Workload::kStorage);
  CHECK(given->seed == 16);
}

TEST_CASE("a loop-back connection is four numbers, and there are eight at most",
          "[root][parameters]") {
  const auto parse = [](std::string_view text) { return root::parse_parameters(text); };
  REQUIRE(parse("connection=65536 3 0xFFFFFFFF 0\n"));
  for (const std::string_view bad :
       {"connection=65536 3 0", "connection=65536 3 0 0 0", "connection=65536 3 0 2049",
        "connection=65536 16 0 0", "connection=a 3 0 0", "connection=65536 3 0 0x100000000"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(parse(bad));
  }
  const auto given = parse("workload=loop\nconnection=0xFFFFFF 15 7 2048\n");
  REQUIRE(given);
  CHECK(given->workload == root::Workload::kLoop);
  REQUIRE(given->loop_count == 1);
  CHECK(given->loops[0].id == 0xFFFFFF);
  CHECK(given->loops[0].sint == 15);
  CHECK(given->loops[0].vp == 7);
  CHECK(given->loops[0].flags == 2048);
  std::string text;
  for (int line = 0; line < 8; ++line) {
    text += "connection=65536 3 0 0\n";
  }
  REQUIRE(parse(text)->loop_count == 8);
  REQUIRE_FALSE(parse(text + "connection=65536 3 0 0\n"));
}

TEST_CASE("a bad line is refused with its number and its reason", "[root][parameters]") {
  const auto unknown = parse_parameters("children=2\ncolour=blue\n");
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error() == kernel::ParameterError{2, "an unknown key"});
  CHECK(parse_parameters("children=1025\n").error().problem == "out of range");
  CHECK(parse_parameters("child_processors=0\n").error().problem == "out of range");
  CHECK(parse_parameters("children=two\n").error().problem == "not a number");
  CHECK(parse_parameters("seed=?\n").error().problem == "not a number");
  CHECK_FALSE(parse_parameters("workload=dance\n").has_value());
}
