// A message that waits for its slot.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hv/tlfs/messages.h"
#include "machine/shared.h"

namespace hv {

/// Whose messages are under way: one bit for each of its buffers. The word is shared because the
/// buffer is taken under the owner's lock and returned under that of the virtual processor.
class MessageOwner {
 public:
  [[nodiscard]] bool is_busy(std::uint32_t buffer) const {
    return ((busy_.load() >> buffer) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t busy_buffers() const { return busy_.load(); }
  void set_busy(std::uint32_t buffer) { busy_.fetch_or(1ull << buffer); }
  /// False: somebody else has it.
  [[nodiscard]] bool take(std::uint32_t buffer) {
    const std::uint64_t bit = 1ull << buffer;
    return (busy_.fetch_or(bit) & bit) == 0;
  }
  void set_free(std::uint32_t buffer) { busy_.fetch_and(~(1ull << buffer)); }

 private:
  machine::Shared<std::uint64_t> busy_{0};
};

/// What is written to the payload only when the message reaches its slot.
enum class OnDelivery : std::uint8_t {
  kNothing,
  /// The last word of a timer message: the time.
  kTime,
  /// The owner is an EndedInterrupts, which says which vector it is.
  kEndedInterrupt,
  /// The message is the Synic's own, and says which SINT it speaks of.
  kSintOfIntercept,
};

/// A buffer's place in the queue of one SINT. The buffer belongs to its owner and stays where it
/// is: from being posted until the message is in the slot, or dropped, its bit in the owner is set
/// and nothing here changes.
struct QueuedMessage {
  /// The next younger one of the queue; the youngest leads back to the oldest.
  QueuedMessage* next = nullptr;
  MessageOwner* owner = nullptr;
  std::uint32_t buffer = 0;
  OnDelivery on_delivery = OnDelivery::kNothing;
  MessageHeader header;
  const std::byte* payload = nullptr;
};

}  // namespace hv
