// What a child sees of the root's end of its bus, message by message.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "tests/partitions/raw_bus.h"
#include "tests/partitions/world_fixture.h"
#include "vmbus/protocol/version.h"

using partitions_test::RawBus;
using vmbus::MessageType;
using Types = std::vector<MessageType>;

namespace {

constexpr std::uint32_t kIron = static_cast<std::uint32_t>(vmbus::Version::kIron);
constexpr std::uint32_t kCopper = static_cast<std::uint32_t>(vmbus::Version::kCopper);

/// What the child of the running test does.
std::function<void(RawBus&)> script;

void play() {
  static_cast<void>(kernel::build_in_arena<partitions_test::BareKernel>());
  RawBus bus;
  script(bus);
  partitions_test::say_done();
  partitions_test::sleep_for_ever();
}

/// Two disks are offered to the child, as channels 1 and 2.
void run_child(std::function<void(RawBus&)> child) {
  script = std::move(child);
  auto configuration =
      partitions_test::computer("children=1\nchild_processors=2\nworkload=storage\nscratch_mib=1\n",
                                partitions_test::child_program(play));
  configuration.disks.push_back({"data", "1", 65'536, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 4 << 20, nullptr, 64});
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  const sim::RunResult result = world.run();
  script = nullptr;
  const auto lines = partitions_test::lines_of(result);
  CHECK(std::ranges::count(lines, "[root] all pages returned") == 1);
  CHECK(result.violations.empty());
}

}  // namespace

TEST_CASE("the next kernel gets no message that was for the one before",
          "[partitions][vmbus][by_hand]") {
  Types crashed;
  Types unloaded;
  run_child([&](RawBus& bus) {
    bus.contact(kIron);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kRequestOffers);
    bus.wait();
    // One offer lies in the slot; the other and the end of the offers wait behind it.
    bus.contact(kIron);
    bus.wait();
    crashed = bus.take_types();
    bus.say_bare(MessageType::kRequestOffers);
    bus.wait();
    bus.say_bare(MessageType::kUnload);
    bus.wait();
    unloaded = bus.take_types();
  });
  CHECK(crashed == Types{MessageType::kOfferChannel, MessageType::kVersionResponse});
  CHECK(unloaded == Types{MessageType::kOfferChannel, MessageType::kUnloadResponse});
}

TEST_CASE("a child that pauses gets nothing until it goes on, and nothing more if it leaves",
          "[partitions][vmbus][by_hand]") {
  Types paused;
  Types resumed;
  Types left;
  run_child([&](RawBus& bus) {
    bus.contact(kCopper, 0, vmbus::kFeaturePauseResume);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kPause);
    bus.say_bare(MessageType::kRequestOffers);
    paused = bus.take_types();
    bus.say_bare(MessageType::kResume);
    resumed = bus.take_types();
    bus.contact(kCopper, 0, vmbus::kFeaturePauseResume);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kPause);
    bus.say_bare(MessageType::kRequestOffers);
    bus.say_bare(MessageType::kUnload);
    left = bus.take_types();
  });
  CHECK(paused == Types{MessageType::kPauseResponse});
  CHECK(resumed == Types{MessageType::kOfferChannel, MessageType::kOfferChannel,
                         MessageType::kAllOffersDelivered});
  CHECK((left == Types{MessageType::kUnloadResponse} ||
         left == Types{MessageType::kPauseResponse, MessageType::kUnloadResponse}));
}
