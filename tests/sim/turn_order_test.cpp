#include "sim/turn_order.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

TEST_CASE("the order of turns agrees with a plain search", "[sim][turns]") {
  std::mt19937 draw(Catch::rngSeed());
  for (const std::uint32_t count : {1u, 2u, 8u, 9u, 64u}) {
    sim::TurnOrder order;
    std::vector<std::uint64_t> times(count, sim::kNever);
    for (std::uint32_t turn = 0; turn < 2000; ++turn) {
      const auto index = static_cast<std::uint32_t>(draw() % count);
      times[index] = draw() % 5 == 0 ? sim::kNever : draw() % 20;
      order.set(index, times[index]);
      const std::uint64_t earliest = *std::min_element(times.begin(), times.end());
      REQUIRE(order.earliest() == earliest);
      if (earliest == sim::kNever) {
        continue;
      }
      const auto equals =
          static_cast<std::uint32_t>(std::count(times.begin(), times.end(), earliest));
      REQUIRE(order.count(earliest) == equals);
      std::uint32_t last = 0;
      for (std::uint32_t nth = 0; nth < equals; ++nth) {
        const std::uint32_t found = order.find(earliest, nth);
        REQUIRE(times[found] == earliest);
        REQUIRE((nth == 0 || found > last));
        last = found;
      }
    }
  }
}
