#include "vmbus/storage/requests.h"

#include "machine/invariant.h"
#include "vmbus/protocol/bytes.h"

namespace vmbus::storage {

namespace {

/// The one range of a GPA-direct header; nothing unless there is exactly one, well formed.
std::optional<GpaRange> single_range(std::span<const std::byte> header) {
  const std::optional<GpaDirectHeader> head = read_object<GpaDirectHeader>(header);
  if (!head || head->range_count != 1) {
    return std::nullopt;
  }
  const std::span<const std::byte> ranges = header.subspan(sizeof(GpaDirectHeader));
  INVARIANT(reinterpret_cast<std::uintptr_t>(ranges.data()) % 8 == 0);
  std::span<const std::uint64_t> values(reinterpret_cast<const std::uint64_t*>(ranges.data()),
                                        ranges.size() / 8);
  return take_range(values);
}

StoragePacket srb_reply(const Srb& request, std::uint8_t srb_status, std::uint8_t scsi_status,
                        std::uint32_t transferred) {
  Srb srb = request;
  srb.srb_status = srb_status;
  srb.scsi_status = scsi_status;
  srb.transfer_length = transferred;
  srb.sense_length = 0;
  srb.cdb_or_sense = {};
  StoragePacket packet;
  put_srb(packet, srb);
  return packet;
}

}  // namespace

Srb srb_of(const StoragePacket& packet) { return *read_object<Srb>(packet.body); }

void put_srb(StoragePacket& packet, const Srb& srb) { copy_bytes(packet.body, bytes_of(srb)); }

std::expected<Request, NtStatus> decode_request(const PacketView& view,
                                                std::span<const std::byte> bytes) {
  const std::unexpected<NtStatus> malformed(NtStatus::kInvalidParameter);
  if (bytes.size() < view.size() || !view.completion_requested) {
    return malformed;
  }
  const std::span<const std::byte> header = bytes.first(view.header_bytes);
  const std::span<const std::byte> payload = bytes.subspan(view.header_bytes, view.payload_bytes);
  const std::optional<StoragePacket> packet = read_object<StoragePacket>(payload);
  if (!packet) {
    return malformed;
  }
  Request request;
  request.transaction_id = view.transaction_id;
  request.packet = *packet;
  if (view.type == PacketType::kDataUsingGpaDirect) {
    request.buffer = single_range(header);
    if (!request.buffer) {
      return malformed;
    }
  } else if (view.type != PacketType::kDataInband) {
    return malformed;
  }
  if (packet->operation == Operation::kExecuteSrb) {
    const Srb srb = srb_of(*packet);
    const std::uint32_t room = request.buffer ? request.buffer->byte_count : 0;
    const bool wants_data = srb.direction != DataDirection::kNone && srb.transfer_length != 0;
    if (srb.length != sizeof(Srb) || srb.cdb_length > kMaxCdbSize ||
        srb.direction > DataDirection::kNone || (wants_data && room < srb.transfer_length)) {
      return malformed;
    }
  }
  return request;
}

StoragePacket plain_reply(NtStatus status) {
  StoragePacket packet;
  packet.status = status;
  return packet;
}

StoragePacket success_reply(const Srb& request, std::uint32_t transferred) {
  return srb_reply(request, kSrbStatusSuccess, kScsiGood, transferred);
}

StoragePacket sense_reply(const Srb& request, Sense sense) {
  StoragePacket packet =
      srb_reply(request, kSrbStatusError | kSrbStatusAutosenseValid, kScsiCheckCondition, 0);
  Srb srb = srb_of(packet);
  const auto bytes = sense_bytes(sense);
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    srb.cdb_or_sense[index] = bytes[index];
  }
  srb.sense_length = kFixedSenseSize;
  put_srb(packet, srb);
  packet.status = NtStatus::kIoDeviceError;
  return packet;
}

StoragePacket invalid_lun_reply(const Srb& request) {
  StoragePacket packet = srb_reply(request, kSrbStatusInvalidLun, kScsiGood, 0);
  packet.status = NtStatus::kDeviceDoesNotExist;
  return packet;
}

std::optional<Completion> decode_completion(std::span<const std::byte> bytes,
                                            std::uint32_t asked_bytes) {
  const std::optional<StoragePacket> packet = read_object<StoragePacket>(bytes);
  if (!packet || packet->operation != Operation::kCompleteIo) {
    return std::nullopt;
  }
  const Srb srb = srb_of(*packet);
  Completion completion;
  const std::uint8_t status = srb.srb_status & 0x3F;
  // More than was asked for is a lie of the server's: it could not have gone anywhere.
  completion.transferred = srb.transfer_length < asked_bytes ? srb.transfer_length : asked_bytes;
  const bool good = srb.scsi_status == kScsiGood;
  const bool sense_is_valid =
      (srb.srb_status & kSrbStatusAutosenseValid) != 0 && srb.scsi_status == kScsiCheckCondition;
  if (sense_is_valid) {
    const std::optional<Sense> sense = parse_sense(srb.cdb_or_sense);
    completion.outcome = sense ? Outcome::kCheck : Outcome::kFailed;
    completion.sense = sense.value_or(kSenseNone);
    completion.transferred = 0;
  } else if (good && (status == kSrbStatusSuccess || status == kSrbStatusDataOverrun)) {
    completion.outcome =
        completion.transferred == asked_bytes ? Outcome::kSuccess : Outcome::kShort;
  } else {
    completion.outcome = status == kSrbStatusInvalidLun ? Outcome::kInvalidLun : Outcome::kFailed;
    completion.transferred = 0;
  }
  return completion;
}

StoragePacket execute_packet(const Cdb& cdb, DiskAddress address, DataDirection direction,
                             std::uint32_t transfer_length) {
  constexpr std::uint32_t kTimeoutSeconds = 60;
  Srb srb;
  srb.path = address.path;
  srb.target = address.target;
  srb.lun = address.lun;
  srb.cdb_length = cdb.length;
  srb.sense_length = kSenseBufferSize;
  srb.direction = direction;
  srb.transfer_length = transfer_length;
  srb.timeout_seconds = kTimeoutSeconds;
  srb.flags = kSrbFlagQueueAction;
  if (direction == DataDirection::kFromDevice) {
    srb.flags |= kSrbFlagDataIn;
  } else if (direction == DataDirection::kToDevice) {
    srb.flags |= kSrbFlagDataOut;
  }
  for (std::size_t index = 0; index < cdb.bytes.size(); ++index) {
    srb.cdb_or_sense[index] = cdb.bytes[index];
  }
  StoragePacket packet;
  packet.operation = Operation::kExecuteSrb;
  packet.flags = kPacketWantsCompletion;
  put_srb(packet, srb);
  return packet;
}

std::span<const std::byte> gpa_direct_header(std::span<std::uint64_t> storage,
                                             std::uint32_t byte_offset, std::uint32_t byte_count,
                                             std::span<const machine::Gpn> pages) {
  INVARIANT(pages.size() == pages_touched(byte_offset, byte_count));
  INVARIANT(storage.size() >= 2 + pages.size());
  storage[0] = std::uint64_t{1} << 32;  // one range
  storage[1] = std::uint64_t{byte_offset} << 32 | byte_count;
  for (std::size_t index = 0; index < pages.size(); ++index) {
    storage[2 + index] = pages[index].value();
  }
  return std::as_bytes(storage.first(2 + pages.size()));
}

}  // namespace vmbus::storage
