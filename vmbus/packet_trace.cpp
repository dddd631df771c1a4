#include "vmbus/packet_trace.h"

namespace vmbus {

namespace {

constexpr machine::Site kSentToServer("vmbus.packet.sent_to_server");
constexpr machine::Site kSentToClient("vmbus.packet.sent_to_client");
constexpr machine::Site kReceivedByServer("vmbus.packet.received_by_server");
constexpr machine::Site kReceivedByClient("vmbus.packet.received_by_client");

/// FNV-1a over a packet: descriptor, header, payload and the zeros that pad it.
class Digest {
 public:
  Digest(PacketType type, bool completion_requested, std::uint64_t transaction_id) {
    add(static_cast<std::uint64_t>(type));
    add(completion_requested ? 1 : 0);
    add(transaction_id);
  }
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001B3; }
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      add(std::to_integer<std::uint64_t>(byte));
    }
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xCBF29CE484222325;
};

}  // namespace

void trace_sent(std::uint64_t track, PacketDirection direction, const OutgoingPacket& packet) {
  Digest digest(packet.type, packet.completion_requested, packet.transaction_id);
  digest.add(packet.header);
  digest.add(packet.payload);
  const std::size_t padding = (8 - packet.payload.size() % 8) % 8;
  for (std::size_t index = 0; index < padding; ++index) {
    digest.add(std::uint64_t{0});
  }
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
