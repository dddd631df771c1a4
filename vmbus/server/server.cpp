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

bool Server::client_knows(const ServerChannel& channel) {
  switch (channel.state) {
    case ServerChannelState::kFree:
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      return false;
    case ServerChannelState::kClosed:
    case ServerChannelState::kOpening:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosing:
    case ServerChannelState::kClosingReopen:
    case ServerChannelState::kRevoked:
    case ServerChannelState::kReoffered:
      break;
  }
  return !channel.outlives_connection;
}

ServerChannel* Server::find(ChannelId id) {
  if (id.value() == 0 || id.value() > channels_.size()) {
    return nullptr;
  }
  ServerChannel& channel = channels_[id.value() - 1];
  return client_knows(channel) ? &channel : nullptr;
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
    handle_initiate_contact(message);
  } else if (header->type == MessageType::kCloseReservedChannel) {
    // Whoever opened one may have lost its connection since.
    decode<CloseReservedChannel>(message, &Server::handle_close_reserved);
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
      return handle_tl_connect(message);
    case MessageType::kModifyChannel:
      return decode<ModifyChannel>(message, &Server::handle_modify);
    case MessageType::kOpenReservedChannel:
      return decode<OpenReservedChannel>(message, &Server::handle_open_reserved);
    case MessageType::kModifyConnection:
      return decode<ModifyConnection>(message, &Server::handle_modify_connection);
    case MessageType::kPause:
      return handle_pause();
    case MessageType::kResume:
      return handle_resume();
    // These two have been handled in any state; the rest goes the other way.
    case MessageType::kInitiateContact:
    case MessageType::kCloseReservedChannel:
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
    case MessageType::kModifyConnectionResponse:
    case MessageType::kPauseResponse:
      break;
  }
  refuse(static_cast<std::uint32_t>(type), message.size());
}

// --- Contact -------------------------------------------------------------------------------------

void Server::handle_initiate_contact(std::span<const std::byte> message) {
  const std::optional<InitiateContact> contact = read_object<InitiateContact>(message);
  if (!contact) {
    refuse(static_cast<std::uint32_t>(MessageType::kInitiateContact), message.size());
    return;
  }
  const Guid client_id = read_object<Guid>(message, kClientIdOffset).value_or(Guid());
  const ContactRequest request{*contact, client_id};
  switch (state_) {
    case ServerState::kDisconnected:
      start_contact(request);
      return;
    case ServerState::kConnected:
      // A crash kernel, or an operating system after its firmware: nobody said goodbye.
      waiting_contact_ = request;
      start_reset(AfterReset::kContact);
      return;
    case ServerState::kConnecting:
    case ServerState::kDisconnecting:
      machine::sometimes(kContactDuringReset, true);
      waiting_contact_ = request;
      return;
  }
}

void Server::start_contact(const ContactRequest& request) {
  const InitiateContact& message = request.message;
  // Answers to another kernel's contact or goodbye may still be on their way.
  notifier_.forget_messages();
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
  const MonitorPages pages{message.parent_to_child_monitor_gpa,
                           message.child_to_parent_monitor_gpa};
  if (!pages.valid()) {
    send_version_response(false, ContactState::kUnknownFailure);
    return;
  }
  version_ = *version;
  monitor_pages_ = pages;
  features_ =
      has_feature_flags(version_)
          ? static_cast<std::uint32_t>(message.interrupt_page_or_target >> 32) & kKnownFeatures
          : 0;
  state_ = ServerState::kConnecting;
  notifier_.contact({message.version, target_vp_, pages,
                     has_feature(kFeatureClientId) ? request.client_id : Guid()});
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
  if (supported && has_feature_flags(version_)) {
    send(VersionResponseWithFeatures{response, features_});
  } else {
    send(response);
  }
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

// --- The end of a connection ---------------------------------------------------------------------

void Server::handle_unload() { start_reset(AfterReset::kUnloadResponse); }

void Server::reset() {
  waiting_contact_.reset();
  unload_response_owed_ = false;
  close_outliving_channels();
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
  // What a pause held back must not come out at its end.
  notifier_.forget_messages();
  end_pause();
  resetting_ = true;
  for (ServerChannel& channel : channels_) {
    if (after == AfterReset::kNothing || !outlives_reset(channel)) {
      reset_channel(channel);
    }
  }
  resetting_ = false;
  finish_reset_when_idle();
}

bool Server::waits_for_devices() {
  for (const Gpadl& gpadl : gpadls_.entries()) {
    // The ring of a reserved channel stays with it.
    const bool stays = gpadl.state == GpadlState::kAccepted &&
                       channels_[gpadl.channel.value() - 1].outlives_connection;
    if (gpadl.state != GpadlState::kFree && !stays) {
      return true;
    }
  }
  for (const ServerChannel& channel : channels_) {
    if (channel.state == ServerChannelState::kOpeningClientRelease ||
        channel.state == ServerChannelState::kClosingClientRelease) {
      return true;
    }
  }
  return false;
}

void Server::finish_reset_when_idle() {
  if (state_ != ServerState::kDisconnecting || resetting_ || waits_for_devices()) {
    return;
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
    const ContactRequest next = *waiting_contact_;
    waiting_contact_.reset();
    start_contact(next);
  }
}

}  // namespace vmbus
