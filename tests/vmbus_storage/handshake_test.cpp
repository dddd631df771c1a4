#include <catch2/catch.hpp>
#include <vector>

#include "vmbus/protocol/bytes.h"
#include "vmbus/storage/handshake.h"
#include "vmbus/storage/requests.h"

using namespace vmbus;
using namespace vmbus::storage;

namespace {

ChannelProperties properties(std::uint16_t subchannels = 0) {
  ChannelProperties result;
  result.max_transfer_bytes = 0x40000;
  result.max_subchannel_count = subchannels;
  result.flags = subchannels == 0 ? 0 : kPropertyMultiChannel;
  return result;
}

StoragePacket packet(Operation operation) {
  StoragePacket result;
  result.operation = operation;
  return result;
}

StoragePacket version_packet(std::uint16_t version) {
  StoragePacket result = packet(Operation::kQueryProtocolVersion);
  copy_bytes(result.body, bytes_of(ProtocolVersion{version, 0}));
  return result;
}

StoragePacket subchannels_packet(std::uint16_t count) {
  StoragePacket result = packet(Operation::kCreateSubChannels);
  copy_bytes(result.body, bytes_of(count));
  return result;
}

/// Lets both ends talk until the client has nothing more to say; returns what it said.
std::vector<Operation> talk(ClientHandshake& client, ServerHandshake& server) {
  std::vector<Operation> said;
  while (const auto next = client.next_packet()) {
    said.push_back(next->operation);
    client.handle_reply(bytes_of(server.handle(*next)));
  }
  return said;
}

}  // namespace

TEST_CASE("both ends of the handshake understand each other", "[vmbus][storage]") {
  ClientHandshake client;
  ServerHandshake server(properties());
  CHECK(talk(client, server) ==
        std::vector{Operation::kBeginInitialization, Operation::kQueryProtocolVersion,
                    Operation::kQueryProperties, Operation::kEndInitialization});
  CHECK(client.ready());
  CHECK(server.ready());
  CHECK(client.version() == StorageVersion::kWin10);
  CHECK(client.properties().max_transfer_bytes == 0x40000);
}

TEST_CASE("sub-channels are asked for only where the server has them", "[vmbus][storage]") {
  ClientHandshake client(3);
  ServerHandshake server(properties(2));
  CHECK(talk(client, server).back() == Operation::kCreateSubChannels);
  CHECK(client.granted_subchannels() == 2);
  CHECK(server.granted_subchannels() == 2);

  ClientHandshake other(3);
  ServerHandshake plain(properties(0));
  CHECK(talk(other, plain).back() == Operation::kEndInitialization);
  CHECK(other.granted_subchannels() == 0);
}

TEST_CASE("a client goes down the versions until one is known", "[vmbus][storage]") {
  ClientHandshake client;
  client.handle_reply(bytes_of(plain_reply(NtStatus::kSuccess)));
  std::vector<std::uint16_t> tried;
  for (int version = 0; version < 3; ++version) {
    tried.push_back(read_object<ProtocolVersion>(client.next_packet()->body)->version);
    client.handle_reply(bytes_of(plain_reply(NtStatus::kRevisionMismatch)));
  }
  CHECK(tried == std::vector<std::uint16_t>{0x0602, 0x0600, 0x0501});
  CHECK(client.failed());
  CHECK_FALSE(client.next_packet());
}

TEST_CASE("an unknown version is refused and the next may be tried", "[vmbus][storage]") {
  ServerHandshake server(properties());
  REQUIRE(server.handle(packet(Operation::kBeginInitialization)).status == NtStatus::kSuccess);
  for (const std::uint16_t version : std::vector<std::uint16_t>{0, 0x200, 0x402, 0x603, 0xFFFF}) {
    CHECK(server.handle(version_packet(version)).status == NtStatus::kRevisionMismatch);
  }
  CHECK(server.handle(version_packet(0x0501)).status == NtStatus::kSuccess);
  CHECK(server.state() == ServerHandshakeState::kQueryProperties);
}

TEST_CASE("a packet out of order is refused and changes nothing", "[vmbus][storage]") {
  const std::vector<StoragePacket> order = {
      packet(Operation::kBeginInitialization), version_packet(0x0602),
      packet(Operation::kQueryProperties), packet(Operation::kEndInitialization)};
  ServerHandshake server(properties(1));
  for (std::size_t step = 0; step <= order.size(); ++step) {
    for (std::size_t other = 0; other < order.size(); ++other) {
      if (other != step) {
        CAPTURE(step, other);
        CHECK(server.handle(order[other]).status == NtStatus::kInvalidDeviceState);
      }
    }
    if (step < 3) {
      CHECK(server.handle(subchannels_packet(1)).status == NtStatus::kInvalidDeviceState);
      CHECK(server.handle(packet(Operation::kResetBus)).status == NtStatus::kInvalidDeviceState);
    }
    CHECK(server.handle(packet(Operation::kFibreChannelData)).status ==
          NtStatus::kInvalidDeviceState);
    if (step < order.size()) {
      CHECK(server.handle(order[step]).status == NtStatus::kSuccess);
    }
  }
  CHECK(server.ready());
  CHECK(server.handle(packet(Operation::kResetBus)).status == NtStatus::kSuccess);
}

TEST_CASE("sub-channels are granted once, and no more than there are", "[vmbus][storage]") {
  ServerHandshake server(properties(4));
  for (const StoragePacket& step : {packet(Operation::kBeginInitialization), version_packet(0x0602),
                                    packet(Operation::kQueryProperties)}) {
    REQUIRE(server.handle(step).status == NtStatus::kSuccess);
  }
  CHECK(server.handle(subchannels_packet(0)).status == NtStatus::kInvalidParameter);
  CHECK(server.handle(subchannels_packet(5)).status == NtStatus::kInvalidParameter);
  CHECK(server.handle(subchannels_packet(4)).status == NtStatus::kSuccess);
  CHECK(server.handle(subchannels_packet(1)).status == NtStatus::kInvalidDeviceState);
  server.restart();
  CHECK(server.state() == ServerHandshakeState::kBegin);
  CHECK(server.granted_subchannels() == 0);
}

TEST_CASE("a client that is told nonsense gives up", "[vmbus][storage][hostile]") {
  ClientHandshake cut_short;
  cut_short.handle_reply(bytes_of(plain_reply(NtStatus::kSuccess)).first(60));
  CHECK(cut_short.failed());

  ClientHandshake other_operation;
  other_operation.handle_reply(bytes_of(packet(Operation::kRemoveDevice)));
  CHECK(other_operation.failed());

  ClientHandshake no_room;
  ChannelProperties tiny = properties();
  tiny.max_transfer_bytes = 4095;
  ServerHandshake server(tiny);
  talk(no_room, server);
  CHECK(no_room.failed());
}

TEST_CASE("a disk works without the sub-channels that were refused", "[vmbus][storage]") {
  ClientHandshake client(1);
  ServerHandshake server(properties(1));
  while (client.state() != ClientHandshakeState::kCreateSubChannels) {
    client.handle_reply(bytes_of(server.handle(*client.next_packet())));
  }
  client.handle_reply(bytes_of(plain_reply(NtStatus::kUnsuccessful)));
  CHECK(client.ready());
  CHECK(client.granted_subchannels() == 0);
}

TEST_CASE("once ready, nothing undoes it", "[vmbus][storage]") {
  ClientHandshake client;
  ServerHandshake server(properties());
  talk(client, server);
  client.handle_reply(bytes_of(plain_reply(NtStatus::kUnsuccessful)));
  CHECK(client.ready());
}
