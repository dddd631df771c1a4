#include "partitions/kernel/task.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "partitions/kernel/synchronization.h"
#include "tests/kernel/kernel_fixture.h"

using kernel::Task;
using Log = std::vector<std::string>;

namespace {

Task<int> doubled(int value, Log& log) {
  log.push_back("inner");
  co_return value * 2;
}

Task<> outer(int& result, Log& log) {
  log.push_back("outer starts");
  result = co_await doubled(21, log);
  log.push_back("outer ends");
}

Task<> waits_for(kernel::Event& event, Log& log, std::string name) {
  co_await event.wait();
  log.push_back(name);
}

Task<> takes(kernel::Semaphore& places, kernel::Event& leave, int& inside, int& most) {
  co_await places.acquire();
  most = std::max(most, ++inside);
  co_await leave.wait();
  --inside;
  places.release();
}

Task<> looks(kernel::Notice& notice, int& looked) {
  while (true) {
    co_await notice.wait();
    ++looked;
  }
}

}  // namespace

TEST_CASE("a task runs only through the executor and gives its result", "[kernel][task]") {
  kernel_test::Booted booted;
  const std::size_t blocks = booted.kernel().heap().blocks_in_use();
  Log log;
  int result = 0;
  outer(result, log).spawn();
  CHECK(log.empty());
  booted.run();
  CHECK(result == 42);
  CHECK(log == Log{"outer starts", "inner", "outer ends"});
  CHECK(booted.kernel().heap().blocks_in_use() == blocks);
}

TEST_CASE("a task that is never started leaves nothing behind", "[kernel][task]") {
  kernel_test::Booted booted;
  const std::size_t blocks = booted.kernel().heap().blocks_in_use();
  Log log;
  {
    const Task<int> task = doubled(1, log);
    CHECK(booted.kernel().heap().blocks_in_use() == blocks + 1);
  }
  booted.run();
  CHECK(log.empty());
  CHECK(booted.kernel().heap().blocks_in_use() == blocks);
}

TEST_CASE("an event wakes all that wait, in order, and stays set", "[kernel][task]") {
  kernel_test::Booted booted;
  kernel::Event event;
  Log log;
  waits_for(event, log, "first").spawn();
  waits_for(event, log, "second").spawn();
  booted.run();
  CHECK(log.empty());
  event.set();
  booted.run();
  waits_for(event, log, "third").spawn();
  booted.run();
  CHECK(log == Log{"first", "second", "third"});
}

TEST_CASE("a semaphore admits as many as it counts", "[kernel][task]") {
  kernel_test::Booted booted;
  kernel::Semaphore places(2);
  kernel::Event leave;
  int inside = 0;
  int most = 0;
  for (int index = 0; index < 5; ++index) {
    takes(places, leave, inside, most).spawn();
  }
  booted.run();
  CHECK(inside == 2);
  leave.set();
  booted.run();
  CHECK(inside == 0);
  CHECK(most <= 2);
  CHECK(places.count() == 2);
}

TEST_CASE("notices before a look are one, a notice after it is another", "[kernel][task]") {
  kernel_test::Booted booted;
  kernel::Notice notice;
  int looked = 0;
  looks(notice, looked).spawn();
  notice.give();
  notice.give();
  booted.run();
  CHECK(looked == 1);
  booted.run();
  CHECK(looked == 1);
  notice.give();
  booted.run();
  CHECK(looked == 2);
}
