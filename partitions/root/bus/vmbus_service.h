// The bus of one child: the root's I/O around vmbus::Server.
//
// It carries the server's messages and answers its requests, makes the ports and connections that
// signals need, translates the pages that the child lends, and connects channels with devices.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "partitions/kernel/kernel.h"
#include "partitions/kernel/outbox.h"
#include "partitions/root/bus/bus_device.h"
#include "partitions/root/bus/child_ports.h"
#include "partitions/root/bus/event_flags.h"
#include "partitions/root/bus/heap_gpadl_storage.h"
#include "partitions/root/bus/message_port.h"
#include "partitions/root/bus/monitor_scanner.h"
#include "partitions/root/bus/reserved_answers.h"
#include "partitions/root/child_memory.h"
#include "vmbus/server/server.h"

namespace root {

class StreamCaller;
struct CallPlan;

struct VmbusChild {
  std::uint32_t number = 0;
  std::uint32_t processors = 0;
  MemoryBlock memory;
  /// Whether the bus will have devices: one without keeps nothing for them.
  bool has_devices = false;
  /// How late a signal by way of the monitor page may be; 0: every signal is a hypercall.
  std::uint16_t monitor_latency_100ns = 0;
  /// Before 5.0 there is one connection for messages.
  vmbus::Version newest_version = vmbus::Version::kCopper;
};

class VmbusService final : private vmbus::ServerNotifier, private ChannelOwner {
 public:
  VmbusService(kernel::Kernel& kernel, ChildPorts& ports, const VmbusChild& child);
  ~VmbusService();
  VmbusService(const VmbusService&) = delete;
  VmbusService& operator=(const VmbusService&) = delete;

  /// Makes the message ports; before the child runs.
  [[nodiscard]] hv::Status open();
  /// Offers a device and takes it over, whatever the outcome.
  [[nodiscard]] hv::Status add(BusDevice& device, EventFlags& flags);
  /// Streams to the services of partitions/root/streams are taken.
  void take_streams(EventFlags& flags) { stream_flags_ = &flags; }
  /// Calls services of the child from now on, as planned.
  void begin_calls(const CallPlan& plan, EventFlags& flags);
  /// The child is there, and speaks a version that has streams.
  [[nodiscard]] bool carries_streams() const;
  /// Has the channel of a device that is on the bus taken away for good.
  void end(const BusDevice& device);
  /// From now on takes a channel away at times, `count` times in all, and offers it again: any, or
  /// only sub-channels.
  void begin_removals(std::uint32_t count, bool subchannels_only);
  /// The child is stopped: ends every channel, frees the devices, takes the ports away.
  kernel::Task<> close();

  /// The payload of a message that the child posted.
  void handle_message(std::span<const std::byte> message) { server_.handle_message(message); }

 private:
  static constexpr std::size_t kChannels = 32;
  static constexpr std::size_t kGpadls = 64;
  static constexpr std::size_t kNoChannel = ~std::size_t{0};

  struct Channel {
    BusDevice* device = nullptr;
    EventFlags* flags = nullptr;
    std::uint16_t flag = 0;
    vmbus::OfferId offer;
    /// Of a sub-channel: the channel that it belongs to.
    std::size_t primary = kNoChannel;
    bool is_open = false;
    /// The device has been asked to close, or will be when its sub-channels are gone.
    bool closing = false;
    /// It is about to be taken away: nobody's open or close is answered any more.
    bool leaving = false;
    /// When it has been taken away, it does not come back.
    bool for_good = false;
    /// The processor that is interrupted when the child is signalled; none if it does not want
    /// that.
    std::optional<std::uint32_t> signalled_vp;
    /// By which the child signals it while it is open.
    std::optional<std::uint8_t> monitor;
    /// The pages of both rings, in the heap.
    std::span<machine::Gpn> pages;
    kernel::Event closed;
    kernel::Event gone;
  };

  struct DeviceStorage {
    std::array<vmbus::ServerChannel, kChannels> server_channels{};
    std::array<vmbus::Gpadl, kGpadls> gpadls{};
    std::array<Channel, kChannels> channels;
  };
  static_assert(sizeof(DeviceStorage) <= 32 * 1024);

  // ServerNotifier.
  void send_message(std::uint32_t target_vp, std::span<const std::byte> message) override;
  void send_reserved_message(const vmbus::ReservedTarget& target,
                             std::span<const std::byte> message) override;
  void hold_messages(bool hold) override { outbox_.hold(hold); }
  void forget_messages() override;
  [[nodiscard]] bool change_monitor_pages(const vmbus::MonitorPages& pages) override;
  void tl_connect(const vmbus::TlConnect& request) override;
  void contact(const vmbus::Contact& contact) override;
  void disconnected() override;
  void open(vmbus::OfferId offer, const vmbus::ChannelOpening& opening,
            const vmbus::RingPages& rings) override;
  void close(vmbus::OfferId offer) override;
  void retarget(vmbus::OfferId offer, std::uint32_t target_vp) override;
  void gpadl(vmbus::OfferId offer, const vmbus::Gpadl& gpadl) override;
  void gpadl_release(vmbus::OfferId offer, vmbus::GpadlId id) override;

  void device_closed(std::size_t index) override;
  void offer_subchannels(std::size_t index, std::uint16_t count) override;
  void end_channel(std::size_t index) override;

  // The life of the channels: service_channels.cpp.
  [[nodiscard]] hv::Status attach(BusDevice& device, EventFlags& flags, std::size_t primary);
  void detach(std::size_t index);
  kernel::Task<> remove_at_times(std::uint32_t count, bool subchannels_only);
  /// One that is there and of the kind, drawn; kNoChannel if there is none.
  [[nodiscard]] std::size_t choose_channel(bool subchannel) const;
  /// Closes a channel and takes it away; then it is offered again, or its device freed.
  kernel::Task<> take_away(vmbus::OfferId offer, bool for_good);
  void close_device(std::size_t index);
  kernel::Task<> close_after_subchannels(std::size_t index);
  /// Any that is left; kNoChannel if none is.
  [[nodiscard]] std::size_t subchannel_of(std::size_t primary) const;

  [[nodiscard]] std::size_t index_of(vmbus::OfferId offer) const;
  [[nodiscard]] static std::uint32_t use_of(std::size_t channel);
  /// Translates both rings into one list of root pages; empty if a page is not the child's.
  [[nodiscard]] std::span<machine::Gpn> translate(const vmbus::RingPages& rings);
  /// The opposite of what open() does before it asks the device.
  void let_go(std::size_t index);
  [[nodiscard]] bool open_signal(std::size_t channel, std::uint32_t target_vp);
  void close_signal(std::size_t channel);
  void trace_sent(std::span<const std::byte> message) const;
  /// The connections that the child's messages come by.
  [[nodiscard]] std::span<const std::uint32_t> message_uses() const;

  kernel::Kernel& kernel_;
  ChildPorts& ports_;
  VmbusChild child_;
  kernel::Outbox outbox_;
  MessagePort message_port_;
  ReservedAnswers reserved_answers_;
  MonitorScanner monitors_;
  EventFlags* stream_flags_ = nullptr;
  StreamCaller* caller_ = nullptr;  // in the heap; null if the root calls nobody
  HeapGpadlStorage gpadl_storage_;
  DeviceStorage* const devices_;  // in the heap; null without devices
  const std::span<Channel> channels_;
  bool removes_ = false;
  bool ending_ = false;
  kernel::Event removed_;
  vmbus::Server server_;
};

}  // namespace root
