// The life of channels on both ends at once: every message may be late, every device slow, every
// channel rescinded, and the child may leave or crash, at any moment.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/support/bus_world.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using bus_world::Broken;
using bus_world::kDevices;
using bus_world::World;

namespace {

/// What must be true however things went: which devices are there.
struct Model {
  std::array<bool, kDevices> offered{};
};

using Command = rc::state::Command<Model, World>;

std::size_t some_choice() { return *rc::gen::inRange<std::size_t>(0, 10'000); }

/// Runs a step; a broken promise fails the property.
template <class Step>
void attempt(Step step) {
  try {
    step();
  } catch (const Broken& broken) {
    RC_FAIL(broken.what);
  }
  for (const seam_record::Trace& trace : seam_record::record().traces) {
    if (trace.site.ends_with("message_refused")) {
      RC_FAIL(trace.site + " of type " + std::to_string(trace.a) + ", " + std::to_string(trace.b));
    }
  }
  seam_record::record().traces.clear();
}

struct Deliver : Command {
  bool both = *rc::gen::arbitrary<bool>();
  void run(const Model&, World& world) const override {
    attempt([&] {
      world.deliver_to_server();
      if (both) {
        world.deliver_to_client();
      }
    });
  }
  void show(std::ostream& os) const override { os << (both ? "deliver" : "deliver to server"); }
};

struct DeliverToClient : Command {
  void run(const Model&, World& world) const override {
    attempt([&] { world.deliver_to_client(); });
  }
  void show(std::ostream& os) const override { os << "deliver to client"; }
};

struct Answer : Command {
  std::size_t choice = some_choice();
  bool success = *rc::gen::inRange(0, 8) != 0;
  void run(const Model&, World& world) const override {
    attempt([&] { world.root.answer(choice, success); });
  }
  void show(std::ostream& os) const override {
    os << "answer " << choice << (success ? " yes" : " no");
  }
};

struct Act : Command {
  std::size_t choice = some_choice();
  void run(const Model&, World& world) const override {
    attempt([&] { world.child.act(choice); });
  }
  void show(std::ostream& os) const override { os << "act " << choice; }
};

/// Many small steps, drawn from one number: what a command at a time seldom reaches.
struct Burst : Command {
  std::uint64_t seed = *rc::gen::arbitrary<std::uint64_t>();
  std::size_t steps = 20 + *rc::gen::inRange<std::size_t>(0, 100);

  void run(const Model&, World& world) const override {
    attempt([&] { world.child.connect(); });
    std::uint64_t state = seed;
    const auto draw = [&state](std::uint64_t domain) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      return static_cast<std::size_t>((state >> 33) % domain);
    };
    for (std::size_t step = 0; step < steps; ++step) {
      attempt([&] {
        switch (draw(5)) {
          case 0:
            world.deliver_to_server();
            break;
          case 1:
            world.deliver_to_client();
            break;
          case 2:
            world.root.answer(draw(1000), draw(8) != 0);
            break;
          default:
            world.child.act(draw(10'000));
        }
      });
    }
  }
  void show(std::ostream& os) const override { os << "burst " << seed << " " << steps; }
};

struct OfferDevice : Command {
  std::size_t device = *rc::gen::inRange<std::size_t>(0, kDevices);
  void checkPreconditions(const Model& model) const override { RC_PRE(!model.offered[device]); }
  void apply(Model& model) const override { model.offered[device] = true; }
  void run(const Model&, World& world) const override {
    attempt([&] { RC_ASSERT(world.root.offer_device(device)); });
  }
  void show(std::ostream& os) const override { os << "offer " << device; }
};

struct Revoke : Command {
  std::size_t device = *rc::gen::inRange<std::size_t>(0, kDevices);
  void checkPreconditions(const Model& model) const override { RC_PRE(model.offered[device]); }
  void apply(Model& model) const override { model.offered[device] = false; }
  void run(const Model&, World& world) const override {
    attempt([&] { RC_ASSERT(world.root.revoke_device(device)); });
  }
  void show(std::ostream& os) const override { os << "revoke " << device; }
};

/// The child leaves in one of three ways, or comes back.
struct Leave : Command {
  int way = *rc::gen::inRange(0, 4);
  void run(const Model&, World& world) const override {
    attempt([&] {
      switch (way) {
        case 0:
          world.child.unload();
          break;
        case 1:
          world.crash();
          break;
        case 2:
          world.reset_partition();
          break;
        default:
          world.child.connect();
      }
    });
  }
  void show(std::ostream& os) const override { os << "leave " << way; }
};

struct Settle : Command {
  void run(const Model& model, World& world) const override {
    attempt([&] {
      world.settle();
      world.check_settled();
      const auto offered = static_cast<std::size_t>(std::ranges::count(model.offered, true));
      if (world.child.client().state() == ClientState::kConnected) {
        RC_ASSERT(world.child.drivers().size() == offered);
      }
    });
  }
  void show(std::ostream& os) const override { os << "settle"; }
};

/// Everything that both ends keep is given back in the end.
void check_end(World& world) {
  attempt([&] {
    world.settle();
    world.check_settled();
    if (!world.child.unload()) {
      world.reset_partition();
    }
    world.settle();
    world.check_settled();
    RC_ASSERT(world.root.server().state() == ServerState::kDisconnected);
    RC_ASSERT(world.root.words_used() == 0u);
    RC_ASSERT(world.child.client().gpadl_count() == 0u);
    for (std::size_t device = 0; device < kDevices; ++device) {
      world.root.revoke_device(device);
    }
    for (std::size_t device = 0; device < kDevices; ++device) {
      RC_ASSERT(world.root.offer_device(device));
    }
  });
}

void live(Version version, std::map<std::string, int>* reached) {
  seam_record::clear();
  World world(version);
  world.child.connect();
  rc::state::check(
      Model{}, world,
      rc::state::gen::execOneOfWithArgs<Burst, Burst, Burst, Deliver, DeliverToClient, Answer, Act,
                                        OfferDevice, OfferDevice, Revoke, Leave, Settle>());
  check_end(world);
  for (const auto& [name, count] : seam_record::record().reached) {
    (*reached)[name] += count;
  }
}

}  // namespace

TEST_CASE("channels live and die on both ends without a message refused or a waiter forgotten",
          "[vmbus][channel][property]") {
  std::map<std::string, int> reached;
  for (const Version version : {Version::kIron, Version::kWin10Rs3, Version::kWin8_1}) {
    REQUIRE(rc::check([&] { live(version, &reached); }));
  }
  // The draw is worth something: it reaches the races that the two ends know of.
  for (const char* race :
       {"vmbus.server.revoke_raced_an_open", "vmbus.server.revoke_raced_a_close",
        "vmbus.server.open_during_close", "vmbus.server.contact_came_during_reset",
        "vmbus.client.rescind_raced_an_open", "vmbus.client.rescind_raced_a_gpadl"}) {
    INFO(race << ": " << reached[race]);
    CHECK(reached[race] > 0);
  }
}

TEST_CASE("a channel is offered, opened, used, closed and taken away", "[vmbus][channel]") {
  seam_record::clear();
  World world(Version::kIron);
  REQUIRE(world.root.offer_device(0));
  REQUIRE(world.child.connect());
  world.settle();
  REQUIRE(world.child.drivers().size() == 1);
  REQUIRE(world.child.act(0));  // lend the ring
  world.settle();
  REQUIRE(world.child.act(1));  // open
  world.settle();
  CHECK(world.root.devices()[0].open);
  CHECK(world.child.client().channel_state(ChannelId(1)) == ClientChannelState::kOpen);
  REQUIRE(world.root.revoke_device(0));
  world.settle();
  world.check_settled();
  CHECK(world.child.drivers().empty());
  CHECK(world.root.server().gpadl_count() == 0);
}
