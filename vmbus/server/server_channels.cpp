// The server's channels: offers, open, close, retarget, revoke, release.
#include "machine/invariant.h"
#include "machine/testing.h"
#include "vmbus/server/server.h"

namespace vmbus {

namespace {

constexpr machine::Site kRevokedWhileOpening("vmbus.server.revoke_raced_an_open");
constexpr machine::Site kRevokedWhileClosing("vmbus.server.revoke_raced_a_close");
constexpr machine::Site kReopened("vmbus.server.open_during_close");
constexpr machine::Site kChannelState("vmbus.server.channel_state");

/// A client looks a primary up by its instance alone, across the types of devices; a sub-channel by
/// both.
bool is_same_device(const Offer& left, const Offer& right) {
  return left.interface_instance == right.interface_instance &&
         left.subchannel_index == right.subchannel_index &&
         (left.subchannel_index == 0 || left.interface_type == right.interface_type);
}

ChannelOpening opening_of(const OpenChannel& message) {
  ChannelOpening opening;
  opening.channel = ChannelId(message.channel_id);
  opening.open_id = message.open_id;
  opening.ring_gpadl = GpadlId(message.ring_gpadl_id);
  opening.downstream_page_offset = message.downstream_page_offset;
  opening.target_vp = message.target_vp;
  opening.user_data = message.user_data;
  return opening;
}

}  // namespace

void Server::trace_state(const ServerChannel& channel, ChannelId id) const {
  machine::trace(kChannelState, machine::Track::kChannel,
                 channel_track(configuration_.trace_id, id),
                 static_cast<std::uint64_t>(channel.state), channel.generation);
}

// --- Offers --------------------------------------------------------------------------------------

std::optional<OfferId> Server::offer(const Offer& offer) {
  ServerChannel* slot = nullptr;
  for (ServerChannel& channel : channels_) {
    if (channel.state == ServerChannelState::kFree) {
      slot = slot == nullptr ? &channel : slot;
    } else if (is_same_device(channel.offer, offer)) {
      if (channel.state != ServerChannelState::kRevoked) {
        return std::nullopt;
      }
      // The client still holds the id: two offers of one instance would confuse it.
      channel.offer = offer;
      channel.state = ServerChannelState::kReoffered;
      return id_of(channel);
    }
  }
  if (slot == nullptr) {
    return std::nullopt;
  }
  slot->offer = offer;
  slot->state = ServerChannelState::kClientReleased;
  if (state_ == ServerState::kConnected && offers_sent_) {
    send_offer(*slot);
  }
  return id_of(*slot);
}

void Server::send_offer(ServerChannel& channel) {
  INVARIANT(channel.state == ServerChannelState::kClientReleased);
  channel.state = ServerChannelState::kClosed;
  const ChannelId id = channel_id_of(channel);
  OfferChannel message;
  message.interface_type = channel.offer.interface_type;
  message.interface_instance = channel.offer.interface_instance;
  message.flags = channel.offer.flags;
  message.mmio_megabytes = channel.offer.mmio_megabytes;
  message.user_data = channel.offer.user_data;
  message.subchannel_index = channel.offer.subchannel_index;
  message.channel_id = id.value();
  channel.monitor.reset();
  if (channel.offer.monitored && monitor_pages_.there()) {
    channel.monitor = free_monitor();
  }
  message.monitor_id = channel.monitor.value_or(0);
  message.monitor_allocated = channel.monitor ? 1 : 0;
  message.is_dedicated_interrupt = 1;
  message.connection_id = signal_connection(id);
  trace_state(channel, id);
  send(message);
}

std::optional<std::uint8_t> Server::free_monitor() const {
  std::array<bool, kMonitorTriggers> taken{};
  for (const ServerChannel& channel : channels_) {
    if (client_knows(channel) && channel.monitor) {
      taken[*channel.monitor] = true;
    }
  }
  for (std::uint32_t trigger = 0; trigger < kMonitorTriggers; ++trigger) {
    if (!taken[trigger]) {
      return static_cast<std::uint8_t>(trigger);
    }
  }
  return std::nullopt;
}

void Server::remove(ServerChannel& channel) {
  const std::uint32_t generation = channel.generation + 1;
  channel = ServerChannel{};
  channel.generation = generation;
}

bool Server::revoke(OfferId offer) {
  ServerChannel* const channel = find(offer);
  if (channel == nullptr) {
    return false;
  }
  switch (channel->state) {
    case ServerChannelState::kFree:
    case ServerChannelState::kRevoked:
      return false;
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      end_gpadls_of_revoked(*channel);
      remove(*channel);
      finish_reset_when_idle();
      return true;
    case ServerChannelState::kReoffered:
      channel->state = ServerChannelState::kRevoked;
      ++channel->generation;
      return true;
    case ServerChannelState::kOpening:
    case ServerChannelState::kClosingReopen:
    case ServerChannelState::kClosed:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosing:
      break;
  }
  if (channel->outlives_connection) {
    if (channel->state == ServerChannelState::kClosing) {
      send_close_reserved_response(*channel);
    }
    finish_outliving(*channel);
    end_gpadls_of_revoked(*channel);
    remove(*channel);
    return true;
  }
  const ServerChannelState before = channel->state;
  machine::sometimes(kRevokedWhileOpening, before == ServerChannelState::kOpening);
  machine::sometimes(kRevokedWhileClosing, before == ServerChannelState::kClosing);
  channel->state = ServerChannelState::kRevoked;
  ++channel->generation;
  const ChannelId id = channel_id_of(*channel);
  trace_state(*channel, id);
  // Whoever waits for an answer gets it before the channel goes.
  if (before == ServerChannelState::kOpening) {
    send_open_result(*channel, channel->opening, kStatusUnsuccessful);
  } else if (before == ServerChannelState::kClosingReopen) {
    send_open_result(*channel, channel->reopening, kStatusUnsuccessful);
  } else if (before == ServerChannelState::kClosing && channel->reserved) {
    send_close_reserved_response(*channel);
  }
  channel->reserved.reset();
  end_retarget(*channel, true);
  end_gpadls_of_revoked(*channel);
  send(ChannelMessage{{MessageType::kRescindChannelOffer, 0}, id.value()});
  return true;
}

void Server::handle_released(const ChannelMessage& message) {
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  if (channel == nullptr) {
    refuse(static_cast<std::uint32_t>(MessageType::kRelidReleased), message.channel_id);
    return;
  }
  switch (channel->state) {
    case ServerChannelState::kRevoked:
      reset_gpadls_of(*channel);
      remove(*channel);
      return;
    case ServerChannelState::kReoffered:
      reset_gpadls_of(*channel);
      channel->state = ServerChannelState::kClientReleased;
      if (offers_sent_) {
        send_offer(*channel);
      }
      return;
    case ServerChannelState::kClosed:
      channel->state = ServerChannelState::kClientReleased;
      reset_gpadls_of(*channel);
      request_releases(*channel);
      return;
    case ServerChannelState::kClosing:
      channel->state = ServerChannelState::kClosingClientRelease;
      reset_gpadls_of(*channel);
      request_releases(*channel);
      return;
    case ServerChannelState::kOpening:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosingReopen:
    case ServerChannelState::kFree:
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      break;
  }
  refuse(static_cast<std::uint32_t>(MessageType::kRelidReleased), message.channel_id);
}

void Server::reset_channel(ServerChannel& channel) {
  channel.next_target_vp.reset();
  channel.reserved.reset();
  channel.monitor.reset();
  const ServerChannelState before = channel.state;
  switch (before) {
    case ServerChannelState::kFree:
      return;
    case ServerChannelState::kRevoked:
      reset_gpadls_of(channel);
      remove(channel);
      return;
    case ServerChannelState::kReoffered:
      reset_gpadls_of(channel);
      channel.state = ServerChannelState::kClientReleased;
      return;
    case ServerChannelState::kClosed:
      channel.state = ServerChannelState::kClientReleased;
      break;
    case ServerChannelState::kOpening:
      channel.state = ServerChannelState::kOpeningClientRelease;
      break;
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosing:
    case ServerChannelState::kClosingReopen:
      channel.state = ServerChannelState::kClosingClientRelease;
      break;
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      break;
  }
  reset_gpadls_of(channel);
  if (before == ServerChannelState::kOpen) {
    notifier_.close(id_of(channel));
  }
  request_releases(channel);
}

// --- Open ----------------------------------------------------------------------------------------

void Server::handle_open(const OpenChannel& message) {
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  if (channel == nullptr) {
    refuse(static_cast<std::uint32_t>(MessageType::kOpenChannel), message.channel_id);
    return;
  }
  switch (channel->state) {
    case ServerChannelState::kClosing:
      if (channel->reserved) {
        refuse(static_cast<std::uint32_t>(MessageType::kOpenChannel), message.channel_id);
        return;
      }
      break;
    case ServerChannelState::kClosed:
      break;
    case ServerChannelState::kRevoked:
    case ServerChannelState::kReoffered:
      ignore(MessageType::kOpenChannel, message.channel_id);
      return;
    case ServerChannelState::kFree:
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kOpening:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosingReopen:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      refuse(static_cast<std::uint32_t>(MessageType::kOpenChannel), message.channel_id);
      return;
  }
  handle_open_of(*channel, opening_of(message));
}

void Server::handle_open_of(ServerChannel& channel, const ChannelOpening& opening) {
  const Gpadl* const ring = gpadls_.find(opening.channel, opening.ring_gpadl);
  if (ring == nullptr || ring->state != GpadlState::kAccepted ||
      !split_ring(*ring, opening.downstream_page_offset)) {
    send_open_result(channel, opening, kStatusUnsuccessful);
    channel.reserved.reset();
  } else if (channel.state == ServerChannelState::kClosing) {
    machine::sometimes(kReopened, true);
    channel.reopening = opening;
    channel.state = ServerChannelState::kClosingReopen;
  } else {
    start_open(channel, opening);
  }
}

void Server::start_open(ServerChannel& channel, const ChannelOpening& opening) {
  const Gpadl* const ring = gpadls_.find(opening.channel, opening.ring_gpadl);
  INVARIANT(ring != nullptr && ring->state == GpadlState::kAccepted);
  const std::optional<RingPages> rings = split_ring(*ring, opening.downstream_page_offset);
  INVARIANT(rings.has_value());
  channel.opening = opening;
  channel.opening.monitor = channel.monitor;
  channel.state = ServerChannelState::kOpening;
  trace_state(channel, opening.channel);
  notifier_.open(id_of(channel), channel.opening, *rings);
}

void Server::send_open_result(const ServerChannel& channel, const ChannelOpening& opening,
                              std::uint32_t status) {
  OpenChannelResult result;
  result.channel_id = opening.channel.value();
  result.open_id = opening.open_id;
  result.status = status;
  if (channel.reserved) {
    notifier_.send_reserved_message(*channel.reserved, bytes_of(result));
  } else {
    send(result);
  }
}

bool Server::open_complete(OfferId offer, bool success) {
  ServerChannel* const channel = find(offer);
  if (channel == nullptr) {
    return false;
  }
  if (channel->state == ServerChannelState::kOpening) {
    channel->state = success ? ServerChannelState::kOpen : ServerChannelState::kClosed;
    trace_state(*channel, channel_id_of(*channel));
    send_open_result(*channel, channel->opening, success ? kStatusSuccess : kStatusUnsuccessful);
    if (!success) {
      channel->reserved.reset();
    }
    return true;
  }
  if (channel->state != ServerChannelState::kOpeningClientRelease) {
    return false;
  }
  if (success) {
    channel->state = ServerChannelState::kClosingClientRelease;
    notifier_.close(offer);
    return true;
  }
  channel->state = ServerChannelState::kClientReleased;
  request_releases(*channel);
  finish_reset_when_idle();
  return true;
}

// --- Close ---------------------------------------------------------------------------------------

void Server::handle_close(const ChannelMessage& message) {
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  if (channel != nullptr && channel->state == ServerChannelState::kOpen && !channel->reserved) {
    channel->state = ServerChannelState::kClosing;
    trace_state(*channel, channel_id_of(*channel));
    notifier_.close(id_of(*channel));
  } else if (channel != nullptr && (channel->state == ServerChannelState::kRevoked ||
                                    channel->state == ServerChannelState::kReoffered)) {
    ignore(MessageType::kCloseChannel, message.channel_id);
  } else {
    refuse(static_cast<std::uint32_t>(MessageType::kCloseChannel), message.channel_id);
  }
}

bool Server::close_complete(OfferId offer) {
  ServerChannel* const channel = find(offer);
  if (channel == nullptr) {
    return false;
  }
  const ServerChannelState before = channel->state;
  if (before != ServerChannelState::kClosing && before != ServerChannelState::kClosingReopen &&
      before != ServerChannelState::kClosingClientRelease) {
    return false;
  }
  const bool client_is_there = before != ServerChannelState::kClosingClientRelease;
  channel->state =
      client_is_there ? ServerChannelState::kClosed : ServerChannelState::kClientReleased;
  trace_state(*channel, channel_id_of(*channel));
  end_retarget(*channel, client_is_there && !channel->outlives_connection);
  if (channel->reserved) {
    send_close_reserved_response(*channel);
    channel->reserved.reset();
  }
  const bool outlived = channel->outlives_connection;
  if (outlived) {
    finish_outliving(*channel);
  }
  if (before == ServerChannelState::kClosingReopen) {
    start_open(*channel, channel->reopening);
  }
  request_releases(*channel);
  if (outlived && state_ == ServerState::kConnected && offers_sent_) {
    send_offer(*channel);
  }
  finish_reset_when_idle();
  return true;
}

// --- Retarget ------------------------------------------------------------------------------------

void Server::end_retarget(ServerChannel& channel, bool answer) {
  const bool waiting = channel.retargeting;
  channel.retargeting = false;
  channel.next_target_vp.reset();
  if (waiting && answer) {
    send_modify_response(channel_id_of(channel), kStatusUnsuccessful);
  }
}

void Server::start_retarget(ServerChannel& channel, std::uint32_t target_vp) {
  channel.retargeting = true;
  channel.retarget_vp = target_vp;
  notifier_.retarget(id_of(channel), target_vp);
}

void Server::handle_modify(const ModifyChannel& message) {
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  if (!has_modify_channel(version_) || channel == nullptr) {
    refuse(static_cast<std::uint32_t>(MessageType::kModifyChannel), message.channel_id);
    send_modify_response(ChannelId(message.channel_id), kStatusUnsuccessful);
    return;
  }
  const bool movable = channel->state == ServerChannelState::kOpen &&
                       channel->opening.target_vp != kNoTargetVp &&
                       message.target_vp != kNoTargetVp;
  if (movable && !channel->retargeting) {
    start_retarget(*channel, message.target_vp);
  } else if (movable && !has_modify_response(version_)) {
    channel->next_target_vp = message.target_vp;
  } else if (channel->state == ServerChannelState::kRevoked ||
             channel->state == ServerChannelState::kReoffered) {
    // It crossed the rescind.
    ignore(MessageType::kModifyChannel, message.channel_id);
    send_modify_response(ChannelId(message.channel_id), kStatusUnsuccessful);
  } else {
    refuse(static_cast<std::uint32_t>(MessageType::kModifyChannel), message.channel_id);
    send_modify_response(ChannelId(message.channel_id), kStatusUnsuccessful);
  }
}

void Server::send_modify_response(ChannelId channel, std::uint32_t status) {
  if (has_modify_response(version_)) {
    ModifyChannelResponse response;
    response.channel_id = channel.value();
    response.status = status;
    send(response);
  }
}

bool Server::retarget_complete(OfferId offer, bool success) {
  ServerChannel* const channel = find(offer);
  if (channel == nullptr || !channel->retargeting) {
    return false;
  }
  channel->retargeting = false;
  if (success) {
    channel->opening.target_vp = channel->retarget_vp;
  }
  if (state_ != ServerState::kConnected || channel->outlives_connection) {
    return true;
  }
  send_modify_response(channel_id_of(*channel), success ? kStatusSuccess : kStatusUnsuccessful);
  if (channel->next_target_vp && channel->state == ServerChannelState::kOpen) {
    const std::uint32_t target_vp = *channel->next_target_vp;
    channel->next_target_vp.reset();
    start_retarget(*channel, target_vp);
  }
  return true;
}

}  // namespace vmbus
