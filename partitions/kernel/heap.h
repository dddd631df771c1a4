// Memory for a kernel's own objects, taken from its arena.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "machine/invariant.h"
#include "machine/spin_lock.h"

namespace kernel {

/// Size classes of powers of two over a region that is handed out from its start, so that memory
/// that was never needed is never touched. Freed blocks wait in their class. Any processor may
/// call; interrupt handlers may not.
class Heap {
 public:
  explicit Heap(std::span<std::byte> region);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  /// 16-byte aligned memory with undefined content; null when nothing but the reserve is left. For
  /// what others decide the amount of: they can use up the heap, but not break the kernel.
  [[nodiscard]] void* try_allocate(std::size_t size_bytes) {
    return take(size_bytes, reserve_bytes_);
  }
  /// The same with the reserve, where the kernel has promised itself that there is enough.
  [[nodiscard]] void* allocate(std::size_t size_bytes) {
    void* block = take(size_bytes, 0);
    INVARIANT(block != nullptr);
    return block;
  }
  /// `size_bytes` as it was allocated.
  void free(void* block, std::size_t size_bytes);

  template <class T, class... Arguments>
  [[nodiscard]] T* create(Arguments&&... arguments) {
    static_assert(alignof(T) <= kAlignment);
    return new (allocate(sizeof(T))) T(std::forward<Arguments>(arguments)...);
  }
  /// Null as try_allocate().
  template <class T, class... Arguments>
  [[nodiscard]] T* try_create(Arguments&&... arguments) {
    static_assert(alignof(T) <= kAlignment);
    void* const place = try_allocate(sizeof(T));
    return place == nullptr ? nullptr : new (place) T(std::forward<Arguments>(arguments)...);
  }
  template <class T>
  void destroy(T* object) {
    object->~T();
    free(object, sizeof(T));
  }

  [[nodiscard]] std::size_t blocks_in_use();

  static constexpr std::size_t kAlignment = 16;
  static constexpr std::size_t kSmallestBlock = 32;
  static constexpr std::size_t kClassCount = 16;  // up to 1 MiB

  /// The class whose blocks hold so many bytes; kClassCount if none does.
  [[nodiscard]] static std::size_t class_of(std::size_t size_bytes);

 private:
  struct FreeBlock {
    FreeBlock* next = nullptr;
  };

  /// The part of the region that is the reserve.
  static constexpr std::size_t kReservePart = 16;

  /// Null if fewer than `keep_bytes` of what was never handed out would be left.
  [[nodiscard]] void* take(std::size_t size_bytes, std::size_t keep_bytes);

  machine::SpinLock lock_;
  std::array<FreeBlock*, kClassCount> free_{};
  std::span<std::byte> rest_;
  std::size_t reserve_bytes_;
  std::size_t blocks_in_use_ = 0;
};

}  // namespace kernel
