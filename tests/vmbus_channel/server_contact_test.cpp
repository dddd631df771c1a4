#include <catch2/catch.hpp>

#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ServerFixture;

namespace {

constexpr const char* kRefused = "vmbus.server.message_refused";

}  // namespace

TEST_CASE("a known version is accepted once the owner agrees", "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00050003, 3);
  CHECK(f.server.state() == ServerState::kConnecting);
  CHECK(f.notifier.sent.empty());
  REQUIRE(f.notifier.contacts.size() == 1);
  CHECK(f.notifier.contacts[0].target_vp == 3);
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.server.state() == ServerState::kConnected);
  REQUIRE(f.notifier.sent.size() == 1);
  const auto response = f.notifier.sent[0].as<VersionResponse>();
  CHECK(f.notifier.sent[0].target_vp == 3);
  CHECK(f.notifier.sent[0].bytes.size() == 16);
  CHECK(response.version_supported == 1);
  CHECK(response.connection_state == ContactState::kSuccessful);
  CHECK(response.version_or_connection_id == kMessageConnectionVersion5);
}

TEST_CASE("below 5.0 the answer repeats the version, not a connection", "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00040001, 2);
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.notifier.sent[0].as<VersionResponse>().version_or_connection_id == 0x00040001);
}

TEST_CASE("below 3.0 messages go to processor 0, whatever is asked for", "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00020004, 5);
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.notifier.sent[0].target_vp == 0);
}

TEST_CASE("every version of the list connects", "[vmbus][server]") {
  for (const Version version : kVersionsNewestFirst) {
    ServerFixture f;
    f.initiate_contact(static_cast<std::uint32_t>(version));
    CHECK(f.server.contact_complete(ContactState::kSuccessful));
    CHECK(f.server.state() == ServerState::kConnected);
  }
}

TEST_CASE("an unknown version is answered no, and the server stays disconnected",
          "[vmbus][server]") {
  for (const std::uint32_t version : {0x00060001u, 0x0000000Du, 0x00010001u, 0xFFFFFFFFu, 0u}) {
    CAPTURE(version);
    ServerFixture f;
    f.initiate_contact(version);
    CHECK(f.server.state() == ServerState::kDisconnected);
    REQUIRE(f.notifier.sent.size() == 1);
    CHECK(f.notifier.sent[0].as<VersionResponse>().version_supported == 0);
    CHECK(f.notifier.sent[0].bytes.size() == 16);
    CHECK(f.notifier.contacts.empty());
  }
}

TEST_CASE("a version above the server's newest is refused", "[vmbus][server]") {
  ServerFixture f({.newest_version = Version::kWin10Rs3});
  f.initiate_contact(0x00050000);
  CHECK(f.notifier.sent[0].as<VersionResponse>().version_supported == 0);
  f.initiate_contact(0x00040001);
  CHECK(f.server.state() == ServerState::kConnecting);
}

TEST_CASE("from 5.0 on a client that wants another SINT or VTL is refused", "[vmbus][server]") {
  for (const std::uint64_t target : {0ull, 3ull, 0x102ull}) {
    ServerFixture f;
    InitiateContact message;
    message.version = 0x00050003;
    message.interrupt_page_or_target = target;
    f.say(message);
    CHECK(f.notifier.sent[0].as<VersionResponse>().version_supported == 0);
  }
}

TEST_CASE("an owner that cannot serve the client makes the answer no", "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00050003);
  CHECK(f.server.contact_complete(ContactState::kLowResources));
  CHECK(f.server.state() == ServerState::kDisconnected);
  const auto response = f.notifier.sent[0].as<VersionResponse>();
  CHECK(response.version_supported == 0);
  CHECK(response.connection_state == ContactState::kLowResources);
}

TEST_CASE("an answer about a contact that nobody waits for changes nothing", "[vmbus][server]") {
  ServerFixture f;
  CHECK_FALSE(f.server.contact_complete(ContactState::kSuccessful));
  f.connect();
  CHECK_FALSE(f.server.contact_complete(ContactState::kLowResources));
  CHECK(f.server.state() == ServerState::kConnected);
}

TEST_CASE("before contact every other message is refused", "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  for (std::uint32_t type = 0; type < 40; ++type) {
    if (type != static_cast<std::uint32_t>(MessageType::kInitiateContact)) {
      f.say_bare(static_cast<MessageType>(type));
    }
  }
  CHECK(f.notifier.sent.empty());
  CHECK(f.notifier.lines.empty());
  CHECK(seam_record::count_traces(kRefused) == 39);
}

TEST_CASE("offers come once, primaries first, with the end marked", "[vmbus][server]") {
  seam_record::clear();
  ServerFixture f;
  f.offer(1, 1);  // a sub-channel in the first slot
  f.offer(1, 0);
  f.initiate_contact(0x00050003);
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  f.notifier.sent.clear();
  f.say_bare(MessageType::kRequestOffers);
  REQUIRE(f.sent_types() == std::vector{MessageType::kOfferChannel, MessageType::kOfferChannel,
                                        MessageType::kAllOffersDelivered});
  const auto first = f.notifier.sent[0].as<OfferChannel>();
  CHECK(first.subchannel_index == 0);
  CHECK(first.channel_id == 2);
  CHECK(first.connection_id == 0x2002);
  CHECK(first.is_dedicated_interrupt == 1);
  CHECK(first.monitor_allocated == 0);
  CHECK(first.interface_type == kScsiInterface);
  CHECK(f.notifier.sent[1].as<OfferChannel>().subchannel_index == 1);

  f.say_bare(MessageType::kRequestOffers);
  CHECK(f.notifier.sent.size() == 3);
  CHECK(seam_record::count_traces(kRefused) == 1);
}

TEST_CASE("a device that comes later is offered at once, after the offers were asked for",
          "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00050003);
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  f.notifier.sent.clear();
  f.offer(1);
  CHECK(f.notifier.sent.empty());
  f.say_bare(MessageType::kRequestOffers);
  CHECK(f.notifier.sent.size() == 2);
  f.offer(2);
  REQUIRE(f.notifier.sent.size() == 3);
  CHECK(f.notifier.sent[2].as<OfferChannel>().channel_id == 2);
}

TEST_CASE("two live channels of one device and index are not offered", "[vmbus][server]") {
  ServerFixture f;
  f.offer(1);
  Offer twin;
  twin.interface_type = kScsiInterface;
  twin.interface_instance.data1 = 1;
  CHECK_FALSE(f.server.offer(twin));
  twin.subchannel_index = 1;
  CHECK(f.server.offer(twin));
  f.offer(2);
  f.offer(3);
  Offer one_more = twin;
  one_more.interface_instance.data1 = 9;
  CHECK_FALSE(f.server.offer(one_more));  // the slots are used up
}
