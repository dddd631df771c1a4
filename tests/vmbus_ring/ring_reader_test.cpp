#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/recording_ring_memory.h"
#include "vmbus/ring.h"

using namespace vmbus;
using ring_double::RecordingRingMemory;
using ring_double::SharedRing;

namespace {

using Writer = RingWriter<RecordingRingMemory>;
using Reader = RingReader<RecordingRingMemory>;

void send(SharedRing& ring, std::uint64_t transaction, std::size_t payload_bytes) {
  Writer writer{RecordingRingMemory(ring)};
  const std::vector<std::byte> payload(payload_bytes, static_cast<std::byte>(transaction));
  OutgoingPacket packet;
  packet.transaction_id = transaction;
  packet.payload = payload;
  REQUIRE(writer.write(packet) == RingStatus::kDone);
  REQUIRE(writer.publish() != PublishResult::kCorrupt);
}

std::size_t position(const SharedRing& ring, const std::string& what) {
  const auto found = std::ranges::find(ring.log, what);
  REQUIRE(found != ring.log.end());
  return static_cast<std::size_t>(found - ring.log.begin());
}

}  // namespace

TEST_CASE("an empty ring is empty, not broken", "[vmbus][ring]") {
  SharedRing ring(4096);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  CHECK(reader.peek(view) == RingStatus::kEmpty);
  CHECK(reader.publish() == PublishResult::kNoSignal);
}

TEST_CASE("a packet comes out as it went in", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  const std::vector<std::byte> header(24, std::byte{7});
  const std::vector<std::byte> payload(13, std::byte{9});
  OutgoingPacket packet;
  packet.type = PacketType::kDataUsingGpaDirect;
  packet.completion_requested = true;
  packet.transaction_id = ~std::uint64_t{0};
  packet.header = header;
  packet.payload = payload;
  REQUIRE(writer.write(packet) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);

  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  std::vector<std::byte> out(64, std::byte{0xAA});
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  CHECK(view.type == PacketType::kDataUsingGpaDirect);
  CHECK(view.completion_requested);
  CHECK(view.transaction_id == ~std::uint64_t{0});
  CHECK(view.header_bytes == 24);
  CHECK(view.payload_bytes == 16);  // padded
  CHECK(std::equal(header.begin(), header.end(), out.begin()));
  CHECK(std::equal(payload.begin(), payload.end(), out.begin() + 24));
  CHECK(out[24 + 13] == std::byte{0});
  CHECK(out[40] == std::byte{0xAA});
  CHECK(reader.peek(view) == RingStatus::kEmpty);
}

TEST_CASE("looking at a packet takes nothing and tells the same each time", "[vmbus][ring]") {
  SharedRing ring(4096);
  send(ring, 5, 8);
  Reader reader{RecordingRingMemory(ring)};
  PacketView first;
  REQUIRE(reader.peek(first) == RingStatus::kDone);
  // The writer changes the descriptor under the reader's eyes.
  ring.data[4] = std::byte{0xFF};
  ring.log.clear();
  PacketView second;
  REQUIRE(reader.peek(second) == RingStatus::kDone);
  CHECK(second.payload_bytes == first.payload_bytes);
  CHECK(second.transaction_id == 5);
  CHECK(ring.log.empty());
  CHECK(ring.words[RingWord::kReadIndex] == 0);
}

TEST_CASE("a buffer that is too small leaves the packet there", "[vmbus][ring]") {
  SharedRing ring(4096);
  send(ring, 5, 32);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  std::vector<std::byte> out(24);
  CHECK(reader.read(view, out) == RingStatus::kTooLarge);
  CHECK(view.size() == 32);
  out.resize(32);
  CHECK(reader.read(view, out) == RingStatus::kDone);
  CHECK(out[31] == std::byte{5});
}

TEST_CASE("part of a packet can be copied", "[vmbus][ring]") {
  SharedRing ring(4096);
  Writer writer{RecordingRingMemory(ring)};
  std::vector<std::byte> payload(32);
  for (std::size_t index = 0; index < payload.size(); ++index) {
    payload[index] = static_cast<std::byte>(index);
  }
  OutgoingPacket packet;
  packet.payload = payload;
  REQUIRE(writer.write(packet) == RingStatus::kDone);
  REQUIRE(writer.publish() == PublishResult::kSignal);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  std::vector<std::byte> out(4);
  reader.copy(10, out);
  CHECK(out[0] == std::byte{10});
  CHECK(out[3] == std::byte{13});
  std::vector<std::byte> tail(16, std::byte{0xAA});
  reader.copy(28, tail);
  CHECK(tail[3] == std::byte{31});
  CHECK(tail[4] == std::byte{0xAA});
}

TEST_CASE("the read index is stored after the data has been read, once for a batch",
          "[vmbus][ring]") {
  SharedRing ring(4096);
  ring.words[RingWord::kFeatureBits] = 1;
  send(ring, 1, 8);
  send(ring, 2, 8);
  Reader reader{RecordingRingMemory(ring)};
  ring.log.clear();
  PacketView view;
  std::vector<std::byte> out(16);
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  CHECK(ring.words[RingWord::kReadIndex] == 0);
  CHECK(reader.publish() == PublishResult::kNoSignal);
  CHECK(ring.words[RingWord::kReadIndex] == 64);
  CHECK(std::ranges::count(ring.log, "store read_index=64") == 1);
  CHECK(position(ring, "copy out 48+8") < position(ring, "store read_index=64"));
  CHECK(position(ring, "store read_index=64") < position(ring, "load pending_send_sz"));
}

TEST_CASE("a reader that goes on needs no fence while nobody waits for room", "[vmbus][ring]") {
  SharedRing ring(4096);
  ring.words[RingWord::kFeatureBits] = 1;
  send(ring, 1, 8);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  std::vector<std::byte> out(8);
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  ring.log.clear();
  CHECK(reader.publish() == PublishResult::kNoSignal);
  CHECK(std::ranges::count(ring.log, "fence") == 0);
  // Then it leaves the ring alone.
  ring.log.clear();
  CHECK(reader.pause() == PublishResult::kNoSignal);
  CHECK(position(ring, "fence") < position(ring, "load pending_send_sz"));
  ring.log.clear();
  CHECK(reader.pause() == PublishResult::kNoSignal);
  CHECK(ring.log.empty());
}

TEST_CASE("a request for room is looked at again behind a fence", "[vmbus][ring]") {
  SharedRing ring(64);
  ring.words[RingWord::kFeatureBits] = 1;
  send(ring, 1, 24);
  ring.words[RingWord::kPendingSendSize] = 48;
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  reader.consume();
  ring.log.clear();
  CHECK(reader.publish() == PublishResult::kSignal);
  CHECK(ring.log == std::vector<std::string>{"store read_index=48", "load features",
                                             "load pending_send_sz", "fence",
                                             "load pending_send_sz", "load write_index"});
}

TEST_CASE("a writer that publish() came too early for is answered before the reader stops",
          "[vmbus][ring]") {
  for (const bool sleeps : {false, true}) {
    CAPTURE(sleeps);
    SharedRing ring(128);
    ring.words[RingWord::kFeatureBits] = 1;
    for (std::uint64_t transaction = 0; transaction < 5; ++transaction) {
      send(ring, transaction, 0);  // 24 bytes each: 8 free
    }
    Reader reader{RecordingRingMemory(ring)};
    PacketView view;
    const int packets = sleeps ? 5 : 3;
    for (int count = 0; count < packets; ++count) {
      REQUIRE(reader.peek(view) == RingStatus::kDone);
      reader.consume();
      REQUIRE(reader.publish() == PublishResult::kNoSignal);
    }
    // Its store was late: it had looked at the read index before any of these packets was read.
    ring.words[RingWord::kPendingSendSize] = 48;
    if (sleeps) {
      const auto before = reader.prepare_to_sleep();
      CHECK(before.wait == WaitResult::kSleep);
      CHECK(before.published == PublishResult::kSignal);
    } else {
      CHECK(reader.pause() == PublishResult::kSignal);
    }
    // And once only.
    CHECK(reader.pause() == PublishResult::kNoSignal);
    CHECK(reader.prepare_to_sleep().published == PublishResult::kNoSignal);
  }
}

TEST_CASE("before it sleeps the reader publishes what it has read", "[vmbus][ring]") {
  SharedRing ring(64);
  ring.words[RingWord::kFeatureBits] = 1;
  send(ring, 1, 0);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  reader.consume();
  ring.log.clear();
  CHECK(reader.prepare_to_sleep().wait == WaitResult::kSleep);
  CHECK(!reader.has_unpublished());
  CHECK(ring.log == std::vector<std::string>{"store read_index=24", "store interrupt_mask=0",
                                             "fence", "load features", "load pending_send_sz",
                                             "load write_index"});
}

TEST_CASE("what is free is computed after the read index is stored", "[vmbus][ring]") {
  // A sample from before would miss a writer that filled the ring in between and now waits.
  SharedRing ring(64);
  ring.words[RingWord::kFeatureBits] = 1;
  ring.words[RingWord::kPendingSendSize] = 24;
  send(ring, 1, 8);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  std::vector<std::byte> out(8);
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  ring.after = [&](const std::string& what) {
    if (what == "store read_index=32") {
      ring.words[RingWord::kWriteIndex] = 56;  // 40 bytes are free now, 16 before
    }
  };
  ring.log.clear();
  CHECK(reader.publish() == PublishResult::kSignal);
  CHECK(position(ring, "load pending_send_sz") < position(ring, "load write_index"));
}

TEST_CASE("a writer that did not set the feature bit is not signalled", "[vmbus][ring]") {
  SharedRing ring(64);
  ring.words[RingWord::kPendingSendSize] = 48;
  send(ring, 1, 8);
  Reader reader{RecordingRingMemory(ring)};
  PacketView view;
  std::vector<std::byte> out(8);
  REQUIRE(reader.read(view, out) == RingStatus::kDone);
  CHECK(reader.publish() == PublishResult::kNoSignal);
  CHECK(std::ranges::find(ring.log, "load pending_send_sz") == ring.log.end());
}

TEST_CASE("the reader signals room at the crossing only", "[vmbus][ring]") {
  SharedRing ring(128);
  ring.words[RingWord::kFeatureBits] = 1;
  Reader reader{RecordingRingMemory(ring)};
  for (std::uint64_t transaction = 0; transaction < 5; ++transaction) {
    send(ring, transaction, 0);  // 24 bytes each: 8 free
  }
  ring.words[RingWord::kPendingSendSize] = 48;
  std::vector<PublishResult> results;
  PacketView view;
  for (int count = 0; count < 4; ++count) {
    REQUIRE(reader.peek(view) == RingStatus::kDone);
    reader.consume();
    results.push_back(reader.publish());
  }
  // 32, 56, 80, 104 free.
  CHECK(results == std::vector{PublishResult::kNoSignal, PublishResult::kSignal,
                               PublishResult::kNoSignal, PublishResult::kNoSignal});
}

TEST_CASE("the wish for room is honoured whatever the interrupt mask says", "[vmbus][ring]") {
  SharedRing ring(64);
  ring.words[RingWord::kFeatureBits] = 1;
  send(ring, 1, 24);
  ring.words[RingWord::kPendingSendSize] = 48;
  Reader reader{RecordingRingMemory(ring)};
  reader.mask();
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kDone);
  reader.consume();
  CHECK(reader.publish() == PublishResult::kSignal);
}

TEST_CASE("before it sleeps the reader unmasks, then looks once more", "[vmbus][ring]") {
  SharedRing ring(64);
  Reader reader{RecordingRingMemory(ring)};
  reader.mask();
  CHECK(ring.words[RingWord::kInterruptMask] == 1);
  ring.log.clear();
  CHECK(reader.prepare_to_sleep().wait == WaitResult::kSleep);
  CHECK(ring.log ==
        std::vector<std::string>{"store interrupt_mask=0", "fence", "load write_index"});
}

TEST_CASE("a packet that comes while the reader unmasks is not slept through", "[vmbus][ring]") {
  SharedRing ring(64);
  Reader reader{RecordingRingMemory(ring)};
  reader.mask();
  PacketView view;
  REQUIRE(reader.peek(view) == RingStatus::kEmpty);
  bool sent = false;
  ring.after = [&](const std::string& what) {
    if (what == "store interrupt_mask=0" && !sent) {
      sent = true;
      send(ring, 1, 0);
    }
  };
  CHECK(reader.prepare_to_sleep().wait == WaitResult::kReady);
  CHECK(reader.peek(view) == RingStatus::kDone);
}

TEST_CASE("packets that wrap anywhere are read whole", "[vmbus][ring]") {
  constexpr std::uint32_t kSize = 128;
  for (std::uint32_t start = 0; start < kSize; start += 8) {
    CAPTURE(start);
    SharedRing ring(kSize);
    ring.words[RingWord::kWriteIndex] = start;
    ring.words[RingWord::kReadIndex] = start;
    Reader reader{RecordingRingMemory(ring)};
    send(ring, 77, 40);
    PacketView view;
    std::vector<std::byte> out(40);
    REQUIRE(reader.read(view, out) == RingStatus::kDone);
    CHECK(view.transaction_id == 77);
    CHECK(out == std::vector<std::byte>(40, std::byte{77}));
    REQUIRE(reader.publish() == PublishResult::kNoSignal);
    CHECK(ring.words[RingWord::kReadIndex] == (start + 64) % kSize);
  }
}
