// Wire objects as bytes, both ways.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

namespace vmbus {

/// A struct that is what the wire says, byte for byte: no padding, nothing but its fields.
template <class T>
concept WireObject = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

template <WireObject T>
[[nodiscard]] std::span<const std::byte> bytes_of(const T& object) {
  return std::as_bytes(std::span<const T, 1>(&object, 1));
}

/// The object at `offset`, copied out; nothing if `bytes` ends before it does.
template <WireObject T>
[[nodiscard]] std::optional<T> read_object(std::span<const std::byte> bytes,
                                           std::size_t offset = 0) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    return std::nullopt;
  }
  T object;
  __builtin_memcpy(&object, bytes.data() + offset, sizeof(T));
  return object;
}

/// Copies as many bytes as both spans have.
inline void copy_bytes(std::span<std::byte> to, std::span<const std::byte> from) {
  const std::size_t size = to.size() < from.size() ? to.size() : from.size();
  if (size != 0) {
    __builtin_memcpy(to.data(), from.data(), size);
  }
}

inline void zero_bytes(std::span<std::byte> bytes) {
  if (!bytes.empty()) {
    __builtin_memset(bytes.data(), 0, bytes.size());
  }
}

}  // namespace vmbus
