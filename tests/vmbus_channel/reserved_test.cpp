// Reserved channels, on both ends.
#include <catch2/catch.hpp>

#include "tests/support/recording_client.h"
#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ClientFixture;
using vmbus_double::ServerFixture;

namespace {

constexpr const char* kRefused = "vmbus.server.message_refused";

void open_reserved(ServerFixture& f, std::uint32_t channel, std::uint32_t gpadl) {
  OpenReservedChannel message;
  message.channel_id = channel;
  message.target_vp = 1;
  message.target_sint = 5;
  message.ring_gpadl_id = gpadl;
  message.downstream_page_offset = 4;
  f.say(message);
}

void close_reserved(ServerFixture& f, std::uint32_t channel, std::uint32_t sint = 6) {
  CloseReservedChannel message;
  message.channel_id = channel;
  message.target_vp = 2;
  message.target_sint = sint;
  f.say(message);
}

/// A connected client with one reserved channel open over GPADL 1.
OfferId with_reserved(ServerFixture& f) {
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  open_reserved(f, 1, 1);
  (void)f.server.open_complete(id, true);
  return id;
}

}  // namespace

TEST_CASE("a reserved channel is answered where its opener says", "[vmbus][server][reserved]") {
  ServerFixture f;
  const OfferId id = with_reserved(f);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  REQUIRE(f.notifier.reserved_targets.size() == 1);
  CHECK(f.notifier.reserved_targets[0].target_vp == 1);
  CHECK(f.notifier.reserved_targets[0].target_sint == 5);
  const auto result = f.notifier.sent.back().as<OpenChannelResult>();
  CHECK(result.header.type == MessageType::kOpenChannelResult);
  CHECK(result.open_id == 0);
  CHECK(result.status == kStatusSuccess);

  close_reserved(f, 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosing);
  CHECK(f.notifier.reserved_targets.size() == 1);
  CHECK(f.server.close_complete(id));
  REQUIRE(f.notifier.reserved_targets.size() == 2);
  CHECK(f.notifier.reserved_targets[1].target_sint == 6);
  CHECK(f.notifier.sent.back().type() == MessageType::kCloseReservedResponse);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
}

TEST_CASE("a reserved channel that does not open is a channel like any other",
          "[vmbus][server][reserved]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  open_reserved(f, 1, 77);  // No such ring.
  CHECK(f.notifier.sent.back().as<OpenChannelResult>().status == kStatusUnsuccessful);
  open_reserved(f, 1, 1);
  (void)f.server.open_complete(id, false);
  CHECK(f.notifier.reserved_targets.size() == 2);
  f.send_open(1, 1);
  CHECK(f.server.open_complete(id, true));
  CHECK(f.notifier.reserved_targets.size() == 2);
  CHECK(f.notifier.sent.back().as<OpenChannelResult>().open_id == 1001);
}

TEST_CASE("what does not fit a reserved channel is refused", "[vmbus][server][reserved]") {
  seam_record::clear();
  ServerFixture f;
  const OfferId id = with_reserved(f);
  f.say_channel(MessageType::kCloseChannel, 1);
  open_reserved(f, 1, 1);
  f.send_open(1, 1);
  f.teardown(1, 1);
  CHECK(seam_record::count_traces(kRefused) == 4);
  f.send_gpadl(1, 2);
  CHECK(f.notifier.sent.back().as<GpadlCreated>().status == kStatusUnsuccessful);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  close_reserved(f, 1);
  f.send_open(1, 1);  // While it closes.
  close_reserved(f, 1);
  close_reserved(f, 0);
  close_reserved(f, 9);
  CHECK(seam_record::count_traces(kRefused) == 8);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosing);
}

TEST_CASE("reserved channels came with 4.0", "[vmbus][server][reserved]") {
  seam_record::clear();
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect(Version::kWin8_1);
  f.make_gpadl(id, 1);
  open_reserved(f, 1, 1);
  CHECK(seam_record::count_traces(kRefused) == 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
}

TEST_CASE("a reserved channel outlives its connection and is closed without one",
          "[vmbus][server][reserved]") {
  ServerFixture f;
  const OfferId id = with_reserved(f);
  const OfferId other = f.offer(2);
  f.make_gpadl(id, 5);
  f.notifier.sent.clear();
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  CHECK(f.server.gpadl_count() == 1);

  SECTION("its close gives everything back") {
    close_reserved(f, 1);
    CHECK(f.server.close_complete(id));
    CHECK(f.notifier.sent.back().type() == MessageType::kCloseReservedResponse);
    CHECK(f.server.channel_state(id) == ServerChannelState::kClientReleased);
    CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
    CHECK(f.storage.used_words() == 0);
  }
  SECTION("the next client is offered it when it has closed") {
    f.connect();
    CHECK(f.server.channel_state(other) == ServerChannelState::kClosed);
    CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
    f.send_gpadl(1, 1);
    CHECK(f.notifier.sent.back().as<GpadlCreated>().status == kStatusUnsuccessful);
    close_reserved(f, 1);
    (void)f.server.close_complete(id);
    CHECK(f.notifier.sent.back().as<OfferChannel>().channel_id == 1);
    CHECK(f.server.channel_state(id) == ServerChannelState::kClosed);
  }
  SECTION("a device that goes takes it away without a word to the next client") {
    f.connect();
    CHECK(f.server.revoke(id));
    CHECK(f.notifier.sent.empty());
    CHECK(f.server.gpadl_count() == 0);
  }
  SECTION("a reset of the partition closes it") {
    f.server.reset();
    CHECK(f.server.state() == ServerState::kDisconnecting);
    CHECK(f.server.close_complete(id));
    CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
    CHECK(f.server.state() == ServerState::kDisconnected);
    CHECK(f.storage.used_words() == 0);
  }
}

TEST_CASE("an unload does not wait for a reserved channel that closes, and its close is answered",
          "[vmbus][server][reserved]") {
  ServerFixture f;
  const OfferId id = with_reserved(f);
  close_reserved(f, 1);
  f.notifier.sent.clear();
  f.say_bare(MessageType::kUnload);
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
  SECTION("when the device has closed") { CHECK(f.server.close_complete(id)); }
  SECTION("when the device goes") { CHECK(f.server.revoke(id)); }
  CHECK(f.notifier.sent.back().type() == MessageType::kCloseReservedResponse);
}

TEST_CASE("a revoke answers who waits for a reserved channel", "[vmbus][server][reserved]") {
  ServerFixture f;
  const OfferId id = with_reserved(f);
  close_reserved(f, 1);
  f.notifier.sent.clear();
  CHECK(f.server.revoke(id));
  CHECK(f.sent_types() ==
        std::vector{MessageType::kCloseReservedResponse, MessageType::kRescindChannelOffer});
  open_reserved(f, 1, 1);  // It crossed the rescind.
  CHECK(f.notifier.sent.size() == 2);
}

TEST_CASE("a client opens and closes a reserved channel", "[vmbus][client][reserved]") {
  ClientFixture f;
  f.connect();
  const GpadlId ring = f.make_gpadl();
  f.clear();
  CHECK(f.client.open_reserved(ChannelId(1), {.ring_gpadl = ring, .downstream_page_offset = 4},
                               7) == ClientStatus::kDone);
  const auto asked = f.notifier.sent[0].as<OpenReservedChannel>();
  CHECK(asked.channel_id == 1);
  CHECK(asked.ring_gpadl_id == ring.value());
  CHECK(asked.downstream_page_offset == 4);
  CHECK(asked.target_sint == 7);
  CHECK(f.client.close_reserved(ChannelId(1), 0, 7) == ClientStatus::kWrongState);
  OpenChannelResult result;
  result.channel_id = 1;
  f.say(result);
  CHECK(f.client.close(ChannelId(1)) == ClientStatus::kWrongState);
  CHECK(f.client.close_reserved(ChannelId(2), 0, 7) == ClientStatus::kUnknown);
  CHECK(f.client.close_reserved(ChannelId(1), 0, 7) == ClientStatus::kDone);
  CHECK(f.client.close_reserved(ChannelId(1), 0, 7) == ClientStatus::kWrongState);
  SECTION("the server answers") {
    f.say_channel(MessageType::kCloseReservedResponse, 1);
    CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kOffered);
    f.say_channel(MessageType::kCloseReservedResponse, 1);  // Refused: nobody waits.
  }
  SECTION("a rescind answers") {
    f.rescind(1);
    f.say_channel(MessageType::kCloseReservedResponse, 1);
    CHECK(f.client.close_reserved(ChannelId(1), 0, 7) == ClientStatus::kRescinded);
  }
  CHECK(std::ranges::count(f.notifier.lines, "reserved closed 1") == 1);
}

TEST_CASE("a client of 3.0 knows no reserved channels", "[vmbus][client][reserved]") {
  ClientFixture f({.newest_version = Version::kWin8_1});
  f.connect();
  const GpadlId ring = f.make_gpadl();
  CHECK(f.client.open_reserved(ChannelId(1), {.ring_gpadl = ring}, 7) ==
        ClientStatus::kNotSupported);
  CHECK(f.client.open_reserved(ChannelId(2), {.ring_gpadl = ring}, 7) == ClientStatus::kUnknown);
}

TEST_CASE("whoever cannot be answered neither opens nor closes a reserved channel",
          "[vmbus][server][reserved]") {
  struct Case {
    std::uint32_t vp;
    std::uint32_t sint;
  };
  const auto [vp, sint] = GENERATE(Case{kNoTargetVp, 5}, Case{1, 0}, Case{1, 16}, Case{1, ~0u});
  ServerFixture f;
  const OfferId id = with_reserved(f);
  const OfferId other = f.offer(2);
  f.make_gpadl(other, 2);
  seam_record::clear();
  OpenReservedChannel open;
  open.channel_id = 2;
  open.target_vp = vp;
  open.target_sint = sint;
  open.ring_gpadl_id = 2;
  open.downstream_page_offset = 4;
  f.say(open);
  CHECK(f.server.channel_state(other) == ServerChannelState::kClosed);
  CloseReservedChannel close;
  close.channel_id = 1;
  close.target_vp = vp;
  close.target_sint = sint;
  f.say(close);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
  CHECK(seam_record::count_traces(kRefused) == 2);
}
