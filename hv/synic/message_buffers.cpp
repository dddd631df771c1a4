#include "hv/synic/message_buffers.h"

#include "hv/tlfs/ports.h"

#include "machine/invariant.h"

namespace hv {

std::uint64_t MessageBuffers::pages_for(std::uint32_t ports) {
  constexpr std::uint64_t kPerPage = RecordPages<MessageBuffer>::kRecordsPerPage;
  return (std::uint64_t{ports} * kPortMessageBuffers + kPerPage - 1) / kPerPage;
}

bool MessageBuffers::promise_port() {
  const std::uint64_t wanted = pages_for(ports_ + 1);
  if (wanted > pages_ + pool_->available()) {
    return false;
  }
  for (; pages_ < wanted; ++pages_) {
    set_aside_.deposit(*pool_->take());
  }
  ++ports_;
  return true;
}

void MessageBuffers::forget_port() {
  INVARIANT(ports_ > 0);
  --ports_;
  trim();
}

/// Pages with buffers stay until the last port goes: which are free of them nobody knows.
void MessageBuffers::trim() {
  if (ports_ == 0) {
    buffers_.destroy();
  }
  while (pages_ > pages_for(ports_) && set_aside_.available() != 0) {
    pool_->give(*set_aside_.withdraw());
    --pages_;
  }
}

MessageBuffer& MessageBuffers::take() {
  INVARIANT(buffers_.has_room());
  return buffers_.make();
}

}  // namespace hv
