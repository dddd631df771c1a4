#include "partitions/root/storage/storage_device.h"

#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/kernel/posting.h"
#include "vmbus/packet_trace.h"

namespace root {

namespace {

namespace storage = vmbus::storage;

// What one child can make the root keep is bounded by these.
constexpr std::uint32_t kMaxInFlight = 48;
constexpr std::size_t kMaxJobBytes = 64 * 1024;
constexpr std::uint64_t kPollAgain100ns = 1'000;
constexpr std::uint16_t kOnlyFlag = 0;
constexpr std::uint64_t kCompletionBytes = vmbus::packet_bytes(0, sizeof(storage::StoragePacket));

constexpr machine::Site kRingWasFull("root.storage.completion_ring_full");
constexpr machine::Site kRequestsWaited("root.storage.requests_waited");
constexpr machine::Site kRequestTrace("storage.request");
// The run's summary adds up their bytes.
constexpr machine::Site kReadTrace("storage.read");
constexpr machine::Site kWriteTrace("storage.write");

storage::ChannelProperties properties_of(const storage::DiskGeometry& geometry,
                                         const StorageUnit& unit) {
  storage::ChannelProperties properties;
  properties.max_transfer_bytes = geometry.max_transfer_bytes;
  properties.max_subchannel_count = unit.most_subchannels;
  properties.flags = unit.most_subchannels != 0 ? storage::kPropertyMultiChannel : 0;
  return properties;
}

vmbus::GpaPagesMemory memory_of(std::span<const machine::Gpn> pages) {
  return vmbus::GpaPagesMemory(pages);
}

}  // namespace

StorageDevice::Session::Session(const ChannelRings& rings,
                                const storage::ChannelProperties& properties)
    : incoming(memory_of(rings.from_child)),
      outgoing(memory_of(rings.to_child), rings.space_signals()),
      signal(rings.signal),
      track(rings.track),
      owner(*rings.owner),
      channel(rings.channel),
      handshake(properties) {}

StorageDevice::StorageDevice(kernel::Kernel& kernel, Disks& disks, const MemoryBlock& memory,
                             const StorageUnit& unit)
    : kernel_(kernel), disks_(disks), memory_(memory), unit_(unit) {
  const DiskRange& range = unit.range;
  geometry_.sector_count = range.sector_count;
  geometry_.read_only = range.read_only;
  geometry_.write_cache = !range.read_only;
  geometry_.max_transfer_bytes = kMaxCommandBytes;
  geometry_.serial = {'C', 'H', 'R', 'N', '0', static_cast<char>('0' + unit.number % 10), 0};
}

vmbus::Offer StorageDevice::offer() const {
  vmbus::Offer offer;
  offer.interface_type = vmbus::kScsiInterface;
  offer.interface_instance = vmbus::guid("c4f1a2b0-0000-8899-a000-000000000000");
  offer.interface_instance.data2 = static_cast<std::uint16_t>(unit_.number);
  offer.flags = vmbus::kOfferEnumerateDeviceInterface;
  offer.subchannel_index = unit_.subchannel_index;
  return offer;
}

bool StorageDevice::open(const ChannelRings& rings) {
  INVARIANT(session_ == nullptr);
  session_ = kernel_.heap().try_create<Session>(rings, properties_of(geometry_, unit_));
  if (session_ == nullptr) {
    return false;
  }
  vmbus::GpaPagesMemory outgoing(rings.to_child);
  vmbus::announce_pending_send_size(outgoing);
  something_to_do_.give();
  serve().spawn();
  return true;
}

void StorageDevice::close() {
  closing_ = true;
  something_to_do_.give();
}

BusDevice* StorageDevice::make_subchannel(std::uint16_t index) {
  if (unit_.subchannel_index != 0 || index > unit_.most_subchannels) {
    return nullptr;
  }
  StorageUnit unit = unit_;
  unit.subchannel_index = index;
  return kernel_.heap().try_create<StorageDevice>(kernel_, disks_, memory_, unit);
}

kernel::Task<> StorageDevice::serve() {
  while (!closing_ || in_flight_ != 0) {
    const Step step = turn();
    if (step == Step::kWaitForSignal) {
      co_await something_to_do_.wait();
    } else if (step == Step::kWaitForTime) {
      co_await kernel::sleep_for(kPollAgain100ns);
    } else {
      co_await kernel::Yield();
    }
  }
  ChannelOwner& owner = session_->owner;
  const std::size_t channel = session_->channel;
  kernel_.heap().destroy(session_);
  session_ = nullptr;
  closing_ = false;
  owner.device_closed(channel);
}

StorageDevice::Step StorageDevice::turn() {
  Session& session = *session_;
  const bool ring_is_full = write_completions();
  notify(session.outgoing.publish());
  if (closing_ || session.broken) {
    // Only what is under way is waited for; its completions are of no use any more.
    return in_flight_ != 0 || !closing_ ? Step::kWaitForSignal : Step::kAgain;
  }
  if (ring_is_full) {
    notify(session.incoming.pause());
    return wait_for_room();
  }
  session.incoming.mask();
  read_requests();
  if (session.broken || done_first_ != nullptr) {
    notify(session.incoming.publish());
    return Step::kAgain;
  }
  if (is_busy()) {
    machine::sometimes(kRequestsWaited, true);
    notify(session.incoming.pause());
    return Step::kWaitForSignal;  // A completion looks at the ring again.
  }
  const auto before_sleep = session.incoming.prepare_to_sleep();
  notify(before_sleep.published);
  const bool sleeps = !session.broken && before_sleep.wait != vmbus::WaitResult::kReady;
  return sleeps ? Step::kWaitForSignal : Step::kAgain;
}

StorageDevice::Step StorageDevice::wait_for_room() {
  machine::sometimes(kRingWasFull, true);
  switch (session_->outgoing.wait_for_space(static_cast<std::uint32_t>(kCompletionBytes))) {
    case vmbus::WaitResult::kReady:
      return Step::kAgain;
    case vmbus::WaitResult::kSleep:
      return Step::kWaitForSignal;
    case vmbus::WaitResult::kPoll:
      return Step::kWaitForTime;
    case vmbus::WaitResult::kCorrupt:
      session_->broken = true;
      return Step::kAgain;
  }
  return Step::kAgain;
}

void StorageDevice::notify(vmbus::PublishResult result) {
  switch (result) {
    case vmbus::PublishResult::kNoSignal:
      return;
    case vmbus::PublishResult::kSignal:
      // A child that cannot be signalled has switched its interrupts off, or is gone.
      static_cast<void>(kernel::signal_event(session_->signal, kOnlyFlag));
      return;
    case vmbus::PublishResult::kCorrupt:
      session_->broken = true;
      return;
  }
}

bool StorageDevice::write_completions() {
  while (done_first_ != nullptr) {
    Job* job = done_first_;
    if (!session_->broken && !closing_) {
      vmbus::OutgoingPacket packet;
      packet.type = vmbus::PacketType::kCompletion;
      packet.transaction_id = job->transaction_id;
      packet.payload = vmbus::bytes_of(job->reply);
      const vmbus::RingStatus status = session_->outgoing.write(packet);
      if (status == vmbus::RingStatus::kFull) {
        return true;
      }
      session_->broken = status != vmbus::RingStatus::kDone;
      if (!session_->broken) {
        vmbus::trace_sent(session_->track, vmbus::PacketDirection::kToClient, packet);
      }
    }
    done_first_ = job->next;
    --in_flight_;
    job_bytes_ -= job->allocated_bytes;
    kernel_.heap().free(job, job->allocated_bytes);
  }
  return false;
}

bool StorageDevice::is_busy() const {
  return in_flight_ >= kMaxInFlight || job_bytes_ >= kMaxJobBytes;
}

void StorageDevice::read_requests() {
  while (!is_busy()) {
    vmbus::PacketView view;
    const vmbus::RingStatus status = session_->incoming.peek(view);
    if (status == vmbus::RingStatus::kEmpty) {
      return;
    }
    if (status != vmbus::RingStatus::kDone || view.size() > storage::kMaxRequestBytes) {
      session_->broken = true;
      return;
    }
    take_request(view);
    if (session_->broken) {
      return;
    }
    session_->incoming.consume();
  }
}

void StorageDevice::take_request(const vmbus::PacketView& view) {
  const std::size_t size = sizeof(Job) + view.size();
  void* place = kernel_.heap().try_allocate(size);
  if (place == nullptr) {
    session_->broken = true;  // The root is out of memory: this child goes without its disk.
    return;
  }
  Job* job = new (place) Job;
  static_assert(sizeof(Job) % 8 == 0);
  job->allocated_bytes = size;
  job->transaction_id = view.transaction_id;
  const std::span bytes(reinterpret_cast<std::byte*>(job + 1), view.size());
  session_->incoming.copy(bytes);
  vmbus::trace_received(session_->track, vmbus::PacketDirection::kToServer, view, bytes);
  if (!view.completion_requested) {
    // Who wants no completion gets none: it would be told of an id that it does not know.
    kernel_.heap().free(job, size);
    return;
  }
  ++in_flight_;
  job_bytes_ += size;
  const auto request = storage::decode_request(view, bytes);
  if (!request) {
    finish(*job, storage::plain_reply(request.error()));
    return;
  }
  job->request = *request;
  start(*job);
}

void StorageDevice::start(Job& job) {
  if (job.request.packet.operation != storage::Operation::kExecuteSrb) {
    shake_hands(job);
  } else if (unit_.subchannel_index == 0 && !session_->handshake.ready()) {
    finish(job, storage::plain_reply(storage::NtStatus::kInvalidDeviceState));
  } else {
    execute(job).spawn();
  }
}

/// A sub-channel is for requests alone: what there is to agree on, its primary has agreed on.
void StorageDevice::shake_hands(Job& job) {
  if (unit_.subchannel_index != 0) {
    finish(job, storage::plain_reply(storage::NtStatus::kInvalidDeviceState));
    return;
  }
  storage::ServerHandshake& handshake = session_->handshake;
  const std::uint16_t granted = handshake.granted_subchannels();
  finish(job, handshake.handle(job.request.packet));
  if (handshake.granted_subchannels() != granted) {
    session_->owner.offer_subchannels(session_->channel, handshake.granted_subchannels());
  }
}

void StorageDevice::finish(Job& job, const storage::StoragePacket& reply) {
  job.reply = reply;
  job.next = nullptr;
  (done_first_ == nullptr ? done_first_ : done_last_->next) = &job;
  done_last_ = &job;
  something_to_do_.give();
}

kernel::Task<> StorageDevice::execute(Job& job) {
  const storage::Srb srb = storage::srb_of(job.request.packet);
  const bool is_the_disk = srb.path == 0 && srb.target == 0 && srb.lun == 0;
  const storage::DiskDecision decision =
      is_the_disk ? storage::decide(srb, geometry_)
                  : storage::decide_absent(srb, srb.path == 0 && srb.target == 0);
  machine::trace(kRequestTrace, machine::Track::kDevice, session_->track,
                 static_cast<std::uint64_t>(decision.action), decision.transfer.sector);
  switch (decision.action) {
    case storage::DiskAction::kRead:
    case storage::DiskAction::kWrite:
      co_await move_sectors(job, srb, decision.transfer);
      break;
    case storage::DiskAction::kFlush:
      co_await flush(job, srb);
      break;
    case storage::DiskAction::kAnswer:
      answer(job, srb, decision);
      break;
    case storage::DiskAction::kFail:
      finish(job, storage::sense_reply(srb, decision.sense));
      break;
    case storage::DiskAction::kInvalidLun:
      finish(job, storage::invalid_lun_reply(srb));
      break;
  }
}

std::span<DiskSegment> StorageDevice::segments_of(const vmbus::GpaRange& range,
                                                  std::uint32_t size_bytes) {
  const std::size_t list_bytes = range.pages.size() * sizeof(DiskSegment);
  auto* list = static_cast<DiskSegment*>(kernel_.heap().try_allocate(list_bytes));
  if (list == nullptr) {
    return {};
  }
  std::size_t count = 0;
  std::uint32_t offset = range.byte_offset;
  std::uint32_t left = size_bytes;
  for (const std::uint64_t number : range.pages) {
    if (left == 0) {
      break;
    }
    const auto page = memory_.translate(machine::Gpn(number));
    if (!page) {
      kernel_.heap().free(list, list_bytes);
      return {};
    }
    const auto room = static_cast<std::uint32_t>(machine::kPageSize) - offset;
    const std::uint32_t part = std::min(left, room);
    const machine::Gpa address = machine::Gpa(*page) + offset;
    if (count != 0 && list[count - 1].address + list[count - 1].size_bytes == address) {
      list[count - 1].size_bytes += part;
    } else {
      new (&list[count++]) DiskSegment{address, part};
    }
    left -= part;
    offset = 0;
  }
  return {list, count};
}

void StorageDevice::free_segments(const vmbus::GpaRange& range, std::span<DiskSegment> segments) {
  kernel_.heap().free(segments.data(), range.pages.size() * sizeof(DiskSegment));
}

kernel::Task<> StorageDevice::move_sectors(Job& job, const storage::Srb& srb,
                                           const storage::Transfer& transfer) {
  const std::uint32_t size_bytes = transfer.sector_count * kDiskSectorBytes;
  if (!job.request.buffer.has_value()) {
    finish(job, storage::sense_reply(srb, storage::kSenseInvalidField));
    co_return;
  }
  const std::span<DiskSegment> segments = segments_of(*job.request.buffer, size_bytes);
  if (segments.empty()) {
    finish(job, storage::sense_reply(srb, storage::kSenseInvalidField));
    co_return;
  }
  DiskCommand command;
  command.operation = transfer.is_write ? DiskOperation::kWrite : DiskOperation::kRead;
  command.sector = unit_.range.first_sector + transfer.sector;
  command.sector_count = transfer.sector_count;
  command.segments = segments;
  DiskStatus status = co_await disks_.run(unit_.range.disk, command);
  if (status == DiskStatus::kDone && transfer.is_write && transfer.force_unit_access) {
    command.operation = DiskOperation::kFlush;
    status = co_await disks_.run(unit_.range.disk, command);
  }
  free_segments(*job.request.buffer, segments);
  if (status == DiskStatus::kDone) {
    machine::trace(transfer.is_write ? kWriteTrace : kReadTrace, machine::Track::kDevice,
                   session_->track, transfer.sector, size_bytes);
    finish(job, storage::success_reply(srb, size_bytes));
  } else {
    finish(job, storage::sense_reply(srb, transfer.is_write ? storage::kSenseMediumWriteError
                                                            : storage::kSenseMediumReadError));
  }
}

kernel::Task<> StorageDevice::flush(Job& job, const storage::Srb& srb) {
  DiskCommand command;
  command.operation = DiskOperation::kFlush;
  command.sector = unit_.range.first_sector;
  const DiskStatus status = co_await disks_.run(unit_.range.disk, command);
  if (status == DiskStatus::kDone) {
    finish(job, storage::success_reply(srb, 0));
  } else {
    finish(job, storage::sense_reply(srb, storage::kSenseMediumWriteError));
  }
}

void StorageDevice::answer(Job& job, const storage::Srb& srb,
                           const storage::DiskDecision& decision) {
  std::uint32_t moved = 0;
  if (decision.answer_bytes != 0 && job.request.buffer.has_value()) {
    const vmbus::GpaRange& range = *job.request.buffer;
    const std::uint32_t size = std::min(decision.answer_bytes, range.byte_count);
    const std::span<DiskSegment> segments = segments_of(range, size);
    if (segments.empty()) {
      finish(job, storage::sense_reply(srb, storage::kSenseInvalidField));
      return;
    }
    const std::span<const std::byte> bytes = std::as_bytes(std::span(decision.answer));
    for (const DiskSegment& segment : segments) {
      machine::write_memory(segment.address, bytes.subspan(moved, segment.size_bytes));
      moved += segment.size_bytes;
    }
    free_segments(range, segments);
  }
  finish(job, storage::success_reply(srb, moved));
}

}  // namespace root
