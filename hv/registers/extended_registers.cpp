#include "hv/registers/extended_registers.h"

#include "hv/cpuid/cpuid_subject.h"
#include "hv/hypervisor.h"
#include "machine/invariant.h"
#include "machine/x86.h"

namespace hv {
namespace {

namespace x86 = machine::x86;

constexpr std::size_t kRegisterBytes = 16;

constexpr std::uint32_t number(RegisterName name) { return static_cast<std::uint32_t>(name); }

constexpr bool is_xmm(RegisterName name) {
  return name >= RegisterName::kXmm0 && name <= RegisterName::kXmm15;
}

constexpr std::size_t xmm_offset(RegisterName name) {
  return x86::kXsaveXmm0 + (number(name) - number(RegisterName::kXmm0)) * kRegisterBytes;
}

constexpr std::size_t x87_offset(RegisterName name) {
  return name == RegisterName::kFpControlStatus
             ? x86::kXsaveFcw
             : x86::kXsaveSt0 + (number(name) - number(RegisterName::kFpMmx0)) * kRegisterBytes;
}

}  // namespace

bool is_extended_register(RegisterName name) {
  return (name >= RegisterName::kXmm0 && name <= RegisterName::kXmmControlStatus) ||
         name == RegisterName::kXfem;
}

RegisterValue read_extended_register(VirtualProcessor& vp, RegisterName name) {
  INVARIANT(is_extended_register(name));
  if (name == RegisterName::kXfem) {
    return {vp.extended.xcr0(), 0};
  }
  if (name == RegisterName::kXmmControlStatus) {
    return vp.extended.read_mxcsr();
  }
  return is_xmm(name) ? vp.extended.read(xmm_offset(name), x86::kXcr0Sse)
                      : vp.extended.read(x87_offset(name), x86::kXcr0X87);
}

bool write_extended_register(VirtualProcessor& vp, RegisterName name, const RegisterValue& value) {
  INVARIANT(is_extended_register(name));
  if (name == RegisterName::kXfem) {
    const std::uint64_t there = this_processor().capabilities().extended_components;
    return vp.extended.write_xcr0(offered_components(there, vp.partition), value.low);
  }
  if (name == RegisterName::kXmmControlStatus) {
    return vp.extended.write_mxcsr(value);
  }
  if (is_xmm(name)) {
    vp.extended.write(xmm_offset(name), x86::kXcr0Sse, value);
  } else {
    vp.extended.write(x87_offset(name), x86::kXcr0X87, value);
  }
  return true;
}

}  // namespace hv
