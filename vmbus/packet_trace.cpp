#include "vmbus/packet_trace.h"

namespace vmbus {

namespace {

constexpr machine::Site kSentToServer("vmbus.packet.sent_to_server");
constexpr machine::Site kSentToClient("vmbus.packet.sent_to_client");
constexpr machine::Site kReceivedByServer("vmbus.packet.received_by_server");
constexpr machine::Site kReceivedByClient("vmbus.packet.received_by_client");

/// Over a packet: descriptor, header, payload and the zeros that pad it. Every step can be undone,
/// so no word changes unseen; and it takes a word of 8 bytes at a time, for this runs on real
/// computers too, where nobody compares.
class Digest {
 public:
  Digest(PacketType type, bool completion_requested, std::uint64_t transaction_id) {
    add(static_cast<std::uint64_t>(type) << 1 | (completion_requested ? 1 : 0));
    add(transaction_id);
  }
  /// What is missing to a whole number of words counts as zeros.
  void add(std::span<const std::byte> bytes) {
    std::uint64_t word = 0;
    for (; bytes.size() >= sizeof word; bytes = bytes.subspan(sizeof word)) {
      __builtin_memcpy(&word, bytes.data(), sizeof word);
      add(word);
    }
    if (!bytes.empty()) {
      word = 0;
      __builtin_memcpy(&word, bytes.data(), bytes.size());
      add(word);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  void add(std::uint64_t word) {
    value_ = (value_ ^ word) * 0x9E37'79B9'7F4A'7C15;
    value_ ^= value_ >> 32;
  }

  std::uint64_t value_ = 0xCBF29CE484222325;
};

}  // namespace

void trace_sent(std::uint64_t track, PacketDirection direction, const OutgoingPacket& packet) {
  Digest digest(packet.type, packet.completion_requested, packet.transaction_id);
  digest.add(packet.header);
  digest.add(packet.payload);
  const std::size_t padding = (8 - packet.payload.size() % 8) % 8;
  const bool to_server = direction == PacketDirection::kToServer;
  machine::trace(to_server ? kSentToServer : kSentToClient, machine::Track::kChannel, track,
                 digest.value(), packet.header.size() + packet.payload.size() + padding);
}

void trace_received(std::uint64_t track, PacketDirection direction, const PacketView& packet,
                    std::span<const std::byte> bytes) {
  Digest digest(packet.type, packet.completion_requested, packet.transaction_id);
  digest.add(bytes);
  const bool by_server = direction == PacketDirection::kToServer;
  machine::trace(by_server ? kReceivedByServer : kReceivedByClient, machine::Track::kChannel, track,
                 digest.value(), bytes.size());
}

}  // namespace vmbus
