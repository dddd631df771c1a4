#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/support/recording_ring_memory.h"
#include "vmbus/ring.h"

using namespace vmbus;
using ring_double::RecordingRingMemory;
using ring_double::SharedRing;

namespace {

using Writer = RingWriter<RecordingRingMemory>;

std::vector<std::byte> bytes(std::size_t count, unsigned first = 1) {
  std::vector<std::byte> result(count);
  for (std::size_t index = 0; index < count; ++index) {
    result[index] = static_cast<std::byte>(first + index);
  }
  return result;
}

OutgoingPacket packet(std::span<const std::byte> payload) {
  OutgoingPacket result;
  result.transaction_id = 0x1122334455667788;
  result.payload = payload;
  return result;
}

template <class T>
T at(const SharedRing& ring, std::size_t offset) {
  T value;
  std::memcpy(&value, ring.data.data() + offset, sizeof(T));
  return value;
}

std::vector<std::string> log_after(SharedRing& ring, const std::function<void()>& action) {
  ring.log.clear();
  action();
  return ring.log;
}

}  // namespace

TEST_CASE("a packet lies in the ring as the wire says", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  const auto payload = bytes(20);
  const auto header = bytes(16, 100);
  OutgoingPacket outgoing = packet(payload);
  outgoing.type = PacketType::kDataUsingGpaDirect;
  outgoing.completion_requested = true;
  outgoing.header = header;
  REQUIRE(writer.write(outgoing) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);

  CHECK(at<std::uint16_t>(ring, 0) == 9);
  CHECK(at<std::uint16_t>(ring, 2) == 4);  // payload at 32
  CHECK(at<std::uint16_t>(ring, 4) == 7);  // 16 + 16 + 24
  CHECK(at<std::uint16_t>(ring, 6) == 1);
  CHECK(at<std::uint64_t>(ring, 8) == 0x1122334455667788);
  CHECK(std::memcmp(ring.data.data() + 16, header.data(), 16) == 0);
  CHECK(std::memcmp(ring.data.data() + 32, payload.data(), 20) == 0);
  CHECK(at<std::uint32_t>(ring, 52) == 0);  // padding
  CHECK(at<std::uint64_t>(ring, 56) == 0);  // trailer: the packet started at 0
  CHECK(ring.data[64] == std::byte{0xEE});
  CHECK(ring.words[RingWord::kWriteIndex] == 64);
}

TEST_CASE("the trailer says where its packet started", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  CHECK(at<std::uint64_t>(ring, 24 + 16) == std::uint64_t{24} << 32);
}

TEST_CASE("the write index is stored after the data and before the fence and the mask",
          "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  const auto payload = bytes(8);
  const auto log = log_after(ring, [&] {
    REQUIRE(writer.write(packet(payload)) == RingStatus::kDone);
    REQUIRE(writer.publish() == PublishResult::kSignal);
  });
  CHECK(log == std::vector<std::string>{"load read_index", "copy in 0+16", "copy in 16+8",
                                        "copy in 24+8", "store write_index=32", "fence",
                                        "load interrupt_mask", "load read_index"});
}

TEST_CASE("several packets are shown with one store, and signalled as one", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  for (int count = 0; count < 3; ++count) {
    REQUIRE(writer.write(packet({})) == RingStatus::kDone);
    CHECK(ring.words[RingWord::kWriteIndex] == 0);
  }
  CHECK(writer.has_unpublished());
  CHECK(writer.publish() == PublishResult::kSignal);
  CHECK(ring.words[RingWord::kWriteIndex] == 72);
  CHECK_FALSE(writer.has_unpublished());
  CHECK(writer.publish() == PublishResult::kNoSignal);
}

TEST_CASE("only the step from empty to not empty is signalled", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  CHECK(writer.publish() == PublishResult::kNoSignal);
  ring.words[RingWord::kReadIndex] = 48;  // the reader has seen both
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  CHECK(writer.publish() == PublishResult::kSignal);
}

TEST_CASE("a reader that masks interrupts is not signalled", "[vmbus][ring]") {
  SharedRing ring(4096);
  ring.words[RingWord::kInterruptMask] = 1;
  Writer writer{RecordingRingMemory(ring)};
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  CHECK(writer.publish() == PublishResult::kNoSignal);
}

TEST_CASE("the ring never fills to the last byte", "[vmbus][ring]") {
  SharedRing ring(72);
  Writer writer{RecordingRingMemory(ring)};
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  REQUIRE(writer.write(packet({})) == RingStatus::kDone);
  // 24 bytes are free, and a third packet of 24 would make a full ring look empty.
  const std::vector<std::byte> before = ring.data;
  CHECK(writer.write(packet({})) == RingStatus::kFull);
  CHECK(ring.data == before);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  CHECK(ring.words[RingWord::kWriteIndex] == 48);
  ring.words[RingWord::kReadIndex] = 8;  // not where a packet starts, but an index like any
  CHECK(writer.write(packet({})) == RingStatus::kDone);
}

TEST_CASE("a packet that fits no empty ring is too large, not full", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  const auto largest = bytes(4096 - 8 - 24);
  CHECK(packet_bytes(0, largest.size()) == writer.largest_packet_bytes());
  const auto too_large = bytes(4096 - 8 - 23);
  CHECK(writer.write(packet(too_large)) == RingStatus::kTooLarge);
  CHECK(writer.write(packet(largest)) == RingStatus::kDone);
}

TEST_CASE("a packet longer than its 16-bit length can say is too large", "[vmbus][ring]") {
  SharedRing ring(1 << 20);
  Writer writer{RecordingRingMemory(ring)};
  const auto most = bytes(0xFFFF * 8 - 24);
  CHECK(writer.write(packet(most)) == RingStatus::kDone);
  const auto more = bytes(0xFFFF * 8);
  CHECK(writer.write(packet(more)) == RingStatus::kTooLarge);
}

TEST_CASE("a packet may wrap at any multiple of 8", "[vmbus][ring]") {
  constexpr std::uint32_t kSize = 128;
  const auto payload = bytes(24);
  for (std::uint32_t start = 0; start < kSize; start += 8) {
    CAPTURE(start);
    SharedRing ring(kSize);
    ring.words[RingWord::kWriteIndex] = start;
    ring.words[RingWord::kReadIndex] = start;
    Writer writer{RecordingRingMemory(ring)};
    REQUIRE(writer.write(packet(payload)) == RingStatus::kDone);
    REQUIRE(writer.publish() == PublishResult::kSignal);
    for (std::uint32_t index = 0; index < payload.size(); ++index) {
      REQUIRE(ring.data[(start + 16 + index) % kSize] == payload[index]);
    }
    std::uint32_t trailer = 0;
    std::memcpy(&trailer, ring.data.data() + (start + 44) % kSize, 4);
    CHECK(trailer == start);
    CHECK(ring.words[RingWord::kWriteIndex] == (start + 48) % kSize);
  }
}

TEST_CASE("a writer that finds the ring full asks for room, then looks again", "[vmbus][ring]") {
  SharedRing ring(64);
  Writer writer{RecordingRingMemory(ring)};
  const auto payload = bytes(24);
  REQUIRE(writer.write(packet(payload)) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  REQUIRE(writer.write(packet({})) == RingStatus::kFull);
  const auto log = log_after(ring, [&] { CHECK(writer.wait_for_space(21) == WaitResult::kSleep); });
  CHECK(log == std::vector<std::string>{"store pending_send_sz=24", "fence", "load read_index"});

  ring.words[RingWord::kReadIndex] = 48;
  const auto again = log_after(ring, [&] {
    REQUIRE(writer.write(packet({})) == RingStatus::kDone);
    CHECK(writer.publish() == PublishResult::kSignal);
  });
  // The wish is taken back before the reader can see the packet.
  CHECK(std::ranges::find(again, "store pending_send_sz=0") <
        std::ranges::find(again, "store write_index=8"));
  CHECK(ring.words[RingWord::kPendingSendSize] == 0);
}

TEST_CASE("room that appears between the check and the wish is not slept through",
          "[vmbus][ring]") {
  SharedRing ring(64);
  Writer writer{RecordingRingMemory(ring)};
  const auto payload = bytes(24);
  REQUIRE(writer.write(packet(payload)) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  REQUIRE(writer.write(packet(payload)) == RingStatus::kFull);
  ring.after = [&](const std::string& what) {
    if (what == "store pending_send_sz=48") {
      ring.words[RingWord::kReadIndex] = 48;
    }
  };
  CHECK(writer.wait_for_space(48) == WaitResult::kReady);
  CHECK(ring.words[RingWord::kPendingSendSize] == 0);
}

TEST_CASE("a writer whose reader promises no signal polls", "[vmbus][ring]") {
  SharedRing ring(64);
  Writer writer{RecordingRingMemory(ring), SpaceSignals::kNo};
  const auto payload = bytes(24);
  REQUIRE(writer.write(packet(payload)) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  CHECK(writer.wait_for_space(48) == WaitResult::kPoll);
}

TEST_CASE("the feature bit in one ring speaks for both", "[vmbus][ring]") {
  SharedRing incoming(64);
  RecordingRingMemory memory(incoming);
  CHECK(space_signals_of_peer(memory) == SpaceSignals::kNo);
  announce_pending_send_size(memory);
  CHECK(incoming.words[RingWord::kFeatureBits] == 1);
  CHECK(space_signals_of_peer(memory) == SpaceSignals::kYes);
}
