#include "partitions/kernel/executor.h"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/host_seam.h"

using kernel::Executor;
using kernel::Work;

namespace {

struct CountingWaker final : kernel::ProcessorWaker {
  void wake() override { ++wakes; }
  int wakes = 0;
};

struct Numbered : Work {
  Numbered(int n, std::vector<int>& o)
      : Work([](Work& work) {
          auto& self = static_cast<Numbered&>(work);
          self.order.push_back(self.number);
        }),
        number(n),
        order(o) {}
  int number;
  std::vector<int>& order;
};

struct Stop {};

}  // namespace

TEST_CASE("work runs in the order in which it came, once for each time", "[kernel][executor]") {
  host_seam::reset();
  CountingWaker waker;
  Executor executor(waker);
  std::vector<int> order;
  Numbered one(1, order);
  Numbered two(2, order);
  executor.post(one);
  executor.post(two);
  executor.post(one);  // is queued already
  while (executor.run_one()) {
  }
  executor.post(one);
  while (executor.run_one()) {
  }
  CHECK(order == std::vector{1, 2, 1});
  CHECK(waker.wakes == 0);
}

TEST_CASE("work from elsewhere wakes a processor that may be asleep", "[kernel][executor]") {
  host_seam::reset();
  CountingWaker waker;
  Executor executor(waker);
  std::vector<int> order;
  Numbered one(1, order);
  Numbered two(2, order);
  executor.post_from_elsewhere(one);
  executor.post_from_elsewhere(two);
  CHECK(waker.wakes == 1);
  while (executor.run_one()) {
  }
  executor.post_from_elsewhere(one);
  CHECK(waker.wakes == 2);
}

TEST_CASE("an executor sleeps only with interrupts disabled and nothing to do",
          "[kernel][executor]") {
  host_seam::reset();
  CountingWaker waker;
  Executor executor(waker);
  std::vector<int> order;
  Numbered one(1, order);
  int halts = 0;
  host_seam::computer().on_halt = [&] {
    CHECK_FALSE(host_seam::computer().interrupts_enabled);
    CHECK(order.size() == static_cast<std::size_t>(halts));
    if (++halts == 3) {
      throw Stop{};
    }
    executor.post(one);  // as an interrupt handler does
  };
  CHECK_THROWS_AS(executor.run(), Stop);
  CHECK(order == std::vector{1, 1});
}
