#include "partitions/root/bus/event_flags.h"

#include <catch2/catch.hpp>

namespace {

struct Counter final : root::SignalReceiver {
  void signalled() override { ++signals; }
  int signals = 0;
};

}  // namespace

TEST_CASE("a flag reaches its owner alone, until it is given back", "[root][bus]") {
  root::EventFlags flags;
  Counter first;
  Counter second;
  const auto one = flags.take(first);
  const auto two = flags.take(second);
  REQUIRE(one.has_value());
  REQUIRE(two.has_value());
  CHECK(*one == 1);  // Flag 0 is nobody's.
  CHECK(*one != *two);
  flags.deliver(*one);
  flags.deliver(*two);
  flags.deliver(*two);
  CHECK(first.signals == 1);
  CHECK(second.signals == 2);
  flags.give_back(*two);
  flags.deliver(*two);
  flags.deliver(0);
  flags.deliver(100'000);
  CHECK(second.signals == 2);
  CHECK(flags.take(second) == two);
}

TEST_CASE("flags run out without harm", "[root][bus]") {
  root::EventFlags flags;
  Counter counter;
  int taken = 0;
  while (flags.take(counter)) {
    ++taken;
  }
  CHECK(taken == root::EventFlags::kCount - 1);
}

TEST_CASE("the limit covers every flag that ever had an owner, and no more", "[root][bus]") {
  root::EventFlags flags;
  Counter counter;
  CHECK(flags.limit() == 0);
  const auto one = flags.take(counter);
  const auto two = flags.take(counter);
  REQUIRE((one.has_value() && two.has_value()));
  const std::uint32_t behind_two = *two + 1u;
  CHECK(flags.limit() == behind_two);
  // A flag that was set before it was given back must still be found and cleared.
  flags.give_back(*two);
  flags.give_back(*one);
  CHECK(flags.limit() == behind_two);
  CHECK(flags.take(counter) == one);
  CHECK(flags.limit() == behind_two);
}
