// No wake-up is lost: the shipped ring, every interleaving of its accesses. And the checker is
// worth something: leave out a fence or a second look, and it finds the interleaving that hangs.
#include <catch2/catch.hpp>

#include "tests/support/interleaving.h"
#include "vmbus/ring.h"

using namespace vmbus;
using interleaving::Mutation;
using interleaving::Order;
using interleaving::Outcome;
using interleaving::Port;
using interleaving::PortMemory;
using interleaving::Violation;

namespace {

constexpr std::size_t kReader = 1;

struct Scenario {
  std::uint32_t ring_bytes = 32;
  int packets = 2;
  bool mask = false;           // the reader masks while it drains
  bool batched_reads = false;  // it gives room back once a batch
  int packets_read = 2;        // after these the reader leaves the ring alone
  bool reader_looks_again = true;
  bool writer_looks_again = true;
};

void expect(bool condition, const char* what) {
  if (!condition) {
    throw Violation{what};
  }
}

void write_all(Port& port, const Scenario& scenario) {
  RingWriter<PortMemory> writer{PortMemory(port)};
  OutgoingPacket packet;
  const auto bytes = static_cast<std::uint32_t>(packet_bytes(0, 0));
  for (int number = 0; number < scenario.packets;) {
    packet.transaction_id = static_cast<std::uint64_t>(number) + 1;
    const RingStatus status = writer.write(packet);
    if (status == RingStatus::kDone) {
      const PublishResult result = writer.publish();
      expect(result != PublishResult::kCorrupt, "the writer found a lie");
      if (result == PublishResult::kSignal) {
        port.signal();
      }
      ++number;
      continue;
    }
    expect(status == RingStatus::kFull, "a write failed");
    const WaitResult wait = writer.wait_for_space(bytes);
    if (wait == WaitResult::kSleep || !scenario.writer_looks_again) {
      port.sleep();
    }
  }
}

void tell_writer(PublishResult result, Port& port) {
  expect(result != PublishResult::kCorrupt, "the reader found a lie");
  if (result == PublishResult::kSignal) {
    port.signal();
  }
}

void read_all(Port& port, const Scenario& scenario) {
  RingReader<PortMemory> reader{PortMemory(port)};
  for (int number = 0; number < scenario.packets_read;) {
    if (scenario.mask) {
      reader.mask();
    }
    PacketView view;
    RingStatus status = reader.peek(view);
    while (status == RingStatus::kDone && number < scenario.packets_read) {
      expect(view.transaction_id == static_cast<std::uint64_t>(number) + 1,
             "a packet arrived out of order or altered");
      ++number;
      reader.consume();
      if (!scenario.batched_reads) {
        tell_writer(reader.publish(), port);
      }
      status = reader.peek(view);
    }
    expect(status != RingStatus::kCorrupt, "the reader found a lie");
    if (number == scenario.packets_read) {
      tell_writer(reader.pause(), port);
      break;
    }
    const auto before_sleep = reader.prepare_to_sleep();
    tell_writer(before_sleep.published, port);
    if (before_sleep.wait == WaitResult::kSleep || !scenario.reader_looks_again) {
      port.sleep();
    }
  }
}

Mutation without_fence_after(RingWord word) {
  Mutation mutation;
  mutation.skipped_fence = word;
  return mutation;
}

Outcome check(const Scenario& scenario, Order order, const Mutation& mutation = {}) {
  interleaving::State start;
  start.data.assign(scenario.ring_bytes, 0);
  start.words[static_cast<std::size_t>(RingWord::kFeatureBits) / 4] = kRingHasPendingSendSize;
  static_assert(kReader == 1);
  return interleaving::explore(std::move(start),
                               {[&](Port& port) { write_all(port, scenario); },
                                [&](Port& port) { read_all(port, scenario); }},
                               order, mutation);
}

}  // namespace

TEST_CASE("no interleaving loses a wake-up under sequential consistency", "[vmbus][ring][wakeup]") {
  for (const std::uint32_t ring_bytes : {32u, 56u, 128u}) {
    for (const bool mask : {false, true}) {
      for (const bool batched : {false, true}) {
        CAPTURE(ring_bytes, mask, batched);
        const Outcome outcome =
            check({.ring_bytes = ring_bytes, .packets = 2, .mask = mask, .batched_reads = batched},
                  Order::kSequential);
        CHECK(outcome.clean());
        CHECK(outcome.states > 1000);
      }
    }
  }
}

TEST_CASE("no interleaving loses a wake-up when the ring holds less than what is sent",
          "[vmbus][ring][wakeup]") {
  const Outcome outcome =
      check({.ring_bytes = 56, .packets = 3, .mask = true, .packets_read = 3}, Order::kSequential);
  CHECK(outcome.clean());
  CHECK(outcome.states > 1000);
}

TEST_CASE("no interleaving loses a wake-up with store buffers", "[vmbus][ring][wakeup]") {
  for (const std::uint32_t ring_bytes : {32u, 128u}) {
    for (const bool mask : {false, true}) {
      CAPTURE(ring_bytes, mask);
      const Outcome outcome =
          check({.ring_bytes = ring_bytes, .packets = 2, .mask = mask}, Order::kStoreBuffers);
      CHECK(outcome.clean());
      CHECK(outcome.states > 1000);
    }
  }
}

TEST_CASE("each fence is needed with store buffers", "[vmbus][ring][wakeup]") {
  struct Row {
    const char* fence;
    RingWord after;
    Scenario scenario;
  };
  const Row rows[] = {
      {"the writer's, when it shows a packet", RingWord::kWriteIndex, {.mask = true}},
      {"the writer's, when it asks for room", RingWord::kPendingSendSize, {.mask = true}},
      {"the reader's, before it sleeps", RingWord::kInterruptMask, {.mask = true}},
      {"the reader's, before it sleeps with room to give",
       RingWord::kInterruptMask,
       {.batched_reads = true}},
      {"the reader's, before it pauses", RingWord::kReadIndex, {.packets_read = 1}},
  };
  for (const Row& row : rows) {
    INFO(row.fence);
    CHECK(check(row.scenario, Order::kStoreBuffers).clean());
    CHECK(check(row.scenario, Order::kStoreBuffers, without_fence_after(row.after)).lost_wake_up);
    // Where stores are never late, nobody would notice.
    CHECK(check(row.scenario, Order::kSequential, without_fence_after(row.after)).clean());
  }
}

TEST_CASE("a reader that does not look again before it sleeps hangs", "[vmbus][ring][wakeup]") {
  const Scenario scenario{.ring_bytes = 128, .mask = true, .reader_looks_again = false};
  CHECK(check(scenario, Order::kSequential).lost_wake_up);
}

TEST_CASE("a writer that does not look again before it sleeps hangs", "[vmbus][ring][wakeup]") {
  CHECK(check({.writer_looks_again = false}, Order::kSequential).lost_wake_up);
}

TEST_CASE("an index that is visible before its data is found", "[vmbus][ring][wakeup]") {
  Mutation mutation;
  mutation.index_before_data = true;
  const Outcome outcome = check({}, Order::kSequential, mutation);
  CHECK(outcome.violation.has_value());
}
