#include "partitions/root/streams/stream_device.h"

#include "machine/testing.h"

namespace root {

namespace {

constexpr machine::Site kEndedByRoot("root.stream.ended_by_the_root");

}  // namespace

bool is_stream_service(const vmbus::Guid& service) {
  return vmbus::is_port(service) &&
         (service.data1 == vmbus::kEchoPort || service.data1 == vmbus::kShortEchoPort);
}

/// What there was to send has been sent: the end of the other's data, or of ours, ends it.
void StreamDevice::sent(std::size_t size_bytes) {
  const bool was_end = size_bytes == 0;
  if (service_.data1 == vmbus::kShortEchoPort) {
    if (!was_end) {
      put(0);
      return;
    }
    machine::sometimes(kEndedByRoot, true);
    end_channel();
  }
  if (was_end) {
    finish();
  }
}

}  // namespace root
