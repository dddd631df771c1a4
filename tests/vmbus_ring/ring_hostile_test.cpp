// A peer that lies is found out at the first lie, and nothing outside the ring is ever touched.
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/support/recording_ring_memory.h"
#include "vmbus/ring.h"

using namespace vmbus;
using ring_double::RecordingRingMemory;
using ring_double::SharedRing;

namespace {

using Writer = RingWriter<RecordingRingMemory>;
using Reader = RingReader<RecordingRingMemory>;

constexpr std::uint32_t kSize = 256;
const std::uint32_t kBadIndices[] = {kSize, kSize + 8, 4, 7, 0xFFFFFFF8, 0xFFFFFFFF, 0x80000000};

/// A ring whose writer has put a descriptor at 0 and claims `written` bytes.
SharedRing ring_with(const PacketDescriptor& descriptor, std::uint32_t written) {
  SharedRing ring(kSize);
  std::memcpy(ring.data.data(), &descriptor, sizeof(descriptor));
  ring.words[RingWord::kWriteIndex] = written;
  return ring;
}

PacketDescriptor descriptor(std::uint16_t offset8, std::uint16_t length8, std::uint16_t flags = 0) {
  return {PacketType::kDataInband, offset8, length8, flags, 1};
}

}  // namespace

TEST_CASE("a bad write index stops the reader", "[vmbus][ring][hostile]") {
  for (const std::uint32_t index : kBadIndices) {
    CAPTURE(index);
    SharedRing ring(kSize);
    Reader reader{RecordingRingMemory(ring)};
    ring.words[RingWord::kWriteIndex] = index;
    PacketView view;
    CHECK(reader.peek(view) == RingStatus::kCorrupt);
    CHECK(reader.corrupt());
    // For ever: the channel is to be closed, whatever the peer says next.
    ring.words[RingWord::kWriteIndex] = 0;
    CHECK(reader.peek(view) == RingStatus::kCorrupt);
    CHECK(reader.publish() == PublishResult::kCorrupt);
    CHECK(reader.pause() == PublishResult::kCorrupt);
    CHECK(reader.prepare_to_sleep().published == PublishResult::kCorrupt);
    CHECK(reader.prepare_to_sleep().wait == WaitResult::kCorrupt);
  }
}

TEST_CASE("a bad write index is found at the second look before sleep too",
          "[vmbus][ring][hostile]") {
  SharedRing ring(kSize);
  Reader reader{RecordingRingMemory(ring)};
  ring.words[RingWord::kWriteIndex] = 12;
  CHECK(reader.prepare_to_sleep().wait == WaitResult::kCorrupt);
}

TEST_CASE("a bad read index stops the writer", "[vmbus][ring][hostile]") {
  for (const std::uint32_t index : kBadIndices) {
    CAPTURE(index);
    SharedRing ring(kSize);
    Writer writer{RecordingRingMemory(ring)};
    ring.words[RingWord::kReadIndex] = index;
    const std::vector<std::byte> before = ring.data;
    CHECK(writer.write({}) == RingStatus::kCorrupt);
    CHECK(ring.data == before);
    ring.words[RingWord::kReadIndex] = 0;
    CHECK(writer.write({}) == RingStatus::kCorrupt);
    CHECK(writer.publish() == PublishResult::kCorrupt);
    CHECK(writer.wait_for_space(24) == WaitResult::kCorrupt);
  }
}

TEST_CASE("a read index that turns bad is found when publishing and when waiting",
          "[vmbus][ring][hostile]") {
  SharedRing ring(kSize);
  Writer publishing{RecordingRingMemory(ring)};
  REQUIRE(publishing.write({}) == RingStatus::kDone);
  Writer ignoring{RecordingRingMemory(ring)};
  REQUIRE(ignoring.write({}) == RingStatus::kDone);
  Writer waiting{RecordingRingMemory(ring)};
  ring.words[RingWord::kReadIndex] = kSize;
  CHECK(publishing.publish() == PublishResult::kCorrupt);
  // Whoever did not look at that answer gets the same again.
  CHECK(publishing.wait_for_space(24) == WaitResult::kCorrupt);
  CHECK(waiting.wait_for_space(24) == WaitResult::kCorrupt);
  // With a packet that never went out.
  CHECK(ignoring.write({}) == RingStatus::kCorrupt);
  CHECK(ignoring.wait_for_space(24) == WaitResult::kCorrupt);
}

TEST_CASE("an end that takes up a ring with bad indices is corrupt from the start",
          "[vmbus][ring][hostile]") {
  SharedRing ring(kSize);
  ring.words[RingWord::kWriteIndex] = 5;
  ring.words[RingWord::kReadIndex] = kSize;
  CHECK(Writer{RecordingRingMemory(ring)}.corrupt());
  CHECK(Reader{RecordingRingMemory(ring)}.corrupt());
}

TEST_CASE("a descriptor that breaks the rules stops the reader", "[vmbus][ring][hostile]") {
  struct Row {
    const char* why;
    PacketDescriptor descriptor;
    std::uint32_t written;
  };
  const Row rows[] = {
      {"fewer bytes than a descriptor and a trailer", descriptor(2, 2), 16},
      {"payload inside the descriptor", descriptor(1, 2), 24},
      {"payload at nothing", descriptor(0, 2), 24},
      {"payload behind the end", descriptor(4, 3), 32},
      {"shorter than a descriptor", descriptor(2, 1), 24},
      {"no length", descriptor(2, 0), 24},
      {"longer than what was written", descriptor(2, 3), 24},
      {"the trailer is not there", descriptor(2, 3), 24},
      {"as long as it can be", descriptor(2, 0xFFFF), 248},
      {"unknown flags", descriptor(2, 2, 2), 24},
      {"all flags", descriptor(2, 2, 0xFFFF), 24},
  };
  for (const Row& row : rows) {
    INFO(row.why);
    SharedRing ring = ring_with(row.descriptor, row.written);
    Reader reader{RecordingRingMemory(ring)};
    PacketView view;
    CHECK(reader.peek(view) == RingStatus::kCorrupt);
    CHECK(reader.corrupt());
  }
}

TEST_CASE("the smallest and the largest legal packet pass", "[vmbus][ring][hostile]") {
  PacketView view;
  SharedRing smallest = ring_with(descriptor(2, 2), 24);
  CHECK(Reader{RecordingRingMemory(smallest)}.peek(view) == RingStatus::kDone);
  CHECK(view.size() == 0);
  SharedRing largest = ring_with(descriptor(30, 30, 1), 248);
  CHECK(Reader{RecordingRingMemory(largest)}.peek(view) == RingStatus::kDone);
  CHECK(view.header_bytes == 224);
  CHECK(view.payload_bytes == 0);
}

TEST_CASE("a descriptor that changes after it was checked changes nothing",
          "[vmbus][ring][hostile]") {
  SharedRing ring = ring_with(descriptor(2, 4), 40);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  const PacketDescriptor lie = descriptor(2, 0x1000);
  std::memcpy(ring.data.data(), &lie, sizeof(lie));
  std::vector<std::byte> out(4096, std::byte{0xAA});
  reader.copy(out);
  CHECK(out[16] == std::byte{0xAA});
  reader.consume();
  CHECK(reader.publish() == PublishResult::kNoSignal);
  CHECK(ring.words[RingWord::kReadIndex] == 40);
}

TEST_CASE("each end trusts its own index, not what the ring says of it", "[vmbus][ring][hostile]") {
  SharedRing ring(kSize);
  Writer writer{RecordingRingMemory(ring)};
  Reader reader{RecordingRingMemory(ring)};
  REQUIRE(writer.write({}) == RingStatus::kDone);
  ring.words[RingWord::kWriteIndex] = 200;  // scribbled over
  REQUIRE(writer.publish() == PublishResult::kSignal);
  CHECK(ring.words[RingWord::kWriteIndex] == 24);
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  ring.words[RingWord::kReadIndex] = 200;
  reader.consume();
  REQUIRE(reader.publish() == PublishResult::kNoSignal);
  CHECK(ring.words[RingWord::kReadIndex] == 24);
}

TEST_CASE("a wish for more room than there is never signals", "[vmbus][ring][hostile]") {
  SharedRing ring(kSize);
  ring.words[RingWord::kFeatureBits] = 0xFFFFFFFF;
  ring.words[RingWord::kPendingSendSize] = 0xFFFFFFFF;
  Writer writer{RecordingRingMemory(ring)};
  REQUIRE(writer.write({}) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  reader.consume();
  CHECK(reader.publish() == PublishResult::kNoSignal);
}

TEST_CASE("a write index that lies while the reader gives room back is found",
          "[vmbus][ring][hostile]") {
  SharedRing ring = ring_with(descriptor(2, 2), 24);
  ring.words[RingWord::kFeatureBits] = 1;
  ring.words[RingWord::kPendingSendSize] = 8;
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  reader.consume();
  ring.words[RingWord::kWriteIndex] = kSize + 24;
  CHECK(reader.publish() == PublishResult::kCorrupt);
}
