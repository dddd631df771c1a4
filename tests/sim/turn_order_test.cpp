#include "sim/turn_order.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

TEST_CASE("a tournament agrees with a plain search", "[sim][turns]") {
  std::mt19937 draw(Catch::rngSeed());
  for (const std::uint32_t count : {1u, 2u, 3u, 8u, 9u, 64u, 100u, 1024u}) {
    sim::Tournament tournament(count);
    REQUIRE(tournament.earliest() == sim::kNever);
    std::vector<std::uint64_t> times(count, sim::kNever);
    for (std::uint32_t turn = 0; turn < 2000; ++turn) {
      const auto player = static_cast<std::uint32_t>(draw() % count);
      times[player] = draw() % 5 == 0 ? sim::kNever : draw() % 20;
      tournament.set(player, times[player]);
      const std::uint64_t earliest = *std::min_element(times.begin(), times.end());
      REQUIRE(tournament.earliest() == earliest);
      if (earliest == sim::kNever) {
        continue;
      }
      const auto equals =
          static_cast<std::uint32_t>(std::count(times.begin(), times.end(), earliest));
      REQUIRE(tournament.count() == equals);
      std::uint32_t last = 0;
      for (std::uint32_t nth = 0; nth < equals; ++nth) {
        const std::uint32_t found = tournament.find(nth);
        REQUIRE(times[found] == earliest);
        REQUIRE((nth == 0 || found > last));
        last = found;
      }
    }
  }
}

namespace {

/// The order of turns beside a plain one, and the one that acts.
class CheckedOrder {
 public:
  CheckedOrder(std::uint32_t processors, std::mt19937& draw) : order_(processors), draw_(draw) {}

  void insert_sleeper(std::uint32_t processor, std::uint64_t at_ns) {
    order_.insert_sleeper(processor, at_ns);
    plain_[at_ns].insert(processor);
  }
  void take_first() {
    REQUIRE(order_.earliest() == plain_.begin()->first);
    std::uint32_t offered = 1;
    const std::uint32_t taken = order_.take(choice(offered));
    note(taken, offered);
  }
  /// Whoever acts gives way, and acts again after `later_ns`.
  void exchange(std::uint64_t later_ns) {
    const std::uint64_t at_ns = now_ns_ + later_ns;
    if (!order_.is_between_two(at_ns)) {
      insert(later_ns);
      return;
    }
    plain_[at_ns].insert(acting_);
    std::uint32_t offered = 1;
    const std::uint32_t taken = order_.exchange(acting_, at_ns, choice(offered));
    note(taken, offered);
    ++exchanges_;
  }
  void insert(std::uint64_t later_ns) {
    order_.insert(acting_, now_ns_ + later_ns);
    plain_[now_ns_ + later_ns].insert(acting_);
    take_first();
  }
  [[nodiscard]] std::uint32_t exchanges() const { return exchanges_; }
  void sleep(std::uint64_t later_ns) {
    order_.insert_sleeper(acting_, sim::kNever);
    insert_sleeper(acting_, now_ns_ + later_ns);
    take_first();
  }

 private:
  [[nodiscard]] std::function<std::uint32_t(std::uint32_t)> choice(std::uint32_t& offered) {
    return [this, &offered](std::uint32_t several) {
      offered = several;
      return static_cast<std::uint32_t>(draw_() % several);
    };
  }
  void note(std::uint32_t taken, std::uint32_t offered) {
    CAPTURE(taken, now_ns_, acting_);
    const auto first = plain_.begin();
    REQUIRE(first->second.size() == offered);
    REQUIRE(first->second.erase(taken) == 1);
    now_ns_ = first->first;
    acting_ = taken;
    if (first->second.empty()) {
      plain_.erase(first);
    }
  }

  sim::TurnOrder order_;
  std::map<std::uint64_t, std::set<std::uint32_t>> plain_;
  std::mt19937& draw_;
  std::uint64_t now_ns_ = 0;
  std::uint32_t acting_ = 0;
  std::uint32_t exchanges_ = 0;
};

/// How often it was between two.
std::uint32_t take_turns(std::uint32_t processors, std::uint64_t longest_ns, std::mt19937& draw) {
  CheckedOrder order(processors, draw);
  for (std::uint32_t processor = 0; processor < processors; ++processor) {
    order.insert_sleeper(processor, draw() % (longest_ns * 2));
  }
  order.take_first();
  for (std::uint32_t turn = 0; turn < 3000; ++turn) {
    const std::uint64_t later_ns = draw() % longest_ns;
    switch (draw() % 8) {
      case 0:
        order.sleep(later_ns);
        break;
      case 1:
        order.insert(later_ns);
        break;
      default:
        order.exchange(later_ns);
        break;
    }
  }
  return order.exchanges();
}

}  // namespace

TEST_CASE("turns are taken in the order of time, and any of those at one time can be first",
          "[sim][turns]") {
  std::mt19937 draw(Catch::rngSeed());
  std::uint32_t exchanges = 0;
  // Steps of which all, few or none stay on the wheel.
  for (const std::uint64_t longest_ns : {std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{70},
                                         std::uint64_t{1000}, 3 * sim::TurnOrder::kWheelNs}) {
    for (const std::uint32_t processors : {1u, 2u, 3u, 5u, 64u, 1000u}) {
      CAPTURE(processors, longest_ns);
      exchanges += take_turns(processors, longest_ns, draw);
    }
  }
  CHECK(exchanges > 1000);
}
