// A stream that the root asks a service of a child for, and a talk through it to its end.
#pragma once

#include "partitions/kernel/random.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/streams/stream_end.h"

namespace root {

/// What became of a call. It outlives the device.
struct CallOutcome {
  /// The child opened it.
  bool taken = false;
  /// Everything came back, and both ends have said that they send nothing more.
  bool talked_to_its_end = false;
  /// The channel is no more, nor is the device.
  kernel::Event gone;
};

class StreamCall final : public StreamEnd {
 public:
  /// Sends so many messages, drawn, and looks that each comes back before it sends the next.
  StreamCall(kernel::Kernel& kernel, std::uint32_t port, std::uint32_t messages,
             kernel::Random& random, CallOutcome& outcome);
  [[nodiscard]] vmbus::Offer offer() const override;
  void destroy() override;

 private:
  void opened() override;
  void came(std::size_t size_bytes) override;
  void sent(std::size_t) override {}
  void put_next();
  [[nodiscard]] bool is_what_was_sent(std::size_t size_bytes);

  CallOutcome& outcome_;
  kernel::Random random_;
  /// Draws what was sent last once more.
  kernel::Random again_;
  std::uint32_t messages_left_;
  std::size_t size_bytes_ = 0;
};

}  // namespace root
