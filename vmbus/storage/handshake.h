// The first packets on a storage channel, both ends, as machines without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmbus/storage/storage_protocol.h"

namespace vmbus::storage {

enum class ServerHandshakeState : std::uint8_t {
  kBegin,
  kQueryVersion,
  kQueryProperties,
  kEndInitialization,
  kReady,
};

/// storvsp's end of the handshake: each packet that is not EXECUTE_SRB comes here.
class ServerHandshake {
 public:
  explicit ServerHandshake(const ChannelProperties& properties) : properties_(properties) {}

  /// The reply to `packet`. A packet out of order gets kInvalidDeviceState and changes nothing.
  [[nodiscard]] StoragePacket handle(const StoragePacket& packet);
  /// Requests are served from here on.
  [[nodiscard]] bool ready() const { return state_ == ServerHandshakeState::kReady; }
  [[nodiscard]] ServerHandshakeState state() const { return state_; }
  /// How many sub-channels the client was granted and the owner is to offer.
  [[nodiscard]] std::uint16_t granted_subchannels() const { return granted_subchannels_; }
  /// The channel was closed: the next open begins anew.
  void restart();

 private:
  [[nodiscard]] StoragePacket handle_version(const StoragePacket& packet);
  [[nodiscard]] StoragePacket handle_subchannels(const StoragePacket& packet);

  ChannelProperties properties_;
  ServerHandshakeState state_ = ServerHandshakeState::kBegin;
  std::uint16_t granted_subchannels_ = 0;
};

enum class ClientHandshakeState : std::uint8_t {
  kBegin,
  kQueryVersion,
  kQueryProperties,
  kEndInitialization,
  kCreateSubChannels,
  kReady,
  kFailed,
};

/// storvsc's end: send next_packet() (in-band, completion requested, transaction
/// kInitializationTransaction), give the completion to handle_reply(), until ready() or failed().
class ClientHandshake {
 public:
  /// Asks for at most this many sub-channels.
  explicit ClientHandshake(std::uint16_t wanted_subchannels = 0)
      : wanted_subchannels_(wanted_subchannels) {}

  /// The packet to send now; the same until a reply came. Nothing when ready or failed.
  [[nodiscard]] std::optional<StoragePacket> next_packet() const;
  /// `payload` of the completion packet with the handshake's transaction id.
  void handle_reply(std::span<const std::byte> payload);

  [[nodiscard]] bool ready() const { return state_ == ClientHandshakeState::kReady; }
  [[nodiscard]] bool failed() const { return state_ == ClientHandshakeState::kFailed; }
  [[nodiscard]] ClientHandshakeState state() const { return state_; }
  /// Valid when ready.
  [[nodiscard]] StorageVersion version() const {
    return kStorageVersionsNewestFirst[version_index_];
  }
  [[nodiscard]] const ChannelProperties& properties() const { return properties_; }
  [[nodiscard]] std::uint16_t granted_subchannels() const { return granted_subchannels_; }

 private:
  [[nodiscard]] std::uint16_t subchannels_to_ask_for() const;

  ClientHandshakeState state_ = ClientHandshakeState::kBegin;
  std::size_t version_index_ = 0;
  std::uint16_t wanted_subchannels_;
  std::uint16_t granted_subchannels_ = 0;
  ChannelProperties properties_;
};

}  // namespace vmbus::storage
