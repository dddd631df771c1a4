#include <catch2/catch.hpp>

#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ServerFixture;
using Lines = std::vector<std::string>;

namespace {

std::size_t refusals() { return seam_record::count_traces("vmbus.server.message_refused"); }

}  // namespace

TEST_CASE("a GPADL exists for the client when the device has taken it", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.send_gpadl(1, 5);
  CHECK(f.notifier.lines == Lines{"gpadl 0/5"});
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.gpadl_complete(id, GpadlId(5), true));
  const auto created = f.notifier.sent.at(0).as<GpadlCreated>();
  CHECK(created.channel_id == 1);
  CHECK(created.gpadl_id == 5);
  CHECK(created.status == 0);
  CHECK_FALSE(f.server.gpadl_complete(id, GpadlId(5), true));
}

TEST_CASE("a GPADL that the device refuses leaves nothing", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.send_gpadl(1, 5);
  CHECK(f.server.gpadl_complete(id, GpadlId(5), false));
  CHECK(f.notifier.sent.at(0).as<GpadlCreated>().status == kStatusUnsuccessful);
  CHECK(f.server.gpadl_count() == 0);
  CHECK(f.storage.used_words() == 0);
}

TEST_CASE("a GPADL of several messages is created once", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  const auto words = gpadl_wire::whole_pages(100);
  std::span<const std::uint64_t> rest(words);
  f.server.handle_message(
      gpadl_wire::message(gpadl_wire::header(1, 5, words.size()), rest.first(27)));
  rest = rest.subspan(27);
  while (!rest.empty()) {
    CHECK(f.notifier.lines.empty());
    const std::size_t part = std::min<std::size_t>(28, rest.size());
    GpadlBody body;
    body.gpadl_id = 5;
    f.server.handle_message(gpadl_wire::message(body, rest.first(part)));
    rest = rest.subspan(part);
  }
  CHECK(f.notifier.lines == Lines{"gpadl 0/5"});
  CHECK(f.server.gpadl_complete(id, GpadlId(5), true));
}

TEST_CASE("a malformed GPADL is answered with a failure", "[vmbus][server][gpadl]") {
  ServerFixture f;
  f.offer();
  f.connect();
  f.server.handle_message(
      gpadl_wire::message(gpadl_wire::header(1, 5, 2), std::vector<std::uint64_t>{0, 1}));
  f.send_gpadl(3, 6);  // no such channel
  REQUIRE(f.notifier.sent.size() == 2);
  CHECK(f.notifier.sent[0].as<GpadlCreated>().status == kStatusUnsuccessful);
  CHECK(f.notifier.sent[1].as<GpadlCreated>().channel_id == 3);
  CHECK(f.notifier.sent[1].as<GpadlCreated>().status == kStatusUnsuccessful);
  CHECK(f.notifier.lines.empty());
}

TEST_CASE("a stray body is dropped without an answer", "[vmbus][server][gpadl]") {
  ServerFixture f;
  f.offer();
  f.connect();
  GpadlBody body;
  body.gpadl_id = 5;
  f.server.handle_message(gpadl_wire::message(body, std::vector<std::uint64_t>{1, 2, 3}));
  CHECK(f.notifier.sent.empty());
}

TEST_CASE("a teardown is answered when the device has let go", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 5);
  f.notifier.lines.clear();
  f.notifier.sent.clear();
  f.teardown(1, 5);
  CHECK(f.notifier.lines == Lines{"release 0/5"});
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.gpadl_release_complete(id, GpadlId(5)));
  CHECK(f.notifier.sent.at(0).as<GpadlTorndown>().gpadl_id == 5);
  CHECK(f.server.gpadl_count() == 0);
}

TEST_CASE("a GPADL in use is not torn down", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  seam_record::clear();
  f.teardown(1, 1);
  CHECK(refusals() == 1);
  CHECK(f.notifier.lines.empty());
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.gpadl_count() == 1);
  CHECK(f.server.channel_state(id) == ServerChannelState::kOpen);
}

TEST_CASE("the ring of a channel that closes is given back after the close",
          "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.say_channel(MessageType::kCloseChannel, 1);
  f.teardown(1, 1);  // as Linux does, without waiting
  CHECK(f.notifier.lines == Lines{"close 0"});
  CHECK(f.notifier.sent.empty());
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.lines == Lines{"close 0", "release 0/1"});
  CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
  CHECK(f.sent_types() == std::vector{MessageType::kGpadlTorndown});
}

TEST_CASE("while a channel closes, a GPADL that is not its ring is given back at once",
          "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.make_gpadl(id, 2);
  f.say_channel(MessageType::kCloseChannel, 1);
  f.notifier.lines.clear();
  f.teardown(1, 2);
  CHECK(f.notifier.lines == Lines{"release 0/2"});
}

TEST_CASE("a reopen keeps its new ring and lets the old one go", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.connect_and_open();
  f.make_gpadl(id, 2);
  f.say_channel(MessageType::kCloseChannel, 1);
  f.send_open(1, 2);
  f.notifier.lines.clear();
  seam_record::clear();
  f.teardown(1, 1);
  CHECK(refusals() == 0);
  f.teardown(1, 2);
  CHECK(refusals() == 1);
  CHECK(f.notifier.lines.empty());
  CHECK(f.server.close_complete(id));
  CHECK(f.notifier.lines == Lines{"open 0", "release 0/1"});
}

TEST_CASE("a channel is not opened on a ring that is being torn down", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.connect();
  f.make_gpadl(id, 1);
  f.teardown(1, 1);
  f.notifier.lines.clear();
  f.send_open(1, 1);
  CHECK(f.notifier.lines.empty());
  CHECK(f.notifier.sent.back().as<OpenChannelResult>().status == kStatusUnsuccessful);
}

TEST_CASE("a teardown of what is not there, or not yet, is refused", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer(1);
  f.offer(2);
  f.connect();
  f.make_gpadl(id, 5);
  f.send_gpadl(1, 6);  // offered to the device
  seam_record::clear();
  f.notifier.lines.clear();
  f.teardown(1, 7);
  f.teardown(2, 5);
  f.teardown(9, 5);
  f.teardown(1, 6);
  CHECK(refusals() == 4);
  f.teardown(1, 5);
  f.teardown(1, 5);
  CHECK(refusals() == 5);
  CHECK(f.notifier.lines == Lines{"release 0/5"});
}

TEST_CASE("devices may answer at once, from within the request", "[vmbus][server][gpadl]") {
  ServerFixture f;
  const OfferId id = f.offer();
  f.notifier.answer = [&](const std::string& line) {
    if (line == "contact") {
      CHECK(f.server.contact_complete(ContactState::kSuccessful));
    } else if (line.starts_with("gpadl")) {
      CHECK(f.server.gpadl_complete(id, GpadlId(1), true));
    } else if (line.starts_with("open")) {
      CHECK(f.server.open_complete(id, true));
    } else if (line.starts_with("close")) {
      CHECK(f.server.close_complete(id));
    } else if (line.starts_with("release")) {
      CHECK(f.server.gpadl_release_complete(id, GpadlId(1)));
    }
  };
  f.initiate_contact(0x00050003);
  f.say_bare(MessageType::kRequestOffers);
  f.send_gpadl(1, 1);
  f.send_open(1, 1);
  f.say_channel(MessageType::kCloseChannel, 1);
  f.teardown(1, 1);
  f.send_gpadl(1, 1);
  f.send_open(1, 1);
  f.say_bare(MessageType::kUnload);
  CHECK(f.server.state() == ServerState::kDisconnected);
  CHECK(f.notifier.sent.back().type() == MessageType::kUnloadResponse);
  CHECK(f.server.gpadl_count() == 0);
  CHECK(f.storage.used_words() == 0);
}
