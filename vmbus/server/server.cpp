#include "vmbus/server/server.h"

#include "machine/invariant.h"
#include "machine/testing.h"

namespace vmbus {

namespace {

constexpr machine::Site kRefused("vmbus.server.message_refused");
constexpr machine::Site kIgnored("vmbus.server.message_ignored");
constexpr machine::Site kStateChanged("vmbus.server.state");
constexpr machine::Site kContactDuringReset("vmbus.server.contact_came_during_reset");

}  // namespace

Server::Server(const ServerConfiguration& configuration, std::span<ServerChannel> channels,
               std::span<Gpadl> gpadls, GpadlStorage& storage, ServerNotifier& notifier)
    : configuration_(configuration),
      channels_(channels),
      gpadls_(gpadls, storage),
      notifier_(notifier) {
  INVARIANT(channels.size() <= kMaxChannelId);
}

// --- Looking things up ---------------------------------------------------------------------------

OfferId Server::id_of(const ServerChannel& channel) const {
  return {static_cast<std::uint32_t>(&channel - channels_.data()), channel.generation};
}

ChannelId Server::channel_id_of(const ServerChannel& channel) const {
  return channel_id(id_of(channel));
}

ServerChannel* Server::find(OfferId offer) {
  if (offer.slot >= channels_.size()) {
    return nullptr;
  }
  ServerChannel& channel = channels_[offer.slot];
  const bool alive =
      channel.state != ServerChannelState::kFree && channel.generation == offer.generation;
  return alive ? &channel : nullptr;
}

ServerChannel* Server::find(ChannelId id) {
  if (id.value() == 0 || id.value() > channels_.size()) {
    return nullptr;
  }
  ServerChannel& channel = channels_[id.value() - 1];
  switch (channel.state) {
    case ServerChannelState::kFree:
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      return nullptr;
    case ServerChannelState::kClosed:
    case ServerChannelState::kOpening:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosing:
    case ServerChannelState::kClosingReopen:
    case ServerChannelState::kRevoked:
    case ServerChannelState::kReoffered:
      break;
  }
  return &channel;
}

std::optional<ServerChannelState> Server::channel_state(OfferId offer) const {
  if (offer.slot >= channels_.size() || channels_[offer.slot].generation != offer.generation) {
    return std::nullopt;
  }
  return channels_[offer.slot].state;
}

void Server::refuse(std::uint32_t type, std::uint64_t detail) const {
  machine::trace(kRefused, machine::Track::kPartition, configuration_.trace_id, type, detail);
}

void Server::ignore(MessageType type, std::uint64_t detail) const {
  machine::trace(kIgnored, machine::Track::kPartition, configuration_.trace_id,
                 static_cast<std::uint64_t>(type), detail);
}

// --- Messages ------------------------------------------------------------------------------------

template <WireObject T, class Handler>
void Server::decode(std::span<const std::byte> message, Handler handler) {
  if (const std::optional<T> object = read_object<T>(message)) {
    (this->*handler)(*object);
  } else {
    refuse(static_cast<std::uint32_t>(read_object<MessageHeader>(message)->type), message.size());
  }
}

void Server::handle_message(std::span<const std::byte> message) {
  const std::optional<MessageHeader> header = read_object<MessageHeader>(message);
  if (!header || message.size() > kMaxMessageSize) {
    refuse(0, message.size());
    return;
  }
  if (header->type == MessageType::kInitiateContact) {
    decode<InitiateContact>(message, &Server::handle_initiate_contact);
  } else if (state_ == ServerState::kConnected) {
    dispatch_connected(header->type, message);
  } else {
    refuse(static_cast<std::uint32_t>(header->type), static_cast<std::uint64_t>(state_));
  }
}

void Server::dispatch_connected(MessageType type, std::span<const std::byte> message) {
  switch (type) {
    case MessageType::kRequestOffers:
      return handle_request_offers();
    case MessageType::kOpenChannel:
      return decode<OpenChannel>(message, &Server::handle_open);
    case MessageType::kCloseChannel:
      return decode<ChannelMessage>(message, &Server::handle_close);
    case MessageType::kGpadlHeader:
      return handle_gpadl_header(message);
    case MessageType::kGpadlBody:
      return handle_gpadl_body(message);
    case MessageType::kGpadlTeardown:
      return decode<GpadlTeardown>(message, &Server::handle_gpadl_teardown);
    case MessageType::kRelidReleased:
      return decode<ChannelMessage>(message, &Server::handle_released);
    case MessageType::kUnload:
      return handle_unload();
    case MessageType::kTlConnectRequest:
      return decode<TlConnectRequest>(message, &Server::handle_tl_connect);
    case MessageType::kModifyChannel:
      return decode<ModifyChannel>(message, &Server::handle_modify);
    // No channel here is of the reserved kind.
    case MessageType::kOpenReservedChannel:
    case MessageType::kCloseReservedChannel:
    // INITIATE_CONTACT has been handled in any state; the rest goes the other way.
    case MessageType::kInitiateContact:
    case MessageType::kInvalid:
    case MessageType::kOfferChannel:
    case MessageType::kRescindChannelOffer:
    case MessageType::kAllOffersDelivered:
    case MessageType::kOpenChannelResult:
    case MessageType::kGpadlCreated:
    case MessageType::kGpadlTorndown:
    case MessageType::kVersionResponse:
    case MessageType::kUnloadResponse:
    case MessageType::kCloseReservedResponse:
    case MessageType::kTlConnectResult:
    case MessageType::kModifyChannelResponse:
      break;
  }
  refuse(static_cast<std::uint32_t>(type), message.size());
}

// --- Contact -------------------------------------------------------------------------------------

void Server::handle_initiate_contact(const InitiateContact& message) {
  switch (state_) {
    case ServerState::kDisconnected:
      start_contact(message);
      return;
    case ServerState::kConnected:
      // A crash kernel, or an operating system after its firmware: nobody said goodbye.
      waiting_contact_ = message;
      start_reset(AfterReset::kContact);
      return;
    case ServerState::kConnecting:
    case ServerState::kDisconnecting:
      machine::sometimes(kContactDuringReset, true);
      waiting_contact_ = message;
      return;
  }
}

void Server::start_contact(const InitiateContact& message) {
  const bool honours_target = message.version >= static_cast<std::uint32_t>(Version::kWin8_1);
  target_vp_ = honours_target ? message.target_vp : 0;
  const std::optional<Version> version = known_version(message.version);
  // From 5.0 on the client names SINT (byte 0) and VTL (byte 1) here.
  const std::uint64_t target = message.interrupt_page_or_target & 0xFFFF;
  if (!version || *version > configuration_.newest_version ||
      (has_message_connection(*version) && target != kVmbusSint)) {
    send_version_response(false, ContactState::kSuccessful);
    return;
  }
  version_ = *version;
  state_ = ServerState::kConnecting;
  notifier_.contact({message.version, target_vp_, message.parent_to_child_monitor_gpa,
                     message.child_to_parent_monitor_gpa});
}

bool Server::contact_complete(ContactState state) {
  if (state_ != ServerState::kConnecting) {
    return false;
  }
  const bool success = state == ContactState::kSuccessful;
  if (abandon_contact_ || waiting_contact_) {
    // The client that asked is gone.
    abandon_contact_ = false;
    state_ = ServerState::kDisconnecting;
    owner_is_connected_ = success;
    finish_reset_when_idle();
    return true;
  }
  state_ = success ? ServerState::kConnected : ServerState::kDisconnected;
  owner_is_connected_ = success;
  offers_sent_ = false;
  machine::trace(kStateChanged, machine::Track::kPartition, configuration_.trace_id,
                 static_cast<std::uint64_t>(state_), static_cast<std::uint64_t>(version_));
  // A client reads the first byte alone, so it must say no when the state is a failure.
  send_version_response(success, state);
  return true;
}

void Server::send_version_response(bool supported, ContactState state) {
  VersionResponse response;
  response.version_supported = supported ? 1 : 0;
  response.connection_state = state;
  if (supported) {
    response.version_or_connection_id = has_message_connection(version_)
                                            ? configuration_.message_connection
                                            : static_cast<std::uint32_t>(version_);
  }
  send(response);
}

void Server::handle_request_offers() {
  if (offers_sent_) {
    refuse(static_cast<std::uint32_t>(MessageType::kRequestOffers), 0);
    return;
  }
  offers_sent_ = true;
  // Primaries first: a sub-channel is matched against a primary that the client knows.
  for (const bool primaries : {true, false}) {
    for (ServerChannel& channel : channels_) {
      if (channel.state == ServerChannelState::kClientReleased &&
          (channel.offer.subchannel_index == 0) == primaries) {
        send_offer(channel);
      }
    }
  }
  send(EmptyMessage{{MessageType::kAllOffersDelivered, 0}});
}

void Server::handle_tl_connect(const TlConnectRequest& message) {
  if (!has_tl_connect(version_)) {
    refuse(static_cast<std::uint32_t>(MessageType::kTlConnectRequest), 0);
    return;
  }
  // Nothing listens here.
  if (has_tl_connect_result(version_)) {
    TlConnectResult result;
    result.endpoint = message.endpoint;
    result.service = message.service;
    result.status = kStatusConnectionRefused;
    send(result);
  }
}

// --- The end of a connection ---------------------------------------------------------------------

void Server::handle_unload() { start_reset(AfterReset::kUnloadResponse); }

void Server::reset() {
  waiting_contact_.reset();
  unload_response_owed_ = false;
  switch (state_) {
    case ServerState::kConnecting:
      abandon_contact_ = true;
      return;
    case ServerState::kConnected:
      start_reset(AfterReset::kNothing);
      return;
    case ServerState::kDisconnected:
    case ServerState::kDisconnecting:
      return;
  }
}

void Server::start_reset(AfterReset after) {
  INVARIANT(state_ == ServerState::kConnected);
  state_ = ServerState::kDisconnecting;
  unload_response_owed_ = after == AfterReset::kUnloadResponse;
  resetting_ = true;
  for (ServerChannel& channel : channels_) {
    reset_channel(channel);
  }
  resetting_ = false;
  finish_reset_when_idle();
}

void Server::finish_reset_when_idle() {
  if (state_ != ServerState::kDisconnecting || resetting_ || gpadls_.count() != 0) {
    return;
  }
  for (const ServerChannel& channel : channels_) {
    if (channel.state == ServerChannelState::kOpeningClientRelease ||
        channel.state == ServerChannelState::kClosingClientRelease) {
      return;
    }
  }
  state_ = ServerState::kDisconnected;
  machine::trace(kStateChanged, machine::Track::kPartition, configuration_.trace_id,
                 static_cast<std::uint64_t>(state_), 0);
  if (owner_is_connected_) {
    owner_is_connected_ = false;
    notifier_.disconnected();
  }
  // Whoever makes contact anew does not wait for an answer to somebody else's goodbye.
  if (unload_response_owed_ && !waiting_contact_) {
    send(EmptyMessage{{MessageType::kUnloadResponse, 0}});
  }
  unload_response_owed_ = false;
  if (waiting_contact_) {
    const InitiateContact next = *waiting_contact_;
    waiting_contact_.reset();
    start_contact(next);
  }
}

}  // namespace vmbus
