#include <catch2/catch.hpp>

#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ServerFixture;
using Lines = std::vector<std::string>;

namespace {

std::size_t refusals() { return seam_record::count_traces("vmbus.server.message_refused"); }
std::size_t ignored() { return seam_record::count_traces("vmbus.server.message_ignored"); }

}  // namespace

TEST_CASE("an open asks the device, and its answer is the client's", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.notifier.sent.clear();
  f.notifier.lines.clear();
  f.send_open(1, 1, 5);
  CHECK(f.notifier.lines == Lines{"open 0"});
  CHECK(f.notifier.sent.empty());
  CHECK(f.notifier.last_opening.ring_gpadl == GpadlId(1));
  CHECK(f.notifier.last_rings.client_to_server.size() == 5);
  CHECK(f.notifier.last_rings.server_to_client.size() == 3);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpening);
  CHECK(f.server.open_complete(id, true));
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  REQUIRE(f.notifier.sent.size() == 1);
  const auto result = f.notifier.sent[0].as<OpenChannelResult>();
  CHECK(result.channel_id == 1);
  CHECK(result.open_id == 1001);
  CHECK(result.status == 0);
}

TEST_CASE("a device that cannot open leaves the channel closed", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.send_open(1, 1);
  REQUIRE(f.server.open_complete(id, false));
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
  CHECK(f.notifier.sent.back().as<OpenChannelResult>().status == kStatusUnsuccessful);
  f.send_open(1, 1);
  CHECK(f.server.open_complete(id, true));
}

TEST_CASE("an open with a ring that is none fails without asking the device", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer(1);
  const OfferId other = f.offer(2);
  f.connect();
  f.make_gpadl(id, 1);
  f.make_gpadl(other, 2);
  f.send_gpadl(1, 3);  // the device has not answered yet
  f.notifier.lines.clear();
  f.notifier.sent.clear();
  f.send_open(1, 99);    // no such GPADL
  f.send_open(1, 2);     // another channel's
  f.send_open(1, 3);     // not accepted
  f.send_open(1, 1, 0);  // no room for the first ring
  f.send_open(1, 1, 7);  // nor for the second
  f.send_open(1, 1, ~0u);
  CHECK(f.notifier.lines.empty());
  REQUIRE(f.notifier.sent.size() == 6);
  for (const auto& sent : f.notifier.sent) {
    CHECK(sent.as<OpenChannelResult>().status == kStatusUnsuccessful);
  }
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
}

TEST_CASE("what is not legal in a channel's state is refused and changes nothing",
          "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  seam_record::clear();
  f.send_open(1, 1);                              // open already
  f.say_channel(MessageType::kRelidReleased, 1);  // in use
  f.send_open(0, 1);                              // no such channel
  f.send_open(2, 1);
  f.say_channel(MessageType::kCloseChannel, 4000);
  f.say_channel(MessageType::kRelidReleased, 0);
  CHECK(refusals() == 6);
  CHECK(f.notifier.sent.empty());
  CHECK(f.notifier.lines.empty());
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);

  f.say_channel(MessageType::kCloseChannel, 1);
  f.say_channel(MessageType::kCloseChannel, 1);
  CHECK(refusals() == 7);
  CHECK(f.notifier.lines == Lines{"close 0"});
}

TEST_CASE("a close is not answered, and the channel can be opened again", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.say_channel(MessageType::kCloseChannel, 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosing);
  CHECK(f.server.close_complete(id));
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
  CHECK(f.notifier.sent.empty());
  f.send_open(1, 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpening);
}

TEST_CASE("an open during a close waits for the close", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.make_gpadl(id, 2);
  f.say_channel(MessageType::kCloseChannel, 1);
  f.notifier.lines.clear();
  f.send_open(1, 2);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosingReopen);
  CHECK(f.notifier.lines.empty());
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.lines == Lines{"open 0"});
  CHECK(f.notifier.last_opening.ring_gpadl == GpadlId(2));
  CHECK(f.server.open_complete(id, true));
}

TEST_CASE("answers that nobody waits for change nothing", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  CHECK_FALSE(f.server.open_complete(id, true));
  CHECK_FALSE(f.server.close_complete(id));
  CHECK_FALSE(f.server.retarget_complete(id, true));
  CHECK_FALSE(f.server.gpadl_complete(id, GpadlId(1), true));
  CHECK_FALSE(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK_FALSE(f.server.open_complete({7, 0}, true));
  CHECK_FALSE(f.server.open_complete({id.slot, id.generation + 1}, true));
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  CHECK(f.notifier.sent.empty());
}

// --- Revoke --------------------------------------------------------------------------------------

TEST_CASE("a revoked channel is rescinded, and its id stays taken until it is released",
          "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  CHECK(f.server.revoke(id));
  REQUIRE(f.sent_types() == std::vector{MessageType::kRescindChannelOffer});
  CHECK(f.notifier.sent[0].as<ChannelMessage>().channel_id == 1);
  CHECK(f.notifier.lines.empty());  // the device has stopped already
  const OfferId next = f.offer(2);
  CHECK(next.slot != id.slot);
  f.say_channel(MessageType::kRelidReleased, 1);
  CHECK(f.offer(3).slot == id.slot);
}

TEST_CASE("what a client sends before it knows of the rescind is ignored, not refused",
          "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  REQUIRE(f.server.revoke(id));
  f.notifier.sent.clear();
  seam_record::clear();
  f.say_channel(MessageType::kCloseChannel, 1);
  f.send_open(1, 1);
  CHECK(ignored() == 2);
  CHECK(refusals() == 0);
  CHECK(f.notifier.sent.empty());
  // But whoever waits for an answer gets one.
  f.send_gpadl(1, 5);
  CHECK(f.notifier.sent.back().as<GpadlCreated>().status == kStatusUnsuccessful);
  f.teardown(1, 1);
  CHECK(f.notifier.sent.back().as<GpadlTorndown>().gpadl_id == 1);
  CHECK(f.server.gpadl_count() == 0);
}

TEST_CASE("a revoke answers everybody who waits, before the rescind", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.make_gpadl(id, 2);
  f.send_gpadl(1, 3);
  f.teardown(1, 2);
  f.send_open(1, 1);
  f.notifier.sent.clear();
  REQUIRE(f.server.revoke(id));
  CHECK(f.sent_types() == std::vector{MessageType::kOpenChannelResult, MessageType::kGpadlTorndown,
                                      MessageType::kGpadlCreated,
                                      MessageType::kRescindChannelOffer});
  CHECK(f.notifier.sent[0].as<OpenChannelResult>().status == kStatusUnsuccessful);
  CHECK(f.notifier.sent[2].as<GpadlCreated>().status == kStatusUnsuccessful);
  // Late answers of the device miss.
  CHECK_FALSE(f.server.open_complete(id, true));
  CHECK_FALSE(f.server.gpadl_complete(id, GpadlId(3), true));
  CHECK_FALSE(f.server.gpadl_release_complete(id, GpadlId(2)));
  f.say_channel(MessageType::kRelidReleased, 1);
  CHECK(f.server.gpadl_count() == 0);
}

TEST_CASE("a channel that the client does not know goes without a message", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  CHECK(f.server.revoke(id));
  CHECK(f.notifier.sent.empty());
  CHECK_FALSE(f.server.revoke(id));
  CHECK(f.offer().slot == id.slot);
  // What has its place now is not meant by its id.
  CHECK_FALSE(f.server.channel_state(id));
  CHECK_FALSE(f.server.revoke(id));
}

TEST_CASE("a device that comes back is offered again only when its id is released",
          "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  REQUIRE(f.server.revoke(id));
  f.notifier.sent.clear();
  const OfferId again = f.offer(1);
  CHECK(again.slot == id.slot);
  CHECK_FALSE(again == id);
  CHECK(f.notifier.sent.empty());
  // A second, late revoke of the first life does not reach the second (OpenVMM #1815).
  CHECK_FALSE(f.server.revoke(id));
  f.say_channel(MessageType::kRelidReleased, 1);
  REQUIRE(f.sent_types() == std::vector{MessageType::kOfferChannel});
  CHECK(f.server.channel_state(again) == ServerChannelState::kClosed);
}

TEST_CASE("a device that comes back and goes again is never offered", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  REQUIRE(f.server.revoke(id));
  const OfferId again = f.offer(1);
  f.notifier.sent.clear();
  CHECK(f.server.revoke(again));
  CHECK(f.notifier.sent.empty());
  f.say_channel(MessageType::kRelidReleased, 1);
  CHECK(f.notifier.sent.empty());
  CHECK(f.offer(2).slot == id.slot);
}

TEST_CASE("a client may release an id that is merely closed", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.notifier.lines.clear();
  f.notifier.sent.clear();
  f.say_channel(MessageType::kRelidReleased, 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClientReleased);
  CHECK(f.notifier.lines == Lines{"release 0/1"});
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.notifier.sent.empty());  // nobody is there to hear it
  CHECK(f.server.gpadl_count() == 0);
}

// --- Retarget ------------------------------------------------------------------------------------

namespace {

void modify(ServerFixture& f, std::uint32_t channel, std::uint32_t target_vp) {
  ModifyChannel message;
  message.channel_id = channel;
  message.target_vp = target_vp;
  f.say(message);
}

}  // namespace

TEST_CASE("a retarget is answered from 5.3 on", "[vmbus][server]") {
  for (const Version version : {Version::kWin10Rs5, Version::kIron}) {
    ServerFixture f;
    const OfferId id = f.connect_and_open(version);
    modify(f, 1, 3);
    CHECK(f.notifier.lines == Lines{"retarget 0 to 3"});
    CHECK(f.notifier.sent.empty());
    CHECK(f.server.retarget_complete(id, true));
    CHECK(f.notifier.sent.size() == (version == Version::kIron ? 1u : 0u));
  }
}

TEST_CASE("before 5.3 the newest of several targets wins", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open(Version::kWin10Rs3);
  modify(f, 1, 1);
  modify(f, 1, 2);
  modify(f, 1, 3);
  CHECK(f.notifier.lines == Lines{"retarget 0 to 1"});
  CHECK(f.server.retarget_complete(id, true));
  CHECK(f.notifier.lines == Lines{"retarget 0 to 1", "retarget 0 to 3"});
  CHECK(f.server.retarget_complete(id, true));
  CHECK_FALSE(f.server.retarget_complete(id, true));
}

TEST_CASE("a retarget that is not legal gets a failure from 5.3 on", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  modify(f, 1, kNoTargetVp);
  modify(f, 1, 1);
  modify(f, 1, 2);  // during the first
  REQUIRE(f.notifier.sent.size() == 2);
  CHECK(f.notifier.sent[0].as<ModifyChannelResponse>().status == kStatusUnsuccessful);
  CHECK(f.notifier.sent[1].as<ModifyChannelResponse>().status == kStatusUnsuccessful);
  CHECK(f.server.retarget_complete(id, true));
  CHECK(f.notifier.sent[2].as<ModifyChannelResponse>().status == 0);
  f.say_channel(MessageType::kCloseChannel, 1);
  modify(f, 1, 1);
  CHECK(f.notifier.sent.back().as<ModifyChannelResponse>().status == kStatusUnsuccessful);
}

TEST_CASE("before 4.1 there is no retarget", "[vmbus][server]") {
  ServerFixture f;
  f.connect_and_open(Version::kWin10);
  seam_record::clear();
  modify(f, 1, 1);
  CHECK(f.notifier.lines.empty());
  CHECK(refusals() == 1);
}

TEST_CASE("a channel opened without interrupts is not retargeted", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  OpenChannel message;
  message.channel_id = 1;
  message.ring_gpadl_id = 1;
  message.downstream_page_offset = 4;
  message.target_vp = kNoTargetVp;
  f.say(message);
  REQUIRE(f.server.open_complete(id, true));
  f.notifier.lines.clear();
  modify(f, 1, 1);
  CHECK(f.notifier.lines.empty());
  CHECK(f.notifier.sent.back().as<ModifyChannelResponse>().status == kStatusUnsuccessful);
}

TEST_CASE("a close ends a retarget that the device did not answer", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  modify(f, 1, 1);
  f.say_channel(MessageType::kCloseChannel, 1);
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.sent.back().as<ModifyChannelResponse>().status == kStatusUnsuccessful);
  CHECK_FALSE(f.server.retarget_complete(id, true));
}

TEST_CASE("a channel that could not be moved is where it was", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  ModifyChannel modify;
  modify.channel_id = 1;
  modify.target_vp = 3;
  f.say(modify);
  CHECK(f.server.retarget_complete(id, false));
  CHECK(f.channels[0].opening.target_vp == 0);
  CHECK(f.notifier.sent.back().as<ModifyChannelResponse>().status == kStatusUnsuccessful);
  f.say(modify);
  CHECK(f.server.retarget_complete(id, true));
  CHECK(f.channels[0].opening.target_vp == 3);
  CHECK(f.notifier.sent.back().as<ModifyChannelResponse>().status == kStatusSuccess);
}

TEST_CASE("what an offer and an open say of themselves arrives whole", "[vmbus][server]") {
  ServerFixture f;
  Offer offer;
  offer.interface_type = kScsiInterface;
  offer.interface_instance.data1 = 1;
  offer.flags = 0x2010;
  offer.mmio_megabytes = 77;
  for (std::size_t at = 0; at < offer.user_data.size(); ++at) {
    offer.user_data[at] = static_cast<std::uint8_t>(at + 1);
  }
  const OfferId id = f.server.offer(offer).value();
  f.initiate_contact(0x00050003);
  (void)f.server.contact_complete(ContactState::kSuccessful);
  f.say_bare(MessageType::kRequestOffers);
  const auto told = f.notifier.sent.at(1).as<OfferChannel>();
  CHECK(told.flags == 0x2010);
  CHECK(told.mmio_megabytes == 77);
  CHECK(told.user_data == offer.user_data);
  f.make_gpadl(id, 1);
  OpenChannel open;
  open.channel_id = 1;
  open.open_id = 9;
  open.ring_gpadl_id = 1;
  open.target_vp = 2;
  open.downstream_page_offset = 3;
  open.user_data = offer.user_data;
  open.user_data[0] = 200;
  f.say(open);
  CHECK(f.notifier.last_opening.open_id == 9);
  CHECK(f.notifier.last_opening.target_vp == 2);
  CHECK(f.notifier.last_opening.downstream_page_offset == 3);
  CHECK(f.notifier.last_opening.user_data == open.user_data);
}

TEST_CASE("no two primaries have one instance, whatever their types", "[vmbus][server]") {
  ServerFixture f;
  const OfferId first = f.offer(1);
  Offer other;
  other.interface_type = kScsiInterface;
  other.interface_type.data1 ^= 1;
  other.interface_instance.data1 = 1;
  CHECK_FALSE(f.server.offer(other));
  // A sub-channel is looked up by both.
  other.subchannel_index = 1;
  CHECK(f.server.offer(other));
  (void)f.offer(1, 1);
  // Whoever takes the place of one that was taken away waits until its id is free.
  f.connect();
  REQUIRE(f.server.revoke(first));
  f.notifier.sent.clear();
  other.subchannel_index = 0;
  const OfferId next = f.server.offer(other).value();
  CHECK(f.notifier.sent.empty());
  f.say_channel(MessageType::kRelidReleased, vmbus::Server::channel_id(next).value());
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].as<OfferChannel>().interface_type == other.interface_type);
}
