#include "partitions/child/bus/bus_driver.h"

#include <algorithm>
#include <new>
#include <utility>

#include "machine/guest.h"
#include "machine/testing.h"
#include "partitions/kernel/posting.h"
#include "vmbus/protocol/monitor_page.h"
#include "vmbus/stream/stream_protocol.h"

namespace child {

namespace {

constexpr machine::Site kPostRefused("child.bus.message_refused");
constexpr machine::Site kMessageSent("child.bus.message_sent");
constexpr machine::Site kSignalAtTarget("child.bus.signal_comes_to_a_target_of_the_channel");
constexpr machine::Site kSignalElsewhere("child.bus.signal_at_another_processor_than_0");
constexpr machine::Site kSignalAfterMove("child.bus.signal_at_the_processor_moved_to");
constexpr machine::Site kTriggered("child.bus.monitor_triggered");
constexpr machine::Site kStillPending("child.bus.monitor_trigger_still_pending");

constexpr machine::Site kRefusedByRoot("child.bus.stream_refused");

constexpr std::uint64_t kConnectPatience100ns = 20'000'000;
constexpr std::uint64_t kLookAgain100ns = 500;
constexpr std::uint16_t kOnlyFlag = 0;
constexpr std::uint32_t kMonitorTriggers = vmbus::kMonitorGroups * vmbus::kMonitorTriggersPerGroup;

}  // namespace

BusDriver::BusDriver(kernel::Kernel& kernel, const BusOptions& options)
    : kernel_(kernel),
      outbox_(kernel.heap(), &BusDriver::refused, this),
      options_(options),
      monitor_pages_(make_monitor_pages()),
      client_(configuration(), client_channels_, client_gpadls_, *this) {}

std::optional<machine::Gpn> BusDriver::make_monitor_pages() const {
  const auto pages = options_.monitored ? kernel_.pages().allocate(2) : std::nullopt;
  if (pages) {
    machine::fill_memory(machine::Gpa(*pages), 2 * machine::kPageSize, 0);
  }
  return pages;
}

vmbus::ClientConfiguration BusDriver::configuration() const {
  vmbus::ClientConfiguration configuration;
  configuration.newest_version = options_.newest_version;
  configuration.trace_id = options_.number;
  if (monitor_pages_) {
    configuration.parent_to_child_monitor_gpa = machine::Gpa(*monitor_pages_).value();
    configuration.child_to_parent_monitor_gpa = machine::Gpa(*monitor_pages_ + 1).value();
  }
  return configuration;
}

kernel::Task<bool> BusDriver::connect() {
  kernel_.processor(0).synic().attach(vmbus::kVmbusSint, *this);
  co_await start_processors();
  const bool connected = co_await make_contact();
  co_return connected;
}

kernel::Task<> BusDriver::start_processors() {
  SignalForwarder& forwarder = *this;
  for (std::uint32_t index = 1; index < options_.processors; ++index) {
    auto* const processor = kernel_.heap().create<BusProcessor>(
        kernel_.processor(index), forwarder, static_cast<std::uint32_t>(kMaxDevices + 1));
    processor->start();
    co_await processor->started().wait();
  }
}

kernel::Task<bool> BusDriver::start_anew() {
  static_cast<void>(client_.unload());
  client_.~Client();
  client_channels_ = {};
  client_gpadls_ = {};
  new (&client_) vmbus::Client(configuration(), client_channels_, client_gpadls_, *this);
  device_count_ = 0;
  for (Channel& channel : channels_) {
    channel.driver = nullptr;
    channel.ring = {};
  }
  connected_ = false;
  connection_answered_.clear();
  offers_delivered_.clear();
  const bool connected = co_await make_contact();
  co_return connected;
}

kernel::Task<bool> BusDriver::make_contact() {
  if (client_.connect() != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await connection_answered_.wait();
  if (!connected_ || client_.request_offers() != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await offers_delivered_.wait();
  co_return true;
}

std::uint64_t BusDriver::track_of(const OfferedDevice& device) const {
  return vmbus::channel_track(options_.number, device.channel);
}

kernel::Task<> BusDriver::disconnect() {
  if (client_.unload() == vmbus::ClientStatus::kDone) {
    co_await unloaded_.wait();
  }
}

BusDriver::Channel* BusDriver::channel_of(vmbus::ChannelId id) {
  return id.value() == 0 || id.value() > kMaxDevices ? nullptr : &channels_[id.value() - 1];
}

void BusDriver::answer(Channel& channel, bool success) {
  channel.success = success;
  channel.answered.set();
}

kernel::Task<bool> BusDriver::lend(OfferedDevice& device, std::span<const machine::Gpn> pages,
                                   vmbus::GpadlId& gpadl) {
  Channel& channel = *channel_of(device.channel);
  channel.answered.clear();
  if (client_.create_gpadl(device.channel, pages, gpadl) != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await channel.answered.wait();
  co_return channel.success;
}

kernel::Task<bool> BusDriver::open_with(OfferedDevice& device, vmbus::GpadlId ring,
                                        std::size_t page_count) {
  Channel& channel = *channel_of(device.channel);
  channel.answered.clear();
  vmbus::OpenParameters parameters;
  parameters.ring_gpadl = ring;
  parameters.downstream_page_offset = static_cast<std::uint32_t>(page_count / 2);
  parameters.target_vp = device.target_vp;
  channel.target_vp = device.target_vp;
  channel.targets |= 1ull << device.target_vp;
  if (client_.open(device.channel, parameters) != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await channel.answered.wait();
  co_return channel.success;
}

kernel::Task<> BusDriver::take_back(Channel& channel, vmbus::GpadlId gpadl) {
  channel.answered.clear();
  if (client_.teardown_gpadl(gpadl) == vmbus::ClientStatus::kDone) {
    co_await channel.answered.wait();
  }
}

kernel::Task<bool> BusDriver::open(OfferedDevice& device, ChannelDriver& driver,
                                   std::span<const machine::Gpn> ring_pages) {
  Channel* channel = channel_of(device.channel);
  if (channel == nullptr) {
    co_return false;
  }
  if (device.rescinded) {
    driver.rescinded();
    co_return false;
  }
  // From here on a rescind is the driver's affair, who closes the channel then.
  channel->driver = &driver;
  const bool lent = co_await lend(device, ring_pages, channel->ring);
  if (!lent) {
    co_return false;
  }
  const bool opened = co_await open_with(device, channel->ring, ring_pages.size());
  co_return opened;
}

kernel::Task<bool> BusDriver::reopen(OfferedDevice& device,
                                     std::span<const machine::Gpn> ring_pages) {
  Channel& channel = *channel_of(device.channel);
  const bool lent = co_await lend(device, ring_pages, channel.other_ring);
  if (!lent) {
    co_return false;
  }
  static_cast<void>(client_.close(device.channel));
  const bool opened = co_await open_with(device, channel.other_ring, ring_pages.size());
  if (opened) {
    std::swap(channel.ring, channel.other_ring);
  }
  co_await take_back(channel, channel.other_ring);
  channel.other_ring = {};
  co_return opened;
}

kernel::Task<> BusDriver::close(OfferedDevice& device) {
  Channel* channel = channel_of(device.channel);
  if (channel == nullptr) {
    co_return;
  }
  // A device that was taken away is closed already; its pages are still ours to ask back.
  static_cast<void>(client_.close(device.channel));
  co_await take_back(*channel, channel->ring);
  channel->driver = nullptr;
  if (device.rescinded) {
    release(device);
  }
}

void BusDriver::release(OfferedDevice& device) {
  // Before the bus hears of it: it may offer the device again at once.
  device.released = true;
  static_cast<void>(client_.release_channel(device.channel));
}

kernel::Task<OfferedDevice*> BusDriver::wait_for(const vmbus::Guid& type) {
  for (;;) {
    for (OfferedDevice& device : devices()) {
      if (device.type == type && device.subchannel_index == 0 && !device.rescinded) {
        co_return &device;
      }
    }
    co_await something_offered_.wait();
  }
}

OfferedDevice* BusDriver::find_subchannel(const vmbus::Guid& instance, std::uint16_t index) {
  for (OfferedDevice& device : devices()) {
    if (device.instance == instance && device.subchannel_index == index && !device.rescinded) {
      return &device;
    }
  }
  return nullptr;
}

kernel::Task<OfferedDevice*> BusDriver::connect_service(const vmbus::Guid& endpoint,
                                                        const vmbus::Guid& service) {
  const auto place = std::ranges::find(connecting_, false, &Connecting::in_use);
  INVARIANT(place != connecting_.end());
  *place = {.in_use = true, .refused = false, .endpoint = endpoint};
  OfferedDevice* device = nullptr;
  if (client_.connect_service(endpoint, service, vmbus::Guid()) == vmbus::ClientStatus::kDone) {
    const std::uint64_t end = kernel::reference_time_100ns() + kConnectPatience100ns;
    while (device == nullptr && !place->refused && kernel::reference_time_100ns() < end) {
      co_await kernel::sleep_for(kLookAgain100ns);
      device = find_subchannel(endpoint, 0);
    }
  }
  machine::sometimes(kRefusedByRoot, place->refused);
  place->in_use = false;
  co_return device;
}

void BusDriver::listen_for_offers(kernel::Notice& notice) {
  const auto place = std::ranges::find(listeners_, nullptr);
  INVARIANT(place != listeners_.end());
  *place = &notice;
}

void BusDriver::stop_listening(kernel::Notice& notice) {
  std::ranges::replace(listeners_, &notice, nullptr);
}

kernel::Task<bool> BusDriver::move(OfferedDevice& device, std::uint32_t target_vp) {
  Channel& channel = *channel_of(device.channel);
  channel.moved.clear();
  // From here on they may come there, and until the root has moved them to the old one.
  channel.targets |= 1ull << target_vp;
  if (client_.modify(device.channel, target_vp) != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  if (vmbus::has_modify_response(client_.version())) {
    co_await channel.moved.wait();
    if (!channel.move_success) {
      co_return false;
    }
  }
  channel.target_vp = target_vp;
  device.target_vp = target_vp;
  co_return true;
}

void BusDriver::signal(const OfferedDevice& device) {
  if (device.monitor && monitor_pages_) {
    const vmbus::MonitorTrigger trigger(*device.monitor);
    const machine::Gpa page(*monitor_pages_ + 1);
    const std::uint32_t before =
        machine::fetch_or_u32(page + trigger.pending_offset(), trigger.bit());
    if ((before & trigger.bit()) == 0) {
      machine::trace(kTriggered, machine::Track::kPartition, options_.number, *device.monitor, 0);
    }
    machine::sometimes(kStillPending, (before & trigger.bit()) != 0);
    return;
  }
  static_cast<void>(kernel::signal_event(device.signal, kOnlyFlag));
}

void BusDriver::message_arrived(const hv::Message& message) {
  if (message.header.type != hv::MessageType{vmbus::kVmbusMessageType}) {
    return;
  }
  const std::size_t size =
      std::min<std::size_t>(message.header.payload_size, hv::kMessagePayloadBytes);
  client_.handle_message(std::span(message.payload).first(size));
}

void BusDriver::signal_came(std::uint32_t flag, std::uint32_t processor) {
  Channel* channel = channel_of(vmbus::ChannelId(flag));
  if (channel == nullptr) {
    return;
  }
  machine::always(kSignalAtTarget, ((channel->targets >> processor) & 1) != 0, flag, processor);
  machine::sometimes(kSignalElsewhere, processor != 0);
  machine::sometimes(kSignalAfterMove, channel->moved.is_set() && channel->move_success &&
                                           channel->target_vp == processor);
  if (channel->driver != nullptr) {
    channel->driver->signalled();
  }
}

void BusDriver::send_message(std::uint32_t connection_id, std::span<const std::byte> message) {
  machine::trace(
      kMessageSent, machine::Track::kPartition, options_.number,
      static_cast<std::uint64_t>(vmbus::read_object<vmbus::MessageHeader>(message)->type),
      message.size());
  outbox_.append(kernel::make_message(hv::ConnectionId(connection_id),
                                      hv::MessageType{vmbus::kVmbusMessageType}, message));
}

void BusDriver::refused(void* context, const hv::PostMessageInput& message, hv::Status status) {
  auto& driver = *static_cast<BusDriver*>(context);
  machine::sometimes(kPostRefused, true);
  const bool contact_refused = status == hv::Status::kInvalidConnectionId &&
                               driver.client_.state() == vmbus::ClientState::kConnecting;
  static_cast<void>(message);
  if (contact_refused) {
    static_cast<void>(driver.client_.contact_post_failed());
  }
}

void BusDriver::connected(vmbus::Version) {
  connected_ = true;
  connection_answered_.set();
}

void BusDriver::connect_failed() { connection_answered_.set(); }

void BusDriver::offered(vmbus::ChannelId channel, const vmbus::OfferChannel& offer) {
  std::size_t place = 0;
  while (place < device_count_ && !devices_[place].released) {
    ++place;
  }
  if (place == kMaxDevices || channel_of(channel) == nullptr) {
    return;
  }
  device_count_ = std::max(device_count_, place + 1);
  OfferedDevice device;
  device.channel = channel;
  device.type = offer.interface_type;
  device.instance = offer.interface_instance;
  device.subchannel_index = offer.subchannel_index;
  device.signal = hv::ConnectionId(offer.connection_id);
  if ((offer.monitor_allocated & 1) != 0 && offer.monitor_id < kMonitorTriggers) {
    device.monitor = offer.monitor_id;
  }
  device.is_call =
      (offer.flags & vmbus::kOfferTlnpiProvider) != 0 && vmbus::is_call(offer.user_data);
  devices_[place] = device;
  something_offered_.give();
  for (kernel::Notice* const listener : listeners_) {
    if (listener != nullptr) {
      listener->give();
    }
  }
}

void BusDriver::all_offers_delivered() { offers_delivered_.set(); }

void BusDriver::opened(vmbus::ChannelId id, bool success) {
  if (Channel* channel = channel_of(id); channel != nullptr) {
    answer(*channel, success);
  }
}

void BusDriver::rescinded(vmbus::ChannelId id) {
  const Channel* const channel = channel_of(id);
  for (OfferedDevice& device : devices()) {
    if (device.channel != id || device.released) {
      continue;
    }
    device.rescinded = true;
    if (channel->driver != nullptr) {
      channel->driver->rescinded();
    } else {
      release(device);
    }
  }
}

void BusDriver::modified(vmbus::ChannelId id, bool success) {
  if (Channel* channel = channel_of(id); channel != nullptr) {
    channel->move_success = success;
    channel->moved.set();
  }
}

void BusDriver::answer_gpadl(vmbus::GpadlId gpadl, bool success) {
  for (Channel& channel : channels_) {
    if (channel.ring == gpadl || channel.other_ring == gpadl) {
      answer(channel, success);
    }
  }
}

void BusDriver::gpadl_created(vmbus::GpadlId gpadl, bool success) { answer_gpadl(gpadl, success); }

void BusDriver::gpadl_torndown(vmbus::GpadlId gpadl) { answer_gpadl(gpadl, true); }

void BusDriver::service_refused(const vmbus::Guid& endpoint, const vmbus::Guid&, std::uint32_t) {
  for (Connecting& connecting : connecting_) {
    connecting.refused = connecting.refused || connecting.endpoint == endpoint;
  }
}

void BusDriver::unloaded() { unloaded_.set(); }

}  // namespace child
