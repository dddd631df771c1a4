// Storage requests between ring and disk: packets checked and taken apart on the server's side, put
// together on the client's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "vmbus/gpa_range.h"
#include "vmbus/ring.h"
#include "vmbus/storage/scsi.h"
#include "vmbus/storage/storage_protocol.h"

namespace vmbus::storage {

/// The largest request that the server reads: 512 pages of data.
inline constexpr std::size_t kMaxRequestPages = 513;
inline constexpr std::size_t kMaxRequestBytes =
    sizeof(GpaDirectHeader) + 8 + kMaxRequestPages * 8 + sizeof(StoragePacket);

/// What a packet of the client says, checked. `buffer` lies in the bytes it was decoded from.
struct Request {
  std::uint64_t transaction_id = 0;
  StoragePacket packet;
  /// The data of a request: exactly one range, not shorter than the transfer if its direction says
  /// that there is one.
  std::optional<GpaRange> buffer;
};

/// `bytes` is what RingReader::copy gave for `view`: type-specific header, then payload; it must be
/// aligned to 8. kInvalidParameter: the packet is malformed, has no completion requested, or its
/// buffer does not fit the request.
[[nodiscard]] std::expected<Request, NtStatus> decode_request(const PacketView& view,
                                                              std::span<const std::byte> bytes);

/// The SRB in a packet's body, and back.
[[nodiscard]] Srb srb_of(const StoragePacket& packet);
void put_srb(StoragePacket& packet, const Srb& srb);

/// Replies. Each goes out as a completion packet with the request's transaction id.
[[nodiscard]] StoragePacket plain_reply(NtStatus status);
/// `transferred` bytes went well.
[[nodiscard]] StoragePacket success_reply(const Srb& request, std::uint32_t transferred);
[[nodiscard]] StoragePacket sense_reply(const Srb& request, Sense sense);
[[nodiscard]] StoragePacket invalid_lun_reply(const Srb& request);

/// How a disk request ended, on the client's side.
enum class Outcome : std::uint8_t {
  kSuccess,
  kShort,       // success, but fewer bytes than asked for
  kCheck,       // check condition: see the sense data
  kInvalidLun,  // there is no such disk
  kFailed,      // any other error
};
struct Completion {
  Outcome outcome = Outcome::kFailed;
  std::uint32_t transferred = 0;
  Sense sense;
};
/// `bytes` is the payload of a completion packet. Nothing if it is no completion of a request.
[[nodiscard]] std::optional<Completion> decode_completion(std::span<const std::byte> bytes,
                                                          std::uint32_t asked_bytes);

/// Where a disk is on its controller.
struct DiskAddress {
  std::uint8_t path = 0;
  std::uint8_t target = 0;
  std::uint8_t lun = 0;
};

/// EXECUTE_SRB with a CDB.
[[nodiscard]] StoragePacket execute_packet(const Cdb& cdb, DiskAddress address,
                                           DataDirection direction, std::uint32_t transfer_length);

/// The type-specific header of a GPA-direct packet of one range. The span that it returns lies in
/// `storage`, which holds 2 + pages words.
[[nodiscard]] std::span<const std::byte> gpa_direct_header(std::span<std::uint64_t> storage,
                                                           std::uint32_t byte_offset,
                                                           std::uint32_t byte_count,
                                                           std::span<const machine::Gpn> pages);

}  // namespace vmbus::storage
