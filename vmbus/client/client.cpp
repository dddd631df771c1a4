#include "vmbus/client/client.h"

#include "machine/testing.h"

namespace vmbus {

namespace {

constexpr machine::Site kRefused("vmbus.client.message_refused");
constexpr machine::Site kIgnored("vmbus.client.message_ignored");
constexpr machine::Site kStateChanged("vmbus.client.state");

/// Where Linux starts to count.
constexpr std::uint32_t kFirstGpadlId = 0xE1E10;

}  // namespace

Client::Client(const ClientConfiguration& configuration, std::span<ClientChannel> channels,
               std::span<ClientGpadl> gpadls, ClientNotifier& notifier)
    : configuration_(configuration),
      channels_(channels),
      gpadls_(gpadls),
      notifier_(notifier),
      next_gpadl_id_(kFirstGpadlId) {}

void Client::refuse(std::uint32_t type, std::uint64_t detail) const {
  machine::trace(kRefused, machine::Track::kPartition, configuration_.trace_id, type, detail);
}

void Client::ignore(MessageType type, std::uint64_t detail) const {
  machine::trace(kIgnored, machine::Track::kPartition, configuration_.trace_id,
                 static_cast<std::uint64_t>(type), detail);
}

void Client::change_state(ClientState state) {
  state_ = state;
  machine::trace(kStateChanged, machine::Track::kPartition, configuration_.trace_id,
                 static_cast<std::uint64_t>(state), static_cast<std::uint64_t>(version_));
}

// --- Messages ------------------------------------------------------------------------------------

template <WireObject T, class Handler>
void Client::decode(std::span<const std::byte> message, Handler handler) {
  if (const std::optional<T> object = read_object<T>(message)) {
    (this->*handler)(*object);
  } else {
    refuse(static_cast<std::uint32_t>(read_object<MessageHeader>(message)->type), message.size());
  }
}

void Client::handle_message(std::span<const std::byte> message) {
  const std::optional<MessageHeader> header = read_object<MessageHeader>(message);
  if (!header || message.size() > kMaxMessageSize) {
    refuse(0, message.size());
    return;
  }
  switch (state_) {
    case ClientState::kConnected:
      dispatch_connected(header->type, message);
      return;
    case ClientState::kConnecting:
      if (header->type == MessageType::kVersionResponse) {
        handle_version_response(message);
        return;
      }
      break;
    case ClientState::kUnloading:
      if (header->type == MessageType::kUnloadResponse) {
        handle_unload_response();
        return;
      }
      break;
    case ClientState::kDisconnected:
      break;
  }
  // What was on its way to the connection before this one, or to the one that is ending.
  ignore(header->type, static_cast<std::uint64_t>(state_));
}

void Client::dispatch_connected(MessageType type, std::span<const std::byte> message) {
  switch (type) {
    case MessageType::kOfferChannel:
      return decode<OfferChannel>(message, &Client::handle_offer);
    case MessageType::kRescindChannelOffer:
      return decode<ChannelMessage>(message, &Client::handle_rescind);
    case MessageType::kAllOffersDelivered:
      return handle_all_offers_delivered();
    case MessageType::kOpenChannelResult:
      return decode<OpenChannelResult>(message, &Client::handle_open_result);
    case MessageType::kGpadlCreated:
      return decode<GpadlCreated>(message, &Client::handle_gpadl_created);
    case MessageType::kGpadlTorndown:
      return decode<GpadlTorndown>(message, &Client::handle_gpadl_torndown);
    case MessageType::kModifyChannelResponse:
      return decode<ModifyChannelResponse>(message, &Client::handle_modify_response);
    case MessageType::kUnloadResponse:
      // The answer to a goodbye that a kernel before this one said.
      return ignore(type, 0);
    case MessageType::kTlConnectResult:
      return decode<TlConnectResult>(message, &Client::handle_tl_connect_result);
    case MessageType::kCloseReservedResponse:
      return decode<ChannelMessage>(message, &Client::handle_reserved_closed);
    case MessageType::kModifyConnectionResponse:
      return handle_modify_connection_response(message);
    case MessageType::kPauseResponse:
      return handle_pause_response();
    // The rest is not for now, or goes the other way.
    case MessageType::kModifyConnection:
    case MessageType::kPause:
    case MessageType::kResume:
    case MessageType::kVersionResponse:
    case MessageType::kInvalid:
    case MessageType::kRequestOffers:
    case MessageType::kOpenChannel:
    case MessageType::kCloseChannel:
    case MessageType::kGpadlHeader:
    case MessageType::kGpadlBody:
    case MessageType::kGpadlTeardown:
    case MessageType::kRelidReleased:
    case MessageType::kInitiateContact:
    case MessageType::kUnload:
    case MessageType::kOpenReservedChannel:
    case MessageType::kCloseReservedChannel:
    case MessageType::kTlConnectRequest:
    case MessageType::kModifyChannel:
      break;
  }
  refuse(static_cast<std::uint32_t>(type), message.size());
}

// --- Contact -------------------------------------------------------------------------------------

ClientStatus Client::connect() {
  if (state_ != ClientState::kDisconnected) {
    return ClientStatus::kWrongState;
  }
  version_index_ = 0;
  while (kVersionsNewestFirst[version_index_] > configuration_.newest_version) {
    ++version_index_;  // ends: the oldest version is the smallest value there is
  }
  version_ = kVersionsNewestFirst[version_index_];
  offers_ = OffersState::kNotRequested;
  features_ = 0;
  pause_ = PauseState::kRunning;
  modifying_connection_ = false;
  change_state(ClientState::kConnecting);
  send_contact();
  return ClientStatus::kDone;
}

void Client::send_contact() {
  const bool names_sint = has_message_connection(version_);
  connection_id_ = names_sint ? kMessageConnectionVersion5 : kMessageConnection;
  InitiateContact contact;
  contact.version = static_cast<std::uint32_t>(version_);
  contact.target_vp = configuration_.target_vp;
  contact.interrupt_page_or_target =
      names_sint ? std::uint64_t{kVmbusSint} : configuration_.interrupt_page_gpa;
  contact.parent_to_child_monitor_gpa = configuration_.parent_to_child_monitor_gpa;
  contact.child_to_parent_monitor_gpa = configuration_.child_to_parent_monitor_gpa;
  if (!has_feature_flags(version_)) {
    send(contact);
    return;
  }
  contact.interrupt_page_or_target |= std::uint64_t{configuration_.features} << 32;
  std::array<std::byte, kClientIdOffset + sizeof(Guid)> message{};
  copy_bytes(message, bytes_of(contact));
  copy_bytes(std::span(message).subspan(kClientIdOffset), bytes_of(configuration_.client_id));
  const bool tells_id = (configuration_.features & kFeatureClientId) != 0;
  notifier_.send_message(connection_id_,
                         std::span(message).first(tells_id ? message.size() : kClientIdOffset));
}

void Client::try_next_version() {
  if (version_index_ + 1 == kVersionsNewestFirst.size()) {
    change_state(ClientState::kDisconnected);
    notifier_.connect_failed();
    return;
  }
  ++version_index_;
  version_ = kVersionsNewestFirst[version_index_];
  send_contact();
}

ClientStatus Client::contact_post_failed() {
  if (state_ != ClientState::kConnecting) {
    return ClientStatus::kWrongState;
  }
  try_next_version();
  return ClientStatus::kDone;
}

void Client::handle_version_response(std::span<const std::byte> bytes) {
  const std::optional<VersionResponse> response = read_object<VersionResponse>(bytes);
  if (!response) {
    refuse(static_cast<std::uint32_t>(MessageType::kVersionResponse), bytes.size());
    return;
  }
  const VersionResponse& message = *response;
  const bool has_connection = has_message_connection(version_);
  // Without a connection to post to there is nothing to talk through.
  const bool usable = message.version_supported == 1 &&
                      message.connection_state == ContactState::kSuccessful &&
                      (!has_connection || message.version_or_connection_id != 0);
  if (!usable) {
    try_next_version();
    return;
  }
  if (has_connection) {
    connection_id_ = message.version_or_connection_id;
  }
  if (has_feature_flags(version_)) {
    const auto features = read_object<std::uint32_t>(bytes, sizeof(VersionResponse));
    features_ = features.value_or(0) & configuration_.features;
  }
  change_state(ClientState::kConnected);
  notifier_.connected(version_);
}

ClientStatus Client::request_offers() {
  if (state_ != ClientState::kConnected || offers_ != OffersState::kNotRequested) {
    return ClientStatus::kWrongState;
  }
  offers_ = OffersState::kRequested;
  send(EmptyMessage{{MessageType::kRequestOffers, 0}});
  return ClientStatus::kDone;
}

void Client::handle_all_offers_delivered() {
  if (offers_ != OffersState::kRequested) {
    refuse(static_cast<std::uint32_t>(MessageType::kAllOffersDelivered), 0);
    return;
  }
  offers_ = OffersState::kDelivered;
  notifier_.all_offers_delivered();
}

// --- Goodbye -------------------------------------------------------------------------------------

ClientStatus Client::unload() {
  if (state_ != ClientState::kConnected) {
    return ClientStatus::kWrongState;
  }
  if (!has_unload(version_)) {
    forget_everything();
    change_state(ClientState::kDisconnected);
    notifier_.unloaded();
    return ClientStatus::kDone;
  }
  change_state(ClientState::kUnloading);
  send(EmptyMessage{{MessageType::kUnload, 0}});
  return ClientStatus::kDone;
}

void Client::handle_unload_response() {
  forget_everything();
  change_state(ClientState::kDisconnected);
  notifier_.unloaded();
}

void Client::forget_everything() {
  for (ClientChannel& channel : channels_) {
    channel = ClientChannel{};
  }
  for (ClientGpadl& gpadl : gpadls_) {
    gpadl = ClientGpadl{};
  }
}

}  // namespace vmbus
