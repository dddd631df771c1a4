#include "vmbus/storage/handshake.h"

#include <algorithm>

#include "vmbus/protocol/bytes.h"
#include "vmbus/storage/requests.h"

namespace vmbus::storage {

// --- Server --------------------------------------------------------------------------------------

void ServerHandshake::restart() {
  state_ = ServerHandshakeState::kBegin;
  granted_subchannels_ = 0;
}

StoragePacket ServerHandshake::handle(const StoragePacket& packet) {
  const bool in_order = (packet.operation == Operation::kBeginInitialization &&
                         state_ == ServerHandshakeState::kBegin) ||
                        (packet.operation == Operation::kQueryProtocolVersion &&
                         state_ == ServerHandshakeState::kQueryVersion) ||
                        (packet.operation == Operation::kQueryProperties &&
                         state_ == ServerHandshakeState::kQueryProperties) ||
                        (packet.operation == Operation::kEndInitialization &&
                         state_ == ServerHandshakeState::kEndInitialization);
  if (packet.operation == Operation::kCreateSubChannels) {
    return handle_subchannels(packet);
  }
  const bool is_reset = packet.operation == Operation::kResetBus ||
                        packet.operation == Operation::kResetAdapter ||
                        packet.operation == Operation::kResetLun;
  if (is_reset && ready()) {
    // Requests under way are completed all the same; the client waits for them.
    return plain_reply(NtStatus::kSuccess);
  }
  if (!in_order) {
    return plain_reply(NtStatus::kInvalidDeviceState);
  }
  switch (state_) {
    case ServerHandshakeState::kBegin:
      state_ = ServerHandshakeState::kQueryVersion;
      break;
    case ServerHandshakeState::kQueryVersion:
      return handle_version(packet);
    case ServerHandshakeState::kQueryProperties: {
      StoragePacket reply = plain_reply(NtStatus::kSuccess);
      copy_bytes(reply.body, bytes_of(properties_));
      state_ = ServerHandshakeState::kEndInitialization;
      return reply;
    }
    case ServerHandshakeState::kEndInitialization:
      state_ = ServerHandshakeState::kReady;
      break;
    case ServerHandshakeState::kReady:
      break;
  }
  return plain_reply(NtStatus::kSuccess);
}

StoragePacket ServerHandshake::handle_version(const StoragePacket& packet) {
  const ProtocolVersion wanted = *read_object<ProtocolVersion>(packet.body);
  const bool known = std::ranges::any_of(kStorageVersionsNewestFirst, [&](StorageVersion version) {
    return static_cast<std::uint16_t>(version) == wanted.version;
  });
  if (!known) {
    return plain_reply(NtStatus::kRevisionMismatch);
  }
  state_ = ServerHandshakeState::kQueryProperties;
  return plain_reply(NtStatus::kSuccess);
}

StoragePacket ServerHandshake::handle_subchannels(const StoragePacket& packet) {
  const bool in_order =
      state_ == ServerHandshakeState::kEndInitialization || state_ == ServerHandshakeState::kReady;
  const auto count = *read_object<std::uint16_t>(packet.body);
  if (!in_order || granted_subchannels_ != 0) {
    return plain_reply(NtStatus::kInvalidDeviceState);
  }
  if ((properties_.flags & kPropertyMultiChannel) == 0 || count == 0 ||
      count > properties_.max_subchannel_count) {
    return plain_reply(NtStatus::kInvalidParameter);
  }
  granted_subchannels_ = count;
  return plain_reply(NtStatus::kSuccess);
}

// --- Client --------------------------------------------------------------------------------------

std::uint16_t ClientHandshake::subchannels_to_ask_for() const {
  if ((properties_.flags & kPropertyMultiChannel) == 0) {
    return 0;
  }
  return std::min(wanted_subchannels_, properties_.max_subchannel_count);
}

std::optional<StoragePacket> ClientHandshake::next_packet() const {
  StoragePacket packet;
  packet.flags = kPacketWantsCompletion;
  switch (state_) {
    case ClientHandshakeState::kBegin:
      packet.operation = Operation::kBeginInitialization;
      return packet;
    case ClientHandshakeState::kQueryVersion: {
      const ProtocolVersion wanted{static_cast<std::uint16_t>(version()), 0};
      packet.operation = Operation::kQueryProtocolVersion;
      copy_bytes(packet.body, bytes_of(wanted));
      return packet;
    }
    case ClientHandshakeState::kQueryProperties:
      packet.operation = Operation::kQueryProperties;
      return packet;
    case ClientHandshakeState::kEndInitialization:
      packet.operation = Operation::kEndInitialization;
      return packet;
    case ClientHandshakeState::kCreateSubChannels: {
      const std::uint16_t count = subchannels_to_ask_for();
      packet.operation = Operation::kCreateSubChannels;
      copy_bytes(packet.body, bytes_of(count));
      return packet;
    }
    case ClientHandshakeState::kReady:
    case ClientHandshakeState::kFailed:
      break;
  }
  return std::nullopt;
}

void ClientHandshake::handle_reply(std::span<const std::byte> payload) {
  const std::optional<StoragePacket> reply = read_object<StoragePacket>(payload);
  const bool is_completion = reply && reply->operation == Operation::kCompleteIo;
  const bool success = is_completion && reply->status == NtStatus::kSuccess;
  if (is_completion && state_ == ClientHandshakeState::kQueryVersion &&
      reply->status == NtStatus::kRevisionMismatch &&
      version_index_ + 1 < kStorageVersionsNewestFirst.size()) {
    ++version_index_;
    return;
  }
  if (state_ == ClientHandshakeState::kCreateSubChannels && is_completion) {
    // The disk works without them.
    granted_subchannels_ = success ? subchannels_to_ask_for() : std::uint16_t{0};
    state_ = ClientHandshakeState::kReady;
    return;
  }
  if (!success) {
    state_ = ready() ? state_ : ClientHandshakeState::kFailed;
    return;
  }
  switch (state_) {
    case ClientHandshakeState::kBegin:
      state_ = ClientHandshakeState::kQueryVersion;
      return;
    case ClientHandshakeState::kQueryVersion:
      state_ = ClientHandshakeState::kQueryProperties;
      return;
    case ClientHandshakeState::kQueryProperties:
      properties_ = *read_object<ChannelProperties>(reply->body);
      state_ = properties_.max_transfer_bytes < 4096 ? ClientHandshakeState::kFailed
                                                     : ClientHandshakeState::kEndInitialization;
      return;
    case ClientHandshakeState::kEndInitialization:
      state_ = subchannels_to_ask_for() == 0 ? ClientHandshakeState::kReady
                                             : ClientHandshakeState::kCreateSubChannels;
      return;
    case ClientHandshakeState::kCreateSubChannels:
    case ClientHandshakeState::kReady:
    case ClientHandshakeState::kFailed:
      return;
  }
}

}  // namespace vmbus::storage
