// The client: a child's end of the bus. It owns the states of the connection, of the channels that
// the server has offered and of the GPADLs that the child has lent. The child's bus driver feeds it
// the server's messages and the drivers' wishes, and does what the notifier says. It does no I/O; a
// message that is not legal in the state is refused and traced, one that a race explains is
// ignored. Whoever waits gets an answer, whatever is rescinded meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "machine/address.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/protocol/version.h"
#include "vmbus/vmbus.h"

namespace vmbus {

enum class ClientState : std::uint8_t {
  kDisconnected,
  kConnecting,  // INITIATE_CONTACT is out
  kConnected,
  kUnloading,  // UNLOAD is out
};

enum class ClientChannelState : std::uint8_t {
  kFree,
  kOffered,    // known, not open
  kOpening,    // OPENCHANNEL is out
  kOpen,       // the server has opened it
  kRescinded,  // taken away; release_channel() gives the id back
};

enum class ClientGpadlState : std::uint8_t { kFree, kCreating, kCreated, kTearingDown };

enum class ClientStatus : std::uint8_t {
  kDone,          // done, or under way: the notifier tells the outcome
  kWrongState,    // not legal now; nothing was sent
  kUnknown,       // no such channel or GPADL
  kRescinded,     // the channel has been taken away
  kNoRoom,        // the slots are used up
  kNotSupported,  // not in the negotiated version
};

/// Slots, in storage of the client's owner; the client alone looks into them.
struct ClientChannel {
  ClientChannelState state = ClientChannelState::kFree;
  ChannelId id;
  GpadlId ring;
  bool modifying = false;
  bool reserved = false;
  /// CLOSE_RESERVED_CHANNEL is out.
  bool closing_reserved = false;
};
struct ClientGpadl {
  ClientGpadlState state = ClientGpadlState::kFree;
  GpadlId id;
  ChannelId channel;
};

/// What the client asks its owner to do, and tells it. Called from within the client's functions;
/// the owner may call the client back from there.
class ClientNotifier {
 public:
  /// Posts a message to the server, in the order of the calls.
  virtual void send_message(std::uint32_t connection_id, std::span<const std::byte> message) = 0;

  virtual void connected(Version version) = 0;
  /// Every version was refused.
  virtual void connect_failed() = 0;
  virtual void offered(ChannelId channel, const OfferChannel& offer) = 0;
  virtual void all_offers_delivered() = 0;
  /// Answers open(): whether the channel is open.
  virtual void opened(ChannelId channel, bool success) = 0;
  /// The device is gone. Every answer still awaited for the channel has been given before. Let its
  /// GPADLs go, then call release_channel().
  virtual void rescinded(ChannelId channel) = 0;
  /// Answers modify(), from version 5.3 on.
  virtual void modified(ChannelId channel, bool success) = 0;
  /// Answers create_gpadl(). After a failure the GPADL does not exist.
  virtual void gpadl_created(GpadlId gpadl, bool success) = 0;
  /// Answers teardown_gpadl(): the pages are the client's own again.
  virtual void gpadl_torndown(GpadlId gpadl) = 0;
  /// Answers unload().
  virtual void unloaded() = 0;
  /// Answers close_reserved(), or the channel was rescinded meanwhile.
  virtual void reserved_closed(ChannelId channel) = 0;
  /// Answers connect_service(), from version 4.1 on, if nobody takes the stream.
  virtual void service_refused(const Guid& endpoint, const Guid& service, std::uint32_t status) = 0;
  /// Answers modify_connection().
  virtual void connection_modified(bool success) = 0;
  /// Answers pause(): the server sends nothing more until resume().
  virtual void paused() = 0;

 protected:
  ~ClientNotifier() = default;
};

struct ClientConfiguration {
  /// The processor to which the server posts.
  std::uint32_t target_vp = 0;
  std::uint64_t interrupt_page_gpa = 0;  // before version 5.0
  std::uint64_t parent_to_child_monitor_gpa = 0;
  std::uint64_t child_to_parent_monitor_gpa = 0;
  Version newest_version = Version::kIron;
  /// What to ask of a server of 6.0; with kFeatureClientId it is told client_id.
  std::uint32_t features = kKnownFeatures;
  Guid client_id{};
  /// Names the partition in traces.
  std::uint64_t trace_id = 0;
};

struct OpenParameters {
  GpadlId ring_gpadl;
  /// Where in the GPADL the server-to-client ring starts.
  std::uint32_t downstream_page_offset = 0;
  std::uint32_t target_vp = 0;
  std::array<std::uint8_t, kUserDataSize> user_data{};
};

class Client {
 public:
  /// Everything given outlives the client.
  Client(const ClientConfiguration& configuration, std::span<ClientChannel> channels,
         std::span<ClientGpadl> gpadls, ClientNotifier& notifier);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// The payload of one message from the server.
  void handle_message(std::span<const std::byte> message);

  /// Tries the versions, newest first. Answered by connected() or connect_failed().
  [[nodiscard]] ClientStatus connect();
  /// The hypervisor knows no connection of the id to which INITIATE_CONTACT was posted
  /// (INVALID_CONNECTION_ID): the server does not speak that version.
  [[nodiscard]] ClientStatus contact_post_failed();
  /// Once per connection. Answered by offered() for each, then all_offers_delivered().
  [[nodiscard]] ClientStatus request_offers();
  /// Ends the connection and forgets every channel and GPADL. Answered by unloaded().
  [[nodiscard]] ClientStatus unload();

  /// Lends pages (1 to kMaxGpadlPages) to the server on behalf of a channel. Answered by
  /// gpadl_created(); `gpadl` is set before.
  [[nodiscard]] ClientStatus create_gpadl(ChannelId id, std::span<const machine::Gpn> pages,
                                          GpadlId& gpadl);
  /// Answered by gpadl_torndown().
  [[nodiscard]] ClientStatus teardown_gpadl(GpadlId id);

  /// Answered by opened().
  [[nodiscard]] ClientStatus open(ChannelId id, const OpenParameters& parameters);
  /// The server does not answer a close: the channel is closed when its ring has been torn down.
  [[nodiscard]] ClientStatus close(ChannelId id);
  /// Moves the channel's interrupts.
  [[nodiscard]] ClientStatus modify(ChannelId id, std::uint32_t target_vp);
  /// Opens a channel that stays open when the connection ends; its answers go to the processor and
  /// SINT of `sint`. Answered by opened().
  [[nodiscard]] ClientStatus open_reserved(ChannelId id, const OpenParameters& parameters,
                                           std::uint32_t sint);
  /// Answered by reserved_closed(). Its ring is still to be torn down.
  [[nodiscard]] ClientStatus close_reserved(ChannelId id, std::uint32_t target_vp,
                                            std::uint32_t sint);
  /// Asks for a stream to a service (hv_sock). Answered by offered() with the service as its type
  /// and the endpoint as its instance, or by service_refused(); before 4.1 a refusal is silent.
  /// `silo` is told from 5.2 on, if it is not all zero.
  [[nodiscard]] ClientStatus connect_service(const Guid& endpoint, const Guid& service,
                                             const Guid& silo);
  /// Names other monitor pages, both or none. Answered by connection_modified().
  [[nodiscard]] ClientStatus modify_connection(std::uint64_t parent_to_child_monitor_gpa,
                                               std::uint64_t child_to_parent_monitor_gpa);
  /// Asks the server to be silent. Answered by paused().
  [[nodiscard]] ClientStatus pause();
  [[nodiscard]] ClientStatus resume();
  /// Gives a rescinded channel's id back. Its GPADLs are gone already.
  [[nodiscard]] ClientStatus release_channel(ChannelId id);

  [[nodiscard]] ClientState state() const { return state_; }
  [[nodiscard]] Version version() const { return version_; }
  /// Of 6.0: what both ends know.
  [[nodiscard]] std::uint32_t features() const { return features_; }
  /// kFree if the client knows no such channel.
  [[nodiscard]] ClientChannelState channel_state(ChannelId id) const;
  [[nodiscard]] std::size_t gpadl_count() const;

 private:
  enum class OffersState : std::uint8_t { kNotRequested, kRequested, kDelivered };
  enum class PauseState : std::uint8_t { kRunning, kPausing, kPaused };

  // Connection: client.cpp.
  void change_state(ClientState state);
  void send_contact();
  void try_next_version();
  void forget_everything();
  void handle_version_response(std::span<const std::byte> bytes);
  void handle_all_offers_delivered();
  void handle_unload_response();
  void dispatch_connected(MessageType type, std::span<const std::byte> message);

  // Channels and GPADLs: client_channels.cpp.
  void handle_offer(const OfferChannel& message);
  void handle_rescind(const ChannelMessage& message);
  void handle_open_result(const OpenChannelResult& message);
  void handle_modify_response(const ModifyChannelResponse& message);
  void handle_gpadl_created(const GpadlCreated& message);
  void handle_gpadl_torndown(const GpadlTorndown& message);
  void answer_gpadl_waiters(ChannelId channel);

  // What later versions brought: client_extensions.cpp.
  void handle_reserved_closed(const ChannelMessage& message);
  void handle_tl_connect_result(const TlConnectResult& message);
  void handle_modify_connection_response(std::span<const std::byte> message);
  void handle_pause_response();
  [[nodiscard]] ClientStatus may_open(ChannelId id, GpadlId ring);

  template <WireObject T>
  void send(const T& message) {
    notifier_.send_message(connection_id_, bytes_of(message));
  }
  template <WireObject T, class Handler>
  void decode(std::span<const std::byte> message, Handler handler);

  [[nodiscard]] ClientChannel* find(ChannelId id);
  [[nodiscard]] ClientGpadl* find(GpadlId id);
  void refuse(std::uint32_t type, std::uint64_t detail) const;
  void ignore(MessageType type, std::uint64_t detail) const;

  ClientConfiguration configuration_;
  std::span<ClientChannel> channels_;
  std::span<ClientGpadl> gpadls_;
  ClientNotifier& notifier_;
  ClientState state_ = ClientState::kDisconnected;
  Version version_ = Version::kIron;
  std::size_t version_index_ = 0;
  std::uint32_t connection_id_ = 0;
  std::uint32_t next_gpadl_id_;
  OffersState offers_ = OffersState::kNotRequested;
  std::uint32_t features_ = 0;
  PauseState pause_ = PauseState::kRunning;
  bool modifying_connection_ = false;
};

}  // namespace vmbus
