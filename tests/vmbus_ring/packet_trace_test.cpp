// What both ends of a channel trace of a packet.
#include "vmbus/packet_trace.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/seam_record.h"

using namespace vmbus;

namespace {

constexpr std::uint64_t kTrack = 7;

struct Packet {
  std::vector<std::byte> header;
  std::vector<std::byte> payload;
  std::uint64_t transaction_id = 5;
  bool completion_requested = true;
};

Packet some_packet(std::size_t header_bytes, std::size_t payload_bytes) {
  Packet packet;
  for (std::size_t index = 0; index < header_bytes + payload_bytes; ++index) {
    auto& part = index < header_bytes ? packet.header : packet.payload;
    part.push_back(static_cast<std::byte>(index * 37 + 1));
  }
  return packet;
}

std::uint64_t sent(const Packet& packet) {
  trace_sent(kTrack, PacketDirection::kToServer,
             {.completion_requested = packet.completion_requested,
              .transaction_id = packet.transaction_id,
              .header = packet.header,
              .payload = packet.payload});
  return seam_record::record().traces.back().a;
}

/// As it stands in the ring: header and payload in one, padded with zeros.
std::uint64_t received(const Packet& packet) {
  std::vector<std::byte> bytes = packet.header;
  bytes.insert(bytes.end(), packet.payload.begin(), packet.payload.end());
  bytes.resize((bytes.size() + 7) / 8 * 8);
  PacketView view;
  view.completion_requested = packet.completion_requested;
  view.transaction_id = packet.transaction_id;
  trace_received(kTrack, PacketDirection::kToServer, view, bytes);
  return seam_record::record().traces.back().a;
}

}  // namespace

TEST_CASE("both ends trace the same of a packet that arrives unaltered", "[vmbus][trace]") {
  seam_record::clear();
  for (const std::size_t header_bytes : {0u, 8u, 32u}) {
    for (std::size_t payload_bytes = 0; payload_bytes < 30; ++payload_bytes) {
      CAPTURE(header_bytes, payload_bytes);
      const Packet packet = some_packet(header_bytes, payload_bytes);
      CHECK(sent(packet) == received(packet));
      const auto& traces = seam_record::record().traces;
      CHECK(traces[traces.size() - 2].b == traces.back().b);
      CHECK(traces.back().b == header_bytes + (payload_bytes + 7) / 8 * 8);
    }
  }
}

TEST_CASE("a sent packet is traced as another if any of its bytes is", "[vmbus][trace]") {
  seam_record::clear();
  for (std::size_t payload_bytes = 1; payload_bytes < 20; ++payload_bytes) {
    Packet packet = some_packet(0, payload_bytes);
    const std::uint64_t traced = sent(packet);
    for (std::byte& place : packet.payload) {
      place ^= std::byte{1};
      CHECK(sent(packet) != traced);
      place ^= std::byte{1};
    }
  }
}

TEST_CASE("an altered packet is traced as another", "[vmbus][trace]") {
  seam_record::clear();
  const Packet packet = some_packet(16, 20);
  const std::uint64_t as_sent = sent(packet);
  std::vector<std::uint64_t> others;
  for (std::size_t bit = 0; bit < 36 * 8; ++bit) {
    Packet altered = packet;
    std::byte& place = bit / 8 < 16 ? altered.header[bit / 8] : altered.payload[bit / 8 - 16];
    place ^= std::byte{1} << bit % 8;
    others.push_back(received(altered));
  }
  Packet altered = packet;
  altered.transaction_id = 6;
  others.push_back(received(altered));
  altered = packet;
  altered.completion_requested = false;
  others.push_back(received(altered));
  // Two words that changed places, and two bits that could make up for each other.
  altered = packet;
  std::swap_ranges(altered.header.begin(), altered.header.begin() + 8, altered.header.begin() + 8);
  others.push_back(received(altered));
  altered = packet;
  altered.header[7] ^= std::byte{0x80};
  altered.header[15] ^= std::byte{0x80};
  others.push_back(received(altered));
  CHECK(std::ranges::count(others, as_sent) == 0);
}
