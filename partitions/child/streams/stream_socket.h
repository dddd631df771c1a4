// The child's end of a stream: to a service of the root, or one that the root has called.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "partitions/child/bus/bus_driver.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "vmbus/ring.h"
#include "vmbus/stream/stream_protocol.h"

namespace child {

class StreamSocket final : private ChannelDriver {
 public:
  static constexpr std::size_t kRingPages = 3;
  static constexpr std::size_t kMostBytes = vmbus::kMostServiceBytes;

  /// `port` is our own; no other stream has it at the same time.
  StreamSocket(kernel::Kernel& kernel, BusDriver& bus, std::uint32_t port)
      : kernel_(kernel), bus_(bus), endpoint_(vmbus::guid_of_port(port)) {}
  /// The stream that the root has called a service for.
  StreamSocket(kernel::Kernel& kernel, BusDriver& bus, OfferedDevice& call)
      : kernel_(kernel), bus_(bus), endpoint_(call.instance), device_(&call) {}

  /// Takes the call. False: the root has taken it back. Whatever comes of it, close() follows.
  kernel::Task<bool> accept();
  /// False: nobody takes the stream. Whatever comes of it, close() follows.
  kernel::Task<bool> connect(std::uint32_t service_port);
  /// Sends up to kMostBytes; nothing says that nothing more will come. False: the stream has ended.
  kernel::Task<bool> send(std::span<const std::byte> data);
  /// How many bytes came, in one packet; 0: the other end sends nothing more. Nothing: the stream
  /// has ended.
  kernel::Task<std::optional<std::size_t>> receive(std::span<std::byte> data);
  /// Closes it, and waits until the root has taken the channel away.
  kernel::Task<> close();

  /// The root took it away before it was closed.
  [[nodiscard]] bool ended_by_root() const { return ended_; }

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;
  struct Rings {
    explicit Rings(std::span<const machine::Gpn> pages);
    Reader incoming;
    Writer outgoing;
  };

  void signalled() override { something_to_do_.give(); }
  void rescinded() override;
  [[nodiscard]] bool make_rings();
  void notify(vmbus::PublishResult result);

  kernel::Kernel& kernel_;
  BusDriver& bus_;
  vmbus::Guid endpoint_;
  OfferedDevice* device_ = nullptr;
  std::array<machine::Gpn, 2 * kRingPages> pages_{};
  Rings* rings_ = nullptr;
  kernel::Notice something_to_do_;
  bool ended_ = false;
};

}  // namespace child
