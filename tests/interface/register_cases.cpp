// GetVpRegisters and SetVpRegisters: every register that is more than a value, and every way to be
// refused.
#include <array>

#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::RegisterName;
using hv::RegisterValue;
using hv::Status;
using hv::VpIndex;
namespace x86 = machine::x86;

constexpr RegisterName kNoSuchRegister{0x0012'3456};
constexpr std::uint64_t kUpperHalf = 0xFFFF'8000'0000'0000;
constexpr std::uint64_t kNotCanonical = 0x8000'0000'0000;
/// A port, and that it is there.
constexpr std::uint64_t kPmTimer = 0x608 | 1u << 17;

Status get(PartitionId id, VpIndex vp, RegisterName name) {
  const hv::VpRegistersInput header{id, vp, 0, {}};
  const std::array<RegisterName, 1> names{name};
  return call(HypercallControl(CallCode::kGetVpRegisters), header,
              std::span<const RegisterName>(names))
      .status();
}
RegisterValue value_of(const Child& child, RegisterName name) {
  GUEST_CHECK(get(child.id, VpIndex{0}, name) == Status::kSuccess);
  return output<RegisterValue>();
}

Status set(PartitionId id, VpIndex vp, RegisterName name, RegisterValue value) {
  const hv::VpRegistersInput header{id, vp, 0, {}};
  const std::array<hv::RegisterAssignment, 1> elements{{{name, {}, value}}};
  return call(HypercallControl(CallCode::kSetVpRegisters), header,
              std::span<const hv::RegisterAssignment>(elements))
      .status();
}
Status set(const Child& child, RegisterName name, std::uint64_t value) {
  return set(child.id, VpIndex{0}, name, {value, 0});
}
/// Sets a register that takes the value, and finds it again.
Status keep(RegisterName name, RegisterValue value) {
  const Child child = make_child();
  const Status status = set(child.id, VpIndex{0}, name, value);
  GUEST_CHECK(value_of(child, name) == value);
  return status;
}
/// Sets a register that does not take the value, and finds it as it was.
Status leave(RegisterName name, RegisterValue value) {
  const Child child = make_child();
  const RegisterValue before = value_of(child, name);
  const Status status = set(child.id, VpIndex{0}, name, value);
  GUEST_CHECK(value_of(child, name) == before);
  return status;
}
Status leave(RegisterName name, std::uint64_t value) { return leave(name, {value, 0}); }

RegisterName nth(RegisterName first, std::uint32_t index) {
  return static_cast<RegisterName>(static_cast<std::uint32_t>(first) + index);
}

PartitionId inactive() {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}

constexpr std::uint64_t kPendingException = 1 | (0ull << 1) | (1u << 8);

constexpr CallCase kCases[] = {
    {CallCode::kGetVpRegisters, "the general registers, RIP and RFLAGS of a new VP",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kRip).low == 0xFFF0);
       GUEST_CHECK(value_of(child, RegisterName::kRflags).low == x86::kRflagsFixed);
       GUEST_CHECK(value_of(child, RegisterName::kRsp).low == 0);
       return get(child.id, VpIndex{0}, RegisterName::kR15);
     }},
    {CallCode::kGetVpRegisters, "a new VP is explicitly suspended", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kExplicitSuspend).low == hv::kSuspended);
       GUEST_CHECK(value_of(child, RegisterName::kInterceptSuspend).low == 0);
       return get(child.id, VpIndex{0}, RegisterName::kDispatchSuspend);
     }},
    {CallCode::kGetVpRegisters, "HypervisorVersion to HardwareFeatures are the CPUID leaves",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       const machine::CpuidResult version = machine::cpuid(hv::kCpuidVersion, 0);
       const RegisterValue found = value_of(child, RegisterName::kHypervisorVersion);
       GUEST_CHECK(found.low == (version.eax | (std::uint64_t{version.ebx} << 32)));
       GUEST_CHECK(found.high == (version.ecx | (std::uint64_t{version.edx} << 32)));
       const machine::CpuidResult limits = machine::cpuid(hv::kCpuidLimits, 0);
       GUEST_CHECK(value_of(child, RegisterName::kImplementationLimits).low ==
                   (limits.eax | (std::uint64_t{limits.ebx} << 32)));
       GUEST_CHECK((value_of(child, RegisterName::kPrivilegesAndFeatures).low & 0x60) == 0x60);
       GUEST_CHECK(value_of(child, RegisterName::kFeatures).low != 0);
       return get(child.id, VpIndex{0}, RegisterName::kHardwareFeatures);
     }},
    {CallCode::kGetVpRegisters, "the intermediate control registers are the control registers",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kIntermediateCr0) ==
                   value_of(child, RegisterName::kCr0));
       GUEST_CHECK(value_of(child, RegisterName::kIntermediateCr3) ==
                   value_of(child, RegisterName::kCr3));
       GUEST_CHECK(value_of(child, RegisterName::kIntermediateCr4) ==
                   value_of(child, RegisterName::kCr4));
       return get(child.id, VpIndex{0}, RegisterName::kIntermediateCr8);
     }},
    {CallCode::kGetVpRegisters, "APIC registers by their x2APIC numbers", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kApicId).low == 0);
       return get(child.id, VpIndex{0}, RegisterName{0x8480F});
     }},
    {CallCode::kGetVpRegisters, "SynIC and timer registers after creation", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kSint15).low == 0x10000);
       GUEST_CHECK(value_of(child, RegisterName::kSversion).low == 1);
       GUEST_CHECK(value_of(child, RegisterName::kEom).low == 0);
       GUEST_CHECK(value_of(child, RegisterName::kStimer3Count).low == 0);
       return get(child.id, VpIndex{0}, RegisterName::kScontrol);
     }},
    {CallCode::kGetVpRegisters, "VpIndex, GuestOsId, Hypercall, VpAssistPage and ReferenceTsc",
     Status::kSuccess,
     [] {
       const Child child = make_child(2);
       GUEST_CHECK(get(child.id, VpIndex{1}, RegisterName::kVpIndex) == Status::kSuccess);
       GUEST_CHECK(output<RegisterValue>().low == 1);
       GUEST_CHECK(value_of(child, RegisterName::kGuestOsId).low == 0);
       GUEST_CHECK(value_of(child, RegisterName::kHypercall).low == 0);
       GUEST_CHECK(value_of(child, RegisterName::kVpAssistPage).low == 0);
       return get(child.id, VpIndex{0}, RegisterName::kReferenceTsc);
     }},
    {CallCode::kGetVpRegisters, "VpRootSignalCount: nobody was signalled", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kVpRootSignalCount).low == 0);
       return get(child.id, VpIndex{0}, RegisterName::kRegisterPage);
     }},
    {CallCode::kGetVpRegisters, "the caller's own, with the privilege", Status::kSuccess,
     [] {
       const Status status = get(hv::kPartitionIdSelf, hv::kVpIndexSelf, RegisterName::kCr0);
       GUEST_CHECK((output<RegisterValue>().low & x86::kCr0Pg) != 0);
       return status;
     }},
    {CallCode::kGetVpRegisters, "a name that no register has", Status::kUnknownRegisterName,
     [] { return get(make_child().id, VpIndex{0}, kNoSuchRegister); }},
    {CallCode::kGetVpRegisters, "a register that can only be written", Status::kInvalidParameter,
     [] { return get(make_child().id, VpIndex{0}, RegisterName::kApicSelfIpi); }},
    {CallCode::kGetVpRegisters, "no partition's id", Status::kInvalidPartitionId,
     [] { return get(kNobody, VpIndex{0}, RegisterName::kRip); }},
    {CallCode::kGetVpRegisters, "a VP that the child does not have", Status::kInvalidVpIndex,
     [] { return get(make_child().id, VpIndex{1}, RegisterName::kRip); }},
    {CallCode::kGetVpRegisters, "a partition that is not active", Status::kInvalidPartitionState,
     [] { return get(inactive(), VpIndex{0}, RegisterName::kRip); }},
    {CallCode::kGetVpRegisters, "another trust level", Status::kInvalidParameter,
     [] {
       const hv::VpRegistersInput header{hv::kPartitionIdSelf, VpIndex{0}, 1, {}};
       const std::array<RegisterName, 1> names{RegisterName::kRip};
       return call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
           .status();
     }},
    {CallCode::kGetVpRegisters, "the caller's own, without the privilege", Status::kAccessDenied,
     [] { return get(hv::kPartitionIdSelf, hv::kVpIndexSelf, RegisterName::kRip); },
     Caller::kChild},

    {CallCode::kSetVpRegisters, "a general register", Status::kSuccess,
     [] { return keep(RegisterName::kR9, {0x1234'5678'9ABC'DEF0, 0}); }},
    {CallCode::kSetVpRegisters, "a segment register", Status::kSuccess,
     [] { return keep(RegisterName::kGs, {0x7000, 0xC093'0010'0000'FFFF}); }},
    {CallCode::kSetVpRegisters, "PendingInterruption: a page fault", Status::kSuccess,
     [] {
       return keep(RegisterName::kPendingInterruption,
                   {1 | (3u << 1) | (1u << 4) | (14u << 16) | (2ull << 32), 0});
     }},
    {CallCode::kSetVpRegisters, "PendingInterruption: a software interrupt", Status::kSuccess,
     [] {
       return keep(RegisterName::kPendingInterruption,
                   {1 | (4u << 1) | (2u << 5) | (0x80u << 16), 0});
     }},
    {CallCode::kSetVpRegisters, "PendingEvent0: a page fault with its address", Status::kSuccess,
     [] {
       return keep(RegisterName::kPendingEvent0,
                   {kPendingException | (14u << 16) | (2ull << 32), 0xDEAD'B000});
     }},
    {CallCode::kSetVpRegisters, "PendingEvent1: an external interrupt", Status::kSuccess,
     [] { return keep(RegisterName::kPendingEvent1, {1 | (5u << 1) | (0x31u << 8), 0}); }},
    {CallCode::kSetVpRegisters, "PendingEvent0: nothing pending takes back what was",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(set(child, RegisterName::kPendingEvent0, kPendingException | (13u << 16)) ==
                   Status::kSuccess);
       const Status status = set(child, RegisterName::kPendingEvent0, 0);
       GUEST_CHECK(value_of(child, RegisterName::kPendingEvent0) == RegisterValue{});
       return status;
     }},
    {CallCode::kSetVpRegisters, "DeliverabilityNotifications: all of them", Status::kSuccess,
     [] { return keep(RegisterName::kDeliverabilityNotifications, {0xFFFF'0000'0000'003F, 0}); }},
    {CallCode::kSetVpRegisters, "InterruptState: shadow and masked NMIs", Status::kSuccess,
     [] { return keep(RegisterName::kInterruptState, {3, 0}); }},
    {CallCode::kSetVpRegisters, "InternalActivityState: startup", Status::kSuccess,
     [] { return keep(RegisterName::kInternalActivityState, {1, 0}); }},
    {CallCode::kSetVpRegisters, "DispatchSuspend", Status::kSuccess,
     [] { return keep(RegisterName::kDispatchSuspend, {1, 0}); }},
    {CallCode::kSetVpRegisters, "InitialApicId: another of its own", Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = set(child, RegisterName::kInitialApicId, 12);
       GUEST_CHECK(value_of(child, RegisterName::kInitialApicId).low == 12);
       GUEST_CHECK(value_of(child, RegisterName::kApicId).low == 12);
       return status;
     }},
    {CallCode::kSetVpRegisters, "memory type ranges", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(value_of(child, RegisterName::kMtrrCap).low == 0x508);
       GUEST_CHECK(set(child, RegisterName::kMtrrDefType, 0xC06) == Status::kSuccess);
       GUEST_CHECK(set(child, nth(RegisterName::kMtrrPhysBase0, 7), 0x1'0000'0001) ==
                   Status::kSuccess);
       GUEST_CHECK(set(child, nth(RegisterName::kMtrrPhysMask0, 7), 0xFF'F000'0800) ==
                   Status::kSuccess);
       const Status status =
           set(child, nth(RegisterName::kMtrrFixed64K, 10), 0x0606'0606'0505'0404);
       GUEST_CHECK(value_of(child, RegisterName::kMtrrDefType).low == 0xC06);
       GUEST_CHECK(value_of(child, nth(RegisterName::kMtrrPhysBase0, 7)).low == 0x1'0000'0001);
       GUEST_CHECK(value_of(child, nth(RegisterName::kMtrrPhysMask0, 7)).low == 0xFF'F000'0800);
       GUEST_CHECK(value_of(child, nth(RegisterName::kMtrrFixed64K, 10)).low ==
                   0x0606'0606'0505'0404);
       return status;
     }},
    {CallCode::kSetVpRegisters, "PmTimerAssist, which is the partition's property",
     Status::kSuccess,
     [] {
       const Child child = make_child();
       const Status status = set(child, RegisterName::kPmTimerAssist, kPmTimer);
       GUEST_CHECK(value_of(child, RegisterName::kPmTimerAssist).low == kPmTimer);
       const hv::GetPartitionPropertyInput input{child.id, hv::PartitionProperty::kPmTimerAssist,
                                                 0};
       GUEST_CHECK(call(HypercallControl(CallCode::kGetPartitionProperty), input).status() ==
                   Status::kSuccess);
       GUEST_CHECK(output<hv::GetPartitionPropertyOutput>().value == kPmTimer);
       return status;
     }},
    {CallCode::kSetVpRegisters, "an emulated timer of no period", Status::kSuccess,
     [] { return keep(RegisterName::kEmulatedTimerPeriod, {}); }},
    {CallCode::kSetVpRegisters, "an emulated timer that is off", Status::kSuccess,
     [] { return keep(RegisterName::kEmulatedTimerControl, {}); }},
    {CallCode::kSetVpRegisters, "an emulated timer's period", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kEmulatedTimerPeriod, 10'000); }},
    {CallCode::kSetVpRegisters, "an emulated timer turned on", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kEmulatedTimerControl, 1); }},
    {CallCode::kSetVpRegisters, "a reserved bit of PmTimerAssist", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPmTimerAssist, 1u << 18); }},
    {CallCode::kSetVpRegisters, "a SINT, a synthetic timer and the guest's id", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(set(child, RegisterName::kGuestOsId, 0x8100ull << 48) == Status::kSuccess);
       GUEST_CHECK(set(child, RegisterName::kStimer0Config, 2u << 16) == Status::kSuccess);
       const Status status = set(child, RegisterName::kSint0, 0x40);
       GUEST_CHECK(value_of(child, RegisterName::kGuestOsId).low == 0x8100ull << 48);
       GUEST_CHECK(value_of(child, RegisterName::kStimer0Config).low == 2u << 16);
       GUEST_CHECK(value_of(child, RegisterName::kSint0).low == 0x40);
       return status;
     }},
    {CallCode::kSetVpRegisters, "the registers of SYSCALL, SWAPGS and RDTSCP", Status::kSuccess,
     [] {
       const Child child = make_child();
       GUEST_CHECK(set(child, RegisterName::kStar, 0x0023'0010'0000'0000) == Status::kSuccess);
       GUEST_CHECK(set(child, RegisterName::kLstar, kUpperHalf + 1) == Status::kSuccess);
       GUEST_CHECK(set(child, RegisterName::kCstar, kUpperHalf + 2) == Status::kSuccess);
       GUEST_CHECK(set(child, RegisterName::kSfmask, 0x4'7700) == Status::kSuccess);
       GUEST_CHECK(set(child, RegisterName::kKernelGsBase, kUpperHalf + 3) == Status::kSuccess);
       const Status status = set(child, RegisterName::kTscAux, 5);
       GUEST_CHECK(value_of(child, RegisterName::kStar).low == 0x0023'0010'0000'0000);
       GUEST_CHECK(value_of(child, RegisterName::kLstar).low == kUpperHalf + 1);
       GUEST_CHECK(value_of(child, RegisterName::kCstar).low == kUpperHalf + 2);
       GUEST_CHECK(value_of(child, RegisterName::kSfmask).low == 0x4'7700);
       GUEST_CHECK(value_of(child, RegisterName::kKernelGsBase).low == kUpperHalf + 3);
       GUEST_CHECK(value_of(child, RegisterName::kTscAux).low == 5);
       return status;
     }},
    {CallCode::kSetVpRegisters, "KernelGsBase that is not canonical", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kKernelGsBase, kNotCanonical); }},
    {CallCode::kSetVpRegisters, "LSTAR that is not canonical", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kLstar, kNotCanonical); }},
    {CallCode::kSetVpRegisters, "SFMASK with a bit above the flags", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kSfmask, 1ull << 32); }},
    {CallCode::kSetVpRegisters, "TscAux of more than 32 bits", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kTscAux, 1ull << 32); }},
    {CallCode::kSetVpRegisters, "CR0 with paging but no protection", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kCr0, x86::kCr0Pg); }},
    {CallCode::kSetVpRegisters, "a reserved bit of RFLAGS", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kRflags, 1ull << 40); }},
    {CallCode::kSetVpRegisters, "a reserved bit of EFER", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kEfer, 1ull << 40); }},
    {CallCode::kSetVpRegisters, "CR8 above 15", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kCr8, 16); }},
    {CallCode::kSetVpRegisters, "a SINT with a vector below 16", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kSint0, 15); }},
    {CallCode::kSetVpRegisters, "InterceptSuspend, which only the hypervisor sets",
     Status::kInvalidRegisterValue, [] { return leave(RegisterName::kInterceptSuspend, 1); }},
    {CallCode::kSetVpRegisters, "a reserved bit of ExplicitSuspend", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kExplicitSuspend, 2); }},
    {CallCode::kSetVpRegisters, "a reserved bit of DispatchSuspend", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kDispatchSuspend, 2); }},
    {CallCode::kSetVpRegisters, "an activity that does not exist", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kInternalActivityState, 8); }},
    {CallCode::kSetVpRegisters, "a reserved bit of InterruptState", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kInterruptState, 4); }},
    {CallCode::kSetVpRegisters, "a reserved bit of DeliverabilityNotifications",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kDeliverabilityNotifications, 1u << 6); }},
    {CallCode::kSetVpRegisters, "PendingInterruption of a type that does not exist",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingInterruption, 1 | (1u << 1)); }},
    {CallCode::kSetVpRegisters, "PendingInterruption with an error code of more than 15 bits",
     Status::kInvalidRegisterValue,
     [] {
       return leave(RegisterName::kPendingInterruption,
                    1 | (3u << 1) | (1u << 4) | (14u << 16) | (0x8000ull << 32));
     }},
    {CallCode::kSetVpRegisters, "PendingInterruption: an error code for an exception without one",
     Status::kInvalidRegisterValue,
     [] {
       return leave(RegisterName::kPendingInterruption, 1 | (3u << 1) | (1u << 4) | (6u << 16));
     }},
    {CallCode::kSetVpRegisters, "PendingInterruption: a hardware exception above 31",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingInterruption, 1 | (3u << 1) | (32u << 16)); }},
    {CallCode::kSetVpRegisters, "PendingInterruption: an NMI with the vector of another",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingInterruption, 1 | (2u << 1) | (3u << 16)); }},
    {CallCode::kSetVpRegisters, "PendingInterruption: a software interrupt of no length",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingInterruption, 1 | (4u << 1) | (0x80u << 16)); }},
    {CallCode::kSetVpRegisters, "PendingEvent0 with an error code of more than 15 bits",
     Status::kInvalidRegisterValue,
     [] {
       return leave(RegisterName::kPendingEvent0,
                    kPendingException | (14u << 16) | (0x8000ull << 32));
     }},
    {CallCode::kSetVpRegisters, "PendingEvent0: an error code for an exception without one",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingEvent0, kPendingException | (6u << 16)); }},
    {CallCode::kSetVpRegisters, "PendingEvent0 of a type that only the hypervisor makes",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingEvent0, 1 | (1u << 1)); }},
    {CallCode::kSetVpRegisters, "PendingEvent0 with an exception above 31",
     Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kPendingEvent0, 1 | (32u << 16)); }},
    {CallCode::kSetVpRegisters, "a memory type that does not exist", Status::kInvalidRegisterValue,
     [] { return leave(RegisterName::kMtrrDefType, 2); }},
    {CallCode::kSetVpRegisters, "an offset of the TSC, which is the processor's",
     Status::kInvalidRegisterValue, [] { return leave(RegisterName::kTscVirtualOffset, 5); }},
    {CallCode::kSetVpRegisters, "another VP's APIC id", Status::kInvalidRegisterValue,
     [] {
       const Child child = make_child(2);
       return set(child, RegisterName::kInitialApicId, 1);
     }},
    {CallCode::kSetVpRegisters, "HypervisorVersion, which is read-only", Status::kInvalidParameter,
     [] { return leave(RegisterName::kHypervisorVersion, 1); }},
    {CallCode::kSetVpRegisters, "VpIndex, which is read-only", Status::kInvalidParameter,
     [] { return leave(RegisterName::kVpIndex, 1); }},
    {CallCode::kSetVpRegisters, "VpRootSignalCount, which is read-only", Status::kInvalidParameter,
     [] { return leave(RegisterName::kVpRootSignalCount, 1); }},
    {CallCode::kSetVpRegisters, "MtrrCap, which is read-only", Status::kInvalidParameter,
     [] { return leave(RegisterName::kMtrrCap, 0); }},
    {CallCode::kSetVpRegisters, "a name that no register has", Status::kUnknownRegisterName,
     [] { return set(make_child(), kNoSuchRegister, 0); }},
    {CallCode::kSetVpRegisters, "a reserved word of an element", Status::kInvalidParameter,
     [] {
       const hv::VpRegistersInput header{make_child().id, VpIndex{0}, 0, {}};
       const std::array<hv::RegisterAssignment, 1> elements{
           {{RegisterName::kRax, {0, 1, 0}, {1, 0}}}};
       return call(HypercallControl(CallCode::kSetVpRegisters), header,
                   std::span<const hv::RegisterAssignment>(elements))
           .status();
     }},
    {CallCode::kSetVpRegisters, "the second of two elements has no register: one is done",
     Status::kUnknownRegisterName,
     [] {
       const Child child = make_child();
       const hv::VpRegistersInput header{child.id, VpIndex{0}, 0, {}};
       const std::array<hv::RegisterAssignment, 2> elements{
           {{RegisterName::kRax, {}, {7, 0}}, {kNoSuchRegister, {}, {}}}};
       const auto result = call(HypercallControl(CallCode::kSetVpRegisters), header,
                                std::span<const hv::RegisterAssignment>(elements));
       GUEST_CHECK(result.reps_completed() == 1);
       GUEST_CHECK(value_of(child, RegisterName::kRax).low == 7);
       return result.status();
     }},
    {CallCode::kSetVpRegisters, "no partition's id", Status::kInvalidPartitionId,
     [] { return set(kNobody, VpIndex{0}, RegisterName::kRip, {}); }},
    {CallCode::kSetVpRegisters, "a VP that the child does not have", Status::kInvalidVpIndex,
     [] { return set(make_child().id, VpIndex{1}, RegisterName::kRip, {}); }},
    {CallCode::kSetVpRegisters, "a partition that is not active", Status::kInvalidPartitionState,
     [] { return set(inactive(), VpIndex{0}, RegisterName::kRip, {}); }},
    {CallCode::kSetVpRegisters, "the caller's own, without the privilege", Status::kAccessDenied,
     [] { return set(hv::kPartitionIdSelf, hv::kVpIndexSelf, RegisterName::kR9, {}); },
     Caller::kChild},
};

}  // namespace

std::span<const CallCase> register_call_cases() { return kCases; }

}  // namespace interface_test
