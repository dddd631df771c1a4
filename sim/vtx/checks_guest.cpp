// Checks on guest registers and on guest non-register state (SDM vol. 3 26.3.1.1, 26.3.1.3 to
// 26.3.1.6). Those on segments are in checks_segments.cpp.
#include "machine/vmx_architecture.h"
#include "machine/x86.h"
#include "sim/vtx/checks.h"

namespace sim::vtx {

namespace {

namespace vmx = machine::vmx;
namespace x86 = machine::x86;
using machine::Vmcs32;
using machine::Vmcs64;
using machine::VmcsNatural;
using C = const CheckContext&;

constexpr const char* kRegisters = "26.3.1.1";
constexpr const char* kTables = "26.3.1.3";
constexpr const char* kRipRflags = "26.3.1.4";
constexpr const char* kNonRegister = "26.3.1.5";
constexpr const char* kPdptes = "26.3.1.6";

// Exit qualifications of entry failures (26.7).
constexpr std::uint64_t kPdpteFailure = 2;
constexpr std::uint64_t kNmiInjectionFailure = 3;
constexpr std::uint64_t kLinkPointerFailure = 4;

constexpr std::uint64_t kCr4Pcide = 1u << 17;
constexpr std::uint64_t kDebugctlBtf = 1u << 1;
constexpr std::uint64_t kRflagsTf = 1u << 8;
constexpr std::uint64_t kRflagsVm = 1u << 17;

bool implies(bool condition, bool consequence) { return !condition || consequence; }

bool paging(C c) { return (c.get(VmcsNatural::kGuestCr0) & x86::kCr0Pg) != 0; }
bool protection(C c) { return (c.get(VmcsNatural::kGuestCr0) & x86::kCr0Pe) != 0; }
bool pae_paging(C c) {
  return paging(c) && !c.ia32e_guest() && (c.get(VmcsNatural::kGuestCr4) & x86::kCr4Pae) != 0;
}

template <VmcsNatural field>
bool is_canonical(C c) {
  return c.capabilities.is_canonical(c.get(field));
}
template <Vmcs32 field>
bool is_16_bit_limit(C c) {
  return (c.get(field) >> 16) == 0;
}

// An unrestricted guest may run without protection and paging (26.3.1.1).
bool cr0_has_fixed_bits(C c) {
  const std::uint64_t cr0 = c.get(VmcsNatural::kGuestCr0);
  const std::uint64_t exempt = c.unrestricted() ? x86::kCr0Pe | x86::kCr0Pg : 0;
  const std::uint64_t must_be_1 = c.capabilities.cr0_fixed0 & ~exempt;
  return (cr0 & must_be_1) == must_be_1 && (cr0 & ~c.capabilities.cr0_fixed1) == 0;
}

constexpr Check kRegisterChecks[] = {
    {"guest CR0 has its fixed bits", kRegisters, cr0_has_fixed_bits},
    {"paging needs protection", kRegisters, [](C c) { return implies(paging(c), protection(c)); }},
    {"guest CR4 has its fixed bits", kRegisters,
     [](C c) {
       const std::uint64_t cr4 = c.get(VmcsNatural::kGuestCr4);
       return (cr4 & c.capabilities.cr4_fixed0) == c.capabilities.cr4_fixed0 &&
              (cr4 & ~c.capabilities.cr4_fixed1) == 0;
     }},
    {"guest DEBUGCTL has its reserved bits clear", kRegisters,
     [](C c) {
       return implies((c.entry & vmx::kEntryLoadDebugControls) != 0,
                      (c.get(Vmcs64::kGuestDebugctl) & ~kDebugctlBits) == 0);
     }},
    {"an IA-32e guest has paging and PAE", kRegisters,
     [](C c) {
       return implies(c.ia32e_guest(),
                      paging(c) && (c.get(VmcsNatural::kGuestCr4) & x86::kCr4Pae) != 0);
     }},
    {"PCIDs need an IA-32e guest", kRegisters,
     [](C c) {
       return implies((c.get(VmcsNatural::kGuestCr4) & kCr4Pcide) != 0, c.ia32e_guest());
     }},
    {"guest CR3 is a physical address", kRegisters,
     [](C c) { return c.capabilities.is_physical(c.get(VmcsNatural::kGuestCr3)); }},
    {"guest DR7 has its upper half clear", kRegisters,
     [](C c) {
       return implies((c.entry & vmx::kEntryLoadDebugControls) != 0,
                      (c.get(VmcsNatural::kGuestDr7) >> 32) == 0);
     }},
    {"guest SYSENTER_ESP is canonical", kRegisters, is_canonical<VmcsNatural::kGuestSysenterEsp>},
    {"guest SYSENTER_EIP is canonical", kRegisters, is_canonical<VmcsNatural::kGuestSysenterEip>},
    {"guest PAT holds memory types", kRegisters,
     [](C c) {
       return implies((c.entry & vmx::kEntryLoadPat) != 0, is_valid_pat(c.get(Vmcs64::kGuestPat)));
     }},
    {"guest EFER has its reserved bits clear", kRegisters,
     [](C c) {
       return implies((c.entry & vmx::kEntryLoadEfer) != 0,
                      (c.get(Vmcs64::kGuestEfer) & ~kEferBits) == 0);
     }},
    {"guest EFER.LMA is the IA-32e-mode control", kRegisters,
     [](C c) {
       const bool lma = (c.get(Vmcs64::kGuestEfer) & x86::kEferLma) != 0;
       return implies((c.entry & vmx::kEntryLoadEfer) != 0, lma == c.ia32e_guest());
     }},
    {"guest EFER.LME is LMA while paging is on", kRegisters,
     [](C c) {
       const std::uint64_t efer = c.get(Vmcs64::kGuestEfer);
       return implies((c.entry & vmx::kEntryLoadEfer) != 0 && paging(c),
                      ((efer & x86::kEferLma) != 0) == ((efer & x86::kEferLme) != 0));
     }},
    {"guest GDTR base is canonical", kTables, is_canonical<VmcsNatural::kGuestGdtrBase>},
    {"guest IDTR base is canonical", kTables, is_canonical<VmcsNatural::kGuestIdtrBase>},
    {"guest GDTR limit has 16 bits", kTables, is_16_bit_limit<Vmcs32::kGuestGdtrLimit>},
    {"guest IDTR limit has 16 bits", kTables, is_16_bit_limit<Vmcs32::kGuestIdtrLimit>},
    {"PDPTEs have their reserved bits clear", kPdptes,
     [](C c) {
       constexpr std::uint64_t kPresent = 1;
       constexpr std::uint64_t kReserved = 0x1E6;
       const bool ept = (c.secondary & vmx::kEnableEpt) != 0;
       const std::uint64_t table = c.get(VmcsNatural::kGuestCr3) & 0xFFFF'FFE0;
       for (std::uint32_t i = 0; pae_paging(c) && i < 4; ++i) {
         const auto field =
             static_cast<Vmcs64>(static_cast<std::uint32_t>(Vmcs64::kGuestPdpte0) + 2 * i);
         const std::uint64_t entry =
             ept ? c.get(field) : c.platform.load_u64(machine::Spa(table + 8 * i));
         if ((entry & kPresent) != 0 &&
             ((entry & kReserved) != 0 || !c.capabilities.is_physical(entry))) {
           return false;
         }
       }
       return true;
     },
     kPdpteFailure},
};

// --- RIP, RFLAGS, activity, interruptibility: checked at every entry -----------------------------

struct State {
  explicit State(C c)
      : rflags(c.get(VmcsNatural::kGuestRflags)),
        interruptibility(c.get32(Vmcs32::kGuestInterruptibilityState)),
        activity(c.get32(Vmcs32::kGuestActivityState)),
        injection(c.get32(Vmcs32::kVmEntryInterruptionInformation)) {}

  [[nodiscard]] bool blocked(std::uint32_t bits) const { return (interruptibility & bits) != 0; }
  [[nodiscard]] bool injects() const { return (injection & vmx::kEventValid) != 0; }
  [[nodiscard]] bool injects(std::uint32_t type) const {
    return injects() && ((injection >> vmx::kEventTypeShift) & 7) == type;
  }
  [[nodiscard]] std::uint32_t vector() const { return injection & 0xFF; }

  std::uint64_t rflags;
  std::uint32_t interruptibility;
  std::uint32_t activity;
  std::uint32_t injection;
};

bool may_inject_into_activity(C c) {
  constexpr std::uint32_t kDebug = 1;
  constexpr std::uint32_t kMachineCheck = 18;
  const State state(c);
  const bool exception = state.injects(vmx::kEventTypeHardwareException);
  const bool nmi = state.injects(vmx::kEventTypeNmi);
  const bool machine_check = exception && state.vector() == kMachineCheck;
  switch (state.activity) {
    case vmx::kActivityHlt:
      return !state.injects() || nmi || machine_check ||
             state.injects(vmx::kEventTypeExternalInterrupt) ||
             (exception && state.vector() == kDebug);
    case vmx::kActivityShutdown:
      return !state.injects() || nmi || machine_check;
    case vmx::kActivityWaitForSipi:
      return !state.injects();
    default:
      return true;
  }
}

bool single_step_is_pending_as_it_must(C c) {
  constexpr std::uint64_t kSingleStep = 1u << 14;
  const State state(c);
  if (!state.blocked(vmx::kBlockingBySti | vmx::kBlockingByMovSs) &&
      state.activity != vmx::kActivityHlt) {
    return true;
  }
  const bool steps =
      (state.rflags & kRflagsTf) != 0 && (c.get(Vmcs64::kGuestDebugctl) & kDebugctlBtf) == 0;
  return steps == ((c.get(VmcsNatural::kGuestPendingDebugExceptions) & kSingleStep) != 0);
}

bool link_pointer_is_a_vmcs(C c) {
  const std::uint64_t pointer = c.get(Vmcs64::kVmcsLinkPointer);
  if (pointer == ~std::uint64_t{0}) {
    return true;
  }
  return (pointer & 0xFFF) == 0 && c.capabilities.is_physical(pointer) &&
         pointer != c.vmcs.region.value() &&
         c.platform.load_u32(machine::Spa(pointer)) == c.capabilities.revision();
}

constexpr Check kActivityChecks[] = {
    {"guest RIP fits the guest's mode", kRipRflags,
     [](C c) {
       const std::uint64_t rip = c.get(VmcsNatural::kGuestRip);
       const bool long_mode = (c.get(Vmcs32::kGuestCsAccessRights) & (1u << 13)) != 0;
       return c.ia32e_guest() && long_mode ? c.capabilities.is_canonical(rip) : (rip >> 32) == 0;
     }},
    {"guest RFLAGS has its fixed bits", kRipRflags,
     [](C c) { return (State(c).rflags & 0xFFFF'FFFF'FFC0'802A) == x86::kRflagsFixed; }},
    {"virtual-8086 mode needs protection and no IA-32e mode", kRipRflags,
     [](C c) {
       return implies((State(c).rflags & kRflagsVm) != 0, !c.ia32e_guest() && protection(c));
     }},
    {"an injected interrupt finds interrupts enabled", kRipRflags,
     [](C c) {
       const State state(c);
       return implies(state.injects(vmx::kEventTypeExternalInterrupt),
                      (state.rflags & x86::kRflagsIf) != 0);
     }},
    {"the activity state is one the processor has", kNonRegister,
     [](C c) {
       const std::uint32_t activity = State(c).activity;
       return activity == vmx::kActivityActive ||
              (activity <= 3 && ((c.capabilities.misc >> (5 + activity)) & 1) != 0);
     }},
    {"only ring 0 halts", kNonRegister,
     [](C c) {
       return implies(State(c).activity == vmx::kActivityHlt,
                      ((c.get(Vmcs32::kGuestSsAccessRights) >> 5) & 3) == 0);
     }},
    {"a guest blocked by STI or MOV SS is active", kNonRegister,
     [](C c) {
       const State state(c);
       return implies(state.blocked(vmx::kBlockingBySti | vmx::kBlockingByMovSs),
                      state.activity == vmx::kActivityActive);
     }},
    {"the activity state takes the injected event", kNonRegister, may_inject_into_activity},
    {"reserved bits of the interruptibility state are clear", kNonRegister,
     [](C c) { return (State(c).interruptibility & ~0xFu) == 0; }},
    {"blocking is by STI or by MOV SS, not both", kNonRegister,
     [](C c) {
       const State state(c);
       return !(state.blocked(vmx::kBlockingBySti) && state.blocked(vmx::kBlockingByMovSs));
     }},
    {"blocking by STI needs interrupts enabled", kNonRegister,
     [](C c) {
       const State state(c);
       return implies(state.blocked(vmx::kBlockingBySti), (state.rflags & x86::kRflagsIf) != 0);
     }},
    {"an injected interrupt is not blocked by STI or MOV SS", kNonRegister,
     [](C c) {
       const State state(c);
       return !(state.injects(vmx::kEventTypeExternalInterrupt) &&
                state.blocked(vmx::kBlockingBySti | vmx::kBlockingByMovSs));
     }},
    {"an injected NMI is not blocked by MOV SS", kNonRegister,
     [](C c) {
       const State state(c);
       return !(state.injects(vmx::kEventTypeNmi) && state.blocked(vmx::kBlockingByMovSs));
     },
     kNmiInjectionFailure},
    {"there is no blocking by SMI outside SMM", kNonRegister,
     [](C c) { return !State(c).blocked(vmx::kBlockingBySmi); }},
    {"an injected virtual NMI is not blocked by NMI", kNonRegister,
     [](C c) {
       const State state(c);
       return !((c.pin & vmx::kPinVirtualNmis) != 0 && state.injects(vmx::kEventTypeNmi) &&
                state.blocked(vmx::kBlockingByNmi));
     }},
    {"reserved bits of the pending debug exceptions are clear", kNonRegister,
     [](C c) {
       return (c.get(VmcsNatural::kGuestPendingDebugExceptions) & ~std::uint64_t{0x500F}) == 0;
     }},
    {"a single step is pending as RFLAGS.TF and DEBUGCTL.BTF say", kNonRegister,
     single_step_is_pending_as_it_must},
    {"the link pointer names a VMCS, or none", kNonRegister, link_pointer_is_a_vmcs,
     kLinkPointerFailure},
};

}  // namespace

std::span<const Check> guest_register_checks() { return kRegisterChecks; }
std::span<const Check> guest_activity_checks() { return kActivityChecks; }

}  // namespace sim::vtx
