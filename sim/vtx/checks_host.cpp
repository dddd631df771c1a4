// Checks on the host-state area (SDM vol. 3 26.2.2 to 26.2.4). The model's hypervisor is in IA-32e
// mode whenever it enters a guest.
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"

namespace sim::vtx {

namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Vmcs16;
using machine::Vmcs64;
using machine::VmcsNatural;
using C = const CheckContext&;

constexpr const char* kRegisters = "26.2.2";
constexpr const char* kSegments = "26.2.3";
constexpr const char* kAddressSpace = "26.2.4";

bool has_fixed_bits(std::uint64_t value, std::uint64_t fixed0, std::uint64_t fixed1) {
  return (value & fixed0) == fixed0 && (value & ~fixed1) == 0;
}
bool host_is_64_bit(C c) { return (c.exit & vmx::kExitHostAddressSpaceSize) != 0; }

template <Vmcs16 field>
bool selects_gdt_at_ring_0(C c) {
  return (c.get(field) & 7) == 0;  // RPL and TI
}
template <VmcsNatural field>
bool is_canonical(C c) {
  return c.capabilities.is_canonical(c.get(field));
}

constexpr Check kHostChecks[] = {
    {"host CR0 has its fixed bits", kRegisters,
     [](C c) {
       return has_fixed_bits(c.get(VmcsNatural::kHostCr0), c.capabilities.cr0_fixed0,
                             c.capabilities.cr0_fixed1);
     }},
    {"host CR4 has its fixed bits", kRegisters,
     [](C c) {
       return has_fixed_bits(c.get(VmcsNatural::kHostCr4), c.capabilities.cr4_fixed0,
                             c.capabilities.cr4_fixed1);
     }},
    {"host CR3 is a physical address", kRegisters,
     [](C c) { return c.capabilities.is_physical(c.get(VmcsNatural::kHostCr3)); }},
    {"host SYSENTER_ESP is canonical", kRegisters, is_canonical<VmcsNatural::kHostSysenterEsp>},
    {"host SYSENTER_EIP is canonical", kRegisters, is_canonical<VmcsNatural::kHostSysenterEip>},
    {"host PAT holds memory types", kRegisters,
     [](C c) {
       return (c.exit & vmx::kExitLoadPat) == 0 || is_valid_pat(c.get(Vmcs64::kHostPat));
     }},
    {"host EFER has its reserved bits clear", kRegisters,
     [](C c) {
       return (c.exit & vmx::kExitLoadEfer) == 0 || (c.get(Vmcs64::kHostEfer) & ~kEferBits) == 0;
     }},
    {"host EFER.LMA and LME are the host address-space size", kRegisters,
     [](C c) {
       const std::uint64_t mode = c.get(Vmcs64::kHostEfer) & (x86::kEferLma | x86::kEferLme);
       return (c.exit & vmx::kExitLoadEfer) == 0 ||
              mode == (host_is_64_bit(c) ? x86::kEferLma | x86::kEferLme : 0);
     }},
    {"host ES selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostEsSelector>},
    {"host CS selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostCsSelector>},
    {"host SS selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostSsSelector>},
    {"host DS selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostDsSelector>},
    {"host FS selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostFsSelector>},
    {"host GS selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostGsSelector>},
    {"host TR selector has RPL and TI 0", kSegments,
     selects_gdt_at_ring_0<Vmcs16::kHostTrSelector>},
    {"host CS selector is not null", kSegments,
     [](C c) { return c.get(Vmcs16::kHostCsSelector) != 0; }},
    {"host TR selector is not null", kSegments,
     [](C c) { return c.get(Vmcs16::kHostTrSelector) != 0; }},
    {"a 32-bit host's SS selector is not null", kSegments,
     [](C c) { return host_is_64_bit(c) || c.get(Vmcs16::kHostSsSelector) != 0; }},
    {"host FS base is canonical", kSegments, is_canonical<VmcsNatural::kHostFsBase>},
    {"host GS base is canonical", kSegments, is_canonical<VmcsNatural::kHostGsBase>},
    {"host GDTR base is canonical", kSegments, is_canonical<VmcsNatural::kHostGdtrBase>},
    {"host IDTR base is canonical", kSegments, is_canonical<VmcsNatural::kHostIdtrBase>},
    {"host TR base is canonical", kSegments, is_canonical<VmcsNatural::kHostTrBase>},
    {"a 64-bit hypervisor stays 64-bit", kAddressSpace, host_is_64_bit},
    {"a 64-bit host has PAE", kAddressSpace,
     [](C c) { return !host_is_64_bit(c) || (c.get(VmcsNatural::kHostCr4) & x86::kCr4Pae) != 0; }},
    {"a 64-bit host's RIP is canonical", kAddressSpace,
     [](C c) {
       return !host_is_64_bit(c) || c.capabilities.is_canonical(c.get(VmcsNatural::kHostRip));
     }},
};

}  // namespace

std::span<const Check> host_checks() { return kHostChecks; }

}  // namespace sim::vtx
