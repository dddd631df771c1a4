// The server's reserved channels: such as stay open when the connection in which they were opened
// ends, so that a kernel after a crash can write through the one that its predecessor opened. Their
// opener says where it wants its answers, and closes them whether it is connected or not.
#include "machine/invariant.h"
#include "vmbus/server/server.h"

namespace vmbus {

namespace {

/// An opener or closer that names no place is not there to be answered.
bool can_be_answered(const ReservedTarget& target) {
  return target.target_vp != kNoTargetVp && target.target_sint != 0 && target.target_sint < kSints;
}

}  // namespace

void Server::handle_open_reserved(const OpenReservedChannel& message) {
  ServerChannel* const channel = find(ChannelId(message.channel_id));
  const ReservedTarget target{message.target_vp, message.target_sint};
  if (!has_reserved_channels(version_) || channel == nullptr || !can_be_answered(target)) {
    refuse(static_cast<std::uint32_t>(MessageType::kOpenReservedChannel), message.channel_id);
    return;
  }
  if (channel->state == ServerChannelState::kRevoked ||
      channel->state == ServerChannelState::kReoffered) {
    ignore(MessageType::kOpenReservedChannel, message.channel_id);
    return;
  }
  if (channel->state != ServerChannelState::kClosed) {
    refuse(static_cast<std::uint32_t>(MessageType::kOpenReservedChannel), message.channel_id);
    return;
  }
  channel->reserved = target;
  ChannelOpening opening;
  opening.channel = ChannelId(message.channel_id);
  opening.ring_gpadl = GpadlId(message.ring_gpadl_id);
  opening.downstream_page_offset = message.downstream_page_offset;
  opening.target_vp = message.target_vp;
  handle_open_of(*channel, opening);
}

void Server::handle_close_reserved(const CloseReservedChannel& message) {
  const std::uint32_t id = message.channel_id;
  ServerChannel* const channel = id == 0 || id > channels_.size() ? nullptr : &channels_[id - 1];
  if (channel != nullptr && (channel->state == ServerChannelState::kRevoked ||
                             channel->state == ServerChannelState::kReoffered)) {
    ignore(MessageType::kCloseReservedChannel, id);  // It crossed the rescind.
    return;
  }
  const ReservedTarget target{message.target_vp, message.target_sint};
  if (channel == nullptr || !channel->reserved || channel->state != ServerChannelState::kOpen ||
      !can_be_answered(target)) {
    refuse(static_cast<std::uint32_t>(MessageType::kCloseReservedChannel), id);
    return;
  }
  channel->reserved = target;
  channel->state = ServerChannelState::kClosing;
  trace_state(*channel, ChannelId(id));
  notifier_.close(id_of(*channel));
}

void Server::send_close_reserved_response(ServerChannel& channel) {
  INVARIANT(channel.reserved.has_value());
  const ChannelMessage response{{MessageType::kCloseReservedResponse, 0},
                                channel_id_of(channel).value()};
  notifier_.send_reserved_message(*channel.reserved, bytes_of(response));
}

bool Server::outlives_reset(ServerChannel& channel) {
  const bool stays =
      channel.reserved.has_value() &&
      (channel.state == ServerChannelState::kOpen || channel.state == ServerChannelState::kClosing);
  if (stays) {
    end_retarget(channel, false);
    channel.monitor.reset();
    channel.outlives_connection = true;
    reset_gpadls_of(channel);
    request_releases(channel);
  }
  return stays;
}

/// The channel has closed, or its device is gone: from here on it is as any that no client knows.
void Server::finish_outliving(ServerChannel& channel) {
  channel.outlives_connection = false;
  channel.reserved.reset();
  channel.state = ServerChannelState::kClientReleased;
  reset_gpadls_of(channel);
}

/// The partition itself was reset: nobody is left who could close them.
void Server::close_outliving_channels() {
  bool any = false;
  resetting_ = true;
  for (ServerChannel& channel : channels_) {
    if (!channel.outlives_connection) {
      continue;
    }
    any = true;
    const bool was_open = channel.state == ServerChannelState::kOpen;
    channel.outlives_connection = false;
    channel.reserved.reset();
    channel.state = ServerChannelState::kClosingClientRelease;
    reset_gpadls_of(channel);
    if (was_open) {
      notifier_.close(id_of(channel));
    }
  }
  resetting_ = false;
  if (any && state_ == ServerState::kDisconnected) {
    state_ = ServerState::kDisconnecting;
  }
  finish_reset_when_idle();
}

}  // namespace vmbus
