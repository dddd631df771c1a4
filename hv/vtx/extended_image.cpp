// The extended registers as a page that a parent saves and restores (SDM vol. 1 13.4).
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <span>

#include "hv/vtx/extended_state.h"
#include "machine/invariant.h"
#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace x86 = machine::x86;
using machine::Spa;

constexpr std::size_t kHeaderWords = x86::kXsaveHeaderBytes / sizeof(std::uint64_t);
/// Components that use MXCSR (SDM vol. 1 13.5.2).
constexpr std::uint64_t kMxcsrStates = x86::kXcr0Sse | x86::kXcr0Avx;

struct Region {
  std::size_t offset = 0;
  std::size_t size_bytes = 0;
};

void copy(Spa to, Spa from, const Region& region) {
  std::array<std::byte, 64> chunk;
  for (std::size_t done = 0; done < region.size_bytes;) {
    const std::size_t count = std::min(chunk.size(), region.size_bytes - done);
    const std::span<std::byte> bytes = std::span(chunk).first(count);
    machine::read_memory(from + region.offset + done, bytes);
    machine::write_memory(to + region.offset + done, bytes);
    done += count;
  }
}

/// MXCSR apart, which belongs to two components.
void copy_component(Spa to, Spa from, unsigned component) {
  if ((1ull << component) == x86::kXcr0X87) {
    copy(to, from, {0, x86::kXsaveMxcsr});
    copy(to, from, {x86::kXsaveSt0, x86::kXsaveXmm0 - x86::kXsaveSt0});
  } else if ((1ull << component) == x86::kXcr0Sse) {
    constexpr std::size_t kXmmBytes = 16 * 16;
    copy(to, from, {x86::kXsaveXmm0, kXmmBytes});
  } else {
    const machine::CpuidResult place = machine::cpuid(x86::kCpuidExtendedState, component);
    copy(to, from, {place.ebx, place.eax});
  }
}

void copy_components(Spa to, Spa from, std::uint64_t states) {
  for (; states != 0; states &= states - 1) {
    copy_component(to, from, static_cast<unsigned>(std::countr_zero(states)));
  }
}

}  // namespace

void ExtendedState::copy_out(Spa page, std::uint64_t states) {
  INVARIANT(unit_ == nullptr);
  const std::uint64_t in_use = machine::load_u64(area_ + x86::kXsaveHeader) & states;
  copy_components(page, area_, in_use);
  if ((states & kMxcsrStates) != 0) {
    copy(page, area_, {x86::kXsaveMxcsr, sizeof(std::uint64_t)});
  }
  machine::store_u64(page + x86::kXsaveHeader, in_use);
}

bool ExtendedState::copy_in(Spa page, std::uint64_t states) {
  INVARIANT(unit_ == nullptr);
  std::array<std::uint64_t, kHeaderWords> header;
  machine::read_memory(page + x86::kXsaveHeader, std::as_writable_bytes(std::span(header)));
  for (std::size_t index = 1; index < header.size(); ++index) {
    if (header[index] != 0) {
      return false;
    }
  }
  const std::uint64_t in_use = header[0];
  const std::uint32_t mxcsr = machine::load_u32(page + x86::kXsaveMxcsr);
  if ((in_use & ~states) != 0) {
    return false;
  }
  if ((states & kMxcsrStates) != 0) {
    const std::uint32_t told = machine::load_u32(area_ + x86::kXsaveMxcsrMask);
    if ((mxcsr & ~(told != 0 ? told : x86::kMxcsrMaskDefault)) != 0) {
      return false;
    }
    machine::store_u32(area_ + x86::kXsaveMxcsr, mxcsr);
  }
  copy_components(area_, page, in_use);
  const std::uint64_t before = machine::load_u64(area_ + x86::kXsaveHeader);
  machine::store_u64(area_ + x86::kXsaveHeader, (before & ~states) | in_use);
  resident_ = nullptr;
  return true;
}

}  // namespace hv::vtx
