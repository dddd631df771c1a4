// The root's end of a stream: a service that sends back what comes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/bus_device.h"
#include "vmbus/ring.h"
#include "vmbus/stream/stream_protocol.h"

namespace root {

/// Whether somebody listens there.
[[nodiscard]] bool is_stream_service(const vmbus::Guid& service);

class StreamDevice final : public BusDevice {
 public:
  StreamDevice(kernel::Kernel& kernel, const vmbus::Guid& service, const vmbus::Guid& endpoint)
      : kernel_(kernel), service_(service), endpoint_(endpoint) {}

  [[nodiscard]] vmbus::Offer offer() const override;
  void open(const ChannelRings& rings) override;
  void close() override;
  [[nodiscard]] BusDevice* make_subchannel(std::uint16_t) override { return nullptr; }
  [[nodiscard]] bool is_for_one_opening() const override { return true; }
  void destroy() override { kernel_.heap().destroy(this); }
  void signalled() override { something_to_do_.give(); }

 private:
  using Reader = vmbus::RingReader<vmbus::GpaPagesMemory>;
  using Writer = vmbus::RingWriter<vmbus::GpaPagesMemory>;

  struct Session {
    explicit Session(const ChannelRings& rings);
    Reader incoming;
    Writer outgoing;
    hv::ConnectionId signal;
    std::uint64_t track;
    ChannelOwner& owner;
    std::size_t channel;
    /// Header and data of the packet that is to be sent back; none if it is 0 bytes.
    std::array<std::byte, sizeof(vmbus::StreamHeader) + vmbus::kMostStreamBytes> packet{};
    std::size_t packet_bytes = 0;
    bool finished = false;
    bool broken = false;
  };

  enum class Step : std::uint8_t { kAgain, kWaitForSignal, kWaitForTime };

  kernel::Task<> serve();
  [[nodiscard]] Step turn();
  [[nodiscard]] Step send_back();
  void sent();
  void take(const vmbus::PacketView& view);
  void put(const vmbus::StreamHeader& header);
  void notify(vmbus::PublishResult result);

  kernel::Kernel& kernel_;
  vmbus::Guid service_;
  vmbus::Guid endpoint_;
  Session* session_ = nullptr;
  kernel::Notice something_to_do_;
  bool closing_ = false;
};

}  // namespace root
