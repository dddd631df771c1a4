#include "sim/io_apic.h"

namespace sim {

namespace {

constexpr std::uint64_t kIndexOffset = 0x00;
constexpr std::uint64_t kWindowOffset = 0x10;
constexpr std::uint32_t kIdRegister = 0;
constexpr std::uint32_t kVersionRegister = 1;
constexpr std::uint32_t kFirstEntryRegister = 0x10;
constexpr std::uint32_t kVersion = 0x11 | (IoApic::kPins - 1) << 16;
constexpr std::uint32_t kIdMask = 0x0F00'0000;
constexpr std::uint64_t kActiveLow = 1u << 13;
constexpr std::uint64_t kLogicalDestination = 1u << 11;
constexpr std::uint64_t kDeliveryMask = 7u << 8;
/// Delivery status and remote IRR.
constexpr std::uint32_t kReadOnly = 1u << 12 | 1u << 14;
constexpr std::uint32_t kLowerBits = 0x0001'FFFF;
constexpr std::uint32_t kUpperBits = 0xFF00'0000;

}  // namespace

std::uint32_t IoApic::read(std::uint64_t offset) const {
  if (offset == kIndexOffset) {
    return index_;
  }
  if (offset != kWindowOffset) {
    return 0;
  }
  if (index_ == kIdRegister) {
    return id_;
  }
  if (index_ == kVersionRegister) {
    return kVersion;
  }
  const std::uint32_t number = index_ - kFirstEntryRegister;
  if (number >= kPins * 2) {
    return 0;
  }
  const std::uint64_t entry = entries_[number / 2];
  return static_cast<std::uint32_t>(number % 2 != 0 ? entry >> 32 : entry);
}

void IoApic::write(std::uint64_t offset, std::uint32_t value) {
  if (offset == kIndexOffset) {
    index_ = value & 0xFF;
    return;
  }
  if (offset != kWindowOffset) {
    return;
  }
  if (index_ == kIdRegister) {
    id_ = value & kIdMask;
    return;
  }
  const std::uint32_t number = index_ - kFirstEntryRegister;
  if (number < kPins * 2) {
    write_entry(number / 2, number % 2 != 0, value);
  }
}

void IoApic::write_entry(std::uint32_t pin, bool upper, std::uint32_t value) {
  std::uint64_t& entry = entries_[pin];
  if (upper) {
    entry = static_cast<std::uint32_t>(entry) | std::uint64_t{value & kUpperBits} << 32;
  } else {
    const std::uint64_t kept = entry & (0xFFFF'FFFF'0000'0000 | kReadOnly);
    entry = kept | (value & kLowerBits & ~kReadOnly);
    if ((entry & kLevel) == 0) {
      entry &= ~kRemoteRequest;
    }
  }
  look_at_level(pin);
}

bool IoApic::is_up(std::uint32_t pin) const {
  const bool high = (lines_ >> pin & 1) != 0;
  return high != ((entries_[pin] & kActiveLow) != 0);
}

void IoApic::set_line(std::uint32_t pin, bool level) {
  if (pin >= kPins) {
    return;
  }
  const bool was_up = is_up(pin);
  lines_ = (lines_ & ~(1u << pin)) | std::uint32_t{level} << pin;
  if ((entries_[pin] & kLevel) != 0) {
    look_at_level(pin);
  } else if (!was_up && is_up(pin) && (entries_[pin] & kMasked) == 0) {
    send(pin);
  }
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
  for (std::uint32_t pin = 0; pin < kPins; ++pin) {
    std::uint64_t& entry = entries_[pin];
    if ((entry & kLevel) != 0 && static_cast<std::uint8_t>(entry) == vector) {
      entry &= ~kRemoteRequest;
      look_at_level(pin);
    }
  }
}

/// A level is sent once, and again when it is still there at its end.
void IoApic::look_at_level(std::uint32_t pin) {
  std::uint64_t& entry = entries_[pin];
  if ((entry & (kLevel | kMasked | kRemoteRequest)) == kLevel && is_up(pin)) {
    entry |= kRemoteRequest;
    send(pin);
  }
}

/// Nobody here uses logical destinations, or others than fixed interrupts: nothing comes of them.
void IoApic::send(std::uint32_t pin) {
  const std::uint64_t entry = entries_[pin];
  if ((entry & (kDeliveryMask | kLogicalDestination)) == 0) {
    host_.send_interrupt(static_cast<std::uint8_t>(entry >> 56), static_cast<std::uint8_t>(entry),
                         (entry & kLevel) != 0);
  }
}

}  // namespace sim
