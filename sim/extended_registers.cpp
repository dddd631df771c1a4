#include "sim/extended_registers.h"

#include <algorithm>
#include <cstring>

#include "machine/x86.h"

namespace sim {

namespace x86 = machine::x86;

namespace {

/// One piece of a component: where it lies in an area.
struct Piece {
  std::uint64_t component = 0;
  std::size_t offset = 0;
  std::size_t size_bytes = 0;
};

// The x87 state is in two pieces, around MXCSR; XMM0 to XMM15; the upper halves of YMM0 to YMM15.
constexpr std::array<Piece, 4> kPieces{{
    {x86::kXcr0X87, 0, 24},
    {x86::kXcr0X87, x86::kXsaveSt0, 128},
    {x86::kXcr0Sse, x86::kXsaveXmm0, 256},
    {x86::kXcr0Avx, ExtendedRegisters::kHighHalvesOffset, ExtendedRegisters::kHighHalvesBytes},
}};
constexpr std::uint64_t kUsesMxcsr = x86::kXcr0Sse | x86::kXcr0Avx;
constexpr std::uint32_t kMxcsrMask = 0xFFFF;

template <class Word>
Word load(std::span<const std::byte> from, std::size_t offset) {
  Word value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}

template <class Word>
void store(std::span<std::byte> to, std::size_t offset, Word value) {
  std::memcpy(to.data() + offset, &value, sizeof value);
}

/// What a component in its initial state reads as: the x87 control word is the one part not zero.
void fill_initial(const Piece& piece, std::span<std::byte> bytes) {
  std::ranges::fill(bytes, std::byte{0});
  if (piece.offset == x86::kXsaveFcw) {
    store(bytes, 0, x86::kFcwInitial);
  }
}

bool is_initial(const Piece& piece, std::span<const std::byte> bytes) {
  std::array<std::byte, 256> initial;
  const std::span<std::byte> same = std::span(initial).first(bytes.size());
  fill_initial(piece, same);
  return std::ranges::equal(same, bytes);
}

/// Where a piece lies in the processor.
template <class Legacy, class High>
auto place(Legacy& legacy, High& high, const Piece& piece) {
  return piece.component == x86::kXcr0Avx
             ? std::span(high).first(piece.size_bytes)
             : std::span(legacy).subspan(piece.offset, piece.size_bytes);
}

}  // namespace

ExtendedRegisters::ExtendedRegisters() {
  store(std::span(legacy_), x86::kXsaveFcw, x86::kFcwInitial);
  store(std::span(legacy_), x86::kXsaveMxcsr, x86::kMxcsrInitial);
  store(std::span(legacy_), x86::kXsaveMxcsrMask, kMxcsrMask);
}

bool ExtendedRegisters::set_xcr0(std::uint64_t value) {
  const bool avx_alone = (value & x86::kXcr0Avx) != 0 && (value & x86::kXcr0Sse) == 0;
  if ((value & ~kComponents) != 0 || (value & x86::kXcr0X87) == 0 || avx_alone) {
    return false;
  }
  xcr0_ = value;
  return true;
}

std::size_t ExtendedRegisters::area_bytes_in_use() const {
  return (xcr0_ & x86::kXcr0Avx) != 0 ? kAreaBytes : kHighHalvesOffset;
}

machine::XmmRegisters ExtendedRegisters::xmm() const {
  machine::XmmRegisters registers;
  std::memcpy(registers.quadwords.data(), legacy_.data() + x86::kXsaveXmm0,
              sizeof registers.quadwords);
  return registers;
}

void ExtendedRegisters::set_xmm(const machine::XmmRegisters& registers) {
  std::memcpy(legacy_.data() + x86::kXsaveXmm0, registers.quadwords.data(),
              sizeof registers.quadwords);
}

void ExtendedRegisters::save(std::uint64_t components, Area area) const {
  const std::uint64_t wanted = components & xcr0_;
  std::uint64_t in_use = 0;
  for (const Piece& piece : kPieces) {
    const std::span<const std::byte> bytes = place(legacy_, high_halves_, piece);
    in_use |= is_initial(piece, bytes) ? 0 : piece.component;
  }
  for (const Piece& piece : kPieces) {
    if ((piece.component & wanted & in_use) != 0) {
      const std::span<const std::byte> bytes = place(legacy_, high_halves_, piece);
      std::ranges::copy(bytes, area.begin() + static_cast<std::ptrdiff_t>(piece.offset));
    }
  }
  if ((wanted & kUsesMxcsr) != 0) {
    std::memcpy(area.data() + x86::kXsaveMxcsr, legacy_.data() + x86::kXsaveMxcsr, 8);
  }
  const auto before = load<std::uint64_t>(area, x86::kXsaveHeader);
  store(area, x86::kXsaveHeader, (before & ~wanted) | (in_use & wanted));
}

bool ExtendedRegisters::restore(std::uint64_t components, ConstArea area) {
  const std::uint64_t wanted = components & xcr0_;
  const auto in_use = load<std::uint64_t>(area, x86::kXsaveHeader);
  const auto format = load<std::uint64_t>(area, x86::kXsaveHeader + 8);
  const auto mxcsr = load<std::uint32_t>(area, x86::kXsaveMxcsr);
  const bool takes_mxcsr = (wanted & kUsesMxcsr) != 0;
  if ((in_use & ~xcr0_) != 0 || format != 0 || (takes_mxcsr && (mxcsr & ~kMxcsrMask) != 0)) {
    return false;
  }
  for (const Piece& piece : kPieces) {
    if ((piece.component & wanted) == 0) {
      continue;
    }
    const std::span<std::byte> bytes = place(legacy_, high_halves_, piece);
    if ((piece.component & in_use) != 0) {
      std::ranges::copy(area.subspan(piece.offset, piece.size_bytes), bytes.begin());
    } else {
      fill_initial(piece, bytes);
    }
  }
  if (takes_mxcsr) {
    store(std::span(legacy_), x86::kXsaveMxcsr, mxcsr);
  }
  return true;
}

}  // namespace sim
