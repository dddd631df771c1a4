#include "partitions/child/bus/bus_driver.h"

#include <algorithm>

#include "machine/testing.h"
#include "partitions/kernel/posting.h"

namespace child {

namespace {

constexpr machine::Site kPostRefused("child.bus.message_refused");
constexpr machine::Site kMessageSent("child.bus.message_sent");

}  // namespace

BusDriver::BusDriver(kernel::Kernel& kernel, std::uint32_t number)
    : kernel_(kernel),
      outbox_(kernel.heap(), &BusDriver::refused, this),
      number_(number),
      client_({.trace_id = number}, client_channels_, client_gpadls_, *this) {}

kernel::Task<bool> BusDriver::connect() {
  kernel_.processor(0).synic().attach(vmbus::kVmbusSint, *this);
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
  return vmbus::channel_track(number_, device.channel);
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

kernel::Task<bool> BusDriver::open(OfferedDevice& device, ChannelDriver& driver,
                                   std::span<const machine::Gpn> ring_pages) {
  Channel* channel = channel_of(device.channel);
  if (channel == nullptr || device.rescinded) {
    co_return false;
  }
  channel->answered.clear();
  if (client_.create_gpadl(device.channel, ring_pages, channel->ring) !=
      vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await channel->answered.wait();
  if (!channel->success) {
    co_return false;
  }
  channel->answered.clear();
  channel->driver = &driver;
  vmbus::OpenParameters parameters;
  parameters.ring_gpadl = channel->ring;
  parameters.downstream_page_offset = static_cast<std::uint32_t>(ring_pages.size() / 2);
  if (client_.open(device.channel, parameters) != vmbus::ClientStatus::kDone) {
    co_return false;
  }
  co_await channel->answered.wait();
  co_return channel->success;
}

kernel::Task<> BusDriver::close(OfferedDevice& device) {
  Channel* channel = channel_of(device.channel);
  if (channel == nullptr) {
    co_return;
  }
  // A device that was taken away is closed already; its pages are still ours to ask back.
  static_cast<void>(client_.close(device.channel));
  channel->answered.clear();
  if (client_.teardown_gpadl(channel->ring) == vmbus::ClientStatus::kDone) {
    co_await channel->answered.wait();
  }
  channel->driver = nullptr;
  if (device.rescinded) {
    static_cast<void>(client_.release_channel(device.channel));
  }
}

void BusDriver::message_arrived(const hv::Message& message) {
  if (message.header.type != hv::MessageType{vmbus::kVmbusMessageType}) {
    return;
  }
  const std::size_t size =
      std::min<std::size_t>(message.header.payload_size, hv::kMessagePayloadBytes);
  client_.handle_message(std::span(message.payload).first(size));
}

void BusDriver::event_flag_set(std::uint32_t flag) {
  Channel* channel = channel_of(vmbus::ChannelId(flag));
  if (channel != nullptr && channel->driver != nullptr) {
    channel->driver->signalled();
  }
}

void BusDriver::send_message(std::uint32_t connection_id, std::span<const std::byte> message) {
  machine::trace(kMessageSent, machine::Track::kPartition, number_, connection_id, message.size());
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
  if (device_count_ == kMaxDevices || channel_of(channel) == nullptr) {
    return;
  }
  devices_[device_count_++] = OfferedDevice{channel, offer.interface_type, offer.interface_instance,
                                            hv::ConnectionId(offer.connection_id), false};
}

void BusDriver::all_offers_delivered() { offers_delivered_.set(); }

void BusDriver::opened(vmbus::ChannelId id, bool success) {
  if (Channel* channel = channel_of(id); channel != nullptr) {
    answer(*channel, success);
  }
}

void BusDriver::rescinded(vmbus::ChannelId id) {
  for (OfferedDevice& device : devices()) {
    if (device.channel == id) {
      device.rescinded = true;
    }
  }
  Channel* channel = channel_of(id);
  if (channel != nullptr && channel->driver != nullptr) {
    channel->driver->rescinded();
  } else {
    static_cast<void>(client_.release_channel(id));
  }
}

void BusDriver::modified(vmbus::ChannelId, bool) {}

void BusDriver::answer_gpadl(vmbus::GpadlId gpadl, bool success) {
  for (Channel& channel : channels_) {
    if (channel.ring == gpadl) {
      answer(channel, success);
    }
  }
}

void BusDriver::gpadl_created(vmbus::GpadlId gpadl, bool success) { answer_gpadl(gpadl, success); }

void BusDriver::gpadl_torndown(vmbus::GpadlId gpadl) { answer_gpadl(gpadl, true); }

void BusDriver::unloaded() { unloaded_.set(); }

}  // namespace child
