// Rescind, re-offer, close, teardown, move, unload, reset and new contact racing each other: every
// order in which the two ends can do them, every order in which their messages can arrive in
// between, and both answers of the device, from each situation that a channel may be in.
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/support/bus_world.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using bus_world::Broken;
using bus_world::expect;
using bus_world::World;

namespace {

/// What the two ends do besides carrying messages. Each is done once at most.
enum class Race { kRescind, kReoffer, kClose, kTeardown, kUnload, kReset, kMove, kContact };
constexpr std::size_t kRaces = 8;
constexpr const char* kNames[] = {"rescind", "reoffer", "close", "teardown",
                                  "unload",  "reset",   "move",  "contact"};

/// A step: one of the races, or a carrier that moves on by one.
enum class Carrier { kToServer, kToClient, kAnswer, kRefuse };
constexpr std::size_t kSteps = kRaces + 4;

/// What a channel is in the middle of when the races begin.
enum class Situation { kOpen, kLending, kOpening, kClosing, kMoving };

/// A fresh world in which the last thing that the child asked for is on its way.
void bring_about(World& world, Situation situation) {
  expect(world.root.offer_device(0), "offer");
  expect(world.child.connect(), "connect");
  world.settle();
  expect(world.child.act(0), "lend");
  if (situation == Situation::kLending) {
    return;
  }
  world.settle();
  expect(world.child.act(1), "open");
  if (situation == Situation::kOpening) {
    return;
  }
  world.settle();
  expect(world.root.devices()[0].open, "not open");
  if (situation == Situation::kClosing) {
    expect(world.child.act(3), "close");
  } else if (situation == Situation::kMoving) {
    expect(world.child.act(2), "move");
  }
}

bool do_race(World& world, Race race) {
  const auto& drivers = world.child.drivers();
  const bool has_driver = !drivers.empty() && !drivers.begin()->second.rescinded;
  using State = bus_world::Driver::State;
  switch (race) {
    case Race::kRescind:
      return world.root.revoke_device(0);
    case Race::kReoffer:
      return world.root.offer_device(0);
    case Race::kClose:
      return has_driver && drivers.begin()->second.state == State::kOpen && world.child.act(3);
    case Race::kTeardown:
      return has_driver && drivers.begin()->second.state == State::kReady && world.child.act(0);
    case Race::kUnload:
      return world.child.unload();
    case Race::kReset:
      world.reset_partition();
      return true;
    case Race::kMove:
      return has_driver && drivers.begin()->second.state == State::kOpen &&
             !drivers.begin()->second.modifying &&
             has_modify_channel(world.child.client().version()) && world.child.act(2);
    case Race::kContact:
      return world.child.client().state() == ClientState::kDisconnected && world.child.connect();
  }
  return false;
}

/// A device may refuse to be opened, to be moved, or to take pages: nothing else.
bool may_refuse(const World& world) {
  using Kind = bus_world::Question::Kind;
  const auto& questions = world.root.questions();
  return !questions.empty() &&
         (questions.front().kind == Kind::kOpen || questions.front().kind == Kind::kGpadl ||
          questions.front().kind == Kind::kRetarget);
}

bool do_step(World& world, std::size_t step) {
  if (step < kRaces) {
    return do_race(world, static_cast<Race>(step));
  }
  switch (static_cast<Carrier>(step - kRaces)) {
    case Carrier::kToServer:
      return world.deliver_to_server();
    case Carrier::kToClient:
      return world.deliver_to_client();
    case Carrier::kAnswer:
      return world.root.answer(0, true);
    case Carrier::kRefuse:
      return may_refuse(world) && world.root.answer(0, false);
  }
  return false;
}

struct Start {
  Situation situation = Situation::kOpen;
  Version version = Version::kIron;
  /// So many steps of carriers in all.
  std::size_t carriers = 0;
};

struct Explored {
  std::size_t runs = 0;
  /// The orders of those races that happened, as text.
  std::set<std::string> orders;
  /// Which of two was before the other.
  std::set<std::pair<std::size_t, std::size_t>> pairs;
};

void finish(World& world, const std::vector<std::size_t>& path, Explored& explored) {
  world.settle();
  world.check_settled();
  for (const seam_record::Trace& trace : seam_record::record().traces) {
    expect(!trace.site.ends_with("message_refused"), "a message was refused");
  }
  ++explored.runs;
  std::string order;
  for (std::size_t first = 0; first < path.size(); ++first) {
    if (path[first] >= kRaces) {
      continue;
    }
    order += std::string(order.empty() ? "" : ", ") + kNames[path[first]];
    for (std::size_t second = first + 1; second < path.size(); ++second) {
      if (path[second] < kRaces) {
        explored.pairs.emplace(path[first], path[second]);
      }
    }
  }
  explored.orders.insert(order);
}

/// Does the path anew in a fresh world. False: its last step is not possible then.
bool replay(const Start& start, const std::vector<std::size_t>& path, Explored& explored) {
  seam_record::clear();
  World world(start.version);
  bring_about(world, start.situation);
  seam_record::record().traces.clear();
  for (const std::size_t step : path) {
    if (!do_step(world, step)) {
      return false;
    }
  }
  finish(world, path, explored);
  return true;
}

std::size_t carried(const std::vector<std::size_t>& path) {
  return static_cast<std::size_t>(
      std::ranges::count_if(path, [](std::size_t step) { return step >= kRaces; }));
}

/// Every continuation of a path.
void explore(const Start& start, std::vector<std::size_t>& path, Explored& explored) {
  for (std::size_t step = 0; step < kSteps; ++step) {
    const bool done = step < kRaces && std::ranges::count(path, step) != 0;
    if (done || (step >= kRaces && carried(path) == start.carriers)) {
      continue;
    }
    path.push_back(step);
    if (replay(start, path, explored)) {
      explore(start, path, explored);
    }
    path.pop_back();
  }
}

Explored explore_all(const Start& start) {
  Explored explored;
  std::vector<std::size_t> path;
  try {
    explore(start, path, explored);
  } catch (const Broken& broken) {
    std::string order;
    for (const std::size_t step : path) {
      order += " " + std::to_string(step);
    }
    FAIL(broken.what << " after" << order);
  }
  return explored;
}

}  // namespace

TEST_CASE("rescind, re-offer, close, teardown, unload and reset race in every order",
          "[vmbus][channel][races]") {
  const Explored explored = explore_all({.carriers = 4});
  CHECK(explored.runs > 100'000);
  // Each two of them happened in both orders, but for what one makes impossible: a channel is
  // offered again only after it was rescinded, is torn down only after it was closed and not moved
  // from then on, contact is made anew only after goodbye or a reset, and whoever is behind one of
  // these has nothing open.
  const auto r = [](Race race) { return static_cast<std::size_t>(race); };
  std::set<std::pair<std::size_t, std::size_t>> impossible = {
      {r(Race::kReoffer), r(Race::kRescind)},
      {r(Race::kTeardown), r(Race::kClose)},
      {r(Race::kClose), r(Race::kMove)},
      {r(Race::kTeardown), r(Race::kMove)},
  };
  for (const Race last : {Race::kUnload, Race::kReset, Race::kContact}) {
    for (const Race of_open : {Race::kClose, Race::kTeardown, Race::kMove}) {
      impossible.emplace(r(last), r(of_open));
    }
  }
  for (std::size_t first = 0; first < kRaces; ++first) {
    for (std::size_t second = 0; second < kRaces; ++second) {
      if (first != second && !impossible.contains({first, second})) {
        INFO(kNames[first] << " before " << kNames[second]);
        CHECK(explored.pairs.contains({first, second}));
      }
    }
  }
  CHECK(explored.orders.size() > 500);
}

TEST_CASE("they race in every order from the middle of anything, in each version that differs",
          "[vmbus][channel][races]") {
  for (const Version version : {Version::kIron, Version::kWin10Rs5, Version::kWin8}) {
    for (const Situation situation :
         {Situation::kOpen, Situation::kLending, Situation::kOpening, Situation::kClosing}) {
      INFO("version " << static_cast<std::uint32_t>(version) << ", situation "
                      << static_cast<int>(situation));
      const std::size_t carriers = version == Version::kIron ? 3 : 2;
      CHECK(explore_all({situation, version, carriers}).runs > 200);
    }
  }
  CHECK(explore_all({Situation::kMoving, Version::kIron, 3}).runs > 200);
  CHECK(explore_all({Situation::kMoving, Version::kWin10Rs5, 2}).runs > 200);
}
