#include "partitions/kernel/parameters.h"

#include <catch2/catch.hpp>

using kernel::ParameterReader;
using kernel::parse_number;

TEST_CASE("lines are taken apart, remarks and empty lines passed over", "[kernel][parameters]") {
  ParameterReader reader("# remark\n\na=1\nlong_key=some text=with equals\nempty=\nlast=x");
  const auto first = reader.next();
  REQUIRE(first.has_value());
  REQUIRE(first->has_value());
  CHECK((*first)->key == "a");
  CHECK((*first)->value == "1");
  CHECK((*first)->line == 3);
  CHECK((**reader.next()).value == "some text=with equals");
  CHECK((**reader.next()).value.empty());
  CHECK((**reader.next()).key == "last");
  CHECK_FALSE(reader.next()->has_value());
}

TEST_CASE("a line that is no parameter is told with its number", "[kernel][parameters]") {
  ParameterReader without_equals("a=1\nnonsense\n");
  REQUIRE(without_equals.next().has_value());
  const auto problem = without_equals.next();
  REQUIRE_FALSE(problem.has_value());
  CHECK(problem.error().line == 2);

  ParameterReader without_key("=1\n");
  CHECK_FALSE(without_key.next().has_value());
}

TEST_CASE("numbers are decimal or hexadecimal and at most 64 bits", "[kernel][parameters]") {
  CHECK(parse_number("0") == 0u);
  CHECK(parse_number("18446744073709551615") == 0xFFFFFFFFFFFFFFFFu);
  CHECK(parse_number("0xfF") == 255u);
  CHECK_FALSE(parse_number("18446744073709551616").has_value());
  CHECK_FALSE(parse_number("0x10000000000000000").has_value());
  CHECK_FALSE(parse_number("").has_value());
  CHECK_FALSE(parse_number("0x").has_value());
  CHECK_FALSE(parse_number("-1").has_value());
  CHECK_FALSE(parse_number("1a").has_value());
  CHECK_FALSE(parse_number("12 ").has_value());
}

TEST_CASE("a value out of range changes nothing", "[kernel][parameters]") {
  std::uint32_t target = 7;
  CHECK_FALSE(kernel::parse_into({"k", "11", 1}, 1, 10, target).has_value());
  CHECK_FALSE(kernel::parse_into({"k", "0", 1}, 1, 10, target).has_value());
  CHECK_FALSE(kernel::parse_into({"k", "x", 1}, 1, 10, target).has_value());
  CHECK(target == 7);
  CHECK(kernel::parse_into({"k", "10", 1}, 1, 10, target).has_value());
  CHECK(target == 10);
}
