// What a parent wants to hear of in a child (TLFS HvCallInstallIntercept): ports, MSRs, CPUID
// leaves, exceptions. Lists of fixed size, so that installing one needs no memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hv {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  friend constexpr bool operator==(const PortRange&, const PortRange&) = default;
};

/// A set of at most Capacity values.
template <class Value, std::size_t Capacity>
class FixedSet {
 public:
  [[nodiscard]] constexpr bool contains(const Value& value) const {
    return std::find(begin(), end(), value) != end();
  }
  /// False if it is full. Adding what is there already succeeds.
  [[nodiscard]] constexpr bool add(const Value& value) {
    if (contains(value)) {
      return true;
    }
    if (size_ == Capacity) {
      return false;
    }
    values_[size_++] = value;
    return true;
  }
  constexpr void remove(const Value& value) {
    for (std::size_t index = 0; index < size_; ++index) {
      if (values_[index] == value) {
        values_[index] = values_[--size_];
        return;
      }
    }
  }
  /// Whether add() would succeed.
  [[nodiscard]] constexpr bool has_room_for(const Value& value) const {
    return size_ < Capacity || contains(value);
  }
  [[nodiscard]] constexpr const Value* begin() const { return values_.data(); }
  [[nodiscard]] constexpr const Value* end() const { return values_.data() + size_; }

 private:
  std::array<Value, Capacity> values_{};
  std::size_t size_ = 0;
};

class InterceptSet {
 public:
  static constexpr std::size_t kMaxPortRanges = 48;
  static constexpr std::size_t kMaxMsrs = 16;
  static constexpr std::size_t kMaxLeaves = 16;

  [[nodiscard]] bool wants_port(std::uint16_t first, std::uint8_t size_bytes) const {
    const std::uint32_t last = first + size_bytes - 1u;
    return std::any_of(ports.begin(), ports.end(), [&](const PortRange& range) {
      return first <= range.last && range.first <= last;
    });
  }
  [[nodiscard]] bool wants_msr(std::uint32_t msr, bool write) const {
    return unknown_msrs || (write ? written_msrs : read_msrs).contains(msr);
  }
  [[nodiscard]] bool wants_cpuid(std::uint32_t leaf) const {
    return all_leaves || leaves.contains(leaf);
  }

  FixedSet<PortRange, kMaxPortRanges> ports;
  /// All MSRs that the hypervisor does not virtualize.
  bool unknown_msrs = false;
  FixedSet<std::uint32_t, kMaxMsrs> read_msrs;
  FixedSet<std::uint32_t, kMaxMsrs> written_msrs;
  bool all_leaves = false;
  FixedSet<std::uint32_t, kMaxLeaves> leaves;
};

}  // namespace hv
