// All the channels that there can be, on both ends.
#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "tests/support/recording_client.h"
#include "tests/support/recording_server.h"
#include "tests/support/seam_record.h"

using namespace vmbus;

namespace {

/// A server and a client with a slot for every channel, and a GPADL for each.
struct FullBus {
  FullBus() {
    server_channels.resize(kMaxChannelId);
    server_gpadls.resize(kMaxChannelId);
    words.resize(kMaxChannelId * 16);
    client_channels.resize(kMaxChannelId);
    client_gpadls.resize(kMaxChannelId);
    storage = std::make_unique<FixedGpadlStorage>(words);
    server = std::make_unique<Server>(ServerConfiguration{}, server_channels, server_gpadls,
                                      *storage, host);
    client = std::make_unique<Client>(ClientConfiguration{}, client_channels, client_gpadls, guest);
  }

  /// Carries what each end has sent to the other, until nothing is sent any more.
  void carry() {
    while (!host.sent.empty() || !guest.sent.empty()) {
      for (const auto& message : std::exchange(host.sent, {})) {
        client->handle_message(message.bytes);
      }
      for (const auto& message : std::exchange(guest.sent, {})) {
        server->handle_message(message.bytes);
      }
    }
  }
  OfferId offer(std::uint32_t number) {
    Offer offer;
    offer.interface_instance.data1 = number;
    return server->offer(offer).value();
  }

  std::vector<ServerChannel> server_channels;
  std::vector<Gpadl> server_gpadls;
  std::vector<std::uint64_t> words;
  std::vector<ClientChannel> client_channels;
  std::vector<ClientGpadl> client_gpadls;
  std::unique_ptr<FixedGpadlStorage> storage;
  vmbus_double::RecordingServerNotifier host;
  vmbus_double::RecordingClientNotifier guest;
  std::unique_ptr<Server> server;
  std::unique_ptr<Client> client;
};

}  // namespace

TEST_CASE("2047 channels are offered, opened, closed, rescinded and offered anew, and no more",
          "[vmbus][channel]") {
  seam_record::clear();
  FullBus bus;
  std::vector<OfferId> ids;
  for (std::uint32_t number = 1; number <= kMaxChannelId; ++number) {
    ids.push_back(bus.offer(number));
    REQUIRE(Server::channel_id(ids.back()).value() == number);
  }
  Offer one_more;
  one_more.interface_instance.data1 = kMaxChannelId + 1;
  CHECK_FALSE(bus.server->offer(one_more));

  (void)bus.client->connect();
  bus.carry();
  (void)bus.server->contact_complete(ContactState::kSuccessful);
  bus.carry();
  (void)bus.client->request_offers();
  bus.carry();
  REQUIRE(bus.guest.offers.size() == kMaxChannelId);

  const std::vector<machine::Gpn> pages(4, machine::Gpn(9));
  std::vector<GpadlId> rings(kMaxChannelId);
  for (std::uint32_t index = 0; index < kMaxChannelId; ++index) {
    const ChannelId channel(index + 1);
    REQUIRE(bus.client->create_gpadl(channel, pages, rings[index]) == ClientStatus::kDone);
    bus.carry();
    REQUIRE(bus.server->gpadl_complete(ids[index], rings[index], true));
    bus.carry();
    REQUIRE(bus.client->open(channel, {.ring_gpadl = rings[index], .downstream_page_offset = 2}) ==
            ClientStatus::kDone);
    bus.carry();
    REQUIRE(bus.server->open_complete(ids[index], true));
    bus.carry();
    REQUIRE(bus.client->channel_state(channel) == ClientChannelState::kOpen);
  }
  CHECK(bus.server->gpadl_count() == kMaxChannelId);

  // One in two is closed, the others are taken away while they are open.
  for (std::uint32_t index = 0; index < kMaxChannelId; ++index) {
    const ChannelId channel(index + 1);
    if (index % 2 == 0) {
      (void)bus.client->close(channel);
      (void)bus.client->teardown_gpadl(rings[index]);
      bus.carry();
      REQUIRE(bus.server->close_complete(ids[index]));
      REQUIRE(bus.server->gpadl_release_complete(ids[index], rings[index]));
    }
    REQUIRE(bus.server->revoke(ids[index]));
    bus.carry();
    (void)bus.client->teardown_gpadl(rings[index]);
    REQUIRE(bus.client->release_channel(channel) == ClientStatus::kDone);
    bus.carry();
  }
  CHECK(bus.storage->used_words() == 0);
  CHECK(bus.client->gpadl_count() == 0);

  // Every id can be had again, late as it is.
  for (std::uint32_t number = 1; number <= kMaxChannelId; ++number) {
    (void)bus.offer(number);
  }
  bus.carry();
  CHECK(bus.guest.offers.size() == std::size_t{2} * kMaxChannelId);
  CHECK(bus.client->channel_state(ChannelId(kMaxChannelId)) == ClientChannelState::kOffered);
  CHECK(seam_record::count_traces("vmbus.server.message_refused") == 0);
  CHECK(seam_record::count_traces("vmbus.client.message_refused") == 0);
}
