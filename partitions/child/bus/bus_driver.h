// The child's end of the bus: the I/O around vmbus::Client, and waiting for its answers.
//
// It posts the client's messages, brings it the server's, delivers signals to the channels'
// drivers, and turns the client's answers into something that a task can await.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "partitions/child/bus/bus_processor.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/outbox.h"
#include "partitions/kernel/synchronization.h"
#include "partitions/kernel/synic.h"
#include "vmbus/client/client.h"

namespace child {

/// A device that the bus has offered.
struct OfferedDevice {
  vmbus::ChannelId channel;
  vmbus::Guid type;
  vmbus::Guid instance;
  /// 0 for a primary channel.
  std::uint16_t subchannel_index = 0;
  hv::ConnectionId signal{};
  /// The trigger in the monitor page by which it is signalled instead.
  std::optional<std::uint8_t> monitor;
  /// Where its signals go from open() on.
  std::uint32_t target_vp = 0;
  bool rescinded = false;
  /// A stream that the root asks a service of ours for.
  bool is_call = false;
  /// Whoever looks for one of its kind has found it already.
  bool taken = false;
  /// The bus knows no more of it than we do: another offer may take its place here.
  bool released = false;
};

/// How the child uses its bus.
struct BusOptions {
  /// The child's number, for traces.
  std::uint32_t number = 0;
  vmbus::Version newest_version = vmbus::Version::kIron;
  /// So many take signals of channels, from 0 on; they are running.
  std::uint32_t processors = 1;
  /// Whether it has monitor pages, for channels that may be signalled that way.
  bool monitored = false;
};

/// The driver of one channel.
class ChannelDriver {
 public:
  virtual void signalled() = 0;
  /// The device is gone; nothing that is under way will be answered.
  virtual void rescinded() = 0;

 protected:
  ~ChannelDriver() = default;
};

class BusDriver final : public kernel::SintReceiver,
                        private SignalForwarder,
                        private vmbus::ClientNotifier {
 public:
  static constexpr std::size_t kMaxDevices = 16;

  BusDriver(kernel::Kernel& kernel, const BusOptions& options);

  /// Negotiates and takes the offers. False if the root speaks none of our versions.
  kernel::Task<bool> connect();
  /// Says goodbye; every channel has been closed.
  kernel::Task<> disconnect();
  [[nodiscard]] std::uint64_t track_of(const OfferedDevice& device) const;
  [[nodiscard]] std::span<OfferedDevice> devices() {
    return std::span(devices_).first(device_count_);
  }

  [[nodiscard]] std::uint32_t processors() const { return options_.processors; }

  /// Lends the pages, opens the channel with them as its two rings of equal size, and sends the
  /// channel's signals to `driver`, by way of the device's target processor. False if the root
  /// refuses or the device is gone.
  kernel::Task<bool> open(OfferedDevice& device, ChannelDriver& driver,
                          std::span<const machine::Gpn> ring_pages);
  /// Closes the channel, open or half open; returns when the root has let go of the rings.
  kernel::Task<> close(OfferedDevice& device);
  /// Closes the channel and opens it at once with other pages, while the root may still be closing
  /// it. True: it is open, the root has let go of the pages from before. False: it is closed, and
  /// the root has let go of the new ones.
  kernel::Task<bool> reopen(OfferedDevice& device, std::span<const machine::Gpn> ring_pages);

  /// Sends an open channel's signals to another processor. False if the root refuses, or speaks no
  /// version that has it. Before 5.3 it is not known when it is done.
  kernel::Task<bool> move(OfferedDevice& device, std::uint32_t target_vp);

  /// Tells the root that there is something in the channel's ring.
  void signal(const OfferedDevice& device);

  /// Waits until a device of this class is there. For one task at a time.
  kernel::Task<OfferedDevice*> wait_for(const vmbus::Guid& type);
  /// Asks for a stream to a service. Null if nobody takes it, or if nothing is heard for long: a
  /// root before 4.1 does not say so.
  kernel::Task<OfferedDevice*> connect_service(const vmbus::Guid& endpoint,
                                               const vmbus::Guid& service);
  /// A device, with index 0, or its sub-channel, if it is there now; null if it is not.
  [[nodiscard]] OfferedDevice* find_subchannel(const vmbus::Guid& instance, std::uint16_t index);
  /// Gives notice of each offer.
  void listen_for_offers(kernel::Notice& notice);
  void stop_listening(kernel::Notice& notice);

  /// As a kernel after a crash: says goodbye with channels open, waits for no answer, and makes
  /// contact anew. When it returns the root has let go of every page that it was lent.
  kernel::Task<bool> start_anew();

  void message_arrived(const hv::Message& message) override;
  /// A channel's flag is its id.
  [[nodiscard]] std::uint32_t event_flag_limit() const override { return kMaxDevices + 1; }
  void event_flag_set(std::uint32_t flag) override { signal_came(flag, 0); }

 private:
  /// What is known of a channel from our side, by its id.
  struct Channel {
    ChannelDriver* driver = nullptr;
    vmbus::GpadlId ring;
    /// Of other pages, while one takes the place of the other.
    vmbus::GpadlId other_ring;
    kernel::Event answered;
    bool success = false;
    kernel::Event moved;
    bool move_success = false;
    /// The processors that its signals were sent to, a bit for each.
    std::uint64_t targets = 0;
    /// The newest of them.
    std::uint32_t target_vp = 0;
  };
  static constexpr std::size_t kMostListeners = 4;
  static constexpr std::size_t kMostConnecting = 4;
  /// A stream that was asked for.
  struct Connecting {
    bool in_use = false;
    bool refused = false;
    vmbus::Guid endpoint;
  };

  void signal_came(std::uint32_t flag, std::uint32_t processor) override;
  kernel::Task<> start_processors();

  void send_message(std::uint32_t connection_id, std::span<const std::byte> message) override;
  void connected(vmbus::Version version) override;
  void connect_failed() override;
  void offered(vmbus::ChannelId channel, const vmbus::OfferChannel& offer) override;
  void all_offers_delivered() override;
  void opened(vmbus::ChannelId id, bool success) override;
  void rescinded(vmbus::ChannelId id) override;
  void modified(vmbus::ChannelId channel, bool success) override;
  void gpadl_created(vmbus::GpadlId gpadl, bool success) override;
  void gpadl_torndown(vmbus::GpadlId gpadl) override;
  void unloaded() override;
  void service_refused(const vmbus::Guid& endpoint, const vmbus::Guid& service,
                       std::uint32_t status) override;
  // Nobody here asks for what these answer.
  void reserved_closed(vmbus::ChannelId) override {}
  void connection_modified(bool) override {}
  void paused() override {}

  static void refused(void* context, const hv::PostMessageInput& message, hv::Status status);
  [[nodiscard]] Channel* channel_of(vmbus::ChannelId id);
  void answer(Channel& channel, bool success);
  void answer_gpadl(vmbus::GpadlId gpadl, bool success);
  [[nodiscard]] vmbus::ClientConfiguration configuration() const;
  /// Two pages in a row, or none.
  [[nodiscard]] std::optional<machine::Gpn> make_monitor_pages() const;
  kernel::Task<bool> make_contact();
  kernel::Task<bool> lend(OfferedDevice& device, std::span<const machine::Gpn> pages,
                          vmbus::GpadlId& gpadl);
  kernel::Task<bool> open_with(OfferedDevice& device, vmbus::GpadlId ring, std::size_t page_count);
  kernel::Task<> take_back(Channel& channel, vmbus::GpadlId gpadl);
  void release(OfferedDevice& device);

  kernel::Kernel& kernel_;
  kernel::Outbox outbox_;
  const BusOptions options_;
  /// Parent to child, child to parent.
  const std::optional<machine::Gpn> monitor_pages_;
  std::array<vmbus::ClientChannel, kMaxDevices> client_channels_{};
  std::array<vmbus::ClientGpadl, kMaxDevices> client_gpadls_{};
  vmbus::Client client_;
  std::array<OfferedDevice, kMaxDevices> devices_{};
  std::size_t device_count_ = 0;
  std::array<Channel, kMaxDevices> channels_;
  kernel::Event connection_answered_;
  bool connected_ = false;
  kernel::Event offers_delivered_;
  kernel::Event unloaded_;
  kernel::Notice something_offered_;
  std::array<kernel::Notice*, kMostListeners> listeners_{};
  std::array<Connecting, kMostConnecting> connecting_{};
};

}  // namespace child
