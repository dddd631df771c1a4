// What later versions brought to the connection: streams to services (hv_sock), and from 6.0 on
// other monitor pages and pauses, where both ends know them.
#include "vmbus/server/server.h"

namespace vmbus {

bool Server::has_feature(std::uint32_t feature) const { return (features_ & feature) != 0; }

// --- Streams -------------------------------------------------------------------------------------

void Server::handle_tl_connect(std::span<const std::byte> message) {
  const std::optional<TlConnectRequest> request = read_object<TlConnectRequest>(message);
  if (!has_tl_connect(version_) || !request) {
    refuse(static_cast<std::uint32_t>(MessageType::kTlConnectRequest), message.size());
    return;
  }
  TlConnect connect{request->endpoint, request->service, Guid()};
  if (has_silo_id(version_)) {
    connect.silo = read_object<Guid>(message, kSiloIdOffset).value_or(Guid());
  }
  notifier_.tl_connect(connect);
}

bool Server::refuse_tl_connect(const Guid& endpoint, const Guid& service, std::uint32_t status) {
  if (state_ != ServerState::kConnected || !has_tl_connect_result(version_)) {
    return false;
  }
  TlConnectResult result;
  result.endpoint = endpoint;
  result.service = service;
  result.status = status;
  send(result);
  return true;
}

// --- Features of 6.0 -----------------------------------------------------------------------------

void Server::handle_modify_connection(const ModifyConnection& message) {
  if (!has_feature(kFeatureModifyConnection)) {
    refuse(static_cast<std::uint32_t>(MessageType::kModifyConnection), features_);
    return;
  }
  const MonitorPages pages{message.parent_to_child_monitor_gpa,
                           message.child_to_parent_monitor_gpa};
  const bool changed = pages.valid() && notifier_.change_monitor_pages(pages);
  if (changed) {
    monitor_pages_ = pages;
  }
  ModifyConnectionResponse response;
  response.connection_state = changed ? ContactState::kSuccessful : ContactState::kUnknownFailure;
  notifier_.send_message(target_vp_, bytes_of(response).first(kModifyConnectionResponseSize));
}

void Server::handle_pause() {
  if (!has_feature(kFeaturePauseResume) || paused_) {
    refuse(static_cast<std::uint32_t>(MessageType::kPause), features_);
    return;
  }
  paused_ = true;
  send(EmptyMessage{{MessageType::kPauseResponse, 0}});
  notifier_.hold_messages(true);
}

void Server::handle_resume() {
  if (!paused_) {
    refuse(static_cast<std::uint32_t>(MessageType::kResume), features_);
    return;
  }
  end_pause();
}

void Server::end_pause() {
  if (paused_) {
    paused_ = false;
    notifier_.hold_messages(false);
  }
}

}  // namespace vmbus
