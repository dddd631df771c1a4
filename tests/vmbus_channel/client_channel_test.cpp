// The client's channels and GPADLs.
#include <catch2/catch.hpp>

#include "tests/support/recording_client.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ClientFixture;
using Lines = std::vector<std::string>;

namespace {

std::size_t refusals() { return seam_record::count_traces("vmbus.client.message_refused"); }
std::size_t ignored() { return seam_record::count_traces("vmbus.client.message_ignored"); }

}  // namespace

TEST_CASE("a GPADL is lent message by message and exists when the server says so",
          "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  f.pages.resize(60);
  GpadlId id;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kDone);
  CHECK(id == GpadlId(0xE1E10));
  REQUIRE(f.notifier.sent.size() == 3);
  CHECK(f.notifier.sent[0].type() == MessageType::kGpadlHeader);
  CHECK(f.notifier.sent[1].type() == MessageType::kGpadlBody);
  CHECK(f.notifier.sent[2].as<GpadlBody>().gpadl_id == id.value());
  CHECK(f.client.teardown_gpadl(id) == ClientStatus::kWrongState);
  f.answer_gpadl(1, id);
  CHECK(f.notifier.lines == Lines{"created 0 ok"});
  CHECK(f.client.teardown_gpadl(id) == ClientStatus::kDone);
  CHECK(f.client.teardown_gpadl(id) == ClientStatus::kWrongState);
  f.torndown(id);
  CHECK(f.notifier.lines.back() == "torndown 0");
  CHECK(f.client.gpadl_count() == 0);
}

TEST_CASE("a GPADL that the server refuses does not exist", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  GpadlId id;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kDone);
  f.answer_gpadl(1, id, kStatusUnsuccessful);
  CHECK(f.notifier.lines == Lines{"created 0 failed"});
  CHECK(f.client.gpadl_count() == 0);
  CHECK(f.client.teardown_gpadl(id) == ClientStatus::kUnknown);
}

TEST_CASE("ids of GPADLs are never used twice", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId first = f.make_gpadl();
  REQUIRE(f.client.teardown_gpadl(first) == ClientStatus::kDone);
  f.torndown(first);
  CHECK_FALSE(f.make_gpadl() == first);
}

TEST_CASE("slots for GPADLs can be used up", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  for (int count = 0; count < 4; ++count) {
    f.make_gpadl();
  }
  f.clear();
  GpadlId id;
  CHECK(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kNoRoom);
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("a channel opens on a ring that the server has", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  f.clear();
  REQUIRE(f.client.open(
              ChannelId(1),
              {.ring_gpadl = ring, .downstream_page_offset = 4, .target_vp = 1, .user_data = {}}) ==
          ClientStatus::kDone);
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].bytes.size() == 148);
  const auto message = f.notifier.sent[0].as<OpenChannel>();
  CHECK(message.channel_id == 1);
  CHECK(message.ring_gpadl_id == ring.value());
  CHECK(message.downstream_page_offset == 4);
  CHECK(message.target_vp == 1);
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kWrongState);
  CHECK(f.client.teardown_gpadl(ring) == ClientStatus::kWrongState);
  f.answer_open(1);
  CHECK(f.notifier.lines == Lines{"opened 1 ok"});
  CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kOpen);
  CHECK(f.client.teardown_gpadl(ring) == ClientStatus::kWrongState);
}

TEST_CASE("an open that the server refuses can be tried again", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  REQUIRE(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kDone);
  f.answer_open(1, kStatusUnsuccessful);
  CHECK(f.notifier.lines.back() == "opened 1 failed");
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kDone);
}

TEST_CASE("a channel does not open on a ring that is another's or not there", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  f.offer(2);
  const GpadlId others = f.make_gpadl(2);
  GpadlId pending;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, pending) == ClientStatus::kDone);
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = others}) == ClientStatus::kUnknown);
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = GpadlId(5)}) == ClientStatus::kUnknown);
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = pending}) == ClientStatus::kWrongState);
}

TEST_CASE("a close is a message without an answer, then the ring comes back", "[vmbus][client]") {
  ClientFixture f;
  const GpadlId ring = f.connect_and_open();
  CHECK(f.client.close(ChannelId(1)) == ClientStatus::kDone);
  CHECK(f.client.close(ChannelId(1)) == ClientStatus::kWrongState);
  CHECK(f.client.teardown_gpadl(ring) == ClientStatus::kDone);
  REQUIRE(f.notifier.sent.size() == 2);
  CHECK(f.notifier.sent[0].type() == MessageType::kCloseChannel);
  CHECK(f.notifier.sent[1].as<GpadlTeardown>().channel_id == 1);
}

TEST_CASE("a rescind answers everybody who waits, then tells the driver", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  const GpadlId going = f.make_gpadl();
  GpadlId coming;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, coming) == ClientStatus::kDone);
  REQUIRE(f.client.teardown_gpadl(going) == ClientStatus::kDone);
  REQUIRE(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kDone);
  f.clear();
  f.rescind(1);
  CHECK(f.notifier.lines ==
        Lines{"opened 1 failed", "torndown 1", "created 2 failed", "rescinded 1"});
  CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kRescinded);
  CHECK(f.client.gpadl_count() == 1);
}

TEST_CASE("on a rescinded channel wishes are told so, and GPADLs come back without the server",
          "[vmbus][client]") {
  ClientFixture f;
  const GpadlId ring = f.connect_and_open();
  f.rescind(1);
  f.clear();
  GpadlId id;
  CHECK(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kRescinded);
  CHECK(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kRescinded);
  CHECK(f.client.close(ChannelId(1)) == ClientStatus::kRescinded);
  CHECK(f.client.modify(ChannelId(1), 0) == ClientStatus::kRescinded);
  CHECK(f.client.release_channel(ChannelId(1)) == ClientStatus::kWrongState);  // a GPADL is left
  CHECK(f.client.teardown_gpadl(ring) == ClientStatus::kDone);
  CHECK(f.notifier.lines == Lines{"torndown 0"});
  CHECK(f.notifier.sent.empty());
  CHECK(f.client.release_channel(ChannelId(1)) == ClientStatus::kDone);
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].type() == MessageType::kRelidReleased);
  CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kFree);
  f.offer(1);
  CHECK(f.notifier.lines.back() == "offered 1");
}

TEST_CASE("answers that crossed a rescind are ignored", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  GpadlId coming;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, coming) == ClientStatus::kDone);
  REQUIRE(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kDone);
  f.rescind(1);
  f.clear();
  seam_record::clear();
  f.answer_gpadl(1, coming, kStatusUnsuccessful);
  f.answer_open(1, kStatusUnsuccessful);
  f.torndown(coming);
  REQUIRE(f.client.teardown_gpadl(ring) == ClientStatus::kDone);
  REQUIRE(f.client.release_channel(ChannelId(1)) == ClientStatus::kDone);
  f.answer_open(1, kStatusUnsuccessful);
  CHECK(refusals() == 0);
  CHECK(ignored() == 4);
  CHECK(f.notifier.lines == Lines{"torndown 0"});
}

TEST_CASE("what a server says out of turn is refused and changes nothing", "[vmbus][client]") {
  ClientFixture f;
  const GpadlId ring = f.connect_and_open();
  seam_record::clear();
  f.answer_open(1);         // open already
  f.answer_gpadl(1, ring);  // created already
  f.torndown(ring);         // not asked for
  f.say(ModifyChannelResponse{{MessageType::kModifyChannelResponse, 0}, 1, 0});
  f.rescind(3);  // never offered
  f.respond(true);
  f.say_bare(MessageType::kRequestOffers);
  f.say_bare(static_cast<MessageType>(99));
  CHECK(refusals() == 8);
  CHECK(f.notifier.lines.empty());
  CHECK(f.notifier.sent.empty());
  f.rescind(1);
  f.rescind(1);
  CHECK(refusals() == 9);
}

TEST_CASE("an open result with another open's id is refused", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  REQUIRE(f.client.open(ChannelId(1), {.ring_gpadl = ring}) == ClientStatus::kDone);
  seam_record::clear();
  OpenChannelResult message;
  message.channel_id = 1;
  message.open_id = 17;
  f.say(message);
  CHECK(refusals() == 1);
  CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kOpening);
}

TEST_CASE("a GPADL's creation told for another channel is refused", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  f.offer(2);
  GpadlId id;
  REQUIRE(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kDone);
  seam_record::clear();
  f.answer_gpadl(2, id);
  CHECK(refusals() == 1);
}

TEST_CASE("interrupts are moved from 4.1 on, and answered from 5.3 on", "[vmbus][client]") {
  ClientFixture f;
  f.connect_and_open();
  CHECK(f.client.modify(ChannelId(1), 3) == ClientStatus::kDone);
  CHECK(f.client.modify(ChannelId(1), 2) == ClientStatus::kWrongState);
  f.say(ModifyChannelResponse{{MessageType::kModifyChannelResponse, 0}, 1, 0});
  CHECK(f.notifier.lines == Lines{"modified 1 ok"});
  CHECK(f.client.modify(ChannelId(1), 2) == ClientStatus::kDone);
  f.rescind(1);
  CHECK(f.notifier.lines == Lines{"modified 1 ok", "modified 1 failed", "rescinded 1"});

  ClientFixture older({.newest_version = Version::kWin10});
  older.connect_and_open();
  CHECK(older.client.modify(ChannelId(1), 3) == ClientStatus::kNotSupported);

  ClientFixture between({.newest_version = Version::kWin10Rs3});
  between.connect_and_open();
  CHECK(between.client.modify(ChannelId(1), 3) == ClientStatus::kDone);
  CHECK(between.client.modify(ChannelId(1), 4) == ClientStatus::kDone);
}
