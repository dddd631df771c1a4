// The server's use of its GPADL table: what the client lends, and when it gets it back.
#include "machine/invariant.h"
#include "vmbus/server/server.h"

namespace vmbus {

namespace {

bool is_gone(const ServerChannel& channel) {
  return channel.state == ServerChannelState::kRevoked ||
         channel.state == ServerChannelState::kReoffered;
}

/// Whether the client may not have this ring back. While a close is under way it may: the ring then
/// follows the close.
bool ring_is_in_use(const ServerChannel& channel, const Gpadl& gpadl) {
  const bool opened =
      channel.state == ServerChannelState::kOpening || channel.state == ServerChannelState::kOpen;
  const bool reopened = channel.state == ServerChannelState::kClosingReopen;
  return (opened && gpadl.id == channel.opening.ring_gpadl) ||
         (reopened && gpadl.id == channel.reopening.ring_gpadl);
}

}  // namespace

void Server::handle_gpadl_header(std::span<const std::byte> message) {
  const std::optional<GpadlHeader> header = read_object<GpadlHeader>(message);
  if (!header) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlHeader), message.size());
    return;
  }
  const ChannelId id(header->channel_id);
  const ServerChannel* const channel = find(id);
  // A reserved channel has its ring and needs no more; what it were lent would outlive a
  // connection.
  if (channel == nullptr || is_gone(*channel) || channel->reserved) {
    ignore(MessageType::kGpadlHeader, header->channel_id);
    send_gpadl_created(id, GpadlId(header->gpadl_id), kStatusUnsuccessful);
    return;
  }
  take_gpadl_step(gpadls_.begin(*header, message.subspan(sizeof(GpadlHeader))));
}

void Server::handle_gpadl_body(std::span<const std::byte> message) {
  const std::optional<GpadlBody> body = read_object<GpadlBody>(message);
  if (!body) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlBody), message.size());
    return;
  }
  take_gpadl_step(gpadls_.add_body(GpadlId(body->gpadl_id), message.subspan(sizeof(GpadlBody))));
}

void Server::take_gpadl_step(const GpadlStep& step) {
  switch (step.progress) {
    case GpadlProgress::kInProgress:
      return;
    case GpadlProgress::kUnknown:
      // The tail of one that failed, or no GPADL at all: the channel is not known here, so there is
      // nobody to answer.
      ignore(MessageType::kGpadlBody, step.id.value());
      return;
    case GpadlProgress::kFailed:
      refuse(static_cast<std::uint32_t>(MessageType::kGpadlHeader), step.id.value());
      send_gpadl_created(step.channel, step.id, kStatusUnsuccessful);
      return;
    case GpadlProgress::kComplete:
      break;
  }
  const ServerChannel* const channel = find(step.channel);
  const Gpadl* const gpadl = gpadls_.find(step.channel, step.id);
  INVARIANT(channel != nullptr && gpadl != nullptr);
  notifier_.gpadl(id_of(*channel), *gpadl);
}

bool Server::gpadl_complete(OfferId offer, GpadlId id, bool success) {
  ServerChannel* const channel = find(offer);
  Gpadl* const gpadl = channel == nullptr ? nullptr : gpadls_.find(channel_id_of(*channel), id);
  if (gpadl == nullptr) {
    return false;
  }
  if (gpadl->state == GpadlState::kOffered) {
    if (success) {
      gpadl->state = GpadlState::kAccepted;
    } else {
      gpadls_.forget(*gpadl);
    }
    send_gpadl_created(channel_id_of(*channel), id, success ? kStatusSuccess : kStatusUnsuccessful);
    return true;
  }
  if (gpadl->state != GpadlState::kOfferedTearingDown) {
    return false;
  }
  if (success) {
    gpadl->state = GpadlState::kTearingDown;
    request_releases(*channel);
  } else {
    gpadls_.forget(*gpadl);
    finish_reset_when_idle();
  }
  return true;
}

bool Server::ring_is_needed(const ServerChannel& channel, const Gpadl& gpadl) const {
  switch (channel.state) {
    case ServerChannelState::kOpening:
    case ServerChannelState::kOpen:
    case ServerChannelState::kClosing:
    case ServerChannelState::kOpeningClientRelease:
    case ServerChannelState::kClosingClientRelease:
      return gpadl.id == channel.opening.ring_gpadl;
    case ServerChannelState::kClosingReopen:
      return gpadl.id == channel.opening.ring_gpadl || gpadl.id == channel.reopening.ring_gpadl;
    case ServerChannelState::kFree:
    case ServerChannelState::kClientReleased:
    case ServerChannelState::kClosed:
    case ServerChannelState::kRevoked:
    case ServerChannelState::kReoffered:
      break;
  }
  return false;
}

void Server::handle_gpadl_teardown(const GpadlTeardown& message) {
  const GpadlId id(message.gpadl_id);
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  if (channel == nullptr) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlTeardown), message.channel_id);
    return;
  }
  Gpadl* const gpadl = gpadls_.find(ChannelId(message.channel_id), id);
  if (is_gone(*channel)) {
    if (gpadl != nullptr) {
      gpadls_.forget(*gpadl);
    }
    send_gpadl_torndown(id);
    return;
  }
  const bool in_use = gpadl != nullptr && ring_is_in_use(*channel, *gpadl);
  if (gpadl == nullptr || gpadl->state != GpadlState::kAccepted || in_use) {
    refuse(static_cast<std::uint32_t>(MessageType::kGpadlTeardown), message.gpadl_id);
    return;
  }
  gpadl->state = GpadlState::kTearingDown;
  gpadl->answer_wanted = true;
  request_releases(*channel);
}

void Server::request_releases(ServerChannel& channel) {
  const ChannelId id = channel_id_of(channel);
  for (Gpadl& gpadl : gpadls_.entries()) {
    if (gpadl.state == GpadlState::kTearingDown && gpadl.channel == id &&
        !gpadl.release_requested && !ring_is_needed(channel, gpadl)) {
      gpadl.release_requested = true;
      notifier_.gpadl_release(id_of(channel), gpadl.id);
    }
  }
}

bool Server::gpadl_release_complete(OfferId offer, GpadlId id) {
  ServerChannel* const channel = find(offer);
  Gpadl* const gpadl = channel == nullptr ? nullptr : gpadls_.find(channel_id_of(*channel), id);
  if (gpadl == nullptr || gpadl->state != GpadlState::kTearingDown || !gpadl->release_requested) {
    return false;
  }
  const bool answer = gpadl->answer_wanted;
  gpadls_.forget(*gpadl);
  if (answer) {
    send_gpadl_torndown(id);
  }
  finish_reset_when_idle();
  return true;
}

/// The client has let the channel's id go: what it lent is given back without a word.
void Server::reset_gpadls_of(ServerChannel& channel) {
  const bool device_is_gone = is_gone(channel);
  const ChannelId id = channel_id_of(channel);
  for (Gpadl& gpadl : gpadls_.entries()) {
    if (gpadl.state == GpadlState::kFree || gpadl.channel != id) {
      continue;
    }
    gpadl.answer_wanted = false;
    if (channel.outlives_connection && gpadl.state == GpadlState::kAccepted &&
        gpadl.id == channel.opening.ring_gpadl) {
      continue;
    }
    if (device_is_gone || gpadl.state == GpadlState::kInProgress) {
      gpadls_.forget(gpadl);
    } else if (gpadl.state == GpadlState::kOffered) {
      gpadl.state = GpadlState::kOfferedTearingDown;
    } else if (gpadl.state == GpadlState::kAccepted) {
      gpadl.state = GpadlState::kTearingDown;
    }
  }
}

/// The device is gone and has let everything go: whoever waits is answered. What the client still
/// believes to have lent is kept until it asks for it.
void Server::end_gpadls_of_revoked(ServerChannel& channel) {
  const bool client_is_there = is_gone(channel);
  const ChannelId id = channel_id_of(channel);
  for (Gpadl& gpadl : gpadls_.entries()) {
    if (gpadl.state == GpadlState::kFree || gpadl.channel != id) {
      continue;
    }
    const Gpadl ended = gpadl;
    if (ended.state == GpadlState::kAccepted && client_is_there) {
      continue;
    }
    gpadls_.forget(gpadl);
    if (!client_is_there) {
      continue;
    }
    if (ended.state == GpadlState::kInProgress || ended.state == GpadlState::kOffered) {
      send_gpadl_created(id, ended.id, kStatusUnsuccessful);
    } else if (ended.answer_wanted) {
      send_gpadl_torndown(ended.id);
    }
  }
}

void Server::send_gpadl_created(ChannelId channel, GpadlId id, std::uint32_t status) {
  GpadlCreated created;
  created.channel_id = channel.value();
  created.gpadl_id = id.value();
  created.status = status;
  send(created);
}

void Server::send_gpadl_torndown(GpadlId id) {
  GpadlTorndown torndown;
  torndown.gpadl_id = id.value();
  send(torndown);
}

}  // namespace vmbus
