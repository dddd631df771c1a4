// The client's connection: versions, offers, goodbye.
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

TEST_CASE("contact names the SINT, the processor and the monitor pages", "[vmbus][client]") {
  ClientFixture f({.target_vp = 2,
                   .parent_to_child_monitor_gpa = 0x5000,
                   .child_to_parent_monitor_gpa = 0x6000});
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].connection == 4);
  CHECK(f.notifier.sent[0].bytes.size() == 40);
  const auto contact = f.notifier.sent[0].as<InitiateContact>();
  CHECK(contact.version == 0x00050003);
  CHECK(contact.target_vp == 2);
  CHECK(contact.interrupt_page_or_target == 2);
  CHECK(contact.parent_to_child_monitor_gpa == 0x5000);
  CHECK(contact.child_to_parent_monitor_gpa == 0x6000);
  CHECK(f.client.connect() == ClientStatus::kWrongState);
}

TEST_CASE("versions are tried newest first, each once, until one is welcome", "[vmbus][client]") {
  ClientFixture f({.interrupt_page_gpa = 0x9000});
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  for (int refusal = 0; refusal < 5; ++refusal) {
    f.respond(false, 0);
  }
  std::vector<std::uint32_t> tried;
  for (const auto& sent : f.notifier.sent) {
    tried.push_back(sent.as<InitiateContact>().version);
  }
  CHECK(tried == std::vector<std::uint32_t>{0x00050003, 0x00050002, 0x00050001, 0x00050000,
                                            0x00040001, 0x00040000});
  // Below 5.0: the old connection, and the interrupt page where the SINT was.
  CHECK(f.notifier.sent[3].connection == 4);
  CHECK(f.notifier.sent[4].connection == 1);
  CHECK(f.notifier.sent[4].as<InitiateContact>().interrupt_page_or_target == 0x9000);
  f.respond(true, 0x00040000);
  CHECK(f.notifier.lines == Lines{"connected 4.0"});
  CHECK(f.client.version() == Version::kWin10);
  REQUIRE(f.client.request_offers() == ClientStatus::kDone);
  CHECK(f.notifier.sent.back().connection == 1);
}

TEST_CASE("when every version is refused the connection has failed, and may be tried again",
          "[vmbus][client]") {
  ClientFixture f({.newest_version = Version::kCopper});
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  for (std::size_t refusal = 0; refusal < kVersionsNewestFirst.size(); ++refusal) {
    f.respond(false);
  }
  CHECK(f.notifier.sent.size() == kVersionsNewestFirst.size());
  CHECK(f.notifier.lines == Lines{"connect failed"});
  CHECK(f.client.state() == ClientState::kDisconnected);
  CHECK(f.client.connect() == ClientStatus::kDone);
  CHECK(f.notifier.sent.back().as<InitiateContact>().version == 0x00060000);
}

TEST_CASE("a hypervisor without the connection moves on to the next version", "[vmbus][client]") {
  ClientFixture f;
  CHECK(f.client.contact_post_failed() == ClientStatus::kWrongState);
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  for (int version = 0; version < 4; ++version) {
    CHECK(f.client.contact_post_failed() == ClientStatus::kDone);
  }
  CHECK(f.notifier.sent.back().connection == 1);
}

TEST_CASE("later messages go to the connection that the server named", "[vmbus][client]") {
  ClientFixture f;
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.respond(true, 0x1234);
  REQUIRE(f.client.request_offers() == ClientStatus::kDone);
  CHECK(f.notifier.sent.back().connection == 0x1234);
}

TEST_CASE("a yes without a connection to post to is a no", "[vmbus][client]") {
  ClientFixture f;
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.respond(true, 0);
  CHECK(f.client.state() == ClientState::kConnecting);
  CHECK(f.notifier.sent.back().as<InitiateContact>().version == 0x00050002);
}

TEST_CASE("the newest version that a client tries is its owner's choice", "[vmbus][client]") {
  ClientFixture f({.newest_version = Version::kWin8_1});
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  CHECK(f.notifier.sent[0].as<InitiateContact>().version == 0x00030000);
}

TEST_CASE("offers are told one by one, then that it was all", "[vmbus][client]") {
  ClientFixture f;
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.respond(true);
  CHECK(f.client.request_offers() == ClientStatus::kDone);
  CHECK(f.client.request_offers() == ClientStatus::kWrongState);
  f.offer(1);
  f.offer(7);
  f.say_bare(MessageType::kAllOffersDelivered);
  f.offer(3);  // hot-added
  CHECK(f.notifier.lines ==
        Lines{"connected 5.3", "offered 1", "offered 7", "all offers", "offered 3"});
  CHECK(f.notifier.offers[1].connection_id == 0x2007);
  CHECK(f.client.channel_state(ChannelId(7)) == ClientChannelState::kOffered);
  CHECK(f.client.channel_state(ChannelId(2)) == ClientChannelState::kFree);
}

TEST_CASE("an offer that makes no sense is refused", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f;
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.respond(true);
  f.offer(1);  // not asked for yet
  REQUIRE(f.client.request_offers() == ClientStatus::kDone);
  f.offer(1);
  f.offer(1);  // the id is taken
  f.offer(0);
  f.offer(2048);
  f.say_bare(MessageType::kAllOffersDelivered);
  f.say_bare(MessageType::kAllOffersDelivered);
  CHECK(refusals() == 5);
  CHECK(f.notifier.lines == Lines{"connected 5.3", "offered 1", "all offers"});
}

TEST_CASE("an offer for which there is no room is left alone", "[vmbus][client]") {
  ClientFixture f;
  f.connect();
  f.offer(2);
  f.offer(3);
  f.offer(4);
  CHECK(f.notifier.lines == Lines{"offered 2", "offered 3"});
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("an unload ends everything and forgets everything", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f;
  f.connect_and_open();
  CHECK(f.client.unload() == ClientStatus::kDone);
  CHECK(f.client.unload() == ClientStatus::kWrongState);
  CHECK(f.notifier.sent.back().type() == MessageType::kUnload);
  f.offer(2);  // was on its way
  f.rescind(1);
  CHECK(ignored() == 2);
  CHECK(f.notifier.lines.empty());
  f.say_bare(MessageType::kUnloadResponse);
  CHECK(f.notifier.lines == Lines{"unloaded"});
  CHECK(f.client.state() == ClientState::kDisconnected);
  CHECK(f.client.gpadl_count() == 0);
  CHECK(f.client.channel_state(ChannelId(1)) == ClientChannelState::kFree);
  CHECK(refusals() == 0);
}

TEST_CASE("before 3.0 there is no goodbye to say", "[vmbus][client]") {
  ClientFixture f({.newest_version = Version::kWin8});
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.respond(true, 0x00020004);
  f.clear();
  CHECK(f.client.unload() == ClientStatus::kDone);
  CHECK(f.notifier.sent.empty());
  CHECK(f.notifier.lines == Lines{"unloaded"});
}

TEST_CASE("messages for the kernel before this one are ignored until the version is agreed",
          "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f;
  REQUIRE(f.client.connect() == ClientStatus::kDone);
  f.offer(1);
  f.say_bare(MessageType::kUnloadResponse);
  f.answer_open(1);
  CHECK(f.notifier.lines.empty());
  f.respond(true);
  f.say_bare(MessageType::kUnloadResponse);
  CHECK(f.client.state() == ClientState::kConnected);
  CHECK(ignored() == 4);
  CHECK(refusals() == 0);
}

TEST_CASE("a wish that is not legal now sends nothing", "[vmbus][client]") {
  ClientFixture f;
  GpadlId id;
  CHECK(f.client.request_offers() == ClientStatus::kWrongState);
  CHECK(f.client.unload() == ClientStatus::kWrongState);
  CHECK(f.client.create_gpadl(ChannelId(1), f.pages, id) == ClientStatus::kUnknown);
  CHECK(f.client.open(ChannelId(1), {}) == ClientStatus::kUnknown);
  CHECK(f.client.close(ChannelId(1)) == ClientStatus::kUnknown);
  CHECK(f.client.modify(ChannelId(1), 0) == ClientStatus::kUnknown);
  CHECK(f.client.teardown_gpadl(GpadlId(1)) == ClientStatus::kUnknown);
  CHECK(f.client.release_channel(ChannelId(1)) == ClientStatus::kUnknown);
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("messages that are cut short or too long are refused", "[vmbus][client]") {
  seam_record::clear();
  ClientFixture f;
  f.connect();
  const OfferChannel offer;
  for (std::size_t size = 0; size < sizeof(OfferChannel); ++size) {
    f.client.handle_message(bytes_of(offer).first(size));
  }
  f.client.handle_message(std::vector<std::byte>(241));
  CHECK(refusals() == sizeof(OfferChannel) + 1);
  CHECK(f.notifier.lines.empty());
}
