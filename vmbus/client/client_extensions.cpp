// What later versions brought to the client: reserved channels, streams to services (hv_sock), and
// from 6.0 on other monitor pages and pauses, where the server knows them.
#include "vmbus/client/client.h"

namespace vmbus {

// --- Reserved channels ---------------------------------------------------------------------------

ClientStatus Client::open_reserved(ChannelId id, const OpenParameters& parameters,
                                   std::uint32_t sint) {
  const ClientStatus may = may_open(id, parameters.ring_gpadl);
  if (may != ClientStatus::kDone) {
    return may;
  }
  if (!has_reserved_channels(version_)) {
    return ClientStatus::kNotSupported;
  }
  ClientChannel* const channel = find(id);
  channel->state = ClientChannelState::kOpening;
  channel->ring = parameters.ring_gpadl;
  channel->reserved = true;
  OpenReservedChannel message;
  message.channel_id = id.value();
  message.target_vp = parameters.target_vp;
  message.target_sint = sint;
  message.ring_gpadl_id = parameters.ring_gpadl.value();
  message.downstream_page_offset = parameters.downstream_page_offset;
  send(message);
  return ClientStatus::kDone;
}

ClientStatus Client::close_reserved(ChannelId id, std::uint32_t target_vp, std::uint32_t sint) {
  ClientChannel* const channel = find(id);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    return ClientStatus::kRescinded;
  }
  if (state_ != ClientState::kConnected || channel->state != ClientChannelState::kOpen ||
      !channel->reserved || channel->closing_reserved) {
    return ClientStatus::kWrongState;
  }
  channel->closing_reserved = true;
  CloseReservedChannel message;
  message.channel_id = id.value();
  message.target_vp = target_vp;
  message.target_sint = sint;
  send(message);
  return ClientStatus::kDone;
}

void Client::handle_reserved_closed(const ChannelMessage& message) {
  const ChannelId id(message.channel_id);
  ClientChannel* const channel = find(id);
  if (channel == nullptr || channel->state == ClientChannelState::kRescinded) {
    ignore(MessageType::kCloseReservedResponse, message.channel_id);
    return;
  }
  if (!channel->closing_reserved) {
    refuse(static_cast<std::uint32_t>(MessageType::kCloseReservedResponse), message.channel_id);
    return;
  }
  channel->state = ClientChannelState::kOffered;
  channel->closing_reserved = false;
  channel->reserved = false;
  notifier_.reserved_closed(id);
}

// --- Streams -------------------------------------------------------------------------------------

ClientStatus Client::connect_service(const Guid& endpoint, const Guid& service, const Guid& silo) {
  if (state_ != ClientState::kConnected) {
    return ClientStatus::kWrongState;
  }
  if (!has_tl_connect(version_)) {
    return ClientStatus::kNotSupported;
  }
  TlConnectRequest request;
  request.endpoint = endpoint;
  request.service = service;
  if (has_silo_id(version_) && silo != Guid()) {
    send(TlConnectRequestWithSilo{request, silo});
  } else {
    send(request);
  }
  return ClientStatus::kDone;
}

void Client::handle_tl_connect_result(const TlConnectResult& message) {
  if (!has_tl_connect_result(version_)) {
    refuse(static_cast<std::uint32_t>(MessageType::kTlConnectResult), message.status);
    return;
  }
  notifier_.service_refused(message.endpoint, message.service, message.status);
}

// --- Features of 6.0 -----------------------------------------------------------------------------

ClientStatus Client::modify_connection(std::uint64_t parent_to_child_monitor_gpa,
                                       std::uint64_t child_to_parent_monitor_gpa) {
  if (state_ != ClientState::kConnected || modifying_connection_) {
    return ClientStatus::kWrongState;
  }
  if ((features_ & kFeatureModifyConnection) == 0) {
    return ClientStatus::kNotSupported;
  }
  modifying_connection_ = true;
  ModifyConnection message;
  message.parent_to_child_monitor_gpa = parent_to_child_monitor_gpa;
  message.child_to_parent_monitor_gpa = child_to_parent_monitor_gpa;
  send(message);
  return ClientStatus::kDone;
}

void Client::handle_modify_connection_response(std::span<const std::byte> message) {
  const auto state = read_object<ContactState>(message, sizeof(MessageHeader));
  if (!state || !modifying_connection_) {
    refuse(static_cast<std::uint32_t>(MessageType::kModifyConnectionResponse), message.size());
    return;
  }
  modifying_connection_ = false;
  notifier_.connection_modified(*state == ContactState::kSuccessful);
}

ClientStatus Client::pause() {
  if (state_ != ClientState::kConnected || pause_ != PauseState::kRunning) {
    return ClientStatus::kWrongState;
  }
  if ((features_ & kFeaturePauseResume) == 0) {
    return ClientStatus::kNotSupported;
  }
  pause_ = PauseState::kPausing;
  send(EmptyMessage{{MessageType::kPause, 0}});
  return ClientStatus::kDone;
}

void Client::handle_pause_response() {
  if (pause_ != PauseState::kPausing) {
    refuse(static_cast<std::uint32_t>(MessageType::kPauseResponse), 0);
    return;
  }
  pause_ = PauseState::kPaused;
  notifier_.paused();
}

ClientStatus Client::resume() {
  if (state_ != ClientState::kConnected || pause_ != PauseState::kPaused) {
    return ClientStatus::kWrongState;
  }
  pause_ = PauseState::kRunning;
  send(EmptyMessage{{MessageType::kResume, 0}});
  return ClientStatus::kDone;
}

}  // namespace vmbus
