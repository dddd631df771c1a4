// MSRs that are part of the processor's own state. Most live in the VMCS, so these need the virtual
// processor loaded here.
#include "hv/hypervisor.h"
#include "hv/msr/msr_handlers.h"
#include "hv/vtx/guest_context.h"
#include "machine/common.h"
#include "machine/x86.h"

namespace hv::msr {
namespace {

namespace x86 = machine::x86;

constexpr std::uint64_t kFastStrings = 1u << 0;
constexpr std::uint64_t kNoPreciseSampling = 1u << 12;
constexpr std::uint64_t kNoBranchTrace = 1u << 11;

/// Each byte is a memory type: 0, 1, 4, 5, 6 or 7 (SDM vol. 3 11.12.2).
bool is_legal_pat(std::uint64_t value) {
  for (int index = 0; index < 8; ++index) {
    const std::uint64_t type = (value >> (8 * index)) & 0xFF;
    if (type > 7 || type == 2 || type == 3) {
      return false;
    }
  }
  return true;
}

}  // namespace

ReadResult read_tsc(const MsrAccess&) { return machine::read_tsc(); }

ReadResult read_sysenter(const MsrAccess& access) {
  switch (access.msr) {
    case x86::kMsrSysenterCs:
      return vtx::read_sysenter_cs();
    case x86::kMsrSysenterEsp:
      return vtx::read_sysenter_esp();
    default:
      return vtx::read_sysenter_eip();
  }
}

WriteResult write_sysenter(const MsrAccess& access, std::uint64_t value) {
  switch (access.msr) {
    case x86::kMsrSysenterCs:
      vtx::write_sysenter_cs(value);
      break;
    case x86::kMsrSysenterEsp:
      vtx::write_sysenter_esp(value);
      break;
    default:
      vtx::write_sysenter_eip(value);
      break;
  }
  return {};
}

ReadResult read_misc_enable(const MsrAccess&) {
  return kFastStrings | kNoPreciseSampling | kNoBranchTrace;
}

ReadResult read_pat(const MsrAccess&) { return vtx::read_pat(); }

WriteResult write_pat(const MsrAccess&, std::uint64_t value) {
  if (!is_legal_pat(value)) {
    return fault();
  }
  vtx::write_pat(value);
  return {};
}

ReadResult read_efer(const MsrAccess&) { return vtx::read_efer(); }

WriteResult write_efer(const MsrAccess&, std::uint64_t value) {
  // LME does not change while paging is on (SDM vol. 3 2.2.1).
  const std::uint64_t old = vtx::read_efer();
  const bool changes_mode = ((old ^ value) & x86::kEferLme) != 0;
  if (changes_mode && (vtx::read_cr0() & x86::kCr0Pg) != 0) {
    return fault();
  }
  return vtx::write_efer(value) ? WriteResult() : fault();
}

ReadResult read_switched(const MsrAccess& access) {
  const auto value = access.vp.switched_msrs.read(this_processor().capabilities(), access.msr);
  return value ? ReadResult(*value) : fault();
}

WriteResult write_switched(const MsrAccess& access, std::uint64_t value) {
  const vtx::Capabilities& capabilities = this_processor().capabilities();
  return access.vp.switched_msrs.write(capabilities, access.msr, value) ? WriteResult() : fault();
}

}  // namespace hv::msr
