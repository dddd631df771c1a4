// Addresses as types: a guest physical address is never taken for a system physical one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace machine {

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr std::uint64_t kPageShift = 12;
inline constexpr std::uint64_t kLargePageSize = 512 * kPageSize;

/// A page number in the address space that Tag names. Multiplied by kPageSize it is an address.
template <class Tag>
class PageNumber {
 public:
  constexpr PageNumber() = default;
  constexpr explicit PageNumber(std::uint64_t number) : number_(number) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return number_; }
  friend constexpr auto operator<=>(PageNumber, PageNumber) = default;
  friend constexpr PageNumber operator+(PageNumber page, std::uint64_t pages) {
    return PageNumber(page.number_ + pages);
  }

 private:
  std::uint64_t number_ = 0;
};

/// A byte address in the address space that Tag names. Arithmetic wraps at 2^64, as on the
/// processor; whoever takes an address from a guest checks the range first.
template <class Tag>
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(std::uint64_t value) : value_(value) {}
  constexpr explicit Address(PageNumber<Tag> page) : value_(page.value() << kPageShift) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr PageNumber<Tag> page() const {
    return PageNumber<Tag>(value_ >> kPageShift);
  }
  [[nodiscard]] constexpr std::uint64_t offset_in_page() const { return value_ & (kPageSize - 1); }
  friend constexpr auto operator<=>(Address, Address) = default;
  friend constexpr Address operator+(Address address, std::uint64_t bytes) {
    return Address(address.value_ + bytes);
  }
  friend constexpr std::uint64_t operator-(Address left, Address right) {
    return left.value_ - right.value_;
  }

 private:
  std::uint64_t value_ = 0;
};

struct GuestPhysical;
struct SystemPhysical;
struct GuestVirtual;

using Gpa = Address<GuestPhysical>;
using Spa = Address<SystemPhysical>;
using Gva = Address<GuestVirtual>;
using Gpn = PageNumber<GuestPhysical>;
using Spn = PageNumber<SystemPhysical>;

}  // namespace machine
