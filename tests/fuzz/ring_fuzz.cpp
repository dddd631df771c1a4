// Both ends of a ring whose other end lies: each word that is loaded and each byte that is copied
// out is the fuzzer's, another one each time.
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/seam_record.h"
#include "vmbus/ring.h"

namespace {

using fuzz::FuzzInput;

constexpr std::uint32_t kPages = 2;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Memory that somebody else writes all the time.
class LyingMemory {
 public:
  explicit LyingMemory(FuzzInput& input) : input_(&input) {}

  [[nodiscard]] std::uint32_t data_size() const { return kPages * 4096; }
  std::uint32_t load_u32(vmbus::RingWord) {
    const auto word = input_->take<std::uint32_t>();
    // Most lies are small: an index that could be one.
    return (word & 1u << 31) != 0 ? word : word % (data_size() / 8) * 8;
  }
  void store_u32(vmbus::RingWord, std::uint32_t) {}
  void fence() {}
  void copy_in(std::uint32_t offset, std::span<const std::byte> from) {
    require(offset <= data_size() && from.size() <= data_size() - offset);
  }
  void copy_out(std::uint32_t offset, std::span<std::byte> to) const {
    require(offset <= data_size() && to.size() <= data_size() - offset);
    input_->fill(to);
    if (to.size() == sizeof(vmbus::DescriptorWords) && input_->below(8) != 0) {
      make_likely(to);
    }
  }

 private:
  /// A descriptor whose packet begins and ends where one may.
  void make_likely(std::span<std::byte> bytes) const {
    constexpr std::uint16_t kMostHeader8 = 8;
    constexpr std::uint16_t kMostPacket8 = 64;
    vmbus::DescriptorWords words;
    std::memcpy(&words, bytes.data(), sizeof(words));
    vmbus::PacketDescriptor descriptor = vmbus::descriptor_of(words);
    descriptor.payload_offset8 =
        static_cast<std::uint16_t>(2 + descriptor.payload_offset8 % kMostHeader8);
    descriptor.length8 =
        static_cast<std::uint16_t>(descriptor.payload_offset8 + descriptor.length8 % kMostPacket8);
    descriptor.flags &= vmbus::kPacketCompletionRequested;
    words = vmbus::descriptor_words(descriptor);
    std::memcpy(bytes.data(), &words, sizeof(words));
  }

  FuzzInput* input_;
};

void read_from_it(FuzzInput& input) {
  vmbus::RingReader<LyingMemory> reader{LyingMemory(input)};
  static std::vector<std::byte> buffer(kPages * 4096);
  while (!input.empty()) {
    switch (input.below(5)) {
      case 0: {
        vmbus::PacketView view;
        if (reader.peek(view) == vmbus::RingStatus::kDone) {
          require(view.size() + sizeof(vmbus::PacketDescriptor) < kPages * 4096);
          reader.copy(std::span(buffer).first(view.size()));
          reader.consume();
        }
        break;
      }
      case 1: {
        vmbus::PacketView view;
        const std::size_t room = input.below(kPages * 4096);
        if (reader.read(view, std::span(buffer).first(room)) == vmbus::RingStatus::kDone) {
          require(view.size() <= room);
        }
        break;
      }
      case 2:
        (void)reader.publish();
        break;
      case 3:
        (void)reader.pause();
        break;
      default:
        (void)reader.prepare_to_sleep();
    }
  }
}

void write_to_it(FuzzInput& input) {
  vmbus::RingWriter<LyingMemory> writer{LyingMemory(input)};
  static const std::vector<std::byte> payload(2 * kPages * 4096);
  while (!input.empty()) {
    switch (input.below(3)) {
      case 0: {
        vmbus::OutgoingPacket packet;
        packet.transaction_id = input.take<std::uint64_t>();
        packet.payload =
            std::span(payload).first(input.below(static_cast<std::uint32_t>(payload.size())));
        (void)writer.write(packet);
        break;
      }
      case 1:
        (void)writer.publish();
        break;
      default:
        // A writer shows what it has before it waits: its own promise, not the peer's.
        (void)writer.publish();
        (void)writer.wait_for_space(input.below(kPages * 4096) / 8 * 8);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  seam_record::forget_what_happened();
  FuzzInput input(data, size);
  if (input.below(2) == 0) {
    read_from_it(input);
  } else {
    write_to_it(input);
  }
  return 0;
}
