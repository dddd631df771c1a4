#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "vmbus/storage/requests.h"

using namespace vmbus;
using namespace vmbus::storage;

namespace {

/// A packet as the reader's copy() leaves it: header, then payload, aligned to 8.
struct Wire {
  PacketView view;
  std::vector<std::uint64_t> words;

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return std::as_bytes(std::span(words)).first(view.size());
  }
};

Wire wire(PacketType type, std::span<const std::byte> header, std::span<const std::byte> payload) {
  Wire result;
  result.view.type = type;
  result.view.completion_requested = true;
  result.view.transaction_id = 42;
  result.view.header_bytes = static_cast<std::uint32_t>(header.size());
  result.view.payload_bytes = static_cast<std::uint32_t>((payload.size() + 7) / 8 * 8);
  result.words.resize((result.view.size() + 7) / 8);
  const auto target = std::as_writable_bytes(std::span(result.words));
  copy_bytes(target, header);
  copy_bytes(target.subspan(header.size()), payload);
  return result;
}

const std::vector<machine::Gpn> kPages = {machine::Gpn(7), machine::Gpn(9), machine::Gpn(4)};

Wire read_request(std::uint32_t byte_offset, std::uint32_t byte_count,
                  std::uint32_t transfer_length) {
  std::array<std::uint64_t, 16> storage{};
  const std::size_t pages = pages_touched(byte_offset, byte_count);
  const auto header =
      gpa_direct_header(storage, byte_offset, byte_count, std::span(kPages).first(pages));
  const StoragePacket packet =
      execute_packet(read_command(8, 16), {.path = 0, .target = 1, .lun = 2},
                     DataDirection::kFromDevice, transfer_length);
  return wire(PacketType::kDataUsingGpaDirect, header, bytes_of(packet));
}

bool is_malformed(const Wire& w) {
  const auto request = decode_request(w.view, w.bytes());
  return !request && request.error() == NtStatus::kInvalidParameter;
}

}  // namespace

TEST_CASE("a request with data comes out as it was put together", "[vmbus][storage]") {
  const Wire w = read_request(512, 8192, 8192);
  const auto request = decode_request(w.view, w.bytes());
  REQUIRE(request);
  CHECK(request->transaction_id == 42);
  CHECK(request->packet.operation == Operation::kExecuteSrb);
  REQUIRE(request->buffer);
  CHECK(request->buffer->byte_count == 8192);
  CHECK(request->buffer->byte_offset == 512);
  REQUIRE(request->buffer->pages.size() == 3);
  CHECK(request->buffer->pages[2] == 4);
  const Srb srb = srb_of(request->packet);
  CHECK(srb.length == 0x34);
  CHECK(srb.target == 1);
  CHECK(srb.lun == 2);
  CHECK(srb.cdb_length == 10);
  CHECK(srb.cdb_or_sense[0] == 0x28);
  CHECK((srb.flags & kSrbFlagDataIn) != 0);
  CHECK(srb.sense_length == 20);
}

TEST_CASE("the header of a GPA-direct packet lies as the wire says", "[vmbus][storage]") {
  std::array<std::uint64_t, 16> storage{};
  const auto header = gpa_direct_header(storage, 16, 4096, std::span(kPages).first(2));
  CHECK(header.size() == 32);
  CHECK(read_object<GpaDirectHeader>(header)->range_count == 1);
  CHECK(read_object<GpaRangeHeader>(header, 8)->byte_count == 4096);
  CHECK(read_object<GpaRangeHeader>(header, 8)->byte_offset == 16);
  CHECK(read_object<std::uint64_t>(header, 24) == 9u);
}

TEST_CASE("a request without data needs no range", "[vmbus][storage]") {
  const StoragePacket packet =
      execute_packet(synchronize_cache_command(), {}, DataDirection::kNone, 0);
  const Wire w = wire(PacketType::kDataInband, {}, bytes_of(packet));
  const auto request = decode_request(w.view, w.bytes());
  REQUIRE(request);
  CHECK_FALSE(request->buffer);
}

TEST_CASE("a malformed request is refused", "[vmbus][storage][hostile]") {
  CHECK(is_malformed(read_request(0, 4096, 4097)));  // the range is shorter than the transfer

  Wire two_ranges = read_request(0, 4096, 4096);
  two_ranges.words[0] = std::uint64_t{2} << 32;
  CHECK(is_malformed(two_ranges));
  Wire no_range = read_request(0, 4096, 4096);
  no_range.words[0] = 0;
  CHECK(is_malformed(no_range));
  Wire bad_offset = read_request(0, 4096, 4096);
  bad_offset.words[1] = std::uint64_t{4096} << 32 | 4096;
  CHECK(is_malformed(bad_offset));
  Wire missing_pages = read_request(0, 4096, 4096);
  missing_pages.words[1] = 8192;
  CHECK(is_malformed(missing_pages));
  Wire empty_range = read_request(0, 4096, 4096);
  empty_range.words[1] = 0;
  CHECK(is_malformed(empty_range));

  Wire other_type = read_request(0, 4096, 4096);
  other_type.view.type = PacketType::kDataUsingTransferPages;
  CHECK(is_malformed(other_type));
  Wire no_completion = read_request(0, 4096, 4096);
  no_completion.view.completion_requested = false;
  CHECK(is_malformed(no_completion));
  Wire cut = read_request(0, 4096, 4096);
  CHECK_FALSE(decode_request(cut.view, cut.bytes().first(cut.bytes().size() - 8)));
  Wire header_only = read_request(0, 4096, 4096);
  header_only.view.header_bytes += header_only.view.payload_bytes;
  header_only.view.payload_bytes = 0;
  CHECK(is_malformed(header_only));

  const StoragePacket wants_data =
      execute_packet(read_command(0, 1), {}, DataDirection::kFromDevice, 512);
  CHECK(is_malformed(wire(PacketType::kDataInband, {}, bytes_of(wants_data))));
}

TEST_CASE("an SRB that makes no sense is refused", "[vmbus][storage][hostile]") {
  const auto with = [](auto change) {
    StoragePacket packet = execute_packet(test_unit_ready_command(), {}, DataDirection::kNone, 0);
    Srb srb = srb_of(packet);
    change(srb);
    put_srb(packet, srb);
    return wire(PacketType::kDataInband, {}, bytes_of(packet));
  };
  CHECK_FALSE(is_malformed(with([](Srb&) {})));
  CHECK(is_malformed(with([](Srb& srb) { srb.length = 36; })));
  CHECK(is_malformed(with([](Srb& srb) { srb.cdb_length = 17; })));
  CHECK(is_malformed(with([](Srb& srb) { srb.direction = static_cast<DataDirection>(3); })));
}

TEST_CASE("no packet makes the decoder look outside of it", "[vmbus][storage][hostile][property]") {
  REQUIRE(rc::check([](std::vector<std::uint64_t> words, std::uint32_t header8, bool direct) {
    Wire w;
    w.words = words;
    w.view.type = direct ? PacketType::kDataUsingGpaDirect : PacketType::kDataInband;
    w.view.completion_requested = true;
    w.view.header_bytes = header8 % (static_cast<std::uint32_t>(words.size()) + 1) * 8;
    w.view.payload_bytes = static_cast<std::uint32_t>(words.size() * 8) - w.view.header_bytes;
    const auto request = decode_request(w.view, w.bytes());
    if (request && request->buffer) {
      const GpaRange& buffer = *request->buffer;
      RC_ASSERT(buffer.pages.data() >= w.words.data());
      RC_ASSERT(buffer.pages.data() + buffer.pages.size() <= w.words.data() + w.words.size());
      RC_ASSERT(buffer.pages.size() == pages_touched(buffer.byte_offset, buffer.byte_count));
    }
  }));
}

// --- Replies -------------------------------------------------------------------------------------

TEST_CASE("a success is read as one", "[vmbus][storage]") {
  const Srb srb = srb_of(execute_packet(read_command(0, 8), {}, DataDirection::kFromDevice, 4096));
  const auto completion = decode_completion(bytes_of(success_reply(srb, 4096)), 4096);
  REQUIRE(completion);
  CHECK(completion->outcome == Outcome::kSuccess);
  CHECK(completion->transferred == 4096);
  const StoragePacket reply = success_reply(srb, 4096);
  CHECK(reply.operation == Operation::kCompleteIo);
  CHECK(srb_of(reply).srb_status == 1);
  CHECK(decode_completion(bytes_of(success_reply(srb, 100)), 4096)->outcome == Outcome::kShort);
}

TEST_CASE("a check condition carries its sense data", "[vmbus][storage]") {
  const Srb srb = srb_of(execute_packet(read_command(0, 8), {}, DataDirection::kFromDevice, 4096));
  const StoragePacket reply = sense_reply(srb, kSenseMediumReadError);
  CHECK(srb_of(reply).srb_status == 0x84);
  CHECK(srb_of(reply).scsi_status == 2);
  CHECK(srb_of(reply).sense_length == 18);
  const auto completion = decode_completion(bytes_of(reply), 4096);
  REQUIRE(completion);
  CHECK(completion->outcome == Outcome::kCheck);
  CHECK(completion->sense == kSenseMediumReadError);
  CHECK(completion->transferred == 0);
}

TEST_CASE("the other ends of a request are told apart", "[vmbus][storage]") {
  const Srb srb = srb_of(execute_packet(read_command(0, 8), {}, DataDirection::kFromDevice, 4096));
  CHECK(decode_completion(bytes_of(invalid_lun_reply(srb)), 4096)->outcome == Outcome::kInvalidLun);
  CHECK(decode_completion(bytes_of(plain_reply(NtStatus::kInvalidParameter)), 4096)->outcome ==
        Outcome::kFailed);
  StoragePacket busy = success_reply(srb, 4096);
  Srb changed = srb_of(busy);
  changed.scsi_status = kScsiBusy;
  put_srb(busy, changed);
  CHECK(decode_completion(bytes_of(busy), 4096)->outcome == Outcome::kFailed);
}

TEST_CASE("a completion that is none, or claims too much, is not believed",
          "[vmbus][storage][hostile]") {
  const Srb srb = srb_of(execute_packet(read_command(0, 8), {}, DataDirection::kFromDevice, 4096));
  StoragePacket reply = success_reply(srb, 1 << 20);
  CHECK(decode_completion(bytes_of(reply), 4096)->transferred == 4096);
  CHECK_FALSE(decode_completion(bytes_of(reply).first(63), 4096));
  reply.operation = Operation::kRemoveDevice;
  CHECK_FALSE(decode_completion(bytes_of(reply), 4096));
}
