// The ring over plain memory against memcpy: one packet written and read with every check, fence
// and signal decision, beside the same bytes copied into and out of the same memory at the same
// places. "of_memcpy" is how much of memcpy's speed the ring reaches when the reader goes on
// reading; "sleeping", if it gets ready to sleep behind each packet, which takes a second full
// fence; "fences_free", if fences, which must wait for the copies to leave the store buffer, cost
// nothing.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <span>
#include <vector>

#include "vmbus/ring.h"

namespace {

using vmbus::OutgoingPacket;
using vmbus::PacketView;
using vmbus::PlainRingMemory;
using vmbus::PublishResult;
using vmbus::RingReader;
using vmbus::RingStatus;
using vmbus::RingWord;
using vmbus::RingWriter;

/// What each direction of a disk's channel has (Linux storvsc: 128 KiB for both), or room for a few
/// packets.
std::size_t ring_bytes_for(std::size_t payload_bytes) {
  return std::max<std::size_t>(60 * 1024, payload_bytes * 4);
}
constexpr std::size_t kControlBytes = 4096;

/// Whatever is measured has its memory at the same places within pages: how fast a copy is depends
/// on where its ends lie to each other, by more than the ring costs.
class Bytes {
 public:
  explicit Bytes(std::size_t payload_bytes)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(
                    kAlignment, size_for(ring_size(payload_bytes)) + 2 * size_for(payload_bytes))),
                &std::free),
        ring(memory_.get(), ring_size(payload_bytes)),
        in(ring.data() + size_for(ring.size()), payload_bytes),
        out(in.data() + size_for(in.size()), payload_bytes) {
    std::ranges::fill(ring, std::byte{0});
    std::ranges::fill(out, std::byte{0});
    for (std::size_t index = 0; index < in.size(); ++index) {
      in[index] = static_cast<std::byte>(index * 7);
    }
  }

 private:
  static constexpr std::size_t kAlignment = 4096;
  static std::size_t ring_size(std::size_t payload_bytes) {
    return kControlBytes + ring_bytes_for(payload_bytes);
  }
  static std::size_t size_for(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  std::unique_ptr<std::byte, decltype(&std::free)> memory_;

 public:
  std::span<std::byte> ring;
  std::span<std::byte> in;
  std::span<std::byte> out;
};

/// The same memory on a processor whose stores are never late.
class UnfencedMemory : public PlainRingMemory {
 public:
  using PlainRingMemory::PlainRingMemory;
  void fence() { benchmark::ClobberMemory(); }
};

/// The same memory: each kind of reader gets code of its own, compiled alike.
class SleepersMemory : public PlainRingMemory {
 public:
  using PlainRingMemory::PlainRingMemory;
};

enum class Reader { kGoesOn, kSleeps };

template <class Memory, Reader kReader = Reader::kGoesOn>
class RingUnderTest {
 public:
  explicit RingUnderTest(Bytes& bytes)
      : bytes_(bytes),
        memory_(bytes.ring.data(), bytes.ring.subspan(kControlBytes)),
        writer_(memory_),
        reader_(memory_) {
    // Both ends use pending_send_sz, so that the reader decides about a signal each time.
    memory_.store_u32(RingWord::kFeatureBits, vmbus::kRingHasPendingSendSize);
  }

  void run(std::size_t packets) {
    for (std::size_t packet = 0; packet < packets; ++packet) {
      OutgoingPacket outgoing;
      outgoing.transaction_id = packet;
      outgoing.payload = bytes_.in;
      failures_ += writer_.write(outgoing) != RingStatus::kDone ? 1 : 0;
      signals_ += writer_.publish() == PublishResult::kSignal ? 1 : 0;
      PacketView view;
      failures_ += reader_.read(view, bytes_.out) != RingStatus::kDone ? 1 : 0;
      if constexpr (kReader == Reader::kGoesOn) {
        signals_ += reader_.publish() == PublishResult::kSignal ? 1 : 0;
      } else {
        signals_ += reader_.prepare_to_sleep().published == PublishResult::kSignal ? 1 : 0;
      }
      benchmark::ClobberMemory();
    }
  }
  [[nodiscard]] std::uint64_t failures() const { return failures_; }

 private:
  Bytes& bytes_;
  Memory memory_;
  RingWriter<Memory> writer_;
  RingReader<Memory> reader_;
  std::uint64_t failures_ = 0;
  std::uint64_t signals_ = 0;  // counted so that the decisions are made
};

/// memcpy in and out, at the places at which packets have their payload.
class CopyUnderTest {
 public:
  explicit CopyUnderTest(Bytes& bytes) : bytes_(bytes) {}

  void run(std::size_t packets) {
    const std::size_t size = bytes_.in.size();
    const std::size_t packet_bytes = vmbus::packet_bytes(0, size);
    const std::size_t ring_bytes = bytes_.ring.size() - kControlBytes;
    std::byte* const data = bytes_.ring.data() + kControlBytes + vmbus::kPacketDescriptorSize;
    for (std::size_t packet = 0; packet < packets; ++packet) {
      if (at_ + packet_bytes > ring_bytes) {
        at_ = 0;
      }
      std::memcpy(data + at_, bytes_.in.data(), size);
      benchmark::ClobberMemory();
      std::memcpy(bytes_.out.data(), data + at_, size);
      benchmark::ClobberMemory();
      at_ += packet_bytes;
    }
  }

 private:
  Bytes& bytes_;
  std::size_t at_ = 0;
};

/// Time of this thread alone: what else the machine does meanwhile counts for neither side.
double thread_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Work>
double nanoseconds(Work&& work) {
  const double start = thread_nanoseconds();
  work();
  return thread_nanoseconds() - start;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

void ring_against_memcpy(benchmark::State& state) {
  const auto payload = static_cast<std::size_t>(state.range(0));
  const std::size_t packets = std::max<std::size_t>(20, (1 << 20) / (payload + 64));
  Bytes ring_bytes(payload);
  Bytes sleeping_bytes(payload);
  Bytes unfenced_bytes(payload);
  Bytes copy_bytes(payload);
  RingUnderTest<PlainRingMemory> ring(ring_bytes);
  RingUnderTest<SleepersMemory, Reader::kSleeps> sleeping(sleeping_bytes);
  RingUnderTest<UnfencedMemory> unfenced(unfenced_bytes);
  CopyUnderTest copy(copy_bytes);
  ring.run(packets);
  sleeping.run(packets);
  unfenced.run(packets);
  copy.run(packets);
  // The median of neighbouring pairs: a machine that is busy for a moment slows both halves of one
  // pair, or spoils that pair alone.
  std::vector<double> ratios;
  std::vector<double> sleeping_ratios;
  std::vector<double> unfenced_ratios;
  double ring_ns = 0;
  double copy_ns = 0;
  for (auto _ : state) {
    const double copied = nanoseconds([&] { copy.run(packets); });
    const double rung = nanoseconds([&] { ring.run(packets); });
    ratios.push_back(copied / rung);
    sleeping_ratios.push_back(copied / nanoseconds([&] { sleeping.run(packets); }));
    unfenced_ratios.push_back(copied / nanoseconds([&] { unfenced.run(packets); }));
    ring_ns += rung;
    copy_ns += copied;
    state.SetIterationTime(rung * 1e-9);
  }
  if (ring.failures() + sleeping.failures() + unfenced.failures() != 0 ||
      !std::ranges::equal(ring_bytes.in, ring_bytes.out)) {
    state.SkipWithError("the ring did not carry the packets");
    return;
  }
  const double total = static_cast<double>(packets) * static_cast<double>(state.iterations());
  state.counters["of_memcpy"] = median(ratios);
  state.counters["sleeping"] = median(sleeping_ratios);
  state.counters["fences_free"] = median(unfenced_ratios);
  state.counters["ring_ns"] = ring_ns / total;
  state.counters["memcpy_ns"] = copy_ns / total;
}
BENCHMARK(ring_against_memcpy)
    ->Name("ring/write_and_read")
    ->Arg(64)
    ->Arg(1024)
    ->Arg(4096)
    ->Arg(65536)
    ->UseManualTime();

}  // namespace
