// The channels of a child's bus and the devices behind them: how they come, open, close and go.
#include "machine/testing.h"
#include "partitions/kernel/posting.h"
#include "partitions/root/bus/vmbus_service.h"

namespace root {

namespace {

/// Retargeting may lose no signal: the root gives one more than needed.
constexpr std::uint16_t kOnlyFlag = 0;

// When which channel is taken away, and how long its end takes.
constexpr machine::Site kRemovalTime("root.bus.removal.time");
constexpr machine::Site kRemovalChannel("root.bus.removal.channel");
constexpr machine::Site kGraceTime("root.bus.removal.grace");
constexpr machine::Site kSubchannelRemoved("root.bus.subchannel_taken_away");
constexpr machine::Site kEndsTwice("root.bus.channel_ends_while_it_is_taken_away");
constexpr std::uint64_t kRemovalLeast100ns = 1'000;
constexpr std::uint64_t kRemovalStep100ns = 100;
constexpr std::uint32_t kRemovalSteps = 256;
constexpr std::uint64_t kGraceStep100ns = 50;
constexpr std::uint32_t kGraceSteps = 32;

hv::PortId child_event_port(std::size_t channel) {
  return hv::PortId(kChannelUse + static_cast<std::uint32_t>(channel) + 1);
}

hv::ConnectionId signal_of(vmbus::OfferId offer) {
  return hv::ConnectionId{vmbus::signal_connection(vmbus::Server::channel_id(offer))};
}

}  // namespace

std::uint32_t VmbusService::use_of(std::size_t channel) {
  return kChannelUse + static_cast<std::uint32_t>(channel) + 1;
}

// --- Coming and going ----------------------------------------------------------------------------

hv::Status VmbusService::add(BusDevice& device, EventFlags& flags) {
  return attach(device, flags, kNoChannel);
}

hv::Status VmbusService::attach(BusDevice& device, EventFlags& flags, std::size_t primary) {
  const auto flag = flags.take(device);
  vmbus::Offer device_offer = device.offer();
  device_offer.monitored = child_.monitor_latency_100ns != 0;
  const auto offer = flag ? server_.offer(device_offer) : std::nullopt;
  if (!offer) {
    if (flag) {
      flags.give_back(*flag);
    }
    device.destroy();
    return hv::Status::kNoResources;
  }
  // The channel's id is its slot and one, in every number that names it.
  Channel& channel = channels_[offer->slot];
  INVARIANT(channel.device == nullptr);
  channel.device = &device;
  channel.flags = &flags;
  channel.flag = *flag;
  channel.offer = *offer;
  channel.primary = primary;
  const hv::PortInfo info = hv::PortInfo::event(vmbus::kVmbusSint, hv::VpIndex(0), *flag, 1);
  return ports_.open_in_root(use_of(offer->slot), info, signal_of(*offer));
}

/// The device has closed, and the client been told.
void VmbusService::detach(std::size_t index) {
  Channel& channel = channels_[index];
  ports_.close_in_root(use_of(index), signal_of(channel.offer));
  channel.flags->give_back(channel.flag);
  channel.device = nullptr;
  channel.primary = kNoChannel;
}

std::size_t VmbusService::subchannel_of(std::size_t primary) const {
  std::size_t index = 0;
  while (index < channels_.size() &&
         (channels_[index].device == nullptr || channels_[index].primary != primary)) {
    ++index;
  }
  return index < channels_.size() ? index : kNoChannel;
}

void VmbusService::offer_subchannels(std::size_t index, std::uint16_t count) {
  const Channel& channel = channels_[index];
  if (channel.leaving || channel.closing) {
    return;
  }
  for (std::uint16_t number = 1; number <= count; ++number) {
    BusDevice* const device = channel.device->make_subchannel(number);
    // The client was promised more than there is room for: it waits for none of them.
    if (device == nullptr || attach(*device, *channel.flags, index) != hv::Status::kSuccess) {
      return;
    }
  }
}

void VmbusService::end_channel(std::size_t index) {
  take_away(channels_[index].offer, true).spawn();
}

void VmbusService::begin_removals(std::uint32_t count, bool subchannels_only) {
  removes_ = true;
  remove_at_times(count, subchannels_only).spawn();
}

kernel::Task<> VmbusService::remove_at_times(std::uint32_t count, bool subchannels_only) {
  for (; count != 0 && !ending_; --count) {
    const std::uint64_t steps = machine::choose(kRemovalTime, kRemovalSteps);
    co_await kernel::sleep_for(kRemovalLeast100ns + kRemovalStep100ns * steps);
    const std::size_t index = choose_channel(subchannels_only);
    if (ending_ || index == kNoChannel) {
      continue;
    }
    machine::sometimes(kSubchannelRemoved, channels_[index].primary != kNoChannel);
    co_await take_away(channels_[index].offer, false);
  }
  removed_.set();
}

std::size_t VmbusService::choose_channel(bool subchannel) const {
  std::array<std::size_t, kChannels> candidates{};
  std::uint32_t count = 0;
  for (std::size_t index = 0; index < channels_.size(); ++index) {
    const Channel& channel = channels_[index];
    if (channel.device != nullptr && !channel.leaving &&
        (!subchannel || channel.primary != kNoChannel)) {
      candidates[count++] = index;
    }
  }
  if (count < 2) {
    return count == 0 ? kNoChannel : candidates[0];
  }
  return candidates[machine::choose(kRemovalChannel, count)];
}

/// What the device does is ended first; what the child asks of the bus meanwhile is answered by the
/// rescind.
kernel::Task<> VmbusService::take_away(vmbus::OfferId offer, bool for_good) {
  const std::size_t index = offer.slot;
  Channel& channel = channels_[index];
  if (channel.device == nullptr || !(channel.offer == offer)) {
    co_return;  // Somebody else was quicker.
  }
  if (channel.leaving) {
    // Whoever is at it already sees to it.
    machine::sometimes(kEndsTwice, true);
    channel.for_good = channel.for_good || for_good;
    co_await channel.gone.wait();
    co_return;
  }
  channel.leaving = true;
  channel.for_good = for_good;
  channel.gone.clear();
  if (!for_good) {
    const std::uint64_t steps = machine::choose(kGraceTime, kGraceSteps);
    co_await kernel::sleep_for(kGraceStep100ns * (1 + steps));
  }
  if (channel.is_open) {
    close_device(index);
    co_await channel.closed.wait();
  }
  static_cast<void>(server_.revoke(channel.offer));
  BusDevice& device = *channel.device;
  EventFlags& flags = *channel.flags;
  const std::size_t primary = channel.primary;
  detach(index);
  channel.leaving = false;
  if (channel.for_good) {
    device.destroy();
  } else {
    // It may find another place: it has just left one. That it cannot be signalled in a child that
    // is at its end is nothing to anybody.
    const hv::Status status = attach(device, flags, primary);
    INVARIANT(status != hv::Status::kNoResources);
  }
  channel.gone.set();
}

// --- Open and close ------------------------------------------------------------------------------

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
  if (ports_.open_in_child(child_event_port(channel), info, use_of(channel)) !=
      hv::Status::kSuccess) {
    return false;
  }
  channels_[channel].signalled_vp = target_vp;
  return true;
}

void VmbusService::close_signal(std::size_t channel) {
  if (channels_[channel].signalled_vp) {
    ports_.close_in_child(child_event_port(channel), use_of(channel));
    channels_[channel].signalled_vp.reset();
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
  channel.monitor = opening.monitor;
  if (channel.monitor) {
    monitors_.add(*channel.monitor, *channel.device, child_.monitor_latency_100ns);
  }
  const std::size_t incoming = rings.client_to_server.size();
  const bool opened = channel.device->open(
      {pages.first(incoming), pages.subspan(incoming), ports_.connection(use_of(index)),
       vmbus::channel_track(child_.number, vmbus::Server::channel_id(offer)), this, index});
  if (!opened) {
    let_go(index);
  }
  server_.open_complete(offer, opened);
}

void VmbusService::close(vmbus::OfferId offer) {
  const std::size_t index = index_of(offer);
  if (channels_[index].is_open) {
    close_device(index);
  }
}

void VmbusService::close_device(std::size_t index) {
  Channel& channel = channels_[index];
  if (channel.closing) {
    return;
  }
  channel.closing = true;
  if (subchannel_of(index) == kNoChannel) {
    channel.device->close();
  } else {
    close_after_subchannels(index).spawn();
  }
}

kernel::Task<> VmbusService::close_after_subchannels(std::size_t index) {
  // One that is being taken away may find another place meanwhile: look anew each time.
  for (std::size_t sub = subchannel_of(index); sub != kNoChannel; sub = subchannel_of(index)) {
    co_await take_away(channels_[sub].offer, true);
  }
  channels_[index].device->close();
}

void VmbusService::let_go(std::size_t index) {
  Channel& channel = channels_[index];
  close_signal(index);
  if (channel.monitor) {
    monitors_.remove(*channel.monitor, *channel.device);
    channel.monitor.reset();
  }
  kernel_.heap().free(channel.pages.data(), channel.pages.size_bytes());
  channel.pages = {};
  channel.is_open = false;
}

void VmbusService::device_closed(std::size_t index) {
  Channel& channel = channels_[index];
  let_go(index);
  channel.closing = false;
  channel.closed.set();
  if (!channel.leaving) {
    server_.close_complete(channel.offer);
    if (channel.device->is_for_one_opening()) {
      end_channel(index);
    }
  }
}

void VmbusService::retarget(vmbus::OfferId offer, std::uint32_t target_vp) {
  const std::size_t index = index_of(offer);
  const std::optional<std::uint32_t> old_vp = channels_[index].signalled_vp;
  if (!channels_[index].is_open || !old_vp) {
    server_.retarget_complete(offer, false);
    return;
  }
  close_signal(index);
  const bool moved = open_signal(index, target_vp);
  if (!moved) {
    // The client goes on waiting where it did.
    static_cast<void>(open_signal(index, *old_vp));
  }
  static_cast<void>(kernel::signal_event(ports_.connection(use_of(index)), kOnlyFlag));
  server_.retarget_complete(offer, moved);
}

}  // namespace root
