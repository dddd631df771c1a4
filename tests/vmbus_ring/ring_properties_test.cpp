// Two ends of one ring, driven at random against running totals that never wrap; then each end
// against a peer that writes anything anywhere.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "tests/support/recording_ring_memory.h"
#include "vmbus/ring.h"

using namespace vmbus;
using ring_double::RecordingRingMemory;
using ring_double::SharedRing;

namespace {

struct SentPacket {
  std::uint64_t transaction = 0;
  std::uint32_t header_bytes = 0;
  std::uint32_t payload_bytes = 0;
  [[nodiscard]] std::uint64_t total() const { return packet_bytes(header_bytes, payload_bytes); }
};

/// The ring as running totals of bytes.
struct Model {
  std::uint32_t size = 0;
  std::uint64_t written = 0;
  std::uint64_t shown = 0;  // of them, published
  std::uint64_t consumed = 0;
  std::uint64_t returned = 0;  // of them, published
  std::uint64_t pending = 0;
  bool masked = false;
  std::uint64_t next_transaction = 0;
  std::deque<SentPacket> packets;

  [[nodiscard]] std::uint64_t free() const { return size - (written - returned); }
};

struct Ends {
  explicit Ends(std::uint32_t size, std::uint32_t start) : ring(size) {
    ring.words[RingWord::kFeatureBits] = 1;
    ring.words[RingWord::kWriteIndex] = start;
    ring.words[RingWord::kReadIndex] = start;
    writer = std::make_unique<RingWriter<RecordingRingMemory>>(RecordingRingMemory(ring));
    reader = std::make_unique<RingReader<RecordingRingMemory>>(RecordingRingMemory(ring));
  }
  SharedRing ring;
  std::unique_ptr<RingWriter<RecordingRingMemory>> writer;
  std::unique_ptr<RingReader<RecordingRingMemory>> reader;
};

std::byte content(std::uint64_t transaction, std::size_t index) {
  return static_cast<std::byte>(transaction * 31 + index * 7 + 1);
}

using Command = rc::state::Command<Model, Ends>;

struct Write : Command {
  std::uint32_t header_bytes = *rc::gen::inRange<std::uint32_t>(0, 4) * 8;
  std::uint32_t payload_bytes = *rc::gen::inRange<std::uint32_t>(0, 80);

  [[nodiscard]] SentPacket packet(const Model& model) const {
    return {model.next_transaction, header_bytes, payload_bytes};
  }
  [[nodiscard]] bool fits(const Model& model) const { return packet(model).total() < model.free(); }
  void apply(Model& model) const override {
    if (fits(model)) {
      model.packets.push_back(packet(model));
      model.written += packet(model).total();
      ++model.next_transaction;
    }
  }
  void run(const Model& model, Ends& ends) const override {
    std::vector<std::byte> bytes(header_bytes + payload_bytes);
    for (std::size_t index = 0; index < bytes.size(); ++index) {
      bytes[index] = content(model.next_transaction, index);
    }
    OutgoingPacket outgoing;
    outgoing.transaction_id = model.next_transaction;
    outgoing.header = std::span(bytes).first(header_bytes);
    outgoing.payload = std::span(bytes).subspan(header_bytes);
    const RingStatus status = ends.writer->write(outgoing);
    if (packet(model).total() > model.size - 8) {
      RC_ASSERT(status == RingStatus::kTooLarge);
    } else {
      RC_ASSERT(status == (fits(model) ? RingStatus::kDone : RingStatus::kFull));
    }
  }
  void show(std::ostream& os) const override {
    os << "write " << header_bytes << "+" << payload_bytes;
  }
};

struct ShowWritten : Command {
  void apply(Model& model) const override {
    if (model.shown != model.written) {
      model.pending = 0;
    }
    model.shown = model.written;
  }
  void run(const Model& model, Ends& ends) const override {
    const bool wanted =
        model.shown != model.written && !model.masked && model.returned == model.shown;
    RC_ASSERT(ends.writer->publish() ==
              (wanted ? PublishResult::kSignal : PublishResult::kNoSignal));
  }
  void show(std::ostream& os) const override { os << "publish written"; }
};

struct Read : Command {
  [[nodiscard]] bool possible(const Model& model) const { return model.consumed < model.shown; }
  void apply(Model& model) const override {
    if (possible(model)) {
      model.consumed += model.packets.front().total();
      model.packets.pop_front();
    }
  }
  void run(const Model& model, Ends& ends) const override {
    PacketView view;
    std::vector<std::byte> out(256);
    const RingStatus status = ends.reader->read(view, out);
    if (!possible(model)) {
      RC_ASSERT(status == RingStatus::kEmpty);
      return;
    }
    const SentPacket& expected = model.packets.front();
    RC_ASSERT(status == RingStatus::kDone);
    RC_ASSERT(view.transaction_id == expected.transaction);
    RC_ASSERT(view.header_bytes == expected.header_bytes);
    RC_ASSERT(view.payload_bytes == (expected.payload_bytes + 7) / 8 * 8);
    for (std::size_t index = 0; index < view.size(); ++index) {
      const bool padding = index >= expected.header_bytes + expected.payload_bytes;
      RC_ASSERT(out[index] == (padding ? std::byte{0} : content(expected.transaction, index)));
    }
  }
  void show(std::ostream& os) const override { os << "read"; }
};

struct ReturnRead : Command {
  void apply(Model& model) const override { model.returned = model.consumed; }
  void run(const Model& model, Ends& ends) const override {
    const std::uint64_t shown_free_after = model.size - (model.shown - model.consumed);
    const std::uint64_t shown_free_before = model.size - (model.shown - model.returned);
    const bool wanted = model.consumed != model.returned && model.pending != 0 &&
                        shown_free_before <= model.pending && shown_free_after > model.pending;
    RC_ASSERT(ends.reader->publish() ==
              (wanted ? PublishResult::kSignal : PublishResult::kNoSignal));
  }
  void show(std::ostream& os) const override { os << "publish read"; }
};

struct WaitForSpace : Command {
  std::uint32_t bytes = *rc::gen::inRange<std::uint32_t>(24, 120);

  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.written == model.shown && bytes <= model.size - 8);
  }
  [[nodiscard]] bool ready(const Model& model) const { return bytes < model.free(); }
  void apply(Model& model) const override {
    model.pending = ready(model) ? 0 : (bytes + 7) / 8 * 8;
  }
  void run(const Model& model, Ends& ends) const override {
    RC_ASSERT(ends.writer->wait_for_space(bytes) ==
              (ready(model) ? WaitResult::kReady : WaitResult::kSleep));
  }
  void show(std::ostream& os) const override { os << "wait for " << bytes; }
};

struct Mask : Command {
  void apply(Model& model) const override { model.masked = true; }
  void run(const Model&, Ends& ends) const override { ends.reader->mask(); }
  void show(std::ostream& os) const override { os << "mask"; }
};

struct PrepareToSleep : Command {
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.consumed == model.returned);
  }
  void apply(Model& model) const override { model.masked = false; }
  void run(const Model& model, Ends& ends) const override {
    RC_ASSERT(ends.reader->prepare_to_sleep().wait ==
              (model.shown == model.consumed ? WaitResult::kSleep : WaitResult::kReady));
  }
  void show(std::ostream& os) const override { os << "prepare to sleep"; }
};

/// Lies that a peer can tell: any word, and any byte of the data.
void lie(SharedRing& ring) {
  static constexpr std::array kWords = {RingWord::kWriteIndex, RingWord::kReadIndex,
                                        RingWord::kInterruptMask, RingWord::kPendingSendSize,
                                        RingWord::kFeatureBits};
  const auto value = *rc::gen::oneOf(
      rc::gen::arbitrary<std::uint32_t>(), rc::gen::inRange<std::uint32_t>(0, 300),
      rc::gen::map(rc::gen::inRange<std::uint32_t>(0, 32), [](auto n) { return n * 8; }));
  if (*rc::gen::inRange(0, 2) == 0) {
    ring.words[kWords[*rc::gen::inRange<std::size_t>(0, kWords.size())]] = value;
  } else {
    ring.data[value % ring.data.size()] = static_cast<std::byte>(*rc::gen::inRange(0, 256));
  }
}

}  // namespace

TEST_CASE("packets arrive exactly once, in order, unaltered, with exactly the signals due",
          "[vmbus][ring][property]") {
  REQUIRE(rc::check([] {
    const auto size = *rc::gen::inRange<std::uint32_t>(8, 40) * 8;
    const auto start = *rc::gen::inRange<std::uint32_t>(0, size / 8) * 8;
    Ends ends(size, start);
    Model model;
    model.size = size;
    rc::state::check(
        model, ends,
        rc::state::gen::execOneOfWithArgs<Write, Write, ShowWritten, Read, Read, ReturnRead,
                                          WaitForSpace, Mask, PrepareToSleep>());
  }));
}

TEST_CASE("a reader whose peer lies never leaves the ring and never goes on after a lie is found",
          "[vmbus][ring][hostile][property]") {
  REQUIRE(rc::check([] {
    SharedRing ring(256);
    RingReader<RecordingRingMemory> reader{RecordingRingMemory(ring)};
    bool was_corrupt = false;
    const auto steps = *rc::gen::inRange(1, 120);
    for (int step = 0; step < steps; ++step) {
      lie(ring);
      PacketView view;
      std::vector<std::byte> out(256);
      const RingStatus status = reader.read(view, out);
      RC_ASSERT(status != RingStatus::kDone || view.size() <= 256 - 24);
      RC_ASSERT(!was_corrupt || status == RingStatus::kCorrupt);
      lie(ring);
      const PublishResult result = reader.publish();
      RC_ASSERT(!reader.corrupt() || result == PublishResult::kCorrupt);
      was_corrupt = reader.corrupt();
      if (!was_corrupt) {
        (void)reader.prepare_to_sleep();
        was_corrupt = reader.corrupt();
      }
    }
  }));
}

TEST_CASE("a writer whose peer lies never leaves the ring and never overwrites by it",
          "[vmbus][ring][hostile][property]") {
  REQUIRE(rc::check([] {
    SharedRing ring(256);
    RingWriter<RecordingRingMemory> writer{RecordingRingMemory(ring)};
    const auto steps = *rc::gen::inRange(1, 120);
    for (int step = 0; step < steps; ++step) {
      lie(ring);
      const std::vector<std::byte> payload(*rc::gen::inRange<std::size_t>(0, 300));
      OutgoingPacket packet;
      packet.payload = payload;
      const bool was_corrupt = writer.corrupt();
      const RingStatus status = writer.write(packet);
      RC_ASSERT(!was_corrupt || status == RingStatus::kCorrupt);
      RC_ASSERT(payload.size() <= 224 || status != RingStatus::kDone);
      lie(ring);
      const PublishResult result = writer.publish();
      RC_ASSERT(!writer.corrupt() || result == PublishResult::kCorrupt);
      RC_ASSERT(ring.words[RingWord::kWriteIndex] < 256 || result == PublishResult::kCorrupt ||
                result == PublishResult::kNoSignal);
      if (!writer.has_unpublished()) {
        (void)writer.wait_for_space(64);
      }
    }
  }));
}
