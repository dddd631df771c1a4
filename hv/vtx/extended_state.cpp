#include "hv/vtx/extended_state.h"

#include "machine/machine.h"
#include "machine/vmx_root.h"
#include "machine/x86.h"

namespace hv::vtx {
namespace {

namespace x86 = machine::x86;
using machine::Spa;

constexpr std::uint64_t kXcr0AfterReset = x86::kXcr0X87;
constexpr std::size_t kMxcsrQuadword = x86::kXsaveMxcsr;

void set_xcr0(ExtendedUnit& unit, std::uint64_t value) {
  if (unit.xcr0 != value) {
    INVARIANT(machine::try_write_xcr0(value));
    unit.xcr0 = value;
  }
}

/// What 16 bytes of a component in its initial state are (SDM vol. 1 13.6): of all that has a name
/// as a register, the x87 control word alone is not zero.
RegisterValue initial_value(std::size_t offset) {
  return {offset == x86::kXsaveFcw ? x86::kFcwInitial : std::uint64_t{0}, 0};
}

}  // namespace

void enable_extended_state(const Capabilities& capabilities, ExtendedUnit& unit) {
  unit.components = capabilities.extended_components;
  unit.xcr0 = machine::read_xcr0();
  set_xcr0(unit, unit.components);
}

ExtendedState::ExtendedState(machine::Spn area) : area_(area), xcr0_(kXcr0AfterReset) {
  machine::store_u32(area_ + x86::kXsaveMxcsr, x86::kMxcsrInitial);
}

void ExtendedState::load(ExtendedUnit& unit) {
  unit_ = &unit;
  if (unit.last != this || resident_ != &unit) {
    set_xcr0(unit, unit.components);
    machine::restore_extended_state(area_, unit.components);
  }
  unit.last = this;
  resident_ = &unit;
  set_xcr0(unit, xcr0_);
}

/// What the header does not name is in its initial state.
void ExtendedState::reset() {
  machine::store_u64(area_ + x86::kXsaveHeader, 0);
  machine::store_u32(area_ + x86::kXsaveMxcsr, x86::kMxcsrInitial);
  xcr0_ = kXcr0AfterReset;
  resident_ = nullptr;
  if (unit_ != nullptr) {
    set_xcr0(*unit_, unit_->components);
    restore();
    resident_ = unit_;
  }
}

void ExtendedState::unload() {
  save();
  unit_ = nullptr;
}

/// SSE has state whether or not XCR0 has its bit, so all is saved whatever the guest has in XCR0.
void ExtendedState::save() {
  set_xcr0(*unit_, unit_->components);
  machine::save_extended_state(area_, unit_->components);
}

void ExtendedState::restore() {
  machine::restore_extended_state(area_, unit_->components);
  set_xcr0(*unit_, xcr0_);
}

bool ExtendedState::write_xcr0(std::uint64_t offered, std::uint64_t value) {
  const bool avx = (value & x86::kXcr0Avx) != 0;
  const std::uint64_t avx512 = value & x86::kXcr0Avx512;
  if ((value & ~offered) != 0 || (value & x86::kXcr0X87) == 0 ||
      (avx && (value & x86::kXcr0Sse) == 0) ||
      (avx512 != 0 && (avx512 != x86::kXcr0Avx512 || !avx))) {
    return false;
  }
  xcr0_ = value;
  if (unit_ != nullptr) {
    set_xcr0(*unit_, value);
  }
  return true;
}

RegisterValue ExtendedState::read(std::size_t offset, std::uint64_t component) {
  if (unit_ != nullptr) {
    save();
    set_xcr0(*unit_, xcr0_);
  }
  const std::uint64_t in_use = machine::load_u64(area_ + x86::kXsaveHeader);
  if ((in_use & component) == 0) {
    return initial_value(offset);
  }
  RegisterValue value;
  value.low = machine::load_u64(area_ + offset);
  value.high = machine::load_u64(area_ + offset + sizeof(value.low));
  return value;
}

void ExtendedState::write(std::size_t offset, std::uint64_t component, const RegisterValue& value) {
  if (unit_ != nullptr) {
    save();
  }
  const Spa header = area_ + x86::kXsaveHeader;
  const std::uint64_t in_use = machine::load_u64(header);
  if ((in_use & component) == 0) {
    // The other registers of the component are what they are at first.
    const std::size_t first = component == x86::kXcr0Sse ? x86::kXsaveXmm0 : x86::kXsaveSt0;
    const std::size_t size = component == x86::kXcr0Sse ? 256 : 128;
    machine::fill_memory(area_ + first, size, 0);
    if (component == x86::kXcr0X87) {
      machine::store_u64(area_ + x86::kXsaveFcw, x86::kFcwInitial);
      machine::store_u64(area_ + x86::kXsaveFcw + 8, 0);
      machine::store_u64(area_ + x86::kXsaveFcw + 16, 0);
    }
    machine::store_u64(header, in_use | component);
  }
  machine::store_u64(area_ + offset, value.low);
  machine::store_u64(area_ + offset + sizeof(value.low), value.high);
  resident_ = nullptr;
  if (unit_ != nullptr) {
    restore();
    resident_ = unit_;
  }
}

RegisterValue ExtendedState::read_mxcsr() {
  RegisterValue value = read(x86::kXsaveFcw + 16, x86::kXcr0X87);
  value.high = machine::load_u64(area_ + kMxcsrQuadword);
  return value;
}

bool ExtendedState::write_mxcsr(const RegisterValue& value) {
  const std::uint64_t now = read_mxcsr().high;
  const auto told = static_cast<std::uint32_t>(now >> 32);
  const std::uint32_t mask = told != 0 ? told : x86::kMxcsrMaskDefault;
  const auto wanted = static_cast<std::uint32_t>(value.high);
  if ((wanted & ~mask) != 0) {
    return false;
  }
  write(x86::kXsaveFcw + 16, x86::kXcr0X87, {value.low, (now & ~0xFFFF'FFFFull) | wanted});
  return true;
}

}  // namespace hv::vtx
