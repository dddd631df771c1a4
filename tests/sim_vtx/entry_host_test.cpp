// SDM vol. 3 26.2.2 to 26.2.4.
#include <catch2/catch.hpp>

#include "tests/sim_vtx/broken_state.h"

using namespace sim_vtx_test;
using P = TestProcessor&;

namespace {

constexpr std::uint64_t kNotCanonical = 0x0000'8000'0000'0000;

template <auto field, std::uint64_t value>
void put(P p) {
  p.write(field, value);
}

}  // namespace

TEST_CASE("each check on host state refuses what it is there to refuse", "[vtx][entry]") {
  static constexpr auto kRows = std::to_array<Broken>({
      {"host CR0 has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kHostCr0, x86::kCr0Ne); }},
      {"host CR0 has its fixed bits", [](P p) { p.set_bits(VmcsNatural::kHostCr0, 1ull << 32); }},
      {"host CR4 has its fixed bits",
       [](P p) { p.clear_bits(VmcsNatural::kHostCr4, x86::kCr4Vmxe); }},
      {"host CR4 has its fixed bits", [](P p) { p.set_bits(VmcsNatural::kHostCr4, 1u << 23); }},
      {"host CR3 is a physical address", put<VmcsNatural::kHostCr3, 1ull << 46>},
      {"host SYSENTER_ESP is canonical", put<VmcsNatural::kHostSysenterEsp, kNotCanonical>},
      {"host SYSENTER_EIP is canonical", put<VmcsNatural::kHostSysenterEip, kNotCanonical>},
      {"host PAT holds memory types", put<Vmcs64::kHostPat, 0x0200>},
      {"host EFER has its reserved bits clear",
       [](P p) { p.set_bits(Vmcs64::kHostEfer, 1u << 1); }},
      {"host EFER.LMA and LME are the host address-space size",
       [](P p) { p.clear_bits(Vmcs64::kHostEfer, x86::kEferLma); }},
      {"host EFER.LMA and LME are the host address-space size",
       [](P p) { p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitHostAddressSpaceSize); }},
      {"host ES selector has RPL and TI 0", put<Vmcs16::kHostEsSelector, 0x13>},
      {"host CS selector has RPL and TI 0", put<Vmcs16::kHostCsSelector, 0x0C>},
      {"host SS selector has RPL and TI 0", put<Vmcs16::kHostSsSelector, 0x11>},
      {"host DS selector has RPL and TI 0", put<Vmcs16::kHostDsSelector, 0x12>},
      {"host FS selector has RPL and TI 0", put<Vmcs16::kHostFsSelector, 0x14>},
      {"host GS selector has RPL and TI 0", put<Vmcs16::kHostGsSelector, 0x17>},
      {"host TR selector has RPL and TI 0", put<Vmcs16::kHostTrSelector, 0x1C>},
      {"host CS selector is not null", put<Vmcs16::kHostCsSelector, 0>},
      {"host TR selector is not null", put<Vmcs16::kHostTrSelector, 0>},
      {"a 32-bit host's SS selector is not null",
       [](P p) {
         p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitHostAddressSpaceSize);
         p.write(Vmcs64::kHostEfer, 0);
         p.write(Vmcs16::kHostSsSelector, 0);
       }},
      {"host FS base is canonical", put<VmcsNatural::kHostFsBase, kNotCanonical>},
      {"host GS base is canonical", put<VmcsNatural::kHostGsBase, kNotCanonical>},
      {"host GDTR base is canonical", put<VmcsNatural::kHostGdtrBase, kNotCanonical>},
      {"host IDTR base is canonical", put<VmcsNatural::kHostIdtrBase, kNotCanonical>},
      {"host TR base is canonical", put<VmcsNatural::kHostTrBase, kNotCanonical>},
      {"a 64-bit hypervisor stays 64-bit",
       [](P p) {
         p.clear_bits(Vmcs32::kVmExitControls, vmx::kExitHostAddressSpaceSize);
         p.write(Vmcs64::kHostEfer, 0);
       }},
      {"a 64-bit host has PAE", [](P p) { p.clear_bits(VmcsNatural::kHostCr4, x86::kCr4Pae); }},
      {"a 64-bit host's RIP is canonical", put<VmcsNatural::kHostRip, kNotCanonical>},
  });
  require_refusals(CheckGroup::kHostState, kRows);
}

TEST_CASE("host fields without a rule take any value", "[vtx][entry]") {
  TestProcessor p;
  for (const Vmcs16 selector : {Vmcs16::kHostEsSelector, Vmcs16::kHostSsSelector,
                                Vmcs16::kHostDsSelector, Vmcs16::kHostFsSelector}) {
    p.write(selector, 0);
  }
  p.write(VmcsNatural::kHostRsp, kNotCanonical);
  p.write(Vmcs32::kHostSysenterCs, 0xFFFF'FFFF);
  CHECK(p.launch().outcome == EntryOutcome::kEntered);
}
