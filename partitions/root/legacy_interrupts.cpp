#include "partitions/root/legacy_interrupts.h"

#include "machine/common.h"
#include "machine/invariant.h"
#include "partitions/kernel/vectors.h"

namespace root {

namespace {

constexpr std::uint16_t kPrimaryCommand = 0x20;
constexpr std::uint16_t kPrimaryData = 0x21;
constexpr std::uint16_t kSecondaryCommand = 0xA0;
constexpr std::uint16_t kSecondaryData = 0xA1;
constexpr std::uint32_t kCascadeLine = 2;
constexpr std::uint8_t kInitializeWithFourth = 0x11;  // ICW1: edge triggered, cascade, ICW4 follows
constexpr std::uint8_t kMode8086 = 0x01;              // ICW4
constexpr std::uint8_t kEndOfInterrupt = 0x20;        // OCW2, not specific
constexpr std::uint8_t kReadInService = 0x0B;         // OCW3
constexpr std::uint32_t kLinesEach = 8;

/// Line 7 of a controller without a bit in service: the request went away. It wants no EOI.
bool is_spurious(std::uint32_t line) {
  if (line % kLinesEach != kLinesEach - 1) {
    return false;
  }
  const std::uint16_t command = line < kLinesEach ? kPrimaryCommand : kSecondaryCommand;
  machine::out_u8(command, kReadInService);
  const std::uint8_t in_service = machine::in_u8(command);
  return (in_service & 0x80) == 0;
}

}  // namespace

void LegacyInterrupts::set_up() {
  machine::out_u8(kPrimaryCommand, kInitializeWithFourth);
  machine::out_u8(kSecondaryCommand, kInitializeWithFourth);
  machine::out_u8(kPrimaryData, kernel::kVectorLegacy);
  machine::out_u8(kSecondaryData, kernel::kVectorLegacy + kLinesEach);
  machine::out_u8(kPrimaryData, 1u << kCascadeLine);
  machine::out_u8(kSecondaryData, kCascadeLine);
  machine::out_u8(kPrimaryData, kMode8086);
  machine::out_u8(kSecondaryData, kMode8086);
  write_masks();
}

void LegacyInterrupts::write_masks() {
  machine::out_u8(kPrimaryData, static_cast<std::uint8_t>(masked_ & 0xFF));
  machine::out_u8(kSecondaryData, static_cast<std::uint8_t>(masked_ >> kLinesEach));
}

void LegacyInterrupts::attach(std::uint32_t line, kernel::Work& work) {
  INVARIANT(line < kLegacyLines && works_[line] == nullptr);
  works_[line] = &work;
  masked_ = static_cast<std::uint16_t>(masked_ & ~(1u << line));
  if (line >= kLinesEach) {
    masked_ = static_cast<std::uint16_t>(masked_ & ~(1u << kCascadeLine));
  }
  write_masks();
}

void LegacyInterrupts::interrupted(std::uint32_t line, kernel::Executor& executor) {
  if (is_spurious(line)) {
    if (line >= kLinesEach) {
      machine::out_u8(kPrimaryCommand, kEndOfInterrupt);
    }
    return;
  }
  if (works_[line] != nullptr) {
    executor.post(*works_[line]);
  }
  if (line >= kLinesEach) {
    machine::out_u8(kSecondaryCommand, kEndOfInterrupt);
  }
  machine::out_u8(kPrimaryCommand, kEndOfInterrupt);
}

}  // namespace root
