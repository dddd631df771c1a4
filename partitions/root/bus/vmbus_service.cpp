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
      message_port_(ports, vmbus::kMessageConnection),
      reserved_answers_(kernel.heap(), ports, &on_refused),
      monitors_(child.number),
      gpadl_storage_(kernel.heap()),
      devices_(child.has_devices ? kernel.heap().create<DeviceStorage>() : nullptr),
      channels_(devices_ != nullptr ? std::span(devices_->channels) : std::span<Channel>()),
      server_({.newest_version = child.newest_version, .trace_id = child.number},
              devices_ != nullptr ? std::span(devices_->server_channels)
                                  : std::span<vmbus::ServerChannel>(),
              devices_ != nullptr ? std::span(devices_->gpadls) : std::span<vmbus::Gpadl>(),
              gpadl_storage_, *this) {}

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
  return message_port_.lead_to({0, vmbus::kVmbusSint}) ? hv::Status::kSuccess
                                                       : hv::Status::kNoResources;
}

std::span<const std::uint32_t> VmbusService::message_uses() const {
  return std::span(kMessageUses)
      .first(vmbus::has_message_connection(child_.newest_version) ? 2 : 1);
}

/// What the hypervisor has queued for the child goes with the port; the next message makes another.
void VmbusService::forget_messages() {
  outbox_.drop();
  message_port_.close();
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

void VmbusService::trace_sent(std::span<const std::byte> message) const {
  machine::trace(
      kMessageSent, machine::Track::kPartition, child_.number,
      static_cast<std::uint64_t>(vmbus::read_object<vmbus::MessageHeader>(message)->type),
      message.size());
}

/// Who asks from a processor that is not there is told so on one that is: it may wait for ever.
void VmbusService::send_message(std::uint32_t target_vp, std::span<const std::byte> message) {
  const std::uint32_t vp = target_vp < child_.processors ? target_vp : 0;
  if (message_port_.lead_to({vp, vmbus::kVmbusSint})) {
    trace_sent(message);
    outbox_.append(kernel::make_message(message_port_.connection(),
                                        hv::MessageType{vmbus::kVmbusMessageType}, message));
  }
}

void VmbusService::send_reserved_message(const vmbus::ReservedTarget& target,
                                         std::span<const std::byte> message) {
  if (target.target_vp < child_.processors) {
    trace_sent(message);
    reserved_answers_.send({target.target_vp, target.target_sint}, message);
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
        kernel_.heap().try_create<StreamDevice>(kernel_, request.service, request.endpoint);
    if (device != nullptr &&
        attach(*device, *stream_flags_, kNoChannel) != hv::Status::kNoResources) {
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
  reserved_answers_.close();
  co_await outbox_.ended().wait();
  co_await reserved_answers_.ended().wait();
  for (const std::uint32_t use : message_uses()) {
    ports_.close_in_root(use, hv::ConnectionId(use));
  }
  message_port_.close();
  reserved_answers_.close_ports();
}

}  // namespace root
