// A ring whose every access is written down, and which lets the test lie in the peer's name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "vmbus/ring_memory.h"

namespace ring_double {

/// What both ends share.
struct SharedRing {
  explicit SharedRing(std::uint32_t size) : data(size, std::byte{0xEE}) {}

  std::map<vmbus::RingWord, std::uint32_t> words;
  std::vector<std::byte> data;
  std::vector<std::string> log;
  /// Called after each access: the other end's chance to act, or to lie.
  std::function<void(const std::string&)> after;

  void note(std::string what) {
    log.push_back(std::move(what));
    if (after) {
      const std::string last = log.back();
      after(last);
    }
  }
};

inline std::string name_of(vmbus::RingWord word) {
  switch (word) {
    case vmbus::RingWord::kWriteIndex:
      return "write_index";
    case vmbus::RingWord::kReadIndex:
      return "read_index";
    case vmbus::RingWord::kInterruptMask:
      return "interrupt_mask";
    case vmbus::RingWord::kPendingSendSize:
      return "pending_send_sz";
    case vmbus::RingWord::kFeatureBits:
      return "features";
  }
  return "?";
}

class RecordingRingMemory {
 public:
  explicit RecordingRingMemory(SharedRing& ring) : ring_(&ring) {}

  [[nodiscard]] std::uint32_t data_size() const {
    return static_cast<std::uint32_t>(ring_->data.size());
  }
  std::uint32_t load_u32(vmbus::RingWord word) {
    const std::uint32_t value = ring_->words[word];
    ring_->note("load " + name_of(word));
    return value;
  }
  void store_u32(vmbus::RingWord word, std::uint32_t value) {
    ring_->words[word] = value;
    ring_->note("store " + name_of(word) + "=" + std::to_string(value));
  }
  void fence() { ring_->note("fence"); }
  void copy_in(std::uint32_t offset, std::span<const std::byte> from) {
    // Past the end is what no policy may ever be asked for.
    const auto target = std::span(ring_->data).subspan(offset, from.size());
    for (std::size_t index = 0; index < from.size(); ++index) {
      target[index] = from[index];
    }
    ring_->note("copy in " + std::to_string(offset) + "+" + std::to_string(from.size()));
  }
  void copy_out(std::uint32_t offset, std::span<std::byte> to) {
    const auto source = std::span(ring_->data).subspan(offset, to.size());
    for (std::size_t index = 0; index < to.size(); ++index) {
      to[index] = source[index];
    }
    ring_->note("copy out " + std::to_string(offset) + "+" + std::to_string(to.size()));
  }

 private:
  SharedRing* ring_;
};
static_assert(vmbus::RingMemory<RecordingRingMemory>);

}  // namespace ring_double
