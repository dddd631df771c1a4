// InstallIntercept, RegisterInterceptResult and UnregisterInterceptResult. What an intercept does
// once it is installed is in tests/hv/intercept_test.cpp.
#include <array>
#include <cstring>

#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterceptType;
using hv::PartitionId;
using hv::Status;
using hv::VpIndex;
using memory::deposit;
using memory::drain;

constexpr std::uint32_t kRead = hv::kInterceptAccessRead;
constexpr std::uint32_t kWrite = hv::kInterceptAccessWrite;
constexpr std::uint32_t kExecute = hv::kInterceptAccessExecute;

Status install(PartitionId id, InterceptType type, std::uint32_t mask, std::uint64_t parameter) {
  const hv::InstallInterceptInput input{id, mask, type, parameter};
  return call(HypercallControl(CallCode::kInstallIntercept), input).status();
}
Status install(InterceptType type, std::uint32_t mask, std::uint64_t parameter = 0) {
  return install(make_child().id, type, mask, parameter);
}
/// Installs and removes.
Status both(InterceptType type, std::uint32_t mask, std::uint64_t parameter = 0) {
  const PartitionId id = make_child().id;
  const Status status = install(id, type, mask, parameter);
  GUEST_CHECK(install(id, type, hv::kInterceptAccessNone, parameter) == Status::kSuccess);
  return status;
}

/// A type that no mask makes a legal one of; without a mask, too, there is nothing to remove.
Status install_any_way(InterceptType type) {
  const PartitionId id = make_child().id;
  for (std::uint32_t mask = hv::kInterceptAccessNone; mask < (kRead | kWrite | kExecute); ++mask) {
    GUEST_CHECK(install(id, type, mask, 0) == Status::kInvalidParameter);
  }
  return install(id, type, kRead | kWrite | kExecute, 0);
}

PartitionId inactive() {
  GUEST_CHECK(
      call(HypercallControl(CallCode::kCreatePartition), hv::CreatePartitionInput{}).status() ==
      Status::kSuccess);
  return output<hv::PartitionIdOutput>().partition;
}

/// Of a child whose pool is dry.
Status too_many(InterceptType type, std::uint32_t mask) {
  const PartitionId id = make_child().id;
  drain(id);
  Status status = Status::kSuccess;
  for (std::uint64_t number = 0; status == Status::kSuccess && number < 1000; ++number) {
    status = install(id, type, mask, number);
  }
  return status;
}

hv::InterceptResultInput leaf_answer(PartitionId id, VpIndex vp = VpIndex{0}) {
  hv::CpuidResultParameters answer;
  answer.leaf = 0x4000'0001;
  answer.ebx = 1;
  answer.ebx_mask = 1;
  hv::InterceptResultInput input{id, vp, InterceptType::kX64Cpuid, {}, 0};
  std::memcpy(input.parameters.data(), &answer, sizeof(answer));
  return input;
}
hv::InterceptResultInput msr_answer(PartitionId id, std::uint32_t access, std::uint32_t action) {
  hv::InterceptResultInput input{id, VpIndex{0}, InterceptType::kX64MsrIndex, {}, 0};
  input.parameters[0] = 0x1234;
  input.parameters[1] = access;
  input.parameters[2] = action;
  return input;
}
hv::InterceptResultInput of_type(hv::InterceptResultInput input, InterceptType type) {
  input.type = type;
  return input;
}
hv::InterceptResultInput with_reserved(hv::InterceptResultInput input) {
  input.parameters[2] |= 1u << 16;
  return input;
}

Status answer(const hv::InterceptResultInput& input) {
  return call(HypercallControl(CallCode::kRegisterInterceptResult), input).status();
}
Status withdraw(const hv::InterceptResultInput& input) {
  return call(HypercallControl(CallCode::kUnregisterInterceptResult), input).status();
}
Status answer_too_many() {
  hv::InterceptResultInput input = leaf_answer(make_child().id);
  Status status = Status::kSuccess;
  for (std::uint32_t leaf = 0; status == Status::kSuccess && leaf < 1000; ++leaf) {
    input.parameters[0] = leaf;
    status = answer(input);
  }
  return status;
}

constexpr CallCase kInstallCases[] = {
    {CallCode::kInstallIntercept, "an I/O port, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64IoPort, kRead | kWrite, 0x3F8); }},
    {CallCode::kInstallIntercept, "a range of I/O ports, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64IoPortRange, kRead | kWrite, 0x60 | (0x64u << 16)); }},
    {CallCode::kInstallIntercept, "MSRs that nobody has, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64Msr, kRead | kWrite); }},
    {CallCode::kInstallIntercept, "reads and writes of one MSR, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64MsrIndex, kRead | kWrite, 0xC000'0105); }},
    {CallCode::kInstallIntercept, "reads of one MSR, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64MsrIndex, kRead, 0xC000'0105); }},
    {CallCode::kInstallIntercept, "a CPUID leaf, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64Cpuid, kExecute, 0x4000'0000); }},
    {CallCode::kInstallIntercept, "all CPUID leaves, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64GlobalCpuid, kExecute); }},
    {CallCode::kInstallIntercept, "an exception, and none", Status::kSuccess,
     [] { return both(InterceptType::kException, kExecute, 14); }},
    {CallCode::kInstallIntercept, "hypercalls, and none", Status::kSuccess,
     [] { return both(InterceptType::kHypercall, kExecute); }},
    {CallCode::kInstallIntercept, "unknown SynIC connections, and none", Status::kSuccess,
     [] { return both(InterceptType::kUnknownSynicConnection, kExecute); }},
    {CallCode::kInstallIntercept, "unknown devices of a retarget, and none", Status::kSuccess,
     [] { return both(InterceptType::kRetargetUnknownDevice, kExecute); }},
    {CallCode::kInstallIntercept, "startup IPIs, and none", Status::kSuccess,
     [] { return both(InterceptType::kX64ApicInitSipi, kWrite); }},
    {CallCode::kInstallIntercept, "execution of startup IPIs", Status::kInvalidParameter,
     [] { return install(InterceptType::kX64ApicInitSipi, kExecute); }},
    {CallCode::kInstallIntercept, "a type that does not exist", Status::kInvalidParameter,
     [] { return install(InterceptType{0x99}, kExecute); }},
    {CallCode::kInstallIntercept, "writes to the local APIC, which is not offered",
     Status::kInvalidParameter, [] { return install_any_way(InterceptType::kX64ApicWrite); }},
    {CallCode::kInstallIntercept, "SMIs, which no virtual processor has", Status::kInvalidParameter,
     [] { return install_any_way(InterceptType::kX64ApicSmi); }},
    {CallCode::kInstallIntercept, "EOIs, which CPUID does not offer", Status::kInvalidParameter,
     [] {
       GUEST_CHECK((machine::cpuid(hv::kCpuidFeatures, 0).edx >> 31) == 0);
       return install_any_way(InterceptType::kX64ApicEoi);
     }},
    {CallCode::kInstallIntercept, "traps after exceptions, which CPUID does not offer",
     Status::kInvalidParameter,
     [] {
       GUEST_CHECK((machine::cpuid(hv::kCpuidFeatures, 0).ecx & (1u << 8)) == 0);
       return install_any_way(InterceptType::kX64ExceptionTrap);
     }},
    {CallCode::kInstallIntercept, "accesses to devices, which have the rights of GPA pages",
     Status::kInvalidParameter, [] { return install_any_way(InterceptType::kMmio); }},
    {CallCode::kInstallIntercept, "an I/O port's reads alone", Status::kInvalidParameter,
     [] { return install(InterceptType::kX64IoPort, kRead, 0x80); }},
    {CallCode::kInstallIntercept, "execution of an MSR", Status::kInvalidParameter,
     [] { return install(InterceptType::kX64MsrIndex, kExecute, 0x80); }},
    {CallCode::kInstallIntercept, "reads of a CPUID leaf", Status::kInvalidParameter,
     [] { return install(InterceptType::kX64Cpuid, kRead, 1); }},
    {CallCode::kInstallIntercept, "a port above 65535", Status::kInvalidParameter,
     [] { return install(InterceptType::kX64IoPort, kRead | kWrite, 0x10000); }},
    {CallCode::kInstallIntercept, "a range of ports that ends before it begins",
     Status::kInvalidParameter,
     [] { return install(InterceptType::kX64IoPortRange, kRead | kWrite, 0x64 | (0x60u << 16)); }},
    {CallCode::kInstallIntercept, "an exception above 31", Status::kInvalidParameter,
     [] { return install(InterceptType::kException, kExecute, 32); }},
    {CallCode::kInstallIntercept, "the NMI, which is no exception", Status::kInvalidParameter,
     [] { return install(InterceptType::kException, kExecute, 2); }},
    {CallCode::kInstallIntercept, "a parameter where there is none", Status::kInvalidParameter,
     [] { return install(InterceptType::kHypercall, kExecute, 1); }},
    {CallCode::kInstallIntercept, "every other of a thousand ports, and MSRs and leaves as many",
     Status::kSuccess,
     [] {
       const PartitionId id = make_child().id;
       Status status = Status::kSuccess;
       for (std::uint64_t number = 0; status == Status::kSuccess && number < 500; ++number) {
         GUEST_CHECK(install(id, InterceptType::kX64IoPort, kRead | kWrite, 0x7E00 + 2 * number) ==
                     Status::kSuccess);
         GUEST_CHECK(install(id, InterceptType::kX64Cpuid, kExecute, number) == Status::kSuccess);
         status = install(id, InterceptType::kX64MsrIndex, kRead, number);
       }
       return status;
     }},
    {CallCode::kInstallIntercept, "a page after there was none for it", Status::kSuccess,
     [] {
       const PartitionId id = make_child().id;
       const auto wanted = [id] {
         return install(id, InterceptType::kX64IoPort, kRead | kWrite, 0x3F8);
       };
       drain(id);
       GUEST_CHECK(wanted() == Status::kInsufficientMemory);
       GUEST_CHECK(deposit(id, {memory::kFree}).status() == Status::kSuccess);
       return wanted();
     }},
    {CallCode::kInstallIntercept, "a port that a dry pool has no page for",
     Status::kInsufficientMemory,
     [] {
       const PartitionId id = make_child().id;
       drain(id);
       return install(id, InterceptType::kX64IoPortRange, kRead | kWrite, 0xFFFF'0000);
     }},
    {CallCode::kInstallIntercept, "more CPUID leaves than there is room for",
     Status::kInsufficientMemory, [] { return too_many(InterceptType::kX64Cpuid, kExecute); }},
    {CallCode::kInstallIntercept, "more MSRs than there is room for", Status::kInsufficientMemory,
     [] { return too_many(InterceptType::kX64MsrIndex, kRead | kWrite); }},
    {CallCode::kInstallIntercept, "no partition's id", Status::kInvalidPartitionId,
     [] { return install(kNobody, InterceptType::kHypercall, kExecute, 0); }},
    {CallCode::kInstallIntercept, "a partition that is not active", Status::kInvalidPartitionState,
     [] { return install(inactive(), InterceptType::kHypercall, kExecute, 0); }},
    {CallCode::kInstallIntercept, "the caller itself", Status::kAccessDenied,
     [] { return install(hv::kPartitionIdSelf, InterceptType::kHypercall, kExecute, 0); }},
    {CallCode::kInstallIntercept, "a child without the privilege", Status::kAccessDenied,
     [] { return install(kNobody, InterceptType::kHypercall, kExecute, 0); }, Caller::kChild},
};

constexpr CallCase kResultCases[] = {
    {CallCode::kRegisterInterceptResult, "bits of a CPUID leaf, twice", Status::kSuccess,
     [] {
       const PartitionId id = make_child().id;
       GUEST_CHECK(answer(leaf_answer(id)) == Status::kSuccess);
       return answer(leaf_answer(id));
     }},
    {CallCode::kRegisterInterceptResult, "reads of an MSR that nobody has", Status::kSuccess,
     [] { return answer(msr_answer(make_child().id, kRead, hv::kUnimplementedMsrIgnore)); }},
    {CallCode::kRegisterInterceptResult, "an MSR without an access", Status::kInvalidParameter,
     [] { return answer(msr_answer(make_child().id, 0, 0)); }},
    {CallCode::kRegisterInterceptResult, "an action that does not exist", Status::kInvalidParameter,
     [] { return answer(msr_answer(make_child().id, kRead, 2)); }},
    {CallCode::kRegisterInterceptResult, "a reserved field of a leaf", Status::kInvalidParameter,
     [] { return answer(with_reserved(leaf_answer(make_child().id))); }},
    {CallCode::kRegisterInterceptResult, "a type that has no results", Status::kInvalidParameter,
     [] { return answer(of_type(leaf_answer(make_child().id), InterceptType::kX64IoPort)); }},
    {CallCode::kRegisterInterceptResult, "more leaves than there is room for",
     Status::kInsufficientMemory, answer_too_many},
    {CallCode::kRegisterInterceptResult, "no partition's id", Status::kInvalidPartitionId,
     [] { return answer(leaf_answer(kNobody)); }},
    {CallCode::kRegisterInterceptResult, "a VP that the child does not have",
     Status::kInvalidVpIndex, [] { return answer(leaf_answer(make_child().id, VpIndex{1})); }},
    {CallCode::kRegisterInterceptResult, "a partition that is not active",
     Status::kInvalidPartitionState, [] { return answer(leaf_answer(inactive())); }},
    {CallCode::kRegisterInterceptResult, "the caller itself", Status::kAccessDenied,
     [] { return answer(leaf_answer(hv::kPartitionIdSelf)); }},

    {CallCode::kUnregisterInterceptResult, "bits of a CPUID leaf", Status::kSuccess,
     [] {
       const PartitionId id = make_child().id;
       GUEST_CHECK(answer(leaf_answer(id)) == Status::kSuccess);
       const Status status = withdraw(leaf_answer(id));
       GUEST_CHECK(withdraw(leaf_answer(id)) == Status::kNotFound);
       return status;
     }},
    {CallCode::kUnregisterInterceptResult, "an MSR", Status::kSuccess,
     [] {
       const PartitionId id = make_child().id;
       GUEST_CHECK(answer(msr_answer(id, kWrite, 0)) == Status::kSuccess);
       return withdraw(msr_answer(id, kWrite, 0));
     }},
    {CallCode::kUnregisterInterceptResult, "what was not registered", Status::kNotFound,
     [] { return withdraw(leaf_answer(make_child().id)); }},
    {CallCode::kUnregisterInterceptResult, "a type that has no results", Status::kInvalidParameter,
     [] { return withdraw(of_type(leaf_answer(make_child().id), InterceptType::kX64IoPort)); }},
    {CallCode::kUnregisterInterceptResult, "no partition's id", Status::kInvalidPartitionId,
     [] { return withdraw(leaf_answer(kNobody)); }},
    {CallCode::kUnregisterInterceptResult, "a VP that the child does not have",
     Status::kInvalidVpIndex, [] { return withdraw(leaf_answer(make_child().id, VpIndex{1})); }},
    {CallCode::kUnregisterInterceptResult, "the caller itself", Status::kAccessDenied,
     [] { return withdraw(leaf_answer(hv::kPartitionIdSelf)); }},
};

}  // namespace

std::span<const CallCase> install_intercept_cases() { return kInstallCases; }
std::span<const CallCase> intercept_result_cases() { return kResultCases; }

}  // namespace interface_test
