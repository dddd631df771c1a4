#include "partitions/root/bus/vmbus_service.h"

#include "machine/testing.h"
#include "partitions/kernel/posting.h"
#include "partitions/root/streams/stream_caller.h"
#include "partitions/root/streams/stream_device.h"
#include "vmbus/gpa_range.h"

namespace root {

namespace {

constexpr std::uint32_t kMessageUse = vmbus::kMessageConnection;
constexpr std::uint32_t kMessageUses[] = {kMessageUse, vmbus::kMessageConnectionVersion5};
/// The child's port for the messages of its bus.
constexpr hv::PortId kChildMessagePort{vmbus::kMessageConnection};
constexpr machine::Site kMessageRefused("root.bus.message_refused");
constexpr machine::Site kMessageSent("root.bus.message_sent");

/// The child may be gone, or have switched its SynIC off: its own affair.
void on_refused(void*, const hv::PostMessageInput&, hv::Status) {
  machine::sometimes(kMessageRefused, true);
}

}  // namespace

VmbusService::VmbusService(kernel::Kernel& kernel, ChildPorts& ports, const VmbusChild& child)
    : kernel_(kernel),
      ports_(ports),
      child_(child),
      outbox_(kernel.heap(), &on_refused, nullptr),
      monitors_(child.number),
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
  if (caller_ != nullptr) {
    kernel_.heap().destroy(caller_);
  }
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
  close_message_port();
  const hv::PortInfo info = hv::PortInfo::message(sint, hv::VpIndex(target_vp));
  if (ports_.open_in_child(kChildMessagePort, info, kMessageUse) != hv::Status::kSuccess) {
    return false;
  }
  message_vp_ = target_vp;
  message_sint_ = sint;
  return true;
}

void VmbusService::close_message_port() {
  if (message_vp_ != vmbus::kNoTargetVp) {
    ports_.close_in_child(kChildMessagePort, kMessageUse);
    message_vp_ = vmbus::kNoTargetVp;
  }
}

/// What the hypervisor has queued for the child goes with the port; the next message makes another.
void VmbusService::forget_messages() {
  outbox_.drop();
  close_message_port();
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

void VmbusService::send_message(std::uint32_t target_vp, std::span<const std::byte> message) {
  if (open_message_port(target_vp)) {
    append(message);
  }
}

void VmbusService::append(std::span<const std::byte> message) {
  machine::trace(
      kMessageSent, machine::Track::kPartition, child_.number,
      static_cast<std::uint64_t>(vmbus::read_object<vmbus::MessageHeader>(message)->type),
      message.size());
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
  monitors_.use_page(pages.there() && child_.monitor_latency_100ns != 0
                         ? child_.memory.translate(machine::Gpa(pages.child_to_parent_gpa), 1)
                         : std::nullopt);
  return true;
}

void VmbusService::tl_connect(const vmbus::TlConnect& request) {
  if (stream_flags_ != nullptr && is_stream_service(request.service)) {
    auto* const device =
        kernel_.heap().create<StreamDevice>(kernel_, request.service, request.endpoint);
    if (attach(*device, *stream_flags_, kNoChannel) != hv::Status::kNoResources) {
      return;
    }
  }
  static_cast<void>(server_.refuse_tl_connect(request.endpoint, request.service,
                                              vmbus::kStatusConnectionRefused));
}

void VmbusService::begin_calls(const CallPlan& plan, EventFlags& flags) {
  INVARIANT(caller_ == nullptr);
  caller_ = kernel_.heap().create<StreamCaller>(kernel_, *this, flags, plan);
  caller_->start();
}

bool VmbusService::carries_streams() const {
  return server_.state() == vmbus::ServerState::kConnected &&
         vmbus::has_tl_connect(server_.version());
}

void VmbusService::end(const BusDevice& device) {
  std::size_t index = 0;
  while (index < channels_.size() && channels_[index].device != &device) {
    ++index;
  }
  INVARIANT(index < channels_.size());
  end_channel(index);
}

void VmbusService::contact(const vmbus::Contact& contact) {
  const bool welcome =
      contact.target_vp < child_.processors && change_monitor_pages(contact.monitor_pages);
  server_.contact_complete(welcome ? vmbus::ContactState::kSuccessful
                                   : vmbus::ContactState::kUnknownFailure);
}

void VmbusService::disconnected() {
  monitors_.use_page(std::nullopt);
  for (std::size_t index = 0; index < channels_.size(); ++index) {
    if (channels_[index].device != nullptr && channels_[index].device->is_for_one_opening()) {
      end_channel(index);
    }
  }
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
  if (caller_ != nullptr) {
    caller_->stop();
  }
  server_.reset();
  for (std::size_t index = 0; index < channels_.size(); ++index) {
    if (channels_[index].device != nullptr) {
      co_await take_away(channels_[index].offer, true);
    }
  }
  if (caller_ != nullptr) {
    co_await caller_->stopped().wait();
  }
  if (monitors_.is_looking()) {
    co_await monitors_.stopped().wait();
  }
  outbox_.close();
  co_await outbox_.ended().wait();
  for (const std::uint32_t use : message_uses()) {
    ports_.close_in_root(use, hv::ConnectionId(use));
  }
  ports_.close_in_child(kChildMessagePort, kMessageUse);
}

}  // namespace root
