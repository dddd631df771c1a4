// Objects in guest RAM: copied in and out whole, through the seam.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include "machine/guest.h"

namespace kernel {

/// T has no padding: what is written is visible to others and hashed.
template <class T>
concept WireObject = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

template <WireObject T>
void write_object(machine::Gpa to, const T& object) {
  machine::write_memory(to, std::as_bytes(std::span(&object, 1)));
}

template <class T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] T read_object(machine::Gpa from) {
  T object;
  machine::read_memory(from, std::as_writable_bytes(std::span(&object, 1)));
  return object;
}

}  // namespace kernel
