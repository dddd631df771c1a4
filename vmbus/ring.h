// One direction of a channel: a writer and a reader over a memory policy.
//
// Each end keeps its own index privately and never reads it back from the ring, so that a peer that
// scribbles over it changes nothing. The peer's index is checked each time it is read; once it, or
// a packet, breaks the rules, the end answers kCorrupt for ever and the channel is to be closed.
//
// Signals are the caller's: publish() says when the interface wants one. Whoever wants to sleep
// calls RingReader::prepare_to_sleep or RingWriter::wait_for_space first, and sleeps only if told.
//
// Full fences. Who sleeps says so in the ring and then looks at the peer's index; the peer stores
// its index and then looks whether somebody sleeps. One of the two sees the other only if both put
// a fence between their store and their look. A writer's peer may fall asleep behind any packet, so
// each RingWriter::publish() has one. A reader's may only while the ring is full, and waits until
// there is room: it can be answered a little later, as long as the reader is awake. So the reader's
// fence is where it stops reading, one for all that it has read since the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/invariant.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/packets.h"
#include "vmbus/ring_arithmetic.h"
#include "vmbus/ring_memory.h"

namespace vmbus {

enum class RingStatus : std::uint8_t {
  kDone,
  kEmpty,     // nothing there yet
  kFull,      // no room yet
  kTooLarge,  // would not fit an empty ring, or the caller's buffer
  kCorrupt,   // the peer broke the rules
};

enum class PublishResult : std::uint8_t { kNoSignal, kSignal, kCorrupt };

enum class WaitResult : std::uint8_t {
  kReady,    // do not sleep: there is something to read, or room
  kSleep,    // the peer will signal
  kPoll,     // the peer does not promise a signal: try again later
  kCorrupt,  // the peer broke the rules
};

/// A packet to write. `header` is the type-specific one (a multiple of 8 bytes), without the
/// descriptor.
struct OutgoingPacket {
  PacketType type = PacketType::kDataInband;
  bool completion_requested = false;
  std::uint64_t transaction_id = 0;
  std::span<const std::byte> header;
  std::span<const std::byte> payload;
};

/// A packet that was peeked at: its descriptor, copied out once and checked.
struct PacketView {
  PacketType type = PacketType::kDataInband;
  bool completion_requested = false;
  std::uint64_t transaction_id = 0;
  std::uint32_t header_bytes = 0;   // between descriptor and payload
  std::uint32_t payload_bytes = 0;  // padding to 8 included
  /// What copy() fills.
  [[nodiscard]] std::uint32_t size() const { return header_bytes + payload_bytes; }
};

/// Whether the peer signals when room appears that pending_send_sz asks for.
enum class SpaceSignals : bool { kNo, kYes };

/// Declares that this end uses pending_send_sz. The client calls it for both rings, whose pages it
/// has filled with zeros, before it opens the channel; the server for the ring that it writes.
template <RingMemory Memory>
void announce_pending_send_size(Memory& memory) {
  memory.store_u32(RingWord::kFeatureBits, kRingHasPendingSendSize);
}

/// What the peer declared in the ring that it writes, which holds for the opposite ring too.
template <RingMemory Memory>
[[nodiscard]] SpaceSignals space_signals_of_peer(Memory& incoming) {
  const std::uint32_t features = incoming.load_u32(RingWord::kFeatureBits);
  return (features & kRingHasPendingSendSize) != 0 ? SpaceSignals::kYes : SpaceSignals::kNo;
}

/// The bytes that a packet takes in the ring, trailer included.
[[nodiscard]] constexpr std::uint64_t packet_bytes(std::uint64_t header_bytes,
                                                   std::uint64_t payload_bytes) {
  return kPacketDescriptorSize + header_bytes + (payload_bytes + 7) / 8 * 8 + kPacketTrailerSize;
}

template <RingMemory Memory>
class RingWriter {
 public:
  /// Takes up a ring where its words say it stands; all zero when it is new. Lies are found at the
  /// first use.
  explicit RingWriter(Memory memory, SpaceSignals space_signals = SpaceSignals::kYes)
      : memory_(memory), size_(memory_.data_size()), space_signals_(space_signals) {
    write_ = memory_.load_u32(RingWord::kWriteIndex);
    published_ = write_;
    corrupt_ = !ring::index_is_valid(write_, size_);
  }

  /// Puts a packet behind those not yet published. kFull changes nothing.
  [[nodiscard]] RingStatus write(const OutgoingPacket& packet);

  /// Shows the reader all that was written since the last call.
  [[nodiscard]] PublishResult publish();

  /// The caller has found the ring full for a packet of `bytes` (packet_bytes()). kSleep: the
  /// reader signals when there is room. kReady: there is room now.
  [[nodiscard]] WaitResult wait_for_space(std::uint32_t bytes);

  /// The largest packet that can ever be written, trailer included.
  [[nodiscard]] std::uint32_t largest_packet_bytes() const { return size_ - 8; }
  [[nodiscard]] bool corrupt() const { return corrupt_; }
  /// Whether packets wait to be published.
  [[nodiscard]] bool has_unpublished() const { return published_ != write_; }

 private:
  /// Room behind the last written packet; 0 if the reader's index breaks the rules.
  [[nodiscard]] std::uint32_t load_free_bytes();
  template <bool kWraps>
  void place(const DescriptorWords& descriptor, const OutgoingPacket& packet);
  // Inlined, so that copies of a size that is known become moves.
  template <bool kWraps>
  [[gnu::always_inline]] void put(std::uint32_t& at, std::span<const std::byte> bytes);

  Memory memory_;
  std::uint32_t size_;
  SpaceSignals space_signals_;
  std::uint32_t write_ = 0;      // behind the last packet
  std::uint32_t published_ = 0;  // what the ring's write index says
  bool waiting_ = false;         // pending_send_sz is set
  bool corrupt_ = false;
};

template <RingMemory Memory>
class RingReader {
 public:
  explicit RingReader(Memory memory) : memory_(memory), size_(memory_.data_size()) {
    read_ = memory_.load_u32(RingWord::kReadIndex);
    seen_write_ = read_;
    corrupt_ = !ring::index_is_valid(read_, size_);
  }

  /// Looks at the next packet. It stays until consume(), and looking again tells the same.
  [[nodiscard]] RingStatus peek(PacketView& view);

  /// Copies header and payload of the packet that was peeked at, once. `to` may be shorter: the
  /// rest is not read.
  void copy(std::span<std::byte> to);
  /// The same from `offset` on, which is at most the packet's size.
  void copy(std::uint32_t offset, std::span<std::byte> to);

  /// Goes to the next packet. The writer sees the room after publish().
  void consume();

  /// peek, copy and consume in one; kTooLarge leaves the packet there, with `view` filled.
  [[nodiscard]] RingStatus read(PacketView& view, std::span<std::byte> to);

  /// Gives the writer all that was consumed since the last call. The reader goes on: a writer that
  /// blocks at this very moment may be answered only by the next call of this, pause() or
  /// prepare_to_sleep().
  [[nodiscard]] PublishResult publish();

  /// The same before the reader leaves the ring alone, with or without something in it: no writer
  /// that waits for room is missed.
  [[nodiscard]] PublishResult pause();

  /// Tells the writer that signals are not wanted: the reader will look by itself.
  void mask() { memory_.store_u32(RingWord::kInterruptMask, 1); }

  struct BeforeSleep {
    WaitResult wait;
    /// For the writer, whether the reader sleeps or not.
    PublishResult published;
  };
  /// As pause(); and asks for signals again and looks once more.
  [[nodiscard]] BeforeSleep prepare_to_sleep();

  [[nodiscard]] bool corrupt() const { return corrupt_; }
  [[nodiscard]] bool has_unpublished() const { return consumed_ != 0; }

 private:
  [[nodiscard]] bool load_write_index();
  void store_read_index();
  [[nodiscard]] bool writer_may_wait();
  [[nodiscard]] PublishResult answer_writer();
  [[gnu::always_inline]] void get(std::uint32_t from, std::span<std::byte> bytes);

  Memory memory_;
  std::uint32_t size_;
  std::uint32_t read_ = 0;         // behind the last consumed packet
  std::uint32_t seen_write_ = 0;   // the writer's index when last looked at, checked
  std::uint32_t consumed_ = 0;     // bytes not yet published
  std::uint32_t unanswered_ = 0;   // bytes published since a waiting writer was last looked for
  std::uint32_t packet_size_ = 0;  // of the packet that was peeked at, trailer included; 0: none
  PacketView view_;                // of that packet
  bool corrupt_ = false;
};

// --- Writer --------------------------------------------------------------------------------------

template <RingMemory Memory>
std::uint32_t RingWriter<Memory>::load_free_bytes() {
  const std::uint32_t read = memory_.load_u32(RingWord::kReadIndex);
  if (!ring::index_is_valid(read, size_)) [[unlikely]] {
    corrupt_ = true;
    return 0;
  }
  return ring::free_bytes(read, write_, size_);
}

template <RingMemory Memory>
template <bool kWraps>
inline void RingWriter<Memory>::put(std::uint32_t& at, std::span<const std::byte> bytes) {
  const auto count = static_cast<std::uint32_t>(bytes.size());
  if constexpr (!kWraps) {
    memory_.copy_in(at, bytes);
    at += count;
  } else {
    const std::uint32_t first = ring::bytes_before_wrap(at, count, size_);
    if (first != 0) {
      memory_.copy_in(at, bytes.first(first));
    }
    if (first != count) {
      memory_.copy_in(0, bytes.subspan(first));
    }
    at = ring::advance(at, count, size_);
  }
}

/// The whole packet behind write_; there is room for it. kWraps: it may reach around the end.
template <RingMemory Memory>
template <bool kWraps>
inline void RingWriter<Memory>::place(const DescriptorWords& descriptor,
                                      const OutgoingPacket& packet) {
  std::uint32_t at = write_;
  put<kWraps>(at, std::as_bytes(std::span(descriptor)));
  if (!packet.header.empty()) {
    put<kWraps>(at, packet.header);
  }
  if (!packet.payload.empty()) {
    put<kWraps>(at, packet.payload);
  }
  // Padding and trailer in one piece: zeros up to a multiple of 8, then the start of the packet.
  const std::size_t padding = (8 - packet.payload.size() % 8) % 8;
  const std::uint64_t words[2] = {0, std::uint64_t{write_} << 32};
  const auto trailer = std::as_bytes(std::span<const std::uint64_t>(words));
  if (padding == 0) {
    put<kWraps>(at, trailer.last(kPacketTrailerSize));
  } else {
    put<kWraps>(at, trailer.last(kPacketTrailerSize + padding));
  }
}

template <RingMemory Memory>
RingStatus RingWriter<Memory>::write(const OutgoingPacket& packet) {
  const std::uint64_t total = packet_bytes(packet.header.size(), packet.payload.size());
  INVARIANT(packet.header.size() % 8 == 0);
  if (corrupt_) [[unlikely]] {
    return RingStatus::kCorrupt;
  }
  if (total > largest_packet_bytes() || total > 0xFFFFull * 8) [[unlikely]] {
    return RingStatus::kTooLarge;
  }
  const std::uint32_t free = load_free_bytes();
  if (corrupt_) [[unlikely]] {
    return RingStatus::kCorrupt;
  }
  if (!ring::fits(static_cast<std::uint32_t>(total), free)) {
    return RingStatus::kFull;
  }
  const auto payload_offset8 =
      static_cast<std::uint16_t>((kPacketDescriptorSize + packet.header.size()) / 8);
  const DescriptorWords descriptor = descriptor_words(
      {packet.type, payload_offset8, static_cast<std::uint16_t>((total - kPacketTrailerSize) / 8),
       packet.completion_requested ? kPacketCompletionRequested : std::uint16_t{0},
       packet.transaction_id});

  const auto bytes = static_cast<std::uint32_t>(total);
  if (ring::bytes_before_wrap(write_, bytes, size_) == bytes) [[likely]] {
    place<false>(descriptor, packet);
  } else {
    place<true>(descriptor, packet);
  }
  write_ = ring::advance(write_, bytes, size_);
  return RingStatus::kDone;
}

template <RingMemory Memory>
PublishResult RingWriter<Memory>::publish() {
  if (corrupt_) [[unlikely]] {
    return PublishResult::kCorrupt;
  }
  if (!has_unpublished()) {
    return PublishResult::kNoSignal;
  }
  if (waiting_) {
    // No longer blocked: a reader that sees the new write index owes no signal for room.
    memory_.store_u32(RingWord::kPendingSendSize, 0);
    waiting_ = false;
  }
  const std::uint32_t old_write = published_;
  memory_.store_u32(RingWord::kWriteIndex, write_);
  published_ = write_;
  // The reader that is about to sleep clears its mask and then looks at the write index; either it
  // sees the new index or the mask is seen clear here.
  memory_.fence();
  const std::uint32_t interrupt_mask = memory_.load_u32(RingWord::kInterruptMask);
  const std::uint32_t read = memory_.load_u32(RingWord::kReadIndex);
  if (!ring::index_is_valid(read, size_)) [[unlikely]] {
    corrupt_ = true;
    return PublishResult::kCorrupt;
  }
  return ring::write_signals_reader(interrupt_mask, read, old_write) ? PublishResult::kSignal
                                                                     : PublishResult::kNoSignal;
}

template <RingMemory Memory>
WaitResult RingWriter<Memory>::wait_for_space(std::uint32_t bytes) {
  INVARIANT(bytes <= largest_packet_bytes());
  if (corrupt_) [[unlikely]] {
    return WaitResult::kCorrupt;
  }
  INVARIANT(!has_unpublished());
  memory_.store_u32(RingWord::kPendingSendSize, ring::round_up_to_8(bytes));
  waiting_ = true;
  // The reader publishes its index and then looks at pending_send_sz; either it sees the request or
  // the room that it gave is seen here.
  memory_.fence();
  const std::uint32_t free = load_free_bytes();
  if (corrupt_) [[unlikely]] {
    return WaitResult::kCorrupt;
  }
  if (ring::fits(bytes, free)) {
    memory_.store_u32(RingWord::kPendingSendSize, 0);
    waiting_ = false;
    return WaitResult::kReady;
  }
  return space_signals_ == SpaceSignals::kYes ? WaitResult::kSleep : WaitResult::kPoll;
}

// --- Reader --------------------------------------------------------------------------------------

template <RingMemory Memory>
bool RingReader<Memory>::load_write_index() {
  const std::uint32_t write = memory_.load_u32(RingWord::kWriteIndex);
  if (!ring::index_is_valid(write, size_)) [[unlikely]] {
    corrupt_ = true;
    return false;
  }
  seen_write_ = write;
  return true;
}

template <RingMemory Memory>
inline void RingReader<Memory>::get(std::uint32_t from, std::span<std::byte> bytes) {
  const auto count = static_cast<std::uint32_t>(bytes.size());
  const std::uint32_t first = ring::bytes_before_wrap(from, count, size_);
  if (first == count) [[likely]] {
    memory_.copy_out(from, bytes);
  } else {
    memory_.copy_out(from, bytes.first(first));
    memory_.copy_out(0, bytes.subspan(first));
  }
}

template <RingMemory Memory>
RingStatus RingReader<Memory>::peek(PacketView& view) {
  if (corrupt_) [[unlikely]] {
    return RingStatus::kCorrupt;
  }
  if (packet_size_ != 0) {
    view = view_;
    return RingStatus::kDone;
  }
  if (seen_write_ == read_) {
    if (!load_write_index()) [[unlikely]] {
      return RingStatus::kCorrupt;
    }
    if (seen_write_ == read_) {
      return RingStatus::kEmpty;
    }
  }
  const std::uint32_t used = ring::used_bytes(read_, seen_write_, size_);
  if (used < kPacketDescriptorSize + kPacketTrailerSize) [[unlikely]] {
    corrupt_ = true;
    return RingStatus::kCorrupt;
  }
  DescriptorWords words;
  get(read_, std::as_writable_bytes(std::span(words)));
  const PacketDescriptor descriptor = descriptor_of(words);
  const std::uint32_t offset = descriptor.payload_offset8 * 8u;
  const std::uint32_t length = descriptor.length8 * 8u;
  const bool unknown_flags = (descriptor.flags & ~kPacketCompletionRequested) != 0;
  if (offset < kPacketDescriptorSize || length < offset || used - kPacketTrailerSize < length ||
      unknown_flags) [[unlikely]] {
    corrupt_ = true;
    return RingStatus::kCorrupt;
  }
  const PacketView seen{descriptor.type, descriptor.flags != 0, descriptor.transaction_id,
                        offset - kPacketDescriptorSize, length - offset};
  view_ = seen;
  view = seen;
  packet_size_ = length + kPacketTrailerSize;
  return RingStatus::kDone;
}

template <RingMemory Memory>
void RingReader<Memory>::copy(std::span<std::byte> to) {
  copy(0, to);
}

template <RingMemory Memory>
void RingReader<Memory>::copy(std::uint32_t offset, std::span<std::byte> to) {
  INVARIANT(packet_size_ != 0);
  const std::uint32_t size = packet_size_ - kPacketDescriptorSize - kPacketTrailerSize;
  INVARIANT(offset <= size);
  const std::size_t count = to.size() < size - offset ? to.size() : size - offset;
  if (count != 0) {
    get(ring::advance(read_, kPacketDescriptorSize + offset, size_), to.first(count));
  }
}

template <RingMemory Memory>
void RingReader<Memory>::consume() {
  INVARIANT(packet_size_ != 0);
  read_ = ring::advance(read_, packet_size_, size_);
  consumed_ += packet_size_;
  packet_size_ = 0;
}

template <RingMemory Memory>
RingStatus RingReader<Memory>::read(PacketView& view, std::span<std::byte> to) {
  const RingStatus status = peek(view);
  if (status != RingStatus::kDone) {
    return status;
  }
  if (view.size() > to.size()) [[unlikely]] {
    return RingStatus::kTooLarge;
  }
  copy(0, to);
  consume();
  return RingStatus::kDone;
}

template <RingMemory Memory>
void RingReader<Memory>::store_read_index() {
  if (consumed_ == 0) {
    return;
  }
  memory_.store_u32(RingWord::kReadIndex, read_);
  // More than the ring holds says no more than that: it was full.
  const std::uint32_t room = size_ - unanswered_;
  unanswered_ += consumed_ < room ? consumed_ : room;
  consumed_ = 0;
}

/// Whether bytes were published that a writer may wait for, and writers here wait at all.
template <RingMemory Memory>
bool RingReader<Memory>::writer_may_wait() {
  return unanswered_ != 0 &&
         (memory_.load_u32(RingWord::kFeatureBits) & kRingHasPendingSendSize) != 0;
}

/// After a fence: the writer that is about to sleep stores pending_send_sz and then looks at the
/// read index; either it sees what was published or its request is seen here. What was free is
/// computed only now: a sample from before the store could miss a writer that filled the ring in
/// between.
template <RingMemory Memory>
PublishResult RingReader<Memory>::answer_writer() {
  const std::uint32_t consumed = unanswered_;
  unanswered_ = 0;
  const std::uint32_t pending = memory_.load_u32(RingWord::kPendingSendSize);
  if (pending == 0) {
    return PublishResult::kNoSignal;
  }
  if (!load_write_index()) [[unlikely]] {
    return PublishResult::kCorrupt;
  }
  const std::uint32_t free = ring::free_bytes(read_, seen_write_, size_);
  return ring::read_signals_writer(pending, free, consumed) ? PublishResult::kSignal
                                                            : PublishResult::kNoSignal;
}

template <RingMemory Memory>
PublishResult RingReader<Memory>::publish() {
  if (corrupt_) [[unlikely]] {
    return PublishResult::kCorrupt;
  }
  store_read_index();
  if (!writer_may_wait() || memory_.load_u32(RingWord::kPendingSendSize) == 0) {
    return PublishResult::kNoSignal;
  }
  // Without the fence this may be a request from before the new index, which it does not answer.
  memory_.fence();
  return answer_writer();
}

template <RingMemory Memory>
PublishResult RingReader<Memory>::pause() {
  if (corrupt_) [[unlikely]] {
    return PublishResult::kCorrupt;
  }
  store_read_index();
  if (!writer_may_wait()) {
    return PublishResult::kNoSignal;
  }
  memory_.fence();
  return answer_writer();
}

template <RingMemory Memory>
typename RingReader<Memory>::BeforeSleep RingReader<Memory>::prepare_to_sleep() {
  constexpr BeforeSleep kLied{WaitResult::kCorrupt, PublishResult::kCorrupt};
  if (corrupt_) [[unlikely]] {
    return kLied;
  }
  store_read_index();
  memory_.store_u32(RingWord::kInterruptMask, 0);
  memory_.fence();
  const PublishResult published = writer_may_wait() ? answer_writer() : PublishResult::kNoSignal;
  if (corrupt_ || !load_write_index()) [[unlikely]] {
    return kLied;
  }
  return {seen_write_ == read_ ? WaitResult::kSleep : WaitResult::kReady, published};
}

}  // namespace vmbus
