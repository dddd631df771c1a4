// Whatever a peer sends, an end answers by the rules and keeps its books.
#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "tests/support/recording_client.h"
#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;
using vmbus_double::ClientFixture;
using vmbus_double::ServerFixture;

namespace {

/// Mostly well-formed headers, with ids that exist and such that do not, in messages of any length.
std::vector<std::byte> some_message() {
  const auto size = *rc::gen::inRange<std::size_t>(0, 250);
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at + 4 <= size; at += 4) {
    const auto word = *rc::gen::oneOf(
        rc::gen::inRange<std::uint32_t>(0, 12), rc::gen::arbitrary<std::uint32_t>(),
        rc::gen::elementOf(std::vector<std::uint32_t>{0, 1, 2, 4096, 8192, 0xE1E10, 0xE1E11,
                                                      0x00050003, 0x00010008, 0x00010018}));
    copy_bytes(std::span(bytes).subspan(at), bytes_of(word));
  }
  if (size >= 4) {
    copy_bytes(bytes, bytes_of(*rc::gen::inRange<std::uint32_t>(0, 32)));
  }
  return bytes;
}

}  // namespace

TEST_CASE("a server survives any messages, and a reset gives everything back",
          "[vmbus][server][hostile][property]") {
  REQUIRE(rc::check([] {
    ServerFixture f;
    std::array<OfferId, 3> ids = {f.offer(1), f.offer(2), f.offer(3)};
    f.connect();
    const auto count = *rc::gen::inRange(0, 150);
    for (int step = 0; step < count; ++step) {
      switch (*rc::gen::inRange(0, 8)) {
        case 0:
          f.send_gpadl(*rc::gen::inRange<std::uint32_t>(0, 5),
                       *rc::gen::inRange<std::uint32_t>(0, 12), 8);
          break;
        case 1:
          f.send_open(*rc::gen::inRange<std::uint32_t>(0, 5),
                      *rc::gen::inRange<std::uint32_t>(0, 12));
          break;
        case 2:
          // Devices answer what may or may not have been asked.
          (void)f.server.contact_complete(ContactState::kSuccessful);
          for (const OfferId id : ids) {
            (void)f.server.open_complete(id, *rc::gen::arbitrary<bool>());
            (void)f.server.gpadl_complete(id, GpadlId(*rc::gen::inRange<std::uint32_t>(0, 12)),
                                          *rc::gen::arbitrary<bool>());
          }
          break;
        default:
          f.server.handle_message(some_message());
      }
    }
    for (const auto& sent : f.notifier.sent) {
      RC_ASSERT(sent.bytes.size() <= kMaxMessageSize);
    }
    // Every device lets go of everything that it may hold.
    f.server.reset();
    for (int round = 0; round < 3; ++round) {
      (void)f.server.contact_complete(ContactState::kSuccessful);
      f.server.reset();
      for (const OfferId id : ids) {
        (void)f.server.open_complete(id, false);
        (void)f.server.close_complete(id);
      }
      for (const Gpadl& gpadl : f.gpadls) {
        for (const OfferId id : ids) {
          (void)f.server.gpadl_complete(id, gpadl.id, false);
          (void)f.server.gpadl_release_complete(id, gpadl.id);
        }
      }
    }
    RC_ASSERT(f.server.state() == ServerState::kDisconnected);
    RC_ASSERT(f.server.gpadl_count() == 0u);
    RC_ASSERT(f.storage.used_words() == 0u);
  }));
}

TEST_CASE("a client survives any messages, and still gets away",
          "[vmbus][client][hostile][property]") {
  REQUIRE(rc::check([] {
    ClientFixture f;
    f.connect();
    const auto count = *rc::gen::inRange(0, 150);
    for (int step = 0; step < count; ++step) {
      const ChannelId channel(*rc::gen::inRange<std::uint32_t>(0, 4));
      GpadlId id(0xE1E10 + *rc::gen::inRange<std::uint32_t>(0, 6));
      switch (*rc::gen::inRange(0, 12)) {
        case 0:
          (void)f.client.create_gpadl(channel, f.pages, id);
          break;
        case 1:
          (void)f.client.open(channel, {.ring_gpadl = id});
          break;
        case 2:
          (void)f.client.close(channel);
          break;
        case 3:
          (void)f.client.teardown_gpadl(id);
          break;
        case 4:
          (void)f.client.release_channel(channel);
          break;
        case 5:
          (void)f.client.modify(channel, 1);
          break;
        default:
          f.client.handle_message(some_message());
      }
    }
    for (const auto& sent : f.notifier.sent) {
      RC_ASSERT(sent.bytes.size() <= kMaxMessageSize);
    }
    RC_ASSERT(f.client.unload() == ClientStatus::kDone);
    f.say_bare(MessageType::kUnloadResponse);
    RC_ASSERT(f.client.state() == ClientState::kDisconnected);
    RC_ASSERT(f.client.gpadl_count() == 0u);
  }));
}

TEST_CASE("a message longer than messages are is refused, whatever it begins with",
          "[vmbus][server][hostile]") {
  ServerFixture f;
  InitiateContact contact;
  contact.version = 0x00050003;
  contact.interrupt_page_or_target = kVmbusSint;
  std::array<std::byte, kMaxMessageSize + 1> longer{};
  copy_bytes(longer, bytes_of(contact));
  seam_record::clear();
  f.server.handle_message(longer);
  CHECK(f.notifier.contacts.empty());
  CHECK(seam_record::count_traces("vmbus.server.message_refused") == 1);
  f.server.handle_message(std::span(longer).first(kMaxMessageSize));
  CHECK(f.notifier.contacts.size() == 1);
}
