// The calls on sets of a partition's own virtual processors: address-space flushes, cluster IPIs,
// spin hints (TLFS "Virtual MMU", "Virtual Interrupt Control", "Scheduler").
#include <array>

#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/test_kernel.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/msr_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::FlushFlags;
using hv::HypercallControl;
using hv::Status;
namespace x86 = machine::x86;

constexpr std::uint8_t kVector = 0x77;
constexpr machine::Gpa kCount{0x40'5100};

void count_ipis() {
  machine::set_interrupt_handler(kVector, [](const machine::InterruptFrame&) {
    machine::store_u32(kCount, machine::load_u32(kCount) + 1);
    machine::write_msr(x86::kX2ApicEoi, 0);
  });
}
std::uint32_t ipis() {
  machine::enable_interrupts();
  static_cast<void>(machine::disable_interrupts());
  return machine::load_u32(kCount);
}

Status flush(std::uint64_t flags, std::uint64_t mask = 1) {
  const hv::FlushVirtualAddressSpaceInput input{0, flags, mask};
  return call(HypercallControl(CallCode::kFlushVirtualAddressSpace), input).status();
}

Status flush_list(std::uint64_t flags, std::uint64_t range) {
  const hv::FlushVirtualAddressSpaceInput input{0, flags, 1};
  const std::array<hv::GvaRange, 2> ranges{hv::GvaRange{range}, hv::GvaRange{range}};
  const auto result = call(HypercallControl(CallCode::kFlushVirtualAddressList), input,
                           std::span<const hv::GvaRange>(ranges));
  GUEST_CHECK(result.reps_completed() == (result.status() == Status::kSuccess ? 2 : 0));
  return result.status();
}

/// A sparse set with as many banks as `qwords`; its processors are those of bank 0.
struct Set {
  std::uint64_t format = hv::VpSet::kFormatSparse;
  std::uint64_t banks = 1;
  std::uint32_t qwords = 1;
};

Status flush_ex(const Set& set, std::uint64_t flags = 0) {
  struct Input {
    hv::FlushVirtualAddressSpaceExInput header;
    std::array<std::uint64_t, 64> banks{1};
  } input;
  input.header.flags = flags;
  input.header.processors = {set.format, set.banks};
  return call(HypercallControl(CallCode::kFlushVirtualAddressSpaceEx)
                  .with_variable_header(set.qwords),
              input)
      .status();
}

Status flush_list_ex(const Set& set, std::uint64_t flags = 0) {
  struct Input {
    hv::FlushVirtualAddressSpaceExInput header;
    std::array<std::uint64_t, 64> banks_and_ranges{1};
  } input;
  input.header.flags = flags;
  input.header.processors = {set.format, set.banks};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  return call(HypercallControl(CallCode::kFlushVirtualAddressListEx)
                  .with_variable_header(set.qwords)
                  .with_reps(1))
      .status();
}

Status send(const hv::SendSyntheticClusterIpiInput& input) {
  count_ipis();
  return call(HypercallControl(CallCode::kSendSyntheticClusterIpi), input).status();
}

Status send_ex(std::uint32_t vector, const Set& set, std::uint8_t vtl = 0) {
  struct Input {
    hv::SendSyntheticClusterIpiExInput header;
    std::array<std::uint64_t, 64> banks{1};
  } input;
  count_ipis();
  input.header.vector = vector;
  input.header.target_vtl = vtl;
  input.header.processors = {set.format, set.banks};
  return call(HypercallControl(CallCode::kSendSyntheticClusterIpiEx)
                  .with_variable_header(set.qwords),
              input)
      .status();
}

constexpr std::uint64_t kEverywhere = FlushFlags::kAllProcessors | FlushFlags::kAllAddressSpaces;
constexpr Set kAll{hv::VpSet::kFormatAll, 0, 0};
constexpr Set kSelfOnly{};
constexpr Set kAllBanks{hv::VpSet::kFormatSparse, ~0ull, 64};
constexpr Set kUnknownFormat{2, 1, 1};
constexpr Set kBankMissing{hv::VpSet::kFormatSparse, 3, 1};

constexpr CallCase kFlushCases[] = {
    {CallCode::kFlushVirtualAddressSpace, "all processors, all address spaces", Status::kSuccess,
     [] { return flush(kEverywhere); }},
    {CallCode::kFlushVirtualAddressSpace, "one processor, global entries stay", Status::kSuccess,
     [] { return flush(FlushFlags::kNonGlobalOnly); }},
    {CallCode::kFlushVirtualAddressSpace, "processors that do not exist", Status::kSuccess,
     [] { return flush(0, ~0ull); }},
    {CallCode::kFlushVirtualAddressSpace, "a child", Status::kSuccess,
     [] { return flush(kEverywhere); }, Caller::kChild},
    {CallCode::kFlushVirtualAddressSpace, "a flag that does not exist", Status::kInvalidParameter,
     [] { return flush(1u << 5); }},
    {CallCode::kFlushVirtualAddressSpace, "extended ranges, of which there are none",
     Status::kInvalidParameter, [] { return flush(FlushFlags::kExtendedRanges); }},

    {CallCode::kFlushVirtualAddressList, "pages", Status::kSuccess,
     [] { return flush_list(0, 0x1234'5007); }},
    {CallCode::kFlushVirtualAddressList, "large pages, in extended ranges", Status::kSuccess,
     [] { return flush_list(FlushFlags::kExtendedRanges, 0x1234'5807); }},
    {CallCode::kFlushVirtualAddressList, "extended ranges, without the privilege",
     Status::kAccessDenied,
     [] {
       begin();
       return flush_list(FlushFlags::kExtendedRanges, 0x1234'5807);
     },
     Caller::kChild, nullptr, nullptr, without<hv::Privilege::kExtendedGvaRanges>},
    {CallCode::kFlushVirtualAddressList, "an address that is none", Status::kSuccess,
     [] { return flush_list(0, 0x8000'0000'0000'0000); }},
    {CallCode::kFlushVirtualAddressList, "non-global entries alone", Status::kInvalidParameter,
     [] { return flush_list(FlushFlags::kNonGlobalOnly, 0); }},
    {CallCode::kFlushVirtualAddressList, "a flag that does not exist", Status::kInvalidParameter,
     [] { return flush_list(1u << 6, 0); }},
    {CallCode::kFlushVirtualAddressList, "no ranges", Status::kInvalidHypercallInput,
     [] {
       return call(HypercallControl(CallCode::kFlushVirtualAddressList),
                   hv::FlushVirtualAddressSpaceInput{})
           .status();
     }},

    {CallCode::kFlushVirtualAddressSpaceEx, "all processors, with no bank", Status::kSuccess,
     [] { return flush_ex(kAll); }},
    {CallCode::kFlushVirtualAddressSpaceEx, "a set of one bank", Status::kSuccess,
     [] { return flush_ex(kSelfOnly); }},
    {CallCode::kFlushVirtualAddressSpaceEx, "a set of 64 banks", Status::kSuccess,
     [] { return flush_ex(kAllBanks); }},
    {CallCode::kFlushVirtualAddressSpaceEx, "a format that does not exist",
     Status::kInvalidParameter, [] { return flush_ex(kUnknownFormat); }},
    {CallCode::kFlushVirtualAddressSpaceEx, "a bank that the variable header lacks",
     Status::kInvalidHypercallInput, [] { return flush_ex(kBankMissing); }},
    {CallCode::kFlushVirtualAddressSpaceEx, "a flag that does not exist", Status::kInvalidParameter,
     [] { return flush_ex(kSelfOnly, 1u << 7); }},

    {CallCode::kFlushVirtualAddressListEx, "a range on all processors", Status::kSuccess,
     [] { return flush_list_ex(kAll); }},
    {CallCode::kFlushVirtualAddressListEx, "an extended range on a set of one bank",
     Status::kSuccess, [] { return flush_list_ex(kSelfOnly, FlushFlags::kExtendedRanges); }},
    {CallCode::kFlushVirtualAddressListEx, "a format that does not exist",
     Status::kInvalidParameter, [] { return flush_list_ex(kUnknownFormat); }},
    {CallCode::kFlushVirtualAddressListEx, "a bank that the variable header lacks",
     Status::kInvalidHypercallInput, [] { return flush_list_ex(kBankMissing); }},
    {CallCode::kFlushVirtualAddressListEx, "non-global entries alone", Status::kInvalidParameter,
     [] { return flush_list_ex(kSelfOnly, FlushFlags::kNonGlobalOnly); }},
};

constexpr CallCase kIpiCases[] = {
    {CallCode::kSendSyntheticClusterIpi, "to the caller, who takes it at once", Status::kSuccess,
     [] {
       const Status status = send({.vector = kVector, .processor_mask = 1});
       GUEST_CHECK(ipis() == 1);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpi, "to nobody", Status::kSuccess,
     [] {
       const Status status = send({.vector = kVector, .processor_mask = 0});
       GUEST_CHECK(ipis() == 0);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpi, "to a processor that does not exist, and the caller",
     Status::kSuccess,
     [] {
       const Status status = send({.vector = kVector, .processor_mask = 0x101});
       GUEST_CHECK(ipis() == 1);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpi, "to an APIC that software has disabled, which drops it",
     Status::kSuccess,
     [] {
       machine::write_msr(x86::kX2ApicSvr, 0xFF);
       const Status status = send({.vector = kVector, .processor_mask = 1});
       machine::write_msr(x86::kX2ApicSvr, 0x1FF);
       GUEST_CHECK(ipis() == 0);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpi, "an exception's vector", Status::kInvalidParameter,
     [] { return send({.vector = 0xF, .processor_mask = 1}); }},
    {CallCode::kSendSyntheticClusterIpi, "a vector beyond 255", Status::kInvalidParameter,
     [] { return send({.vector = 0x100, .processor_mask = 1}); }},
    {CallCode::kSendSyntheticClusterIpi, "another trust level", Status::kInvalidParameter,
     [] { return send({.vector = kVector, .target_vtl = 1, .processor_mask = 1}); }},
    {CallCode::kSendSyntheticClusterIpi, "a reserved byte that is not zero",
     Status::kInvalidParameter,
     [] { return send({.vector = kVector, .reserved = {1}, .processor_mask = 1}); }},

    {CallCode::kSendSyntheticClusterIpiEx, "to all, the caller among them", Status::kSuccess,
     [] {
       const Status status = send_ex(kVector, kAll);
       GUEST_CHECK(ipis() == 1);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpiEx, "to a set of 64 banks, the caller in the first",
     Status::kSuccess,
     [] {
       const Status status = send_ex(kVector, kAllBanks);
       GUEST_CHECK(ipis() == 1);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpiEx, "to a set of the second bank alone", Status::kSuccess,
     [] {
       const Status status = send_ex(kVector, {hv::VpSet::kFormatSparse, 2, 1});
       GUEST_CHECK(ipis() == 0);
       return status;
     }},
    {CallCode::kSendSyntheticClusterIpiEx, "an exception's vector", Status::kInvalidParameter,
     [] { return send_ex(0xF, kSelfOnly); }},
    {CallCode::kSendSyntheticClusterIpiEx, "another trust level", Status::kInvalidParameter,
     [] { return send_ex(kVector, kSelfOnly, 1); }},
    {CallCode::kSendSyntheticClusterIpiEx, "a format that does not exist",
     Status::kInvalidParameter, [] { return send_ex(kVector, kUnknownFormat); }},
    {CallCode::kSendSyntheticClusterIpiEx, "a bank that the variable header lacks",
     Status::kInvalidHypercallInput, [] { return send_ex(kVector, kBankMissing); }},

    {CallCode::kNotifyLongSpinWait, "a count of spins", Status::kSuccess,
     [] {
       return call(HypercallControl(CallCode::kNotifyLongSpinWait),
                   hv::NotifyLongSpinWaitInput{1000, 0})
           .status();
     }},
    {CallCode::kNotifyLongSpinWait, "fast, in a child", Status::kSuccess,
     [] {
       const auto control = HypercallControl(CallCode::kNotifyLongSpinWait).fast();
       return hv::HypercallResult(machine::hypercall(kHypercallPage, control.value(), ~0u, 0))
           .status();
     },
     Caller::kChild},
    {CallCode::kNotifyLongSpinWait, "repeated, which it is not", Status::kInvalidHypercallInput,
     [] {
       return call(HypercallControl(CallCode::kNotifyLongSpinWait).with_reps(2),
                   hv::NotifyLongSpinWaitInput{})
           .status();
     }},
};

}  // namespace

std::span<const CallCase> flush_call_cases() { return kFlushCases; }
std::span<const CallCase> ipi_call_cases() { return kIpiCases; }

}  // namespace interface_test
