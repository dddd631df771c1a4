// The end of a connection: UNLOAD, a new contact, a reset of the child.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ServerFixture;
using Lines = std::vector<std::string>;

TEST_CASE("an unload with nothing open is answered at once", "[vmbus][server]") {
  ServerFixture f;
  f.offer();
  f.connect();
  f.say_bare(MessageType::kUnload);
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
  CHECK(f.notifier.lines == Lines{"disconnected"});
  CHECK(f.server.state() == ServerState::kDisconnected);
}

TEST_CASE("an unload is answered once, when every device has let go", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.make_gpadl(id, 2);
  f.notifier.sent.clear();
  f.notifier.lines.clear();
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.state() == ServerState::kDisconnecting);
  CHECK(f.notifier.lines == Lines{"close 0", "release 0/2"});
  CHECK(f.server.gpadl_release_complete(id, GpadlId(2)));
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.lines.back() == "release 0/1");
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
  CHECK(f.notifier.lines.back() == "disconnected");
  CHECK(f.server.channel_state(id) == ServerChannelState::kClientReleased);
  CHECK(f.storage.used_words() == 0);
}

TEST_CASE("an unload while a device opens closes it afterwards", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.send_open(1, 1);
  f.notifier.sent.clear();
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpeningClientRelease);
  CHECK(f.server.open_complete(id, true));
  CHECK(f.server.channel_state(id) == ServerChannelState::kClosingClientRelease);
  CHECK(f.server.close_complete(id));
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
}

TEST_CASE("a device that fails to open during an unload is done with", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.send_open(1, 1);
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.open_complete(id, false));
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.server.state() == ServerState::kDisconnected);
}

TEST_CASE("a GPADL that the device was asked about when the connection went is released too",
          "[vmbus][server]") {
  for (const bool success : {false, true}) {
    ServerFixture f;
    const OfferId id = f.offer();
    f.connect();
    f.send_gpadl(1, 4);
    f.notifier.sent.clear();
    f.say_bare(MessageType::kUnload);
    CHECK(f.server.state() == ServerState::kDisconnecting);
    CHECK(f.server.gpadl_complete(id, GpadlId(4), success));
    if (success) {
      CHECK(f.notifier.lines.back() == "release 0/4");
      CHECK(f.server.gpadl_release_complete(id, GpadlId(4)));
    }
    CHECK(f.server.state() == ServerState::kDisconnected);
    CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
  }
}

TEST_CASE("a GPADL that was still arriving is forgotten", "[vmbus][server]") {
  ServerFixture f;
  f.offer();
  f.connect();
  f.server.handle_message(gpadl_wire::message(gpadl_wire::header(1, 4, 50), {}));
  CHECK(f.server.gpadl_count() == 1);
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.storage.used_words() == 0);
}

TEST_CASE("a device that is revoked during an unload no longer holds it up", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.revoke(id));
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
}

TEST_CASE("between unload and its answer everything but a new contact is refused",
          "[vmbus][server]") {
  ServerFixture f;
  f.connect_and_open();
  f.say_bare(MessageType::kUnload);
  seam_record::clear();
  f.say_bare(MessageType::kRequestOffers);
  f.say_bare(MessageType::kUnload);
  f.send_open(1, 1);
  f.say_channel(MessageType::kRelidReleased, 1);
  CHECK(seam_record::count_traces("vmbus.server.message_refused") == 4);
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("ids that were revoked are free after an unload", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  REQUIRE(f.server.revoke(id));
  const OfferId again = f.offer(1);
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.server.channel_state(again) == ServerChannelState::kClientReleased);
  f.notifier.sent.clear();
  f.connect();
  CHECK(f.server.channel_state(again) == ServerChannelState::kClosed);
}

TEST_CASE("a new contact resets the connection, then is answered", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.initiate_contact(0x00040000, 2);
  CHECK(f.notifier.lines == Lines{"close 0"});
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.notifier.lines == Lines{"close 0", "release 0/1", "disconnected", "contact"});
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.sent_types() == std::vector{MessageType::kVersionResponse});
  CHECK(f.notifier.sent[0].target_vp == 2);
  f.say_bare(MessageType::kRequestOffers);
  CHECK(f.notifier.sent[1].type() == MessageType::kOfferChannel);
}

TEST_CASE("of several contacts during a reset the newest is answered", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.initiate_contact(0x00050003, 1);
  f.initiate_contact(0x00050002, 2);
  f.initiate_contact(0x00030000, 3);
  REQUIRE(f.server.close_complete(id));
  REQUIRE(f.server.gpadl_release_complete(id, GpadlId(1)));
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.sent_types() == std::vector{MessageType::kVersionResponse});
  CHECK(f.notifier.sent[0].as<VersionResponse>().version_or_connection_id == 0x00030000);
}

TEST_CASE("a contact after an unload takes the place of the unload's answer", "[vmbus][server]") {
  // The kernel that unloaded has given up; a late UNLOAD_RESPONSE would reach the next one.
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.say_bare(MessageType::kUnload);
  f.initiate_contact(0x00050003);
  REQUIRE(f.server.close_complete(id));
  REQUIRE(f.server.gpadl_release_complete(id, GpadlId(1)));
  REQUIRE(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.sent_types() == std::vector{MessageType::kVersionResponse});
}

TEST_CASE("a contact that comes while the owner is asked about another replaces it",
          "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00050003, 1);
  f.initiate_contact(0x00040000, 2);
  CHECK(f.notifier.contacts.size() == 1);
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.notifier.sent.empty());
  CHECK(f.notifier.lines == Lines{"contact", "disconnected", "contact"});
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  REQUIRE(f.notifier.sent.size() == 1);
  CHECK(f.notifier.sent[0].target_vp == 2);
}

TEST_CASE("a reset of the child ends everything without an answer", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.server.reset();
  REQUIRE(f.server.close_complete(id));
  REQUIRE(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.notifier.sent.empty());
  f.server.reset();
  CHECK(f.server.state() == ServerState::kDisconnected);
}

TEST_CASE("a reset during an unload takes the answer back", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.say_bare(MessageType::kUnload);
  f.server.reset();
  REQUIRE(f.server.close_complete(id));
  REQUIRE(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("a reset while the owner is asked about a contact abandons it", "[vmbus][server]") {
  ServerFixture f;
  f.initiate_contact(0x00050003);
  f.server.reset();
  f.initiate_contact(0x00040000);
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.notifier.lines == Lines{"contact", "disconnected", "contact"});
  CHECK(f.server.contact_complete(ContactState::kSuccessful));
  CHECK(f.server.state() == ServerState::kConnected);

  ServerFixture g;
  g.initiate_contact(0x00050003);
  g.server.reset();
  CHECK(g.server.contact_complete(ContactState::kSuccessful));
  CHECK(g.server.state() == ServerState::kDisconnected);
  CHECK(g.notifier.sent.empty());
}

TEST_CASE("a retarget under way when the connection goes gets no answer", "[vmbus][server]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  ModifyChannel modify;
  modify.channel_id = 1;
  modify.target_vp = 1;
  f.say(modify);
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.retarget_complete(id, true));
  REQUIRE(f.server.close_complete(id));
  REQUIRE(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.sent_types() == std::vector{MessageType::kUnloadResponse});
}

TEST_CASE("what was for a client that is gone is forgotten before the next one is answered",
          "[vmbus][server]") {
  ServerFixture f;
  f.offer();
  f.initiate_contact(0x00050003);
  (void)f.server.contact_complete(ContactState::kSuccessful);
  f.say_bare(MessageType::kRequestOffers);
  REQUIRE(f.notifier.sent.size() == 3);
  CHECK(f.notifier.forgotten == 0);
  f.say_bare(MessageType::kUnload);
  CHECK(f.notifier.forgotten == 3);
  CHECK(f.sent_types().back() == MessageType::kUnloadResponse);
  // Who asks anew does not wait for the goodbye.
  f.initiate_contact(0x00050003);
  CHECK(f.notifier.forgotten == 4);
  (void)f.server.contact_complete(ContactState::kSuccessful);
  f.initiate_contact(0x00050003);
  CHECK(f.notifier.forgotten == 5);
  f.server.contact_complete(ContactState::kSuccessful);
  f.server.reset();
  CHECK(f.notifier.forgotten == 6);
}
