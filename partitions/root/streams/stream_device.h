// A service of the root: it sends back what comes.
#pragma once

#include "partitions/root/streams/stream_end.h"

namespace root {

/// Whether somebody listens there.
[[nodiscard]] bool is_stream_service(const vmbus::Guid& service);

class StreamDevice final : public StreamEnd {
 public:
  using StreamEnd::StreamEnd;
  void destroy() override { heap().destroy(this); }

 private:
  void came(std::size_t size_bytes) override { put(size_bytes); }
  void sent(std::size_t size_bytes) override;
};

}  // namespace root
