#include "partitions/root/bus/vmbus_service.h"

#include "machine/testing.h"
#include "partitions/kernel/posting.h"
#include "vmbus/gpa_range.h"

namespace root {

namespace {

constexpr std::uint32_t kMessageUse = vmbus::kMessageConnection;
constexpr std::uint32_t kMessageUses[] = {kMessageUse, vmbus::kMessageConnectionVersion5};
/// The child's port for the messages of its bus.
constexpr hv::PortId kChildMessagePort{vmbus::kMessageConnection};
/// Retargeting may lose no signal: the root gives one more than needed.
constexpr std::uint16_t kOnlyFlag = 0;

constexpr machine::Site kMessageRefused("root.bus.message_refused");
constexpr machine::Site kMessageSent("root.bus.message_sent");

// When a device is taken away, and how long its end takes.
constexpr machine::Site kRemovalTime("root.bus.removal.time");
constexpr machine::Site kGraceTime("root.bus.removal.grace");
constexpr std::uint64_t kRemovalLeast100ns = 1'000;
constexpr std::uint64_t kRemovalStep100ns = 100;
constexpr std::uint32_t kRemovalSteps = 256;
constexpr std::uint64_t kGraceStep100ns = 50;
constexpr std::uint32_t kGraceSteps = 32;

/// The child may be gone, or have switched its SynIC off: its own affair.
void on_refused(void*, const hv::PostMessageInput&, hv::Status) {
  machine::sometimes(kMessageRefused, true);
}

hv::PortId child_event_port(std::size_t channel) {
  return hv::PortId(kChannelUse + static_cast<std::uint32_t>(channel) + 1);
}

}  // namespace

VmbusService::VmbusService(kernel::Kernel& kernel, ChildPorts& ports, const VmbusChild& child)
    : kernel_(kernel),
      ports_(ports),
      child_(child),
      outbox_(kernel.heap(), &on_refused, nullptr),
      devices_(child.has_devices ? kernel.heap().create<DeviceStorage>() : nullptr),
      channels_(devices_ != nullptr ? std::span(devices_->channels) : std::span<Channel>()),
      server_({.newest_version = child.newest_version, .trace_id = child.number},
              devices_ != nullptr ? std::span(devices_->server_channels)
                                  : std::span<vmbus::ServerChannel>(),
              devices_ != nullptr ? std::span(devices_->gpadls) : std::span<vmbus::Gpadl>(),
              devices_ != nullptr ? static_cast<vmbus::GpadlStorage&>(devices_->gpadl_storage)
                                  : no_gpadls_,
              *this) {}

VmbusService::~VmbusService() {
  if (devices_ != nullptr) {
    kernel_.heap().destroy(devices_);
  }
}

hv::Status VmbusService::open() {
  const hv::PortInfo info = hv::PortInfo::message(vmbus::kVmbusSint, hv::VpIndex(0));
  for (const std::uint32_t use : message_uses()) {
    const hv::Status status = ports_.open_in_root(use, info, hv::ConnectionId(use));
    if (status != hv::Status::kSuccess) {
      return status;
    }
  }
  return open_message_port(0) ? hv::Status::kSuccess : hv::Status::kNoResources;
}

std::span<const std::uint32_t> VmbusService::message_uses() const {
  return std::span(kMessageUses)
      .first(vmbus::has_message_connection(child_.newest_version) ? 2 : 1);
}

bool VmbusService::open_message_port(std::uint32_t target_vp, std::uint32_t sint) {
  if (message_vp_ == target_vp && message_sint_ == sint) {
    return true;
  }
  if (message_vp_ != vmbus::kNoTargetVp) {
    ports_.close_in_child(kChildMessagePort, kMessageUse);
    message_vp_ = vmbus::kNoTargetVp;
  }
  const hv::PortInfo info = hv::PortInfo::message(sint, hv::VpIndex(target_vp));
  if (ports_.open_in_child(kChildMessagePort, info, kMessageUse) != hv::Status::kSuccess) {
    return false;
  }
  message_vp_ = target_vp;
  message_sint_ = sint;
  return true;
}

std::uint32_t VmbusService::use_of(std::size_t channel) {
  return kChannelUse + static_cast<std::uint32_t>(channel) + 1;
}

std::size_t VmbusService::index_of(vmbus::OfferId offer) const {
  std::size_t index = 0;
  while (index < channels_.size() &&
         (channels_[index].device == nullptr || !(channels_[index].offer == offer))) {
    ++index;
  }
  INVARIANT(index < channels_.size());
  return index;
}

hv::Status VmbusService::add(BusDevice& device, EventFlags& flags) {
  const auto offer = server_.offer(device.offer());
  const auto flag = flags.take(device);
  if (!offer || !flag) {
    if (flag) {
      flags.give_back(*flag);
    }
    device.destroy();
    return hv::Status::kNoResources;
  }
  // The channel's id is its slot and one, in every number that names it.
  Channel& channel = channels_[offer->slot];
  channel.device = &device;
  channel.flags = &flags;
  channel.flag = *flag;
  channel.offer = *offer;
  const hv::PortInfo info = hv::PortInfo::event(vmbus::kVmbusSint, hv::VpIndex(0), *flag, 1);
  const hv::ConnectionId connection{vmbus::signal_connection(vmbus::Server::channel_id(*offer))};
  return ports_.open_in_root(use_of(offer->slot), info, connection);
}

void VmbusService::send_message(std::uint32_t target_vp, std::span<const std::byte> message) {
  if (open_message_port(target_vp)) {
    append(message);
  }
}

void VmbusService::append(std::span<const std::byte> message) {
  machine::trace(kMessageSent, machine::Track::kPartition, child_.number, 0, message.size());
  outbox_.append(kernel::make_message(ports_.connection(kMessageUse),
                                      hv::MessageType{vmbus::kVmbusMessageType}, message));
}

void VmbusService::send_reserved_message(const vmbus::ReservedTarget& target,
                                         std::span<const std::byte> message) {
  if (open_message_port(target.target_vp, target.target_sint)) {
    append(message);
  }
}

bool VmbusService::change_monitor_pages(const vmbus::MonitorPages& pages) {
  for (const std::uint64_t page : {pages.parent_to_child_gpa, pages.child_to_parent_gpa}) {
    if (page % machine::kPageSize != 0 ||
        !child_.memory.translate(machine::Gpa(page), machine::kPageSize)) {
      return false;
    }
  }
  return true;
}

/// No device here is a service that takes streams.
void VmbusService::tl_connect(const vmbus::TlConnect& request) {
  static_cast<void>(server_.refuse_tl_connect(request.endpoint, request.service,
                                              vmbus::kStatusConnectionRefused));
}

void VmbusService::contact(const vmbus::Contact& contact) {
  const bool welcome =
      contact.target_vp < child_.processors && change_monitor_pages(contact.monitor_pages);
  server_.contact_complete(welcome ? vmbus::ContactState::kSuccessful
                                   : vmbus::ContactState::kUnknownFailure);
}

void VmbusService::disconnected() {}

std::span<machine::Gpn> VmbusService::translate(const vmbus::RingPages& rings) {
  const std::size_t count = rings.client_to_server.size() + rings.server_to_client.size();
  void* list = kernel_.heap().try_allocate(count * sizeof(machine::Gpn));
  if (list == nullptr) {
    return {};
  }
  const std::span pages(static_cast<machine::Gpn*>(list), count);
  std::size_t index = 0;
  for (const auto& ring : {rings.client_to_server, rings.server_to_client}) {
    for (const std::uint64_t number : ring) {
      const auto page = child_.memory.translate(machine::Gpn(number));
      if (!page) {
        kernel_.heap().free(list, count * sizeof(machine::Gpn));
        return {};
      }
      new (&pages[index++]) machine::Gpn(*page);
    }
  }
  return pages;
}

bool VmbusService::open_signal(std::size_t channel, std::uint32_t target_vp) {
  if (target_vp == vmbus::kNoTargetVp) {
    return true;
  }
  if (target_vp >= child_.processors) {
    return false;
  }
  const auto flag =
      static_cast<std::uint16_t>(vmbus::Server::channel_id(channels_[channel].offer).value());
  const hv::PortInfo info = hv::PortInfo::event(vmbus::kVmbusSint, hv::VpIndex(target_vp), flag, 1);
  channels_[channel].signals_child = ports_.open_in_child(child_event_port(channel), info,
                                                          use_of(channel)) == hv::Status::kSuccess;
  return channels_[channel].signals_child;
}

void VmbusService::close_signal(std::size_t channel) {
  if (channels_[channel].signals_child) {
    ports_.close_in_child(child_event_port(channel), use_of(channel));
    channels_[channel].signals_child = false;
  }
}

void VmbusService::open(vmbus::OfferId offer, const vmbus::ChannelOpening& opening,
                        const vmbus::RingPages& rings) {
  const std::size_t index = index_of(offer);
  Channel& channel = channels_[index];
  if (channel.leaving) {
    return;
  }
  const std::span<machine::Gpn> pages = translate(rings);
  if (pages.empty()) {
    server_.open_complete(offer, false);
    return;
  }
  if (!open_signal(index, opening.target_vp)) {
    kernel_.heap().free(pages.data(), pages.size_bytes());
    server_.open_complete(offer, false);
    return;
  }
  channel.pages = pages;
  channel.is_open = true;
  channel.closed.clear();
  const std::size_t incoming = rings.client_to_server.size();
  channel.device->open({pages.first(incoming), pages.subspan(incoming),
                        ports_.connection(use_of(index)),
                        vmbus::channel_track(child_.number, vmbus::Server::channel_id(offer))});
  server_.open_complete(offer, true);
}

void VmbusService::close(vmbus::OfferId offer) {
  const std::size_t index = index_of(offer);
  if (channels_[index].is_open) {
    close_device(index);
  }
}

void VmbusService::close_device(std::size_t index) {
  Channel& channel = channels_[index];
  if (!channel.closing) {
    channel.closing = true;
    channel.device->close(*this, index);
  }
}

void VmbusService::device_closed(std::size_t index) {
  Channel& channel = channels_[index];
  close_signal(index);
  kernel_.heap().free(channel.pages.data(), channel.pages.size_bytes());
  channel.pages = {};
  channel.is_open = false;
  channel.closing = false;
  channel.closed.set();
  if (!channel.leaving) {
    server_.close_complete(channel.offer);
  }
}

void VmbusService::begin_removals(std::uint32_t count) {
  removes_ = true;
  remove_at_times(count).spawn();
}

kernel::Task<> VmbusService::remove_at_times(std::uint32_t count) {
  for (; count != 0 && !ending_; --count) {
    const std::uint64_t steps = machine::choose(kRemovalTime, kRemovalSteps);
    co_await kernel::sleep_for(kRemovalLeast100ns + kRemovalStep100ns * steps);
    if (!ending_) {
      co_await remove_and_offer(0);
    }
  }
  removed_.set();
}

/// What the device does is ended first; what the child asks of the bus meanwhile is answered by the
/// rescind.
kernel::Task<> VmbusService::remove_and_offer(std::size_t index) {
  Channel& channel = channels_[index];
  channel.leaving = true;
  const std::uint64_t steps = machine::choose(kGraceTime, kGraceSteps);
  co_await kernel::sleep_for(kGraceStep100ns * (1 + steps));
  if (channel.is_open) {
    close_device(index);
    co_await channel.closed.wait();
  }
  static_cast<void>(server_.revoke(channel.offer));
  channel.leaving = false;
  const auto offer = server_.offer(channel.device->offer());
  INVARIANT(offer.has_value() && offer->slot == index);
  channel.offer = *offer;
}

void VmbusService::retarget(vmbus::OfferId offer, std::uint32_t target_vp) {
  const std::size_t index = index_of(offer);
  close_signal(index);
  const bool moved = open_signal(index, target_vp);
  if (moved) {
    static_cast<void>(kernel::signal_event(ports_.connection(use_of(index)), kOnlyFlag));
  }
  server_.retarget_complete(offer, moved);
}

void VmbusService::gpadl(vmbus::OfferId offer, const vmbus::Gpadl& gpadl) {
  std::span<const std::uint64_t> values = gpadl.values;
  bool good = true;
  while (good && !values.empty()) {
    const auto range = vmbus::take_range(values);
    good = range.has_value();
    for (const std::uint64_t page : good ? range->pages : std::span<const std::uint64_t>()) {
      good = good && child_.memory.translate(machine::Gpn(page)).has_value();
    }
  }
  server_.gpadl_complete(offer, gpadl.id, good);
}

void VmbusService::gpadl_release(vmbus::OfferId offer, vmbus::GpadlId id) {
  server_.gpadl_release_complete(offer, id);
}

kernel::Task<> VmbusService::close() {
  ending_ = true;
  if (removes_) {
    co_await removed_.wait();
  }
  server_.reset();
  for (std::size_t index = 0; index < channels_.size(); ++index) {
    Channel& channel = channels_[index];
    if (channel.device == nullptr) {
      continue;
    }
    if (channel.is_open) {
      co_await channel.closed.wait();
    }
    static_cast<void>(server_.revoke(channel.offer));
    ports_.close_in_root(
        use_of(index),
        hv::ConnectionId(vmbus::signal_connection(vmbus::Server::channel_id(channel.offer))));
    channel.flags->give_back(channel.flag);
    channel.device->destroy();
    channel.device = nullptr;
  }
  outbox_.close();
  co_await outbox_.ended().wait();
  for (const std::uint32_t use : message_uses()) {
    ports_.close_in_root(use, hv::ConnectionId(use));
  }
  ports_.close_in_child(kChildMessagePort, kMessageUse);
}

}  // namespace root
