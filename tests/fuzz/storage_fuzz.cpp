// Requests that a child puts on a storage channel, and completions that a root does: taken apart,
// judged, and for a request whether the decision stays inside of disk and buffer.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/seam_record.h"
#include "vmbus/storage/handshake.h"
#include "vmbus/storage/requests.h"
#include "vmbus/storage/scsi_disk.h"

namespace {

using namespace vmbus;
using namespace vmbus::storage;
using fuzz::FuzzInput;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Only an SRB is asked of the disk.
void judge(const Request& request, const DiskGeometry& geometry) {
  if (request.packet.operation != Operation::kExecuteSrb) {
    return;
  }
  const Srb srb = srb_of(request.packet);
  const DiskDecision decision = decide(srb, geometry);
  if (decision.action == DiskAction::kRead || decision.action == DiskAction::kWrite ||
      (decision.action == DiskAction::kAnswer && decision.answer_bytes != 0)) {
    // A request whose direction is neither may say any length: nothing moves.
    require(request.buffer && request.buffer->byte_count >= srb.transfer_length);
  }
  if (request.buffer) {
    require(pages_touched(request.buffer->byte_offset, request.buffer->byte_count) <=
            request.buffer->pages.size());
  }
  switch (decision.action) {
    case DiskAction::kRead:
    case DiskAction::kWrite:
      require(decision.transfer.sector_count != 0);
      require(decision.transfer.sector < geometry.sector_count);
      require(decision.transfer.sector_count <= geometry.sector_count - decision.transfer.sector);
      require(std::uint64_t{decision.transfer.sector_count} * 512 == srb.transfer_length);
      require(decision.action == DiskAction::kRead || !geometry.read_only);
      break;
    case DiskAction::kAnswer:
      require(decision.answer_bytes <= decision.answer.size());
      require(decision.answer_bytes <= srb.transfer_length);
      break;
    case DiskAction::kFlush:
    case DiskAction::kFail:
    case DiskAction::kInvalidLun:
      break;
  }
  const DiskDecision absent = decide_absent(srb, geometry.read_only);
  require(absent.answer_bytes <= absent.answer.size());
}

/// A packet as a reader's copy leaves it: aligned words, of which the view says what is what.
void serve(FuzzInput& input, const DiskGeometry& geometry) {
  PacketView view;
  view.type = static_cast<PacketType>(input.below(2) == 0
                                          ? static_cast<std::uint16_t>(PacketType::kDataInband)
                                          : input.take<std::uint16_t>() % 16);
  if (input.below(2) == 0) {
    view.type = PacketType::kDataUsingGpaDirect;
  }
  view.completion_requested = input.below(4) != 0;
  view.header_bytes = input.below(40) * 8;
  view.payload_bytes = input.below(4) == 0 ? input.below(40) * 8 : 64;
  std::vector<std::uint64_t> words(view.size() / 8 + 1);
  const auto bytes = std::as_writable_bytes(std::span(words)).first(view.size());
  input.fill(bytes);
  const auto request = decode_request(view, bytes);
  if (request) {
    judge(*request, geometry);
  } else {
    require(request.error() != NtStatus::kSuccess);
  }
}

/// The words of the wire's structures, fixed up so that most requests are served.
void serve_likely(FuzzInput& input, const DiskGeometry& geometry) {
  StoragePacket packet = input.take<StoragePacket>();
  packet.operation = Operation::kExecuteSrb;
  Srb srb = srb_of(packet);
  srb.length = 0x34;
  srb.transfer_length %= geometry.max_transfer_bytes + 1024;
  put_srb(packet, srb);
  std::array<std::uint64_t, 2 + kMaxRequestPages> storage{};
  const std::uint32_t offset = input.below(4096);
  const std::uint32_t count = input.below(8) == 0 ? input.below(1u << 21) : srb.transfer_length;
  const auto pages = std::min<std::uint64_t>(pages_touched(offset, count), kMaxRequestPages);
  const std::vector<machine::Gpn> list(pages, machine::Gpn(input.take<std::uint64_t>()));
  const auto header = gpa_direct_header(storage, offset, count, list);
  PacketView view;
  view.type = PacketType::kDataUsingGpaDirect;
  view.completion_requested = true;
  view.header_bytes = static_cast<std::uint32_t>(header.size());
  view.payload_bytes = sizeof(packet);
  std::vector<std::uint64_t> words((view.size() + 7) / 8);
  const auto bytes = std::as_writable_bytes(std::span(words));
  copy_bytes(bytes, header);
  copy_bytes(bytes.subspan(header.size()), bytes_of(packet));
  if (const auto request = decode_request(view, bytes.first(view.size()))) {
    judge(*request, geometry);
  }
}

void shake_hands(FuzzInput& input, ServerHandshake& server, ClientHandshake& client) {
  auto packet = input.take<StoragePacket>();
  packet.operation = Operation(input.below(16));
  const bool was_ready = server.ready();
  (void)server.handle(packet);
  require(!was_ready || server.ready() || server.state() != ServerHandshakeState::kReady);
  std::array<std::byte, sizeof(StoragePacket)> reply;
  input.fill(reply);
  client.handle_reply(std::span(reply).first(input.below(sizeof(reply) + 1)));
  (void)client.next_packet();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  seam_record::forget_what_happened();
  FuzzInput input(data, size);
  DiskGeometry geometry;
  geometry.sector_count = 1 + input.take<std::uint16_t>();
  geometry.read_only = input.below(2) == 1;
  geometry.write_cache = input.below(2) == 1;
  ServerHandshake server(ChannelProperties{});
  ClientHandshake client(4);
  while (!input.empty()) {
    switch (input.below(4)) {
      case 0:
        serve(input, geometry);
        break;
      case 1:
        serve_likely(input, geometry);
        break;
      case 2:
        shake_hands(input, server, client);
        break;
      default: {
        std::array<std::byte, 80> completion;
        input.fill(completion);
        const std::uint32_t asked = input.below(1u << 20);
        const auto ended = decode_completion(std::span(completion).first(input.below(81)), asked);
        require(!ended || ended->transferred <= asked);
      }
    }
  }
  return 0;
}
