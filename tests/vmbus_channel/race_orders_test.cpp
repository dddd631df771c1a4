// Rescind, re-offer, close, teardown, unload and reset racing each other: every order in which the
// two ends can do them, and every order in which their messages can arrive in between.
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
enum class Race { kRescind, kReoffer, kClose, kTeardown, kUnload, kReset };
constexpr std::size_t kRaces = 6;
constexpr const char* kNames[] = {"rescind", "reoffer", "close", "teardown", "unload", "reset"};

/// A step: one of the races, or a carrier that moves on by one.
enum class Carrier { kToServer, kToClient, kAnswer };
constexpr std::size_t kSteps = kRaces + 3;

void open_channel(World& world) {
  expect(world.root.offer_device(0), "offer");
  expect(world.child.connect(), "connect");
  world.settle();
  expect(world.child.act(0), "lend");
  world.settle();
  expect(world.child.act(1), "open");
  world.settle();
  expect(world.root.devices()[0].open, "not open");
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
  }
  return false;
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
  }
  return false;
}

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
bool replay(const std::vector<std::size_t>& path, Explored& explored, bool to_the_end) {
  seam_record::clear();
  World world(Version::kIron);
  open_channel(world);
  seam_record::record().traces.clear();
  for (const std::size_t step : path) {
    if (!do_step(world, step)) {
      return false;
    }
  }
  if (to_the_end) {
    finish(world, path, explored);
  }
  return true;
}

std::size_t carried(const std::vector<std::size_t>& path) {
  return static_cast<std::size_t>(
      std::ranges::count_if(path, [](std::size_t step) { return step >= kRaces; }));
}

/// Every continuation of a path, with so many steps of carriers in all.
void explore(std::vector<std::size_t>& path, std::size_t carriers, Explored& explored) {
  for (std::size_t step = 0; step < kSteps; ++step) {
    const bool done = step < kRaces && std::ranges::count(path, step) != 0;
    if (done || (step >= kRaces && carried(path) == carriers)) {
      continue;
    }
    path.push_back(step);
    INFO("up to " << path.size() << " steps, the last " << step);
    if (replay(path, explored, true)) {
      explore(path, carriers, explored);
    }
    path.pop_back();
  }
}

}  // namespace

TEST_CASE("rescind, re-offer, close, teardown, unload and reset race in every order",
          "[vmbus][channel][races]") {
  Explored explored;
  std::vector<std::size_t> path;
  try {
    explore(path, 6, explored);
  } catch (const Broken& broken) {
    std::string order;
    for (const std::size_t step : path) {
      order += " " + std::to_string(step);
    }
    FAIL(broken.what << " after" << order);
  }
  CHECK(explored.runs > 10'000);
  // Each two of them happened in both orders, but for what one makes impossible: a channel is
  // offered again only after it was rescinded, is torn down only after it was closed, and nobody
  // says goodbye, closes or takes back after the reset of the whole child.
  const auto r = [](Race race) { return static_cast<std::size_t>(race); };
  const std::set<std::pair<std::size_t, std::size_t>> impossible = {
      {r(Race::kReoffer), r(Race::kRescind)}, {r(Race::kTeardown), r(Race::kClose)},
      {r(Race::kReset), r(Race::kUnload)},    {r(Race::kReset), r(Race::kClose)},
      {r(Race::kReset), r(Race::kTeardown)},  {r(Race::kUnload), r(Race::kClose)},
      {r(Race::kUnload), r(Race::kTeardown)}};
  for (std::size_t first = 0; first < kRaces; ++first) {
    for (std::size_t second = 0; second < kRaces; ++second) {
      if (first != second && !impossible.contains({first, second})) {
        INFO(kNames[first] << " before " << kNames[second]);
        CHECK(explored.pairs.contains({first, second}));
      }
    }
  }
  CHECK(explored.orders.size() > 50);
}
