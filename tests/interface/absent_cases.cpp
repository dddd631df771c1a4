// What the interface has and this hypervisor does not: nested virtualization, isolation, and the
// forms of calls that newer ones have taken the place of. A guest is answered as by a hypervisor
// that never heard of them.
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;

/// With an input that would be legal, if only by its size; nothing is answered but the status.
template <std::uint16_t Code>
Status unknown() {
  machine::fill_memory(kInputPage, machine::kPageSize, 0);
  const hv::HypercallResult result = call(HypercallControl(CallCode{Code}));
  GUEST_CHECK(result.reps_completed() == 0);
  return result.status();
}

template <std::uint16_t Code>
constexpr CallCase absent(Caller caller) {
  return {CallCode{Code}, caller == Caller::kRoot ? "the root" : "a child",
          Status::kInvalidHypercallCode, unknown<Code>, caller};
}

constexpr CallCase kCalls[] = {
    absent<0x55>(Caller::kRoot),  absent<0x55>(Caller::kChild), absent<0x57>(Caller::kRoot),
    absent<0x57>(Caller::kChild), absent<0x59>(Caller::kRoot),  absent<0x59>(Caller::kChild),
    absent<0xAF>(Caller::kRoot),  absent<0xAF>(Caller::kChild), absent<0xB0>(Caller::kRoot),
    absent<0xB0>(Caller::kChild), absent<0xDB>(Caller::kRoot),  absent<0xDB>(Caller::kChild),
};

template <std::uint32_t Msr>
constexpr MsrCase unreadable_msr() {
  return {Msr, "read", MsrOutcome::kFaults, [] { return read(Msr); }, Caller::kChild};
}
template <std::uint32_t Msr>
constexpr MsrCase unwritable_msr() {
  return {Msr, "written", MsrOutcome::kFaults, [] { return write(Msr, 0); }, Caller::kChild};
}

constexpr MsrCase kMsrs[] = {
    unreadable_msr<0x4000'1080>(), unwritable_msr<0x4000'1080>(), unreadable_msr<0x4000'1084>(),
    unwritable_msr<0x4000'1084>(), unreadable_msr<0x4000'1090>(), unwritable_msr<0x4000'1090>(),
    unreadable_msr<0x4000'109F>(), unwritable_msr<0x4000'109F>(),
};

}  // namespace

std::span<const CallCase> absent_call_cases() { return kCalls; }
std::span<const MsrCase> absent_msr_cases() { return kMsrs; }

}  // namespace interface_test
