// The root takes a disk away and brings it back while the child opens, closes, forgets and unloads
// it: at every moment, so that each of the two is before the other. Whole computers; what races is
// both kernels, their hypervisor and their processors.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "tests/partitions/world_fixture.h"
#include "vmbus/protocol/messages.h"

using partitions_test::computer;
using partitions_test::lines_of;
using vmbus::MessageType;

namespace {

constexpr machine::Site kChildSent("child.bus.message_sent");
constexpr machine::Site kRootSent("root.bus.message_sent");

/// Every removal comes when the test says so; all else is drawn.
class Sweep final : public sim::SeededDecider {
 public:
  Sweep(std::uint64_t seed, std::uint32_t time, std::uint32_t grace)
      : SeededDecider(seed), time_(time), grace_(grace) {}

  std::uint32_t decide(const machine::Site& site, std::uint32_t domain,
                       std::uint64_t operation) override {
    if (site.id() == kTime.id()) {
      return time_ % domain;
    }
    if (site.id() == kGrace.id()) {
      return grace_ % domain;
    }
    return SeededDecider::decide(site, domain, operation);
  }

 private:
  static constexpr machine::Site kTime{"root.bus.removal.time"};
  static constexpr machine::Site kGrace{"root.bus.removal.grace"};
  std::uint32_t time_;
  std::uint32_t grace_;
};

/// Which message of the child was the last before a rescind, and which came after one, before the
/// child had heard of it and let go.
struct Orders {
  std::set<MessageType> before;
  std::set<MessageType> after;
  std::uint64_t rescinds = 0;
  std::uint64_t offers_after_rescind = 0;

  MessageType last = MessageType::kInvalid;
  bool rescinded = false;

  void take(const sim::TraceEvent& event) {
    const auto type = static_cast<MessageType>(event.a);
    if (event.site.id() == kChildSent.id()) {
      last = type;
      if (rescinded) {
        after.insert(type);
      }
      rescinded = rescinded && type != MessageType::kRelidReleased;
    } else if (event.site.id() == kRootSent.id() && type == MessageType::kRescindChannelOffer) {
      before.insert(last);
      rescinded = true;
      ++rescinds;
    } else if (event.site.id() == kRootSent.id() && type == MessageType::kOfferChannel) {
      offers_after_rescind += rescinds != 0 ? 1 : 0;
    }
  }
};

void run(std::uint32_t time, std::uint32_t grace, Orders& orders) {
  auto configuration = computer(
      "children=1\nworkload=plug\nopenings=16\nremovals=1000000\nchild_bus_version=393216\n");
  configuration.disks.push_back({"data", "1", 64 * 1024, nullptr, 0});
  orders.last = MessageType::kInvalid;
  orders.rescinded = false;
  configuration.on_trace = [&orders](const sim::TraceEvent& event) { orders.take(event); };
  Sweep decider(1 + time, time, grace);
  sim::World world(std::move(configuration), decider);
  const sim::RunResult result = world.run();
  INFO("removals each " << time << ", after " << grace);
  CHECK(result.passed());
  CHECK(std::ranges::count(lines_of(result), "[root] all pages returned") == 1);
}

}  // namespace

TEST_CASE("a removal is before and after each thing that a child does with its disk",
          "[partitions][vmbus][races]") {
  Orders orders;
  for (std::uint32_t time = 0; time < 240; ++time) {
    run(time, time % 7, orders);
  }
  CHECK(orders.rescinds > 100);
  CHECK(orders.offers_after_rescind > 100);
  // Once the child has said goodbye the root takes a channel away without a word.
  for (const MessageType type :
       {MessageType::kGpadlHeader, MessageType::kOpenChannel, MessageType::kCloseChannel,
        MessageType::kGpadlTeardown, MessageType::kRequestOffers, MessageType::kRelidReleased}) {
    INFO("message " << static_cast<std::uint32_t>(type));
    CHECK(orders.before.contains(type));
  }
  // A goodbye that meets a rescind is too rare here; the two ends alone, in every order, have it
  // (tests/vmbus_channel/race_orders_test.cpp).
  for (const MessageType type :
       {MessageType::kGpadlHeader, MessageType::kOpenChannel, MessageType::kCloseChannel,
        MessageType::kGpadlTeardown, MessageType::kRelidReleased}) {
    INFO("message " << static_cast<std::uint32_t>(type));
    CHECK(orders.after.contains(type));
  }
}
