// The client's channels and GPADLs.
#include "machine/invariant.h"
#include "machine/testing.h"
#include "vmbus/client/client.h"
#include "vmbus/gpadl_messages.h"

namespace vmbus {

namespace {

constexpr machine::Site kRescindDuringOpen("vmbus.client.rescind_raced_an_open");
constexpr machine::Site kRescindDuringGpadl("vmbus.client.rescind_raced_a_gpadl");

}  // namespace

ClientChannel* Client::find(ChannelId id) {
  for (ClientChannel& channel : channels_) {
    if (channel.state != ClientChannelState::kFree && channel.id == id) {
      return &channel;
    }
  }
  return nullptr;
}

ClientGpadl* Client::find(GpadlId id) {
  for (ClientGpadl& gpadl : gpadls_) {
    if (gpadl.state != ClientGpadlState::kFree && gpadl.id == id) {
      return &gpadl;
    }
  }
  return nullptr;
}

ClientChannelState Client::channel_state(ChannelId id) const {
  for (const ClientChannel& channel : channels_) {
    if (channel.state != ClientChannelState::kFree && channel.id == id) {
      return channel.state;
    }
  }
  return ClientChannelState::kFree;
}

std::size_t Client::gpadl_count() const {
  std::size_t used = 0;
  for (const ClientGpadl& gpadl : gpadls_) {
    used += gpadl.state != ClientGpadlState::kFree ? 1u : 0u;
  }
  return used;
}

// --- Offers --------------------------------------------------------------------------------------

void Client::handle_offer(const OfferChannel& message) {
  const ChannelId id(message.channel_id);
  const bool id_is_valid = id.value() != 0 && id.value() <= kMaxChannelId;
  if (offers_ == OffersState::kNotRequested || !id_is_valid || find(id) != nullptr) {
    refuse(static_cast<std::uint32_t>(MessageType::kOfferChannel), message.channel_id);
    return;
  }
  for (ClientChannel& channel : channels_) {
    if (channel.state == ClientChannelState::kFree) {
      channel.state = ClientChannelState::kOffered;
      channel.id = id;
      notifier_.offered(id, message);
      return;
    }
  }
  // No slot: the device stays unused, and the server keeps the id for it.
  refuse(static_cast<std::uint32_t>(MessageType::kOfferChannel), message.channel_id);
}

void Client::handle_rescind(const ChannelMessage& message) {
  const ChannelId id(message.channel_id);
  ClientChannel* const channel = find(id);
  if (channel == nullptr || channel->state == ClientChannelState::kRescinded) {
    refuse(static_cast<std::uint32_t>(MessageType::kRescindChannelOffer), message.channel_id);
    return;
  }
  const ClientChannelState before = channel->state;
  const bool modifying = channel->modifying;
  const bool closing_reserved = channel->closing_reserved;
  channel->state = ClientChannelState::kRescinded;
  channel->modifying = false;
  channel->closing_reserved = false;
  machine::sometimes(kRescindDuringOpen, before == ClientChannelState::kOpening);
  if (before == ClientChannelState::kOpening) {
    notifier_.opened(id, false);
  }
  if (modifying) {
    notifier_.modified(id, false);
  }
  if (closing_reserved) {
    notifier_.reserved_closed(id);
  }
  answer_gpadl_waiters(id);
  notifier_.rescinded(id);
}

void Client::answer_gpadl_waiters(ChannelId channel) {
  for (ClientGpadl& gpadl : gpadls_) {
    const ClientGpadl waiting = gpadl;
    if (waiting.channel != channel || waiting.state == ClientGpadlState::kFree ||
        waiting.state == ClientGpadlState::kCreated) {
      continue;
    }
    machine::sometimes(kRescindDuringGpadl, true);
    gpadl = ClientGpadl{};
    if (waiting.state == ClientGpadlState::kCreating) {
      notifier_.gpadl_created(waiting.id, false);
    } else {
      notifier_.gpadl_torndown(waiting.id);
    }
  }
}

ClientStatus Client::release_channel(ChannelId id) {
  ClientChannel* const channel = find(id);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (state_ != ClientState::kConnected || channel->state != ClientChannelState::kRescinded) {
    return ClientStatus::kWrongState;
  }
  for (const ClientGpadl& gpadl : gpadls_) {
    if (gpadl.state != ClientGpadlState::kFree && gpadl.channel == id) {
      return ClientStatus::kWrongState;
    }
  }
  *channel = ClientChannel{};
  send(ChannelMessage{{MessageType::kRelidReleased, 0}, id.value()});
  return ClientStatus::kDone;
}

// --- Open and close ------------------------------------------------------------------------------

ClientStatus Client::may_open(ChannelId id, GpadlId ring_gpadl) {
  const ClientChannel* const channel = find(id);
  const ClientGpadl* const ring = find(ring_gpadl);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    return ClientStatus::kRescinded;
  }
  if (ring == nullptr || ring->channel != id) {
    return ClientStatus::kUnknown;
  }
  if (state_ != ClientState::kConnected || channel->state != ClientChannelState::kOffered ||
      ring->state != ClientGpadlState::kCreated) {
    return ClientStatus::kWrongState;
  }
  return ClientStatus::kDone;
}

ClientStatus Client::open(ChannelId id, const OpenParameters& parameters) {
  const ClientStatus may = may_open(id, parameters.ring_gpadl);
  if (may != ClientStatus::kDone) {
    return may;
  }
  ClientChannel* const channel = find(id);
  channel->state = ClientChannelState::kOpening;
  channel->ring = parameters.ring_gpadl;
  OpenChannel message;
  message.channel_id = id.value();
  message.open_id = id.value();
  message.ring_gpadl_id = parameters.ring_gpadl.value();
  message.target_vp = parameters.target_vp;
  message.downstream_page_offset = parameters.downstream_page_offset;
  message.user_data = parameters.user_data;
  send(message);
  return ClientStatus::kDone;
}

void Client::handle_open_result(const OpenChannelResult& message) {
  const ChannelId id(message.channel_id);
  ClientChannel* const channel = find(id);
  if (channel == nullptr || channel->state == ClientChannelState::kRescinded) {
    // It crossed the rescind, which has answered already.
    ignore(MessageType::kOpenChannelResult, message.channel_id);
    return;
  }
  // The message that opens a reserved channel has no place for an id of the open.
  const std::uint32_t open_id = channel->reserved ? 0 : id.value();
  if (channel->state != ClientChannelState::kOpening || message.open_id != open_id) {
    refuse(static_cast<std::uint32_t>(MessageType::kOpenChannelResult), message.channel_id);
    return;
  }
  const bool success = message.status == kStatusSuccess;
  channel->state = success ? ClientChannelState::kOpen : ClientChannelState::kOffered;
  channel->reserved = channel->reserved && success;
  notifier_.opened(id, success);
}

ClientStatus Client::close(ChannelId id) {
  ClientChannel* const channel = find(id);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    return ClientStatus::kRescinded;
  }
  if (state_ != ClientState::kConnected || channel->state != ClientChannelState::kOpen ||
      channel->reserved) {
    return ClientStatus::kWrongState;
  }
  channel->state = ClientChannelState::kOffered;
  send(ChannelMessage{{MessageType::kCloseChannel, 0}, id.value()});
  return ClientStatus::kDone;
}

ClientStatus Client::modify(ChannelId id, std::uint32_t target_vp) {
  ClientChannel* const channel = find(id);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    return ClientStatus::kRescinded;
  }
  if (!has_modify_channel(version_)) {
    return ClientStatus::kNotSupported;
  }
  if (state_ != ClientState::kConnected || channel->state != ClientChannelState::kOpen ||
      channel->modifying) {
    return ClientStatus::kWrongState;
  }
  channel->modifying = has_modify_response(version_);
  ModifyChannel message;
  message.channel_id = id.value();
  message.target_vp = target_vp;
  send(message);
  return ClientStatus::kDone;
}

void Client::handle_modify_response(const ModifyChannelResponse& message) {
  const ChannelId id(message.channel_id);
  ClientChannel* const channel = find(id);
  if (channel == nullptr || channel->state == ClientChannelState::kRescinded) {
    ignore(MessageType::kModifyChannelResponse, message.channel_id);
    return;
  }
  if (!channel->modifying) {
    refuse(static_cast<std::uint32_t>(MessageType::kModifyChannelResponse), message.channel_id);
    return;
  }
  channel->modifying = false;
  notifier_.modified(id, message.status == kStatusSuccess);
}

// --- GPADLs --------------------------------------------------------------------------------------

ClientStatus Client::create_gpadl(ChannelId id, std::span<const machine::Gpn> pages,
                                  GpadlId& gpadl) {
  const ClientChannel* const channel = find(id);
  if (channel == nullptr) {
    return ClientStatus::kUnknown;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    return ClientStatus::kRescinded;
  }
  if (state_ != ClientState::kConnected) {
    return ClientStatus::kWrongState;
  }
  for (ClientGpadl& slot : gpadls_) {
    if (slot.state != ClientGpadlState::kFree) {
      continue;
    }
    slot.state = ClientGpadlState::kCreating;
    slot.id = GpadlId(next_gpadl_id_);
    slot.channel = id;
    ++next_gpadl_id_;
    gpadl = slot.id;
    GpadlMessages messages(id, gpadl, pages);
    for (auto message = messages.next(); !message.empty(); message = messages.next()) {
      notifier_.send_message(connection_id_, message);
    }
    return ClientStatus::kDone;
  }
  return ClientStatus::kNoRoom;
}

void Client::handle_gpadl_created(const GpadlCreated& message) {
  const GpadlId id(message.gpadl_id);
  ClientGpadl* const gpadl = find(id);
  if (gpadl == nullptr) {
    ignore(MessageType::kGpadlCreated, message.gpadl_id);
    return;
  }
  if (gpadl->state != ClientGpadlState::kCreating ||
      gpadl->channel != ChannelId(message.channel_id)) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlCreated), message.gpadl_id);
    return;
  }
  const bool success = message.status == kStatusSuccess;
  if (success) {
    gpadl->state = ClientGpadlState::kCreated;
  } else {
    *gpadl = ClientGpadl{};
  }
  notifier_.gpadl_created(id, success);
}

ClientStatus Client::teardown_gpadl(GpadlId id) {
  ClientGpadl* const gpadl = find(id);
  if (gpadl == nullptr) {
    return ClientStatus::kUnknown;
  }
  const ClientChannel* const channel = find(gpadl->channel);
  INVARIANT(channel != nullptr);
  const bool opened =
      channel->state == ClientChannelState::kOpening || channel->state == ClientChannelState::kOpen;
  if (state_ != ClientState::kConnected || gpadl->state != ClientGpadlState::kCreated ||
      (opened && channel->ring == id)) {
    return ClientStatus::kWrongState;
  }
  if (channel->state == ClientChannelState::kRescinded) {
    // The server let go of everything before it rescinded.
    *gpadl = ClientGpadl{};
    notifier_.gpadl_torndown(id);
    return ClientStatus::kDone;
  }
  gpadl->state = ClientGpadlState::kTearingDown;
  GpadlTeardown message;
  message.channel_id = channel->id.value();
  message.gpadl_id = id.value();
  send(message);
  return ClientStatus::kDone;
}

void Client::handle_gpadl_torndown(const GpadlTorndown& message) {
  const GpadlId id(message.gpadl_id);
  ClientGpadl* const gpadl = find(id);
  if (gpadl == nullptr) {
    ignore(MessageType::kGpadlTorndown, message.gpadl_id);
    return;
  }
  if (gpadl->state != ClientGpadlState::kTearingDown) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlTorndown), message.gpadl_id);
    return;
  }
  *gpadl = ClientGpadl{};
  notifier_.gpadl_torndown(id);
}

}  // namespace vmbus
