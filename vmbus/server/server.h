// The server: the root's end of one child's bus. It owns the states of the connection, of its
// channels and of the GPADLs that the child has lent. The root feeds it the child's messages and
// the devices' answers, and does what the notifier says. It does no I/O and trusts no message: one
// that is malformed or not legal in the state is refused and traced, never acted on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmbus/gpadl_table.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/version.h"
#include "vmbus/server/server_channel.h"
#include "vmbus/server/server_notifier.h"
#include "vmbus/vmbus.h"

namespace vmbus {

enum class ServerState : std::uint8_t {
  kDisconnected,
  kConnecting,  // the owner has been asked whether the client is welcome
  kConnected,
  kDisconnecting,  // waits until every device has let go
};

struct ServerConfiguration {
  Version newest_version = Version::kCopper;
  /// Where clients of version 5.0 and later post after contact.
  std::uint32_t message_connection = kMessageConnectionVersion5;
  /// Names the partition in traces.
  std::uint64_t trace_id = 0;
};

class Server {
 public:
  /// Everything given outlives the server. `channels` holds at most kMaxChannelId slots; the id of
  /// the channel in slot n is n + 1, and is not used again before the client has released it.
  Server(const ServerConfiguration& configuration, std::span<ServerChannel> channels,
         std::span<Gpadl> gpadls, GpadlStorage& storage, ServerNotifier& notifier);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // --- The client's side

  /// The payload of one message from the child.
  void handle_message(std::span<const std::byte> message);
  /// The child was reset or is gone: as UNLOAD, without an answer. Reserved channels end as well.
  void reset();

  // --- The devices' side. An answer that nobody waits for returns false and changes nothing.

  /// Makes a channel. Nothing if the slots are used up, or a live channel has the same instance and
  /// sub-channel index (of sub-channels: and the same interface type). A device that was revoked
  /// may come back at once: it is offered again when the client has let the old id go.
  [[nodiscard]] std::optional<OfferId> offer(const Offer& offer);
  /// Takes a channel away. The device has stopped already: it touches none of the client's memory
  /// and will answer nothing more for this id.
  bool revoke(OfferId offer);

  bool contact_complete(ContactState state);
  /// Tells the client that nobody takes its stream, with one of the kStatus words; from 4.1 on.
  bool refuse_tl_connect(const Guid& endpoint, const Guid& service, std::uint32_t status);
  bool open_complete(OfferId offer, bool success);
  bool close_complete(OfferId offer);
  bool retarget_complete(OfferId offer, bool success);
  bool gpadl_complete(OfferId offer, GpadlId id, bool success);
  bool gpadl_release_complete(OfferId offer, GpadlId id);

  // --- Looking

  [[nodiscard]] ServerState state() const { return state_; }
  [[nodiscard]] std::optional<ServerChannelState> channel_state(OfferId offer) const;
  [[nodiscard]] static ChannelId channel_id(OfferId offer) { return ChannelId(offer.slot + 1); }
  [[nodiscard]] std::size_t gpadl_count() const { return gpadls_.count(); }
  [[nodiscard]] Version version() const { return version_; }
  /// Of 6.0: what both ends know.
  [[nodiscard]] std::uint32_t features() const { return features_; }

 private:
  enum class AfterReset : std::uint8_t { kNothing, kUnloadResponse, kContact };
  struct ContactRequest {
    InitiateContact message;
    Guid client_id;
  };

  // Connection: server.cpp.
  void handle_initiate_contact(std::span<const std::byte> message);
  void start_contact(const ContactRequest& request);
  void send_version_response(bool supported, ContactState state);
  void handle_request_offers();
  void handle_unload();
  void start_reset(AfterReset after);
  [[nodiscard]] bool waits_for_devices();
  void finish_reset_when_idle();
  void dispatch_connected(MessageType type, std::span<const std::byte> message);

  // What later versions brought: server_extensions.cpp.
  void handle_tl_connect(std::span<const std::byte> message);
  void handle_modify_connection(const ModifyConnection& message);
  void handle_pause();
  void handle_resume();
  void end_pause();
  [[nodiscard]] bool has_feature(std::uint32_t feature) const;

  // Reserved channels: server_reserved.cpp.
  void handle_open_reserved(const OpenReservedChannel& message);
  void handle_close_reserved(const CloseReservedChannel& message);
  void send_close_reserved_response(ServerChannel& channel);
  /// Whether the channel stays open when the connection goes; if so it has been prepared for it.
  [[nodiscard]] bool outlives_reset(ServerChannel& channel);
  void close_outliving_channels();
  void finish_outliving(ServerChannel& channel);

  // Channels: server_channels.cpp.
  void handle_open(const OpenChannel& message);
  void handle_close(const ChannelMessage& message);
  void handle_released(const ChannelMessage& message);
  void handle_modify(const ModifyChannel& message);
  void handle_open_of(ServerChannel& channel, const ChannelOpening& opening);
  void start_open(ServerChannel& channel, const ChannelOpening& opening);
  void start_retarget(ServerChannel& channel, std::uint32_t target_vp);
  void end_retarget(ServerChannel& channel, bool answer);
  [[nodiscard]] std::optional<std::uint8_t> free_monitor() const;
  void reset_channel(ServerChannel& channel);
  void send_offer(ServerChannel& channel);
  void send_open_result(const ServerChannel& channel, const ChannelOpening& opening,
                        std::uint32_t status);
  void send_modify_response(ChannelId channel, std::uint32_t status);
  void remove(ServerChannel& channel);

  // GPADLs: server_gpadls.cpp.
  void handle_gpadl_header(std::span<const std::byte> message);
  void handle_gpadl_body(std::span<const std::byte> message);
  void handle_gpadl_teardown(const GpadlTeardown& message);
  void take_gpadl_step(const GpadlStep& step);
  void send_gpadl_created(ChannelId channel, GpadlId id, std::uint32_t status);
  void send_gpadl_torndown(GpadlId id);
  void reset_gpadls_of(ServerChannel& channel);
  void end_gpadls_of_revoked(ServerChannel& channel);
  /// Asks the device for every GPADL that is torn down and may be asked for now.
  void request_releases(ServerChannel& channel);
  [[nodiscard]] bool ring_is_needed(const ServerChannel& channel, const Gpadl& gpadl) const;

  template <WireObject T>
  void send(const T& message) {
    notifier_.send_message(target_vp_, bytes_of(message));
  }
  template <WireObject T, class Handler>
  void decode(std::span<const std::byte> message, Handler handler);

  [[nodiscard]] static bool client_knows(const ServerChannel& channel);
  [[nodiscard]] ServerChannel* find(OfferId offer);
  /// The channel that the client knows under this id; null if it knows none.
  [[nodiscard]] ServerChannel* find(ChannelId id);
  [[nodiscard]] OfferId id_of(const ServerChannel& channel) const;
  [[nodiscard]] ChannelId channel_id_of(const ServerChannel& channel) const;
  void trace_state(const ServerChannel& channel, ChannelId id) const;
  void refuse(std::uint32_t type, std::uint64_t detail) const;
  void ignore(MessageType type, std::uint64_t detail) const;

  ServerConfiguration configuration_;
  std::span<ServerChannel> channels_;
  GpadlTable gpadls_;
  ServerNotifier& notifier_;
  ServerState state_ = ServerState::kDisconnected;
  Version version_ = Version::kWin8;
  std::uint32_t features_ = 0;
  MonitorPages monitor_pages_;
  /// The client reads no messages for now.
  bool paused_ = false;
  bool offers_sent_ = false;
  /// While a reset goes through the channels, answers from within do not end it.
  bool resetting_ = false;
  bool unload_response_owed_ = false;
  /// The owner has answered contact() with success and not been told of the end.
  bool owner_is_connected_ = false;
  /// The child was reset while the owner was asked about its contact.
  bool abandon_contact_ = false;
  std::uint32_t target_vp_ = 0;
  /// The newest contact that came while another, or a reset, was under way.
  std::optional<ContactRequest> waiting_contact_;
};

}  // namespace vmbus
