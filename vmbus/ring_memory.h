// Where a ring lies. A memory policy gives the ring's code one page of control words and a data
// area; every access that the other end can see goes through it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/guest.h"
#include "machine/invariant.h"

namespace vmbus {

/// Words of the control page, by their offset in it (Linux struct hv_ring_buffer).
enum class RingWord : std::uint32_t {
  kWriteIndex = 0,
  kReadIndex = 4,
  kInterruptMask = 8,
  kPendingSendSize = 12,
  kFeatureBits = 64,
};
inline constexpr std::uint32_t kRingHasPendingSendSize = 1;

/// Loads have acquire and stores release order, as on x86; fence() orders stores before loads.
/// copy_in and copy_out touch the data area at [offset, offset + size), which never wraps.
template <class M>
concept RingMemory = requires(M memory, const M const_memory, RingWord word, std::uint32_t value,
                              std::span<const std::byte> from, std::span<std::byte> to) {
  { const_memory.data_size() } -> std::same_as<std::uint32_t>;
  { memory.load_u32(word) } -> std::same_as<std::uint32_t>;
  { memory.store_u32(word, value) } -> std::same_as<void>;
  { memory.fence() } -> std::same_as<void>;
  { memory.copy_in(value, from) } -> std::same_as<void>;
  { memory.copy_out(value, to) } -> std::same_as<void>;
};

/// A ring in a kernel's own partition or in pages that it can reach: a list of page numbers, the
/// control page first. The list must outlive the policy and has at least two pages. Neighbouring
/// pages are copied in one piece.
class GpaPagesMemory {
 public:
  explicit GpaPagesMemory(std::span<const machine::Gpn> pages) : pages_(pages) {
    INVARIANT(pages.size() >= 2 && pages.size() <= kMaxPages);
    contiguous_ = run_length(0) == pages.size();
  }

  [[nodiscard]] std::uint32_t data_size() const {
    return static_cast<std::uint32_t>((pages_.size() - 1) * machine::kPageSize);
  }
  [[nodiscard]] std::uint32_t load_u32(RingWord word) const {
    return machine::load_u32(word_address(word));
  }
  void store_u32(RingWord word, std::uint32_t value) {
    machine::store_u32(word_address(word), value);
  }
  void fence() { machine::fence(); }

  void copy_in(std::uint32_t offset, std::span<const std::byte> from) {
    if (contiguous_) {
      machine::write_memory(data_address(offset), from);
      return;
    }
    while (!from.empty()) {
      const std::size_t part = part_size(offset, from.size());
      machine::write_memory(data_address(offset), from.first(part));
      from = from.subspan(part);
      offset += static_cast<std::uint32_t>(part);
    }
  }
  void copy_out(std::uint32_t offset, std::span<std::byte> to) const {
    if (contiguous_) {
      machine::read_memory(data_address(offset), to);
      return;
    }
    while (!to.empty()) {
      const std::size_t part = part_size(offset, to.size());
      machine::read_memory(data_address(offset), to.first(part));
      to = to.subspan(part);
      offset += static_cast<std::uint32_t>(part);
    }
  }

 private:
  static constexpr std::size_t kMaxPages = 8192;

  [[nodiscard]] machine::Gpa word_address(RingWord word) const {
    return machine::Gpa(pages_[0]) + static_cast<std::uint32_t>(word);
  }
  [[nodiscard]] machine::Gpa data_address(std::uint32_t offset) const {
    return machine::Gpa(pages_[1 + offset / machine::kPageSize]) + offset % machine::kPageSize;
  }
  /// How many pages from `first` on lie one behind the other.
  [[nodiscard]] std::size_t run_length(std::size_t first) const {
    std::size_t end = first + 1;
    while (end < pages_.size() && pages_[end] == pages_[end - 1] + 1) {
      ++end;
    }
    return end - first;
  }
  [[nodiscard]] std::size_t part_size(std::uint32_t offset, std::size_t wanted) const {
    const std::size_t run = run_length(1 + offset / machine::kPageSize);
    const std::size_t room = run * machine::kPageSize - offset % machine::kPageSize;
    return wanted < room ? wanted : room;
  }

  std::span<const machine::Gpn> pages_;
  bool contiguous_ = false;
};
static_assert(RingMemory<GpaPagesMemory>);

/// A ring in plain memory of one program, for tests and benchmarks: a control page and the data.
/// No seam lies between, so the fence is the compiler's own.
class PlainRingMemory {
 public:
  PlainRingMemory(std::byte* control, std::span<std::byte> data)
      : control_(control), data_(data.data()), size_(static_cast<std::uint32_t>(data.size())) {}

  [[nodiscard]] std::uint32_t data_size() const { return size_; }
  [[nodiscard]] std::uint32_t load_u32(RingWord word) const {
    return __atomic_load_n(at(word), __ATOMIC_ACQUIRE);
  }
  void store_u32(RingWord word, std::uint32_t value) {
    __atomic_store_n(at(word), value, __ATOMIC_RELEASE);
  }
  void fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
  void copy_in(std::uint32_t offset, std::span<const std::byte> from) {
    __builtin_memcpy(data_ + offset, from.data(), from.size());
  }
  void copy_out(std::uint32_t offset, std::span<std::byte> to) const {
    __builtin_memcpy(to.data(), data_ + offset, to.size());
  }

 private:
  [[nodiscard]] std::uint32_t* at(RingWord word) const {
    return reinterpret_cast<std::uint32_t*>(control_ + static_cast<std::uint32_t>(word));
  }

  std::byte* control_;
  std::byte* data_;
  std::uint32_t size_;
};
static_assert(RingMemory<PlainRingMemory>);

}  // namespace vmbus
