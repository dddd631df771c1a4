// The root's end of a stream: packets of bytes that come and go through the rings of one channel.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/root/bus/bus_device.h"
#include "vmbus/ring.h"
#include "vmbus/stream/stream_protocol.h"

namespace root {

/// One packet is under way at a time: what came is dealt with before the next is taken, and what is
/// put is sent before anything more is taken.
class StreamEnd : public BusDevice {
 public:
  StreamEnd(kernel::Kernel& kernel, const vmbus::Guid& service, const vmbus::Guid& endpoint)
      : service_(service), kernel_(kernel), endpoint_(endpoint) {}

  [[nodiscard]] vmbus::Offer offer() const override;
  [[nodiscard]] bool open(const ChannelRings& rings) final;
  void close() final;
  [[nodiscard]] BusDevice* make_subchannel(std::uint16_t) final { return nullptr; }
  [[nodiscard]] bool is_for_one_opening() const final { return true; }
  void signalled() final { something_to_do_.give(); }

 protected:
  ~StreamEnd() = default;

  // What the stream is for; each may put the next packet.
  virtual void opened() {}
  /// Of `size_bytes` in bytes(); none: the other end sends nothing more.
  virtual void came(std::size_t size_bytes) = 0;
  virtual void sent(std::size_t size_bytes) = 0;

  /// Where the data of a packet are, those that came and those that are to be sent.
  [[nodiscard]] std::span<std::byte> bytes();
  /// Sends the first of bytes(). None: we send nothing more.
  void put(std::size_t size_bytes);
  /// There is nothing more to take or to send.
  void finish();
  /// Has the channel taken away.
  void end_channel();

  [[nodiscard]] kernel::Heap& heap() { return kernel_.heap(); }

  const vmbus::Guid service_;

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
    /// Header and data of a packet; packet_bytes of it are to be sent.
    std::array<std::byte, sizeof(vmbus::StreamHeader) + vmbus::kMostStreamBytes> packet{};
    std::size_t packet_bytes = 0;
    bool finished = false;
    bool broken = false;
  };

  enum class Step : std::uint8_t { kAgain, kWaitForSignal, kWaitForTime };

  kernel::Task<> serve();
  [[nodiscard]] Step turn();
  [[nodiscard]] Step send();
  void take_the_last();
  void take(const vmbus::PacketView& view);
  void notify(vmbus::PublishResult result);

  kernel::Kernel& kernel_;
  vmbus::Guid endpoint_;
  Session* session_ = nullptr;
  kernel::Notice something_to_do_;
  bool closing_ = false;
};

}  // namespace root
