// CreateVp, DeleteVp, StartVirtualProcessor and EnterSleepState (TLFS "Virtual Processor
// Management").
#include <array>

#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::PartitionId;
using hv::Status;
using hv::VpIndex;

constexpr PartitionId kSelf = hv::kPartitionIdSelf;
constexpr VpIndex kFirst{0};

Status create_vp_of(const hv::CreateVpInput& input) {
  return call(HypercallControl(CallCode::kCreateVp), input).status();
}

Status delete_vp(PartitionId id, VpIndex vp) {
  return call(HypercallControl(CallCode::kDeleteVp), hv::DeleteVpInput{id, vp, 0}).status();
}

/// The answer to an input that makes no VP.
Status refused(const hv::CreateVpInput& input) {
  const Status status = create_vp_of(input);
  if (input.partition != kSelf) {
    GUEST_CHECK(delete_vp(input.partition, input.vp) == Status::kInvalidVpIndex);
  }
  return status;
}

/// Of the computer that rows run on.
constexpr std::uint64_t kSecondProcessor = 1;
constexpr std::uint64_t kNoProcessor = 2;

hv::CreateVpInput own_vp(std::uint64_t processor) {
  hv::CreateVpInput input;
  input.partition = kSelf;
  input.vp = VpIndex{1};
  input.flags = processor;
  return input;
}
std::uint64_t own_register(hv::RegisterName name) {
  const hv::VpRegistersInput header{kSelf, VpIndex{1}, 0, {}};
  const std::array<hv::RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const hv::RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}

PartitionId with_vp() {
  const PartitionId id = active_partition();
  create_vp(id, 0);
  return id;
}

/// A VP that never runs: it stays in explicit suspend, or there is none.
hv::StartVirtualProcessorInput start_input(PartitionId id, VpIndex vp) {
  hv::StartVirtualProcessorInput input;
  input.partition = id;
  input.vp = vp;
  return input;
}
Status start_vp(const hv::StartVirtualProcessorInput& input) {
  return call(HypercallControl(CallCode::kStartVirtualProcessor), input).status();
}

constexpr CallCase kCreateCases[] = {
    {CallCode::kCreateVp, "the first of an active partition", Status::kSuccess,
     [] { return try_create_vp(active_partition(), 0); }},
    {CallCode::kCreateVp, "an index with others missing below", Status::kSuccess,
     [] { return try_create_vp(active_partition(), 9); }},
    {CallCode::kCreateVp, "an index that is in use", Status::kInvalidVpIndex,
     [] { return try_create_vp(with_vp(), 0); }},
    {CallCode::kCreateVp, "an index that no partition has", Status::kInvalidVpIndex,
     [] { return try_create_vp(active_partition(), 0x1'0000); }},
    {CallCode::kCreateVp, "a partition that is not initialized", Status::kInvalidPartitionState,
     [] { return try_create_vp(created_partition(), 0); }},
    {CallCode::kCreateVp, "a finalized partition", Status::kInvalidPartitionState,
     [] { return try_create_vp(finalized_partition(), 0); }},
    {CallCode::kCreateVp, "no partition's id", Status::kInvalidPartitionId,
     [] { return try_create_vp(kNobody, 0); }},
    {CallCode::kCreateVp, "bytes that have to be zero", Status::kInvalidParameter,
     [] {
       hv::CreateVpInput input;
       input.partition = active_partition();
       input.reserved[1] = 1;
       const Status status = create_vp_of(input);
       GUEST_CHECK(delete_vp(input.partition, kFirst) == Status::kInvalidVpIndex);
       return status;
     }},
    {CallCode::kCreateVp, "a child's on a socket, of the node that there is", Status::kSuccess,
     [] {
       hv::CreateVpInput input;
       input.partition = active_partition();
       input.subnode_type = 1;
       input.proximity.flags =
           hv::ProximityDomainInfo::kPreferred | hv::ProximityDomainInfo::kValid;
       return create_vp_of(input);
     }},
    {CallCode::kCreateVp, "a subnode of no kind", Status::kInvalidParameter,
     [] {
       hv::CreateVpInput input;
       input.partition = active_partition();
       input.subnode_type = 4;
       return refused(input);
     }},
    {CallCode::kCreateVp, "a node that the computer does not have", Status::kInvalidParameter,
     [] {
       hv::CreateVpInput input;
       input.partition = active_partition();
       input.proximity = {1, hv::ProximityDomainInfo::kValid};
       return refused(input);
     }},
    {CallCode::kCreateVp, "flags for a child's", Status::kInvalidParameter,
     [] {
       hv::CreateVpInput input;
       input.partition = active_partition();
       input.flags = 1;
       return refused(input);
     }},
    {CallCode::kCreateVp, "the root's own, which waits for its startup", Status::kSuccess,
     [] {
       const Status status = create_vp_of(own_vp(kSecondProcessor));
       GUEST_CHECK(own_register(hv::RegisterName::kExplicitSuspend) == 0);
       GUEST_CHECK(own_register(hv::RegisterName::kInternalActivityState) ==
                   hv::kActivityStartupSuspend);
       return status;
     }},
    {CallCode::kCreateVp, "the root's own, for no logical processor", Status::kInvalidParameter,
     [] { return refused(own_vp(kNoProcessor)); }},
    {CallCode::kCreateVp, "one more than its pool has memory for", Status::kInsufficientMemory,
     [] {
       const PartitionId id = active_partition();
       std::uint32_t index = 0;
       while (try_create_vp(id, index) == Status::kSuccess) {
         ++index;
       }
       // It is as if it had not been asked for.
       GUEST_CHECK(delete_vp(id, VpIndex{index}) == Status::kInvalidVpIndex);
       return try_create_vp(id, index);
     }},
    {CallCode::kCreateVp, "by a child", Status::kAccessDenied,
     [] { return try_create_vp(kSelf, 1); }, Caller::kChild},

    {CallCode::kDeleteVp, "one that never ran", Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       const Status status = delete_vp(id, kFirst);
       create_vp(id, 0);
       return status;
     }},
    {CallCode::kDeleteVp, "one that runs", Status::kSuccess,
     [] {
       const Child child = make_child();
       child_maker::start(child, 0);
       return delete_vp(child.id, kFirst);
     }},
    {CallCode::kDeleteVp, "one deleted before", Status::kInvalidVpIndex,
     [] {
       const PartitionId id = with_vp();
       GUEST_CHECK(delete_vp(id, kFirst) == Status::kSuccess);
       return delete_vp(id, kFirst);
     }},
    {CallCode::kDeleteVp, "an index that no partition has", Status::kInvalidVpIndex,
     [] { return delete_vp(with_vp(), VpIndex{~0u}); }},
    {CallCode::kDeleteVp, "a finalized partition", Status::kInvalidPartitionState,
     [] { return delete_vp(finalized_partition(), kFirst); }},
    {CallCode::kDeleteVp, "no partition's id", Status::kInvalidPartitionId,
     [] { return delete_vp(kNobody, kFirst); }},
    {CallCode::kDeleteVp, "the caller's own", Status::kAccessDenied,
     [] { return delete_vp(kSelf, kFirst); }},
    {CallCode::kDeleteVp, "by a child", Status::kAccessDenied,
     [] { return delete_vp(kSelf, kFirst); }, Caller::kChild},

    {CallCode::kStartVirtualProcessor, "a child's first, with its image", Status::kSuccess,
     [] {
       const Child child = make_child();
       child_maker::start(child, 0);  // checks the status
       return Status::kSuccess;
     }},
    {CallCode::kStartVirtualProcessor, "one that runs already", Status::kInvalidVpState,
     [] {
       const Child child = make_child();
       child_maker::start(child, 0);
       return start_vp(start_input(child.id, kFirst));
     }},
    {CallCode::kStartVirtualProcessor, "one that there is not", Status::kInvalidVpIndex,
     [] { return start_vp(start_input(active_partition(), kFirst)); }},
    {CallCode::kStartVirtualProcessor, "another trust level", Status::kInvalidParameter,
     [] {
       hv::StartVirtualProcessorInput input = start_input(with_vp(), kFirst);
       input.target_vtl = 1;
       return start_vp(input);
     }},
    {CallCode::kStartVirtualProcessor, "bytes that have to be zero", Status::kInvalidParameter,
     [] {
       hv::StartVirtualProcessorInput input = start_input(with_vp(), kFirst);
       input.reserved[2] = 1;
       return start_vp(input);
     }},
    {CallCode::kStartVirtualProcessor, "a CR0 that no processor takes", Status::kInvalidParameter,
     [] {
       hv::StartVirtualProcessorInput input = start_input(with_vp(), kFirst);
       input.context.cr0 = machine::x86::kCr0Pg;  // paging without protection
       return start_vp(input);
     }},
    {CallCode::kStartVirtualProcessor, "no partition's id", Status::kInvalidPartitionId,
     [] { return start_vp(start_input(kNobody, kFirst)); }},
    {CallCode::kStartVirtualProcessor, "a child's own first, which runs", Status::kInvalidVpState,
     [] { return start_vp(start_input(kSelf, kFirst)); }, Caller::kChild},

    {CallCode::kEnterSleepState, "state 5: the computer is off", Status::kSuccess,
     [] {
       // It does not come back; the run has ended well.
       return call(HypercallControl(CallCode::kEnterSleepState),
                   hv::EnterSleepStateInput{hv::EnterSleepStateInput::kOff, 0})
           .status();
     }},
    {CallCode::kEnterSleepState, "another state", Status::kInvalidParameter,
     [] {
       return call(HypercallControl(CallCode::kEnterSleepState), hv::EnterSleepStateInput{3, 0})
           .status();
     }},
    {CallCode::kEnterSleepState, "by a child", Status::kAccessDenied,
     [] {
       return call(HypercallControl(CallCode::kEnterSleepState),
                   hv::EnterSleepStateInput{hv::EnterSleepStateInput::kOff, 0})
           .status();
     },
     Caller::kChild},
};

constexpr MsrOutcome kWorks = MsrOutcome::kWorks;
constexpr MsrOutcome kFaults = MsrOutcome::kFaults;
constexpr std::uint32_t kMicrocodeRevision = 0x8B;
constexpr std::uint32_t kMiscEnable = 0x1A0;
constexpr std::uint64_t kNotCanonical = 0x8000'0000'0000;

constexpr MsrCase kArchitectureCases[] = {
    {machine::x86::kMsrTsc, "it counts", kWorks,
     [] {
       const std::uint64_t before = machine::read_tsc();
       const std::uint64_t value = machine::read_msr(machine::x86::kMsrTsc);
       GUEST_CHECK(before < value && value < machine::read_tsc());
       return kWorks;
     }},
    {machine::x86::kMsrTsc, "a number", kFaults, [] { return write(machine::x86::kMsrTsc, 0); }},
    {kMicrocodeRevision, "a revision is asked for as the SDM says", kWorks,
     [] {
       GUEST_CHECK(write(kMicrocodeRevision, 0) == kWorks);
       return read(kMicrocodeRevision);
     }},
    {machine::x86::kMsrSysenterEip, "an address", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrSysenterEip, 0x1234'5678); }},
    {machine::x86::kMsrSysenterEip, "an address that is not canonical", kFaults,
     [] { return write(machine::x86::kMsrSysenterEip, kNotCanonical); }},
    {kMiscEnable, "a reading", kWorks, [] { return read(kMiscEnable); }},
    {machine::x86::kMsrPat, "the value after reset", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrPat, 0x0007'0406'0007'0406); }},
    {machine::x86::kMsrPat, "a memory type that does not exist", kFaults,
     [] { return write(machine::x86::kMsrPat, 0x0007'0406'0007'0402); }},
    {machine::x86::kMsrEfer, "what it is, with no-execute", kWorks,
     [] {
       const std::uint64_t value = machine::read_msr(machine::x86::kMsrEfer);
       return write_and_read_back(machine::x86::kMsrEfer, value | machine::x86::kEferNxe);
     }},
    {machine::x86::kMsrEfer, "no long mode any more, with paging on", kFaults,
     [] {
       const std::uint64_t value = machine::read_msr(machine::x86::kMsrEfer);
       return write(machine::x86::kMsrEfer, value & ~machine::x86::kEferLme);
     }},
    {machine::x86::kMsrEfer, "a bit that does not exist", kFaults,
     [] { return write(machine::x86::kMsrEfer, 1ull << 40); }},
    {machine::x86::kMsrStar, "selectors, and EIP of old code", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrStar, 0xFFFF'FFFF'FFFF'FFFF); }},
    {machine::x86::kMsrLstar, "an address in the upper half", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrLstar, 0xFFFF'8000'0000'1000); }},
    {machine::x86::kMsrLstar, "an address that is not canonical", kFaults,
     [] { return write(machine::x86::kMsrLstar, kNotCanonical); }},
    {machine::x86::kMsrCstar, "an address in the lower half", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrCstar, 0x7FFF'FFFF'F000); }},
    {machine::x86::kMsrCstar, "an address that is not canonical", kFaults,
     [] { return write(machine::x86::kMsrCstar, kNotCanonical); }},
    {machine::x86::kMsrSfmask, "every flag", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrSfmask, 0xFFFF'FFFF); }},
    {machine::x86::kMsrSfmask, "a bit above the flags", kFaults,
     [] { return write(machine::x86::kMsrSfmask, 1ull << 32); }},
    {machine::x86::kMsrKernelGsBase, "an address in the upper half", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrKernelGsBase, 0xFFFF'8000'0000'1000); }},
    {machine::x86::kMsrKernelGsBase, "an address that is not canonical", kFaults,
     [] { return write(machine::x86::kMsrKernelGsBase, kNotCanonical); }},
    {machine::x86::kMsrTscAux, "what RDTSCP tells beside the time", kWorks,
     [] { return write_and_read_back(machine::x86::kMsrTscAux, 0xFFFF'FFFF); }},
    {machine::x86::kMsrTscAux, "more than RDTSCP tells", kFaults,
     [] { return write(machine::x86::kMsrTscAux, 1ull << 32); }},
};

}  // namespace

std::span<const CallCase> vp_call_cases() { return kCreateCases; }
std::span<const MsrCase> architecture_msr_cases() { return kArchitectureCases; }

}  // namespace interface_test
