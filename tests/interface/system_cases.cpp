// The computer as a whole, extended calls, device memory by hypercall, and the address-space switch
// (TLFS "Hypercall Reference").
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
using hv::Status;
using machine::Gpa;

template <class Input>
Status made(CallCode code, const Input& input) {
  return call(HypercallControl(code), input).status();
}

// --- Processors ------------------------------------------------------------

/// The computers of these tests have two processors, whose local APIC identifiers are 0 and 1.
Status add_processor(std::uint32_t index, std::uint32_t apic_id,
                     hv::ProximityDomainInfo proximity = {}) {
  return made(CallCode::kAddLogicalProcessor,
              hv::AddLogicalProcessorInput{index, apic_id, proximity});
}

Status run_time(std::uint32_t index, std::uint32_t reserved = 0) {
  return made(CallCode::kGetLogicalProcessorRunTime,
              hv::GetLogicalProcessorRunTimeInput{index, reserved});
}

hv::GetLogicalProcessorRunTimeOutput run_time_now() {
  GUEST_CHECK(run_time(0) == Status::kSuccess);
  return output<hv::GetLogicalProcessorRunTimeOutput>();
}

Status event(hv::PartitionEvent which, std::uint32_t argument = 0) {
  return made(CallCode::kNotifyPartitionEvent, hv::NotifyPartitionEventInput{which, argument});
}

/// Nobody schedules the child's VP any more.
Status suspend_all() {
  const Child child = make_child();
  child_maker::start(child, 0);
  const Status status = event(hv::PartitionEvent::kRootCrashdump,
                              static_cast<std::uint32_t>(hv::CrashdumpAction::kSuspendAllVps));
  hv::VpRegistersInput header;
  header.partition = child.id;
  const std::array<hv::RegisterName, 1> names{hv::RegisterName::kExplicitSuspend};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const hv::RegisterName>(names))
                  .status() == Status::kSuccess);
  GUEST_CHECK(output<hv::RegisterValue>().low == 1);
  return status;
}

// --- Properties ------------------------------------------------------------

Status get_property(std::uint32_t property, std::uint64_t argument = 0) {
  return made(CallCode::kGetSystemProperty,
              hv::GetSystemPropertyInput{hv::SystemProperty{property}, 0, argument});
}

Status set_property(std::uint32_t property, std::uint64_t value) {
  return made(CallCode::kSetSystemProperty,
              hv::SetSystemPropertyInput{hv::SystemProperty{property}, 0, value});
}

constexpr std::uint32_t kSleep = 3;
constexpr std::uint32_t kScheduler = 15;

// --- Debugger --------------------------------------------------------------

constexpr std::uint32_t kLoop = hv::PostDebugDataInput::kLoop;

/// `count` bytes of ascending values.
Status post_debug(std::uint32_t count, std::uint32_t options = kLoop) {
  std::array<std::byte, 100> bytes;
  for (std::uint8_t index = 0; index < bytes.size(); ++index) {
    bytes[index] = std::byte{index};
  }
  machine::write_memory(kInputPage + sizeof(hv::PostDebugDataInput), bytes);
  return made(CallCode::kPostDebugData, hv::PostDebugDataInput{count, options});
}

Status retrieve_debug(std::uint32_t count, std::uint32_t options = kLoop,
                      std::uint64_t timeout = 0) {
  return made(CallCode::kRetrieveDebugData, hv::RetrieveDebugDataInput{count, options, timeout});
}

Status reset_debug(std::uint32_t options, std::uint32_t reserved = 0) {
  return made(CallCode::kResetDebugSession, hv::ResetDebugSessionInput{options, reserved});
}

bool retrieved(std::uint32_t count, std::uint32_t remaining) {
  const auto answer = output<hv::RetrieveDebugDataOutput>();
  return answer.retrieved_count == count && answer.remaining_count == remaining;
}

// --- Memory ----------------------------------------------------------------

Status mmio_read(Gpa gpa, std::uint32_t size, std::uint32_t reserved = 0) {
  return made(CallCode::kMmioRead, hv::MmioInput{gpa.value(), size, reserved});
}

Status mmio_write(Gpa gpa, std::uint32_t size, std::uint8_t first) {
  hv::MmioWriteInput input;
  input.where = {gpa.value(), size, 0};
  input.data[0] = std::byte{first};
  return made(CallCode::kMmioWrite, input);
}

constexpr Gpa kSomewhere{0x40'9000};

Status heat(std::uint64_t type, std::uint64_t range) {
  const std::array<std::uint64_t, 2> ranges{0x1000, range};
  return call(HypercallControl(CallCode::kExtCallMemoryHeatHint), hv::MemoryHeatHintInput{type},
              std::span<const std::uint64_t>(ranges))
      .status();
}

Status no_input(CallCode code) { return call(HypercallControl(code)).status(); }

/// To the tables that the caller has anyhow: it goes on.
Status switch_to(std::uint64_t address_space) {
  return made(CallCode::kSwitchVirtualAddressSpace,
              hv::SwitchVirtualAddressSpaceInput{address_space});
}

std::uint64_t own_page_tables() {
  machine::ImageHeader header;
  machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&header, 1)));
  return header.page_tables_gpa;
}

constexpr CallCase kCases[] = {
    {CallCode::kSwitchVirtualAddressSpace, "the tables in use", Status::kSuccess,
     [] { return switch_to(own_page_tables()); }},
    {CallCode::kSwitchVirtualAddressSpace, "by a child", Status::kSuccess,
     [] { return switch_to(own_page_tables()); }, Caller::kChild},
    {CallCode::kSwitchVirtualAddressSpace, "an address that no page has", Status::kInvalidParameter,
     [] { return switch_to(1ull << 60); }},

    {CallCode::kGetLogicalProcessorRunTime, "the processor of the caller, twice", Status::kSuccess,
     [] {
       const auto before = run_time_now();
       machine::spend(1'000'000);
       const auto after = run_time_now();
       GUEST_CHECK(after.global_time - before.global_time >= 10'000);
       GUEST_CHECK(after.local_run_time - before.local_run_time >= 10'000);
       GUEST_CHECK(after.local_run_time <= after.global_time + 10'000);
       return Status::kSuccess;
     }},
    {CallCode::kGetLogicalProcessorRunTime, "a processor that was added", Status::kSuccess,
     [] {
       GUEST_CHECK(add_processor(1, 1) == Status::kSuccess);
       return run_time(1);
     }},
    {CallCode::kGetLogicalProcessorRunTime, "a processor that was not added",
     Status::kInvalidLpIndex, [] { return run_time(1); }},
    {CallCode::kGetLogicalProcessorRunTime, "no processor's index", Status::kInvalidLpIndex,
     [] { return run_time(64); }},
    {CallCode::kGetLogicalProcessorRunTime, "a reserved field", Status::kInvalidParameter,
     [] { return run_time(0, 1); }},
    {CallCode::kGetLogicalProcessorRunTime, "a child without the privilege", Status::kAccessDenied,
     [] { return run_time(0); }, Caller::kChild},

    {CallCode::kAddLogicalProcessor, "the second processor", Status::kSuccess,
     [] {
       machine::fill_memory(kOutputPage, sizeof(hv::AddLogicalProcessorOutput), 0xEE);
       const Status status = add_processor(1, 1);
       GUEST_CHECK((output<hv::AddLogicalProcessorOutput>().startup_status ==
                    std::array<std::uint64_t, 7>{}));
       hv::CreateVpInput vp;
       vp.partition = hv::kPartitionIdSelf;
       vp.vp = hv::VpIndex{1};
       vp.flags = 1;
       GUEST_CHECK(made(CallCode::kCreateVp, vp) == Status::kSuccess);
       return status;
     }},
    {CallCode::kAddLogicalProcessor, "a processor that is there", Status::kObjectInUse,
     [] { return add_processor(0, 0); }},
    {CallCode::kAddLogicalProcessor, "a processor twice", Status::kObjectInUse,
     [] {
       GUEST_CHECK(add_processor(1, 1) == Status::kSuccess);
       return add_processor(1, 1);
     }},
    {CallCode::kAddLogicalProcessor, "no processor's index", Status::kInvalidLpIndex,
     [] { return add_processor(2, 2); }},
    {CallCode::kAddLogicalProcessor, "another processor's APIC id", Status::kInvalidParameter,
     [] { return add_processor(1, 7); }},
    {CallCode::kAddLogicalProcessor, "a proximity domain that does not exist",
     Status::kInvalidProximityDomainInfo,
     [] { return add_processor(1, 1, {3, hv::ProximityDomainInfo::kValid}); }},
    {CallCode::kAddLogicalProcessor, "a child without the privilege", Status::kAccessDenied,
     [] { return add_processor(1, 1); }, Caller::kChild},

    {CallCode::kGetSystemProperty, "the scheduler", Status::kSuccess,
     [] {
       const Status status = get_property(kScheduler);
       GUEST_CHECK(output<hv::GetSystemPropertyOutput>().value == 1);
       return status;
     }},
    {CallCode::kGetSystemProperty, "the scheduler, by a child, in registers", Status::kSuccess,
     [] {
       FastBlock block{kScheduler, 0};
       const Status status =
           call_fast(HypercallControl(CallCode::kGetSystemProperty), block).status();
       GUEST_CHECK(block[2] == 1);
       return status;
     },
     Caller::kChild},
    {CallCode::kGetSystemProperty, "an unknown property", Status::kUnknownProperty,
     [] { return get_property(99); }},
    {CallCode::kGetSystemProperty, "an argument of a property that has none",
     Status::kInvalidParameter, [] { return get_property(kScheduler, 1); }},

    {CallCode::kSetSystemProperty, "a sleep state", Status::kSuccess,
     [] {
       const Status status = set_property(kSleep, 0x0705'0000'0005);
       GUEST_CHECK(get_property(kSleep) == Status::kSuccess);
       GUEST_CHECK(output<hv::GetSystemPropertyOutput>().value == 0x0705'0000'0005);
       return status;
     }},
    {CallCode::kSetSystemProperty, "a sleep state that does not exist",
     Status::kPropertyValueOutOfRange, [] { return set_property(kSleep, 6); }},
    {CallCode::kSetSystemProperty, "the scheduler", Status::kPropertyValueOutOfRange,
     [] { return set_property(kScheduler, 2); }},
    {CallCode::kSetSystemProperty, "an unknown property", Status::kUnknownProperty,
     [] { return set_property(99, 0); }},
    {CallCode::kSetSystemProperty, "a reserved field", Status::kInvalidParameter,
     [] {
       return made(CallCode::kSetSystemProperty,
                   hv::SetSystemPropertyInput{hv::SystemProperty::kSleepState, 1, 5});
     }},
    {CallCode::kSetSystemProperty, "a child without the privilege", Status::kAccessDenied,
     [] { return set_property(kSleep, 5); }, Caller::kChild},

    {CallCode::kNotifyPartitionEvent, "all processors have started", Status::kSuccess,
     [] { return event(hv::PartitionEvent::kAllProcessorsStarted); }},
    {CallCode::kNotifyPartitionEvent, "the number of processors", Status::kSuccess,
     [] { return event(hv::PartitionEvent::kCommitProcessorIndices, 2); }},
    {CallCode::kNotifyPartitionEvent, "another number of processors", Status::kInvalidParameter,
     [] { return event(hv::PartitionEvent::kCommitProcessorIndices, 3); }},
    {CallCode::kNotifyPartitionEvent, "a crash that suspends all others", Status::kSuccess,
     suspend_all},
    {CallCode::kNotifyPartitionEvent, "an action at a crash that does not exist",
     Status::kInvalidParameter, [] { return event(hv::PartitionEvent::kRootCrashdump, 5); }},
    {CallCode::kNotifyPartitionEvent, "an unknown event", Status::kInvalidParameter,
     [] { return event(hv::PartitionEvent{6}); }},
    {CallCode::kNotifyPartitionEvent, "a child without the privilege", Status::kAccessDenied,
     [] { return event(hv::PartitionEvent::kAcpiReenabled); }, Caller::kChild},

    {CallCode::kPostDebugData, "more to itself than there is room for", Status::kSuccess,
     [] {
       const Status status = post_debug(100);
       GUEST_CHECK(output<hv::PostDebugDataOutput>().pending_count == 36);
       GUEST_CHECK(post_debug(1) == Status::kSuccess);
       GUEST_CHECK(output<hv::PostDebugDataOutput>().pending_count == 1);
       return status;
     }},
    {CallCode::kPostDebugData, "to a debugger that is not there", Status::kOperationDenied,
     [] { return post_debug(8, 0); }},
    {CallCode::kPostDebugData, "an option that does not exist", Status::kInvalidParameter,
     [] { return post_debug(8, 4); }},
    {CallCode::kPostDebugData, "more than a page", Status::kInvalidParameter,
     [] { return post_debug(4089); }},
    {CallCode::kPostDebugData, "across the end of the page", Status::kInvalidAlignment,
     [] {
       const Gpa late = kInputPage + 2048;
       machine::store_u64(late, 3000 | std::uint64_t{kLoop} << 32);
       return hv::HypercallResult(
                  machine::hypercall(kHypercallPage,
                                     HypercallControl(CallCode::kPostDebugData).value(),
                                     late.value(), kOutputPage.value()))
           .status();
     }},
    {CallCode::kPostDebugData, "a child without the privilege", Status::kAccessDenied,
     [] { return post_debug(8); }, Caller::kChild},

    {CallCode::kRetrieveDebugData, "what was posted, in two parts", Status::kSuccess,
     [] {
       GUEST_CHECK(post_debug(5) == Status::kSuccess);
       GUEST_CHECK(retrieve_debug(100, kLoop | hv::RetrieveDebugDataInput::kTestActivity) ==
                   Status::kSuccess);
       GUEST_CHECK(retrieved(0, 5));
       GUEST_CHECK(retrieve_debug(3) == Status::kSuccess);
       GUEST_CHECK(retrieved(3, 2) && machine::load_u8(kOutputPage + 10) == 2);
       const Status status = retrieve_debug(100);
       GUEST_CHECK(retrieved(2, 0) && machine::load_u16(kOutputPage + 8) == 0x0403);
       return status;
     }},
    {CallCode::kRetrieveDebugData, "where nothing was posted", Status::kNoData,
     [] { return retrieve_debug(8); }},
    {CallCode::kRetrieveDebugData, "of a debugger that is not there", Status::kNoData,
     [] {
       GUEST_CHECK(post_debug(5) == Status::kSuccess);
       return retrieve_debug(8, 0);
     }},
    {CallCode::kRetrieveDebugData, "a longer wait than there may be", Status::kInvalidParameter,
     [] { return retrieve_debug(8, kLoop, 4'000'001); }},
    {CallCode::kRetrieveDebugData, "an option that does not exist", Status::kInvalidParameter,
     [] { return retrieve_debug(8, 8); }},
    {CallCode::kRetrieveDebugData, "across the end of the page", Status::kInvalidAlignment,
     [] {
       machine::store_u64(kInputPage, 3000 | std::uint64_t{kLoop} << 32);
       machine::store_u64(kInputPage + 8, 0);
       return hv::HypercallResult(
                  machine::hypercall(kHypercallPage,
                                     HypercallControl(CallCode::kRetrieveDebugData).value(),
                                     kInputPage.value(), kOutputPage.value() + 2048))
           .status();
     }},
    {CallCode::kRetrieveDebugData, "a child without the privilege", Status::kAccessDenied,
     [] { return retrieve_debug(8); }, Caller::kChild},

    {CallCode::kResetDebugSession, "with what was posted dropped", Status::kSuccess,
     [] {
       GUEST_CHECK(post_debug(5) == Status::kSuccess);
       const Status status = reset_debug(hv::ResetDebugSessionInput::kPurgeIncoming);
       GUEST_CHECK(retrieve_debug(8) == Status::kNoData);
       return status;
     }},
    {CallCode::kResetDebugSession, "an option that does not exist", Status::kInvalidParameter,
     [] { return reset_debug(4); }},
    {CallCode::kResetDebugSession, "a reserved field", Status::kInvalidParameter,
     [] { return reset_debug(0, 1); }},
    {CallCode::kResetDebugSession, "a child without the privilege", Status::kAccessDenied,
     [] { return reset_debug(0); }, Caller::kChild},

    {CallCode::kOutputDebugCharacter, "a letter", Status::kSuccess,
     [] { return made(CallCode::kOutputDebugCharacter, hv::OutputDebugCharacterInput{'x', 0}); },
     Caller::kChild},
    {CallCode::kOutputDebugCharacter, "a reserved field", Status::kInvalidParameter,
     [] { return made(CallCode::kOutputDebugCharacter, hv::OutputDebugCharacterInput{'x', 1}); }},

    {CallCode::kMmioRead, "memory of the caller's", Status::kSuccess,
     [] {
       machine::store_u64(kSomewhere + 8, 0x1122'3344'5566'7788);
       const Status status = mmio_read(kSomewhere + 10, 4);
       GUEST_CHECK(machine::load_u64(kOutputPage) == 0x3344'5566);
       return status;
     }},
    {CallCode::kMmioRead, "as many bytes as there can be, the last of a page", Status::kSuccess,
     [] {
       constexpr std::uint32_t kMost = 64;
       machine::store_u64(kSomewhere + (machine::kPageSize - 8), 0x1122'3344'5566'7788);
       const Status status = mmio_read(kSomewhere + (machine::kPageSize - kMost), kMost);
       GUEST_CHECK(machine::load_u64(kOutputPage + (kMost - 8)) == 0x1122'3344'5566'7788);
       return status;
     }},
    {CallCode::kMmioRead, "more bytes than there can be", Status::kInvalidParameter,
     [] { return mmio_read(kSomewhere, 65); }},
    {CallCode::kMmioRead, "no bytes", Status::kInvalidParameter,
     [] { return mmio_read(kSomewhere, 0); }},
    {CallCode::kMmioRead, "a reserved field", Status::kInvalidParameter,
     [] { return mmio_read(kSomewhere, 8, 1); }},
    {CallCode::kMmioRead, "across the end of a page", Status::kInvalidParameter,
     [] { return mmio_read(kSomewhere + 4090, 8); }},
    {CallCode::kMmioRead, "beyond the address space", Status::kInvalidParameter,
     [] { return mmio_read(Gpa(1ull << 60), 8); }},
    {CallCode::kMmioRead, "where the root has nothing", Status::kOperationDenied,
     [] { return mmio_read(Gpa(1ull << 38), 8); }},

    {CallCode::kMmioWrite, "memory of the caller's", Status::kSuccess,
     [] {
       machine::store_u64(kSomewhere, ~0ull);
       const Status status = mmio_write(kSomewhere + 1, 2, 0x12);
       GUEST_CHECK(machine::load_u64(kSomewhere) == 0xFFFF'FFFF'FF00'12FF);
       return status;
     }},
    {CallCode::kMmioWrite, "the hypercall page", Status::kOperationDenied,
     [] { return mmio_write(kHypercallPage, 1, 0); }, Caller::kChild},
    {CallCode::kMmioWrite, "more bytes than there can be", Status::kInvalidParameter,
     [] { return mmio_write(kSomewhere, 65, 0); }},
    {CallCode::kMmioWrite, "across the end of a page", Status::kInvalidParameter,
     [] { return mmio_write(kSomewhere + 4095, 2, 0); }},

    {CallCode::kExtCallQueryCapabilities, "the root", Status::kSuccess,
     [] {
       const Status status = no_input(CallCode::kExtCallQueryCapabilities);
       GUEST_CHECK(output<hv::ExtendedCapabilities>().calls == 3);
       return status;
     }},
    {CallCode::kExtCallQueryCapabilities, "a child without the privilege", Status::kAccessDenied,
     [] { return no_input(CallCode::kExtCallQueryCapabilities); }, Caller::kChild},

    {CallCode::kExtCallGetBootZeroedMemory, "the root: no range is known", Status::kSuccess,
     [] {
       machine::store_u64(kOutputPage, 77);
       const Status status = no_input(CallCode::kExtCallGetBootZeroedMemory);
       GUEST_CHECK(machine::load_u64(kOutputPage) == 0);
       return status;
     }},
    {CallCode::kExtCallGetBootZeroedMemory, "a child without the privilege", Status::kAccessDenied,
     [] { return no_input(CallCode::kExtCallGetBootZeroedMemory); }, Caller::kChild},

    {CallCode::kExtCallMemoryHeatHint, "two ranges that may be discarded", Status::kSuccess,
     [] { return heat(hv::MemoryHeatHintInput::kColdDiscard, 0x20'0010); }},
    {CallCode::kExtCallMemoryHeatHint, "a type that does not exist", Status::kInvalidParameter,
     [] { return heat(3, 0x20'0010); }},
    {CallCode::kExtCallMemoryHeatHint, "a range beyond the address space",
     Status::kInvalidParameter,
     [] { return heat(hv::MemoryHeatHintInput::kCold, 0xFFFF'FFFF'FFFF'F010); }},
    {CallCode::kExtCallMemoryHeatHint, "a child without the privilege", Status::kAccessDenied,
     [] { return heat(hv::MemoryHeatHintInput::kHot, 0x1000); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> system_call_cases() { return kCases; }

}  // namespace interface_test
