#include "partitions/root/bus/message_port.h"

namespace root {

bool MessagePort::lead_to(const MessageTarget& target) {
  if (target_ == target) {
    return true;
  }
  close();
  const hv::PortInfo info = hv::PortInfo::message(target.sint, hv::VpIndex(target.vp));
  if (ports_.open_in_child(hv::PortId(use_), info, use_) != hv::Status::kSuccess) {
    return false;
  }
  target_ = target;
  return true;
}

void MessagePort::close() {
  if (target_) {
    ports_.close_in_child(hv::PortId(use_), use_);
    target_.reset();
  }
}

}  // namespace root
