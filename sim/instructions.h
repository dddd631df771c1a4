// The instructions that a guest's operations stand for, as bytes: an image has them in its entry
// page, and its page tables show that page wherever a guest can stand, so that a hypervisor which
// reads at RIP finds the instruction that exited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sim {

/// One of them: where in the entry page it stands, and how long it is.
struct Instruction {
  std::uint16_t offset = 0;
  std::uint8_t length = 0;
};

namespace instructions {

inline constexpr std::uint16_t kSlotBytes = 16;
/// Behind the markers of the entries.
inline constexpr std::uint16_t kFirstSlot = 16;

constexpr Instruction at_slot(std::uint16_t slot, std::uint8_t length) {
  return {static_cast<std::uint16_t>((kFirstSlot + slot) * kSlotBytes), length};
}

/// Between two operations, where events find a guest: a NOP, which nothing completes.
inline constexpr Instruction kNone = at_slot(0, 0);
inline constexpr Instruction kCpuid = at_slot(1, 2);
inline constexpr Instruction kRdmsr = at_slot(2, 2);
inline constexpr Instruction kWrmsr = at_slot(3, 2);
inline constexpr Instruction kRdtsc = at_slot(4, 2);
inline constexpr Instruction kPause = at_slot(5, 2);
inline constexpr Instruction kHlt = at_slot(6, 1);
inline constexpr Instruction kVmcall = at_slot(7, 3);
// IN and OUT by DX, of 1, 2 and 4 bytes.
inline constexpr Instruction kIn8 = at_slot(8, 1);
inline constexpr Instruction kIn16 = at_slot(9, 2);
inline constexpr Instruction kIn32 = at_slot(10, 1);
inline constexpr Instruction kOut8 = at_slot(11, 1);
inline constexpr Instruction kOut16 = at_slot(12, 2);
inline constexpr Instruction kOut32 = at_slot(13, 1);
// MOV between the accumulator and [RDI].
inline constexpr Instruction kLoad8 = at_slot(14, 2);
inline constexpr Instruction kLoad16 = at_slot(15, 3);
inline constexpr Instruction kLoad32 = at_slot(16, 2);
inline constexpr Instruction kLoad64 = at_slot(17, 3);
inline constexpr Instruction kStore8 = at_slot(18, 2);
inline constexpr Instruction kStore16 = at_slot(19, 3);
inline constexpr Instruction kStore32 = at_slot(20, 2);
inline constexpr Instruction kStore64 = at_slot(21, 3);
// XCHG and LOCK CMPXCHG of [RDI] with RDX; what has no instruction of its own is a loop of the
// latter.
inline constexpr Instruction kExchange32 = at_slot(22, 2);
inline constexpr Instruction kCompareExchange32 = at_slot(23, 4);
inline constexpr Instruction kCompareExchange64 = at_slot(24, 5);
// REP MOVSB, which reads or writes memory that others see, and REP STOSB.
inline constexpr Instruction kMoveString = at_slot(25, 2);
inline constexpr Instruction kFillString = at_slot(26, 2);

inline constexpr Instruction kXsetbv = at_slot(27, 3);

template <class Word>
[[nodiscard]] constexpr Instruction load() {
  constexpr std::array kBySize = {kLoad8, kLoad16, Instruction{}, kLoad32};
  return sizeof(Word) == 8 ? kLoad64 : kBySize[sizeof(Word) - 1];
}
template <class Word>
[[nodiscard]] constexpr Instruction store() {
  constexpr std::array kBySize = {kStore8, kStore16, Instruction{}, kStore32};
  return sizeof(Word) == 8 ? kStore64 : kBySize[sizeof(Word) - 1];
}
[[nodiscard]] constexpr Instruction in(std::uint32_t size_bytes) {
  return size_bytes == 1 ? kIn8 : size_bytes == 2 ? kIn16 : kIn32;
}
[[nodiscard]] constexpr Instruction out(std::uint32_t size_bytes) {
  return size_bytes == 1 ? kOut8 : size_bytes == 2 ? kOut16 : kOut32;
}

}  // namespace instructions

/// Puts all of them into an entry page.
void put_instructions(std::span<std::byte> entry_page);

}  // namespace sim
