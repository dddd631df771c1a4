// Level-triggered interrupts of one virtual processor that ended, on their way to its parent.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hv/synic/queued_message.h"
#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/partition.h"
#include "machine/shared.h"

namespace hv {

/// One message that is posted again as long as there is something to tell (TLFS "APIC EOI
/// message"). What ends twice before the parent has heard of it once is told once: the parent looks
/// at the line again either way. Vectors are added by the processor that runs the child and taken
/// by the one that fills the parent's slot.
class EndedInterrupts : public MessageOwner {
 public:
  explicit EndedInterrupts(VpIndex vp) {
    payload_.vp = vp;
    entry_.owner = this;
    entry_.on_delivery = OnDelivery::kEndedInterrupt;
    entry_.header.type = MessageType::kX64ApicEoi;
    entry_.header.payload_size = sizeof(payload_);
    entry_.payload = reinterpret_cast<const std::byte*>(&payload_);
  }

  /// True: the message is the caller's to post. Only the processor that runs the child calls it.
  [[nodiscard]] bool add(std::uint8_t vector) {
    words_[vector / 64u].fetch_or(1ull << (vector % 64u));
    if (!take(entry_.buffer)) {
      return false;
    }
    if (!has_more()) {
      // It left with the message that was on its way just now.
      set_free(entry_.buffer);
      return false;
    }
    return true;
  }
  [[nodiscard]] QueuedMessage& message() { return entry_; }

  [[nodiscard]] bool has_more() const {
    for (const machine::Shared<std::uint64_t>& word : words_) {
      if (word.load() != 0) {
        return true;
      }
    }
    return false;
  }
  void write_next() {
    for (std::size_t index = 0; index < words_.size(); ++index) {
      if (const std::uint64_t word = words_[index].load(); word != 0) {
        const auto bit = static_cast<std::uint32_t>(std::countr_zero(word));
        words_[index].fetch_and(~(1ull << bit));
        payload_.vector = static_cast<std::uint32_t>(index) * 64 + bit;
        return;
      }
    }
  }

 private:
  std::array<machine::Shared<std::uint64_t>, 4> words_{};
  ApicEoiMessage payload_;
  QueuedMessage entry_;
};

}  // namespace hv
