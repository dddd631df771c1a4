#include "hv/vtx/bitmaps.h"

#include <array>

#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kWritesOffset = 2048;
constexpr std::uint64_t kHighRangeOffset = 1024;
constexpr std::uint32_t kHighRangeFirst = 0xC000'0000;

constexpr std::array<std::uint32_t, 6> kPassed{x86::kMsrFsBase,       x86::kMsrGsBase,
                                               x86::kMsrKernelGsBase, x86::kMsrSysenterCs,
                                               x86::kMsrSysenterEsp,  x86::kMsrSysenterEip};

void clear_bit(machine::Spa bitmap, std::uint64_t bit) {
  const machine::Spa byte = bitmap + bit / 8;
  const std::uint8_t value = machine::load_u8(byte);
  machine::store_u8(byte, static_cast<std::uint8_t>(value & ~(1u << (bit % 8))));
}

}  // namespace

void fill_io_bitmaps_intercepting(machine::Spa bitmap_a, machine::Spa bitmap_b) {
  machine::fill_memory(bitmap_a, machine::kPageSize, 0xFF);
  machine::fill_memory(bitmap_b, machine::kPageSize, 0xFF);
}

void fill_io_bitmaps_passing(machine::Spa bitmap_a, machine::Spa bitmap_b) {
  machine::fill_memory(bitmap_a, machine::kPageSize, 0);
  machine::fill_memory(bitmap_b, machine::kPageSize, 0);
}

void fill_msr_bitmap(machine::Spa bitmap) {
  machine::fill_memory(bitmap, machine::kPageSize, 0xFF);
  for (const std::uint32_t msr : kPassed) {
    const bool high = msr >= kHighRangeFirst;
    const machine::Spa reads = bitmap + (high ? kHighRangeOffset : 0);
    const std::uint64_t bit = high ? msr - kHighRangeFirst : msr;
    clear_bit(reads, bit);
    clear_bit(reads + kWritesOffset, bit);
  }
}

}  // namespace hv::vtx
