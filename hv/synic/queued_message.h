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

/// A buffer's place in the queue of one SINT. The buffer belongs to its owner and stays where it
/// is: from being posted until the message is in the slot, or dropped, its bit in the owner is set
/// and nothing here changes.
struct QueuedMessage {
  QueuedMessage* next = nullptr;
  MessageOwner* owner = nullptr;
  std::uint32_t buffer = 0;
  /// The payload's last word of a timer message is the time when it reaches the slot.
  bool stamped_on_delivery = false;
  /// The owner is an EndedInterrupts, which says only then what the payload is.
  bool of_ended_interrupts = false;
  MessageHeader header;
  const std::byte* payload = nullptr;
};

}  // namespace hv
