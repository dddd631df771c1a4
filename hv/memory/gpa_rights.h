// What a guest may do with a page, and how its accesses are cached.
#pragma once

#include <cstdint>

#include "machine/address.h"

namespace hv {

/// A set of access rights. Write or execute without read does not exist (TLFS HV_MAP_GPA_FLAGS).
class GpaRights {
 public:
  static constexpr std::uint8_t kReadBit = 1;
  static constexpr std::uint8_t kWriteBit = 2;
  static constexpr std::uint8_t kExecuteBit = 4;

  constexpr GpaRights() = default;
  constexpr explicit GpaRights(std::uint8_t bits) : bits_(bits) {}
  [[nodiscard]] static constexpr GpaRights none() { return GpaRights(0); }
  [[nodiscard]] static constexpr GpaRights read() { return GpaRights(kReadBit); }
  [[nodiscard]] static constexpr GpaRights read_write() { return GpaRights(kReadBit | kWriteBit); }
  [[nodiscard]] static constexpr GpaRights read_execute() {
    return GpaRights(kReadBit | kExecuteBit);
  }
  [[nodiscard]] static constexpr GpaRights all() {
    return GpaRights(kReadBit | kWriteBit | kExecuteBit);
  }
  [[nodiscard]] constexpr std::uint8_t bits() const { return bits_; }
  [[nodiscard]] constexpr bool can_read() const { return (bits_ & kReadBit) != 0; }
  [[nodiscard]] constexpr bool can_write() const { return (bits_ & kWriteBit) != 0; }
  [[nodiscard]] constexpr bool can_execute() const { return (bits_ & kExecuteBit) != 0; }
  [[nodiscard]] constexpr bool legal() const { return bits_ == 0 || can_read(); }
  [[nodiscard]] constexpr bool includes(GpaRights other) const {
    return (other.bits_ & ~bits_) == 0;
  }
  friend constexpr bool operator==(GpaRights, GpaRights) = default;

 private:
  std::uint8_t bits_ = 0;
};

enum class GpaCaching : std::uint8_t { kWriteBack, kUncached };

/// What a processor, or who accessed memory in its place, has noted of a page.
struct GpaNotes {
  bool accessed = false;
  bool dirty = false;
  friend constexpr bool operator==(const GpaNotes&, const GpaNotes&) = default;
};

/// Notes to be forgotten, and notes to be made. To forget that a page was accessed is to forget
/// that it is dirty.
struct GpaNoteChange {
  GpaNotes clear{};
  GpaNotes set{};
};

/// Where a guest page lies and what may be done with it. Mapped with no rights differs from not
/// mapped: the page counts as present in the space, but every access to it is intercepted.
struct GpaMapping {
  machine::Spn page;
  GpaRights rights;
  GpaCaching caching = GpaCaching::kWriteBack;
  /// No overlay is ever shown in its place.
  bool no_overlay = false;
  /// The hypervisor's own, the same for all who map it: the right to write is never given.
  bool read_only = false;
  GpaNotes notes{};

  [[nodiscard]] constexpr bool legal() const {
    return rights.legal() && !(read_only && rights.can_write());
  }
  /// The notes are the processor's, and no part of what was mapped.
  friend constexpr bool operator==(const GpaMapping& a, const GpaMapping& b) {
    return a.page == b.page && a.rights == b.rights && a.caching == b.caching &&
           a.no_overlay == b.no_overlay && a.read_only == b.read_only;
  }
};

}  // namespace hv
