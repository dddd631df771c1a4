#include "sim/trace_hash.h"

#include <xxh_x86dispatch.h>

#include <algorithm>

namespace sim {

TraceHash::TraceHash() {
  cursor_ = buffer_.data();
  XXH3_64bits_reset(&state_);
  set_limit();
}

void TraceHash::flip_result_of(std::uint64_t operation) {
  flip_ = operation;
  set_limit();
}

void TraceHash::set_limit() {
  std::uint64_t room = kBufferOperations;
  if (flip_ >= flushed_ && flip_ - flushed_ < room) {
    room = flip_ - flushed_ + 1;
  }
  limit_ = buffer_.data() + room * kWords;
}

std::uint64_t TraceHash::reach_limit() {
  std::uint64_t& result = cursor_[-1];
  if (operations() == flip_ + 1) {
    result ^= 1;
    flip_ = kNoFlip;
  }
  const std::uint64_t answer = result;
  if (cursor_ == buffer_.data() + buffer_.size()) {
    flush();
    if (listener_ != nullptr && flushed_ % kStretch == 0) {
      listener_->at_operation(flushed_, XXH3_64bits_digest(&state_));
    }
  }
  set_limit();
  return answer;
}

void TraceHash::flush() {
  const auto words = static_cast<std::size_t>(cursor_ - buffer_.data());
  if (enabled_) {
    // By the widest vectors that the host has: the value is the same.
    XXH3_64bits_update_dispatch(&state_, buffer_.data(), words * sizeof(std::uint64_t));
  }
  flushed_ += words / kWords;
  cursor_ = buffer_.data();
}

// What lies behind the cursor is from before the last flush, and still there.
std::vector<PastOperation> TraceHash::latest(std::size_t count) const {
  const std::size_t known = std::min<std::uint64_t>({count, operations(), kBufferOperations});
  auto slot = static_cast<std::size_t>(cursor_ - buffer_.data()) / kWords;
  std::vector<PastOperation> found(known);
  for (std::size_t index = known; index-- > 0;) {
    slot = (slot + kBufferOperations - 1) % kBufferOperations;
    const std::uint64_t* const words = buffer_.data() + slot * kWords;
    found[index] = {static_cast<Operation>(words[0] & 0xFF),
                    static_cast<std::uint32_t>(words[0] >> kProcessorShift) & 0xFFFF, words[1],
                    words[0] >> kSecondShift, words[2]};
  }
  return found;
}

std::uint64_t TraceHash::value() const {
  XXH3_state_t state;
  XXH3_copyState(&state, &state_);
  const auto words = static_cast<std::size_t>(cursor_ - buffer_.data());
  if (enabled_) {
    XXH3_64bits_update(&state, buffer_.data(), words * sizeof(std::uint64_t));
  }
  return XXH3_64bits_digest(&state);
}

}  // namespace sim
