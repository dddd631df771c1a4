// GetVpState and SetVpState (TLFS HvCallGetVpState, HvCallSetVpState).
#include <cstring>

#include "hv/apic/local_apic.h"
#include "machine/x86.h"
#include "tests/interface/case_tables.h"
#include "tests/interface/memory_steps.h"
#include "tests/interface/partition_steps.h"

namespace interface_test {
namespace {

using namespace memory;
using namespace test_kernel;
using hv::LocalApicState;
using hv::RegisterName;
using hv::SyntheticTimersState;
using hv::VpIndex;
using hv::VpStateInput;
using hv::VpStateType;
using machine::Gpa;
namespace x86 = machine::x86;

constexpr Gpa kPage{kFree};
/// The root's, where no memory is.
constexpr Gpn kDevice{0xF'0000};
constexpr std::uint64_t kLegacyStates = x86::kXcr0X87 | x86::kXcr0Sse;
constexpr std::uint32_t kTimerQwords = sizeof(SyntheticTimersState) / 8;

PartitionId with_vp() {
  const PartitionId id = active_partition();
  create_vp(id, 0);
  return id;
}

VpStateInput state_of(PartitionId id, VpStateType type) {
  VpStateInput input;
  input.partition = id;
  input.type = type;
  input.xsave_states = type == VpStateType::kXsave ? kLegacyStates : 0;
  return input;
}
/// With `pages` page numbers, all the same.
Status call_with_page(CallCode code, const VpStateInput& input, Gpn page = kPage.page(),
                      std::uint32_t pages = 1) {
  for (std::uint32_t index = 0; index < pages; ++index) {
    machine::store_u64(kInputPage + sizeof(input) + index * 8, page.value());
  }
  return call(HypercallControl(code).with_variable_header(pages), input).status();
}
Status get(const VpStateInput& input, Gpn page = kPage.page(), std::uint32_t pages = 1) {
  return call_with_page(CallCode::kGetVpState, input, page, pages);
}
Status set(const VpStateInput& input, Gpn page = kPage.page(), std::uint32_t pages = 1) {
  return call_with_page(CallCode::kSetVpState, input, page, pages);
}
Status get_timers(PartitionId id) {
  return get(state_of(id, VpStateType::kSyntheticTimers), {}, 0);
}
Status set_timers(PartitionId id, const SyntheticTimersState& state,
                  std::uint32_t qwords = kTimerQwords) {
  machine::write_memory(kInputPage + sizeof(VpStateInput), std::as_bytes(std::span(&state, 1)));
  return call(HypercallControl(CallCode::kSetVpState).with_variable_header(qwords),
              state_of(id, VpStateType::kSyntheticTimers))
      .status();
}

void clear_page() {
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += 8) {
    machine::store_u64(kPage + offset, 0);
  }
}
template <class State>
State page_content() {
  State state;
  machine::read_memory(kPage, std::as_writable_bytes(std::span(&state, 1)));
  return state;
}
template <class State>
void put_in_page(const State& state) {
  machine::write_memory(kPage, std::as_bytes(std::span(&state, 1)));
}
LocalApicState apic_of(PartitionId id) {
  GUEST_CHECK(get(state_of(id, VpStateType::kLocalApic)) == Status::kSuccess);
  return page_content<LocalApicState>();
}
Status set_apic(PartitionId id, const LocalApicState& state) {
  put_in_page(state);
  return set(state_of(id, VpStateType::kLocalApic));
}
std::uint64_t register_of(PartitionId id, RegisterName name) {
  hv::VpRegistersInput header;
  header.partition = id;
  const std::array<RegisterName, 1> names{name};
  GUEST_CHECK(call(HypercallControl(CallCode::kGetVpRegisters), header,
                   std::span<const RegisterName>(names))
                  .status() == Status::kSuccess);
  return output<hv::RegisterValue>().low;
}
/// What an input is wrong with, whichever of the two calls it is for.
template <class Change>
Status changed(CallCode code, VpStateType type, Change change) {
  VpStateInput input = state_of(with_vp(), type);
  change(input);
  return call_with_page(code, input);
}
template <class State>
bool are_equal(const State& a, const State& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}
/// A page of the SynIC goes in and comes out.
Status exchange_page(VpStateType type) {
  const PartitionId id = with_vp();
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += 512) {
    machine::store_u64(kPage + offset, 0x1000 + offset);
  }
  const Status status = set(state_of(id, type));
  machine::store_u64(kPage, 0);
  GUEST_CHECK(get(state_of(id, type)) == Status::kSuccess);
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += 512) {
    GUEST_CHECK(machine::load_u64(kPage + offset) == 0x1000 + offset);
  }
  return status;
}

constexpr CallCase kGetCases[] = {
    {CallCode::kGetVpState, "the timers of a VP that never ran", Status::kSuccess,
     [] {
       const Status status = get_timers(with_vp());
       GUEST_CHECK(are_equal(output<SyntheticTimersState>(), SyntheticTimersState{}));
       return status;
     }},
    {CallCode::kGetVpState, "its local APIC", Status::kSuccess,
     [] {
       const PartitionId id = active_partition();
       create_vp(id, 3);
       VpStateInput input = state_of(id, VpStateType::kLocalApic);
       input.vp = VpIndex{3};
       machine::store_u64(kPage + sizeof(LocalApicState), 1);
       const Status status = get(input);
       const auto apic = page_content<LocalApicState>();
       GUEST_CHECK(apic.id == 3u << 24 && apic.version == hv::LocalApic::kVersion);
       GUEST_CHECK(apic.spurious == 0xFF && apic.lvt_lint0 == 0x1'0000);
       GUEST_CHECK(apic.destination_format == 0xFFFF'FFFF && apic.requested[1] == 0);
       GUEST_CHECK(machine::load_u64(kPage + sizeof(LocalApicState)) == 0);
       return status;
     }},
    {CallCode::kGetVpState, "its extended registers", Status::kSuccess,
     [] {
       machine::store_u64(kPage + x86::kXsaveXmm0, 7);
       const Status status = get(state_of(with_vp(), VpStateType::kXsave));
       // As they are at first: no component is in use.
       GUEST_CHECK(machine::load_u64(kPage + x86::kXsaveHeader) == 0);
       GUEST_CHECK(machine::load_u32(kPage + x86::kXsaveMxcsr) == x86::kMxcsrInitial);
       GUEST_CHECK(machine::load_u64(kPage + x86::kXsaveXmm0) == 0);
       return status;
     }},
    {CallCode::kGetVpState, "its message page", Status::kSuccess,
     [] {
       machine::store_u64(kPage, 7);
       const Status status = get(state_of(with_vp(), VpStateType::kMessagePage));
       GUEST_CHECK(machine::load_u64(kPage) == 0);
       return status;
     }},
    {CallCode::kGetVpState, "its event flags page", Status::kSuccess,
     [] { return get(state_of(with_vp(), VpStateType::kEventFlagsPage)); }},
    {CallCode::kGetVpState, "a type that there is not", Status::kInvalidParameter,
     [] { return get(state_of(with_vp(), VpStateType{0x8000'0005})); }},
    {CallCode::kGetVpState, "another trust level", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kLocalApic,
                      [](VpStateInput& input) { input.input_vtl = 1; });
     }},
    {CallCode::kGetVpState, "bytes that have to be zero", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kLocalApic,
                      [](VpStateInput& input) { input.reserved0[2] = 1; });
     }},
    {CallCode::kGetVpState, "a word that has to be zero", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kLocalApic,
                      [](VpStateInput& input) { input.reserved1 = 1; });
     }},
    {CallCode::kGetVpState, "flags of extended registers", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kXsave,
                      [](VpStateInput& input) { input.xsave_flags = 1; });
     }},
    {CallCode::kGetVpState, "a component that there is not", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kXsave,
                      [](VpStateInput& input) { input.xsave_states |= 1ull << 62; });
     }},
    {CallCode::kGetVpState, "components of a local APIC", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kGetVpState, VpStateType::kLocalApic,
                      [](VpStateInput& input) { input.xsave_states = kLegacyStates; });
     }},
    {CallCode::kGetVpState, "no page", Status::kInvalidHypercallInput,
     [] { return get(state_of(with_vp(), VpStateType::kLocalApic), {}, 0); }},
    {CallCode::kGetVpState, "a page more than the state has", Status::kInvalidHypercallInput,
     [] { return get(state_of(with_vp(), VpStateType::kXsave), kPage.page(), 2); }},
    {CallCode::kGetVpState, "a page for the timers", Status::kInvalidHypercallInput,
     [] { return get(state_of(with_vp(), VpStateType::kSyntheticTimers)); }},
    {CallCode::kGetVpState, "a page beyond the caller's space", Status::kInvalidParameter,
     [] { return get(state_of(with_vp(), VpStateType::kLocalApic), kBeyond); }},
    {CallCode::kGetVpState, "a page that the caller has deposited", Status::kOperationDenied,
     [] {
       const PartitionId id = with_vp();
       GUEST_CHECK(deposit(id, {kSpare}).status() == Status::kSuccess);
       return get(state_of(id, VpStateType::kLocalApic), kSpare);
     }},
    {CallCode::kGetVpState, "a page of a device", Status::kOperationDenied,
     [] { return get(state_of(with_vp(), VpStateType::kLocalApic), kDevice); }},
    {CallCode::kGetVpState, "timers, with an answer that crosses a page", Status::kInvalidAlignment,
     [] {
       const VpStateInput input = state_of(with_vp(), VpStateType::kSyntheticTimers);
       machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
       constexpr std::uint64_t kTooLate = machine::kPageSize - 64;
       return hv::HypercallResult(
                  machine::hypercall(kHypercallPage,
                                     HypercallControl(CallCode::kGetVpState).value(),
                                     kInputPage.value(), kOutputPage.value() + kTooLate))
           .status();
     }},
    {CallCode::kGetVpState, "a VP that there is not", Status::kInvalidVpIndex,
     [] { return get_timers(active_partition()); }},
    {CallCode::kGetVpState, "a finalized partition", Status::kInvalidPartitionState,
     [] { return get_timers(finalized_partition()); }},
    {CallCode::kGetVpState, "no partition's id", Status::kInvalidPartitionId,
     [] { return get_timers(kNobody); }},
    {CallCode::kGetVpState, "the caller's own VP", Status::kAccessDenied,
     [] { return get_timers(kSelf); }},
    {CallCode::kGetVpState, "by a child", Status::kAccessDenied, [] { return get_timers(kSelf); },
     Caller::kChild},
};

constexpr CallCase kSetCases[] = {
    {CallCode::kSetVpState, "timers that run, and one with a message to deliver", Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       SyntheticTimersState state;
       state.timers[0].config = hv::TimerConfig::direct(0x40, hv::TimerConfig::kEnable).value;
       state.timers[0].count = 1ull << 50;
       state.timers[1].config =
           hv::TimerConfig::message(2, hv::TimerConfig::kEnable | hv::TimerConfig::kPeriodic).value;
       state.timers[1].count = 10'000;
       state.timers[1].adjustment = 1ull << 40;
       state.timers[3].flags = hv::SyntheticTimerState::kUndeliveredMessage;
       state.timers[3].undelivered_expiration_time_100ns = 77;
       const Status status = set_timers(id, state);
       GUEST_CHECK(get_timers(id) == Status::kSuccess);
       GUEST_CHECK(are_equal(output<SyntheticTimersState>(), state));
       GUEST_CHECK(register_of(id, RegisterName::kStimer0Count) == 1ull << 50);
       return status;
     }},
    {CallCode::kSetVpState, "timers with a bit that has to be zero",
     Status::kInvalidSaveRestoreState,
     [] {
       const PartitionId id = with_vp();
       SyntheticTimersState state;
       state.timers[0].config = hv::TimerConfig::direct(0x40, hv::TimerConfig::kEnable).value;
       state.timers[0].count = 1ull << 50;
       state.timers[2].config = hv::TimerConfig::kReservedBits;
       const Status status = set_timers(id, state);
       GUEST_CHECK(register_of(id, RegisterName::kStimer0Count) == 0);
       return status;
     }},
    {CallCode::kSetVpState, "half of the timers", Status::kInvalidHypercallInput,
     [] { return set_timers(with_vp(), {}, kTimerQwords / 2); }},
    {CallCode::kSetVpState, "a local APIC with an interrupt, a command and a timer",
     Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       LocalApicState state = apic_of(id);
       state.spurious = 0x1FF;
       state.requested[2] = 1u << 5;
       state.in_service[1] = 1u << 3;
       state.trigger_mode[2] = 1u << 5;
       state.logical_destination = 0x0400'0000;
       state.command_high = 0x0200'0000;
       state.command_low = 0x4041;
       state.lvt_timer = 0x1'0041;
       state.lvt_error = 0x42;
       state.error = 0x20;
       state.error_status = 0x40;
       state.initial_count = 0xFFFF'FFFF;
       state.current_count = 0xFFFF'0000;
       state.divide_configuration = 0xA;
       const Status status = set_apic(id, state);
       LocalApicState back = apic_of(id);
       // Time goes on.
       GUEST_CHECK(back.current_count <= state.current_count && back.current_count != 0);
       back.current_count = state.current_count;
       GUEST_CHECK(are_equal(back, state));
       return status;
     }},
    {CallCode::kSetVpState, "a local APIC with a vector that no interrupt has",
     Status::kInvalidSaveRestoreState,
     [] {
       const PartitionId id = with_vp();
       LocalApicState state = apic_of(id);
       state.spurious = 0x1FF;
       state.requested[0] = 1u << 3;
       const Status status = set_apic(id, state);
       GUEST_CHECK(apic_of(id).spurious == 0xFF);
       return status;
     }},
    {CallCode::kSetVpState, "another local APIC's", Status::kInvalidSaveRestoreState,
     [] {
       const PartitionId id = with_vp();
       LocalApicState state = apic_of(id);
       state.id = 1u << 24;
       return set_apic(id, state);
     }},
    {CallCode::kSetVpState, "a local APIC that is disabled", Status::kInvalidSaveRestoreState,
     [] {
       const Child child = make_child();
       const LocalApicState state = apic_of(child.id);
       child_maker::set_register(child, 0, RegisterName::kApicBase,
                                 hv::LocalApic::kPageAddress | (1u << 8));
       return set_apic(child.id, state);
     }},
    {CallCode::kSetVpState, "extended registers", Status::kSuccess,
     [] {
       const PartitionId id = with_vp();
       clear_page();
       machine::store_u64(kPage + x86::kXsaveHeader, x86::kXcr0Sse);
       machine::store_u32(kPage + x86::kXsaveMxcsr, 0x1F00);
       machine::store_u64(kPage + x86::kXsaveXmm0 + 16, 0x1234);
       const Status status = set(state_of(id, VpStateType::kXsave));
       const auto xmm1 =
           static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kXmm0) + 1);
       GUEST_CHECK(register_of(id, xmm1) == 0x1234);
       clear_page();
       GUEST_CHECK(get(state_of(id, VpStateType::kXsave)) == Status::kSuccess);
       GUEST_CHECK(machine::load_u64(kPage + x86::kXsaveHeader) == x86::kXcr0Sse);
       GUEST_CHECK(machine::load_u32(kPage + x86::kXsaveMxcsr) == 0x1F00);
       GUEST_CHECK(machine::load_u64(kPage + x86::kXsaveXmm0 + 16) == 0x1234);
       return status;
     }},
    {CallCode::kSetVpState, "extended registers, of which some stay", Status::kSuccess,
     [] {
       const Child child = make_child();
       child_maker::set_register(child, 0, RegisterName::kXmm0, 0x77);
       clear_page();
       VpStateInput input = state_of(child.id, VpStateType::kXsave);
       input.xsave_states = x86::kXcr0X87;
       const Status status = set(input);
       GUEST_CHECK(register_of(child.id, RegisterName::kXmm0) == 0x77);
       return status;
     }},
    {CallCode::kSetVpState, "extended registers that the mask leaves out",
     Status::kInvalidSaveRestoreState,
     [] {
       clear_page();
       machine::store_u64(kPage + x86::kXsaveHeader, x86::kXcr0Sse);
       VpStateInput input = state_of(with_vp(), VpStateType::kXsave);
       input.xsave_states = x86::kXcr0X87;
       return set(input);
     }},
    {CallCode::kSetVpState, "an MXCSR that no processor takes", Status::kInvalidSaveRestoreState,
     [] {
       clear_page();
       machine::store_u32(kPage + x86::kXsaveMxcsr, 1u << 20);
       return set(state_of(with_vp(), VpStateType::kXsave));
     }},
    {CallCode::kSetVpState, "extended registers in the compacted format",
     Status::kInvalidSaveRestoreState,
     [] {
       clear_page();
       machine::store_u64(kPage + x86::kXsaveHeader + 8, 1ull << 63);
       return set(state_of(with_vp(), VpStateType::kXsave));
     }},
    {CallCode::kSetVpState, "a message page", Status::kSuccess,
     [] { return exchange_page(VpStateType::kMessagePage); }},
    {CallCode::kSetVpState, "an event flags page", Status::kSuccess,
     [] { return exchange_page(VpStateType::kEventFlagsPage); }},
    {CallCode::kSetVpState, "a type that there is not", Status::kInvalidParameter,
     [] { return set(state_of(with_vp(), VpStateType{0x8000'0005})); }},
    {CallCode::kSetVpState, "another trust level", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kSetVpState, VpStateType::kLocalApic,
                      [](VpStateInput& input) { input.input_vtl = 1; });
     }},
    {CallCode::kSetVpState, "a component that there is not", Status::kInvalidParameter,
     [] {
       return changed(CallCode::kSetVpState, VpStateType::kXsave,
                      [](VpStateInput& input) { input.xsave_states |= 1ull << 62; });
     }},
    {CallCode::kSetVpState, "no page", Status::kInvalidHypercallInput,
     [] { return set(state_of(with_vp(), VpStateType::kMessagePage), {}, 0); }},
    {CallCode::kSetVpState, "a page beyond the caller's space", Status::kInvalidParameter,
     [] { return set(state_of(with_vp(), VpStateType::kMessagePage), kBeyond); }},
    {CallCode::kSetVpState, "a page that the caller has deposited", Status::kOperationDenied,
     [] {
       const PartitionId id = with_vp();
       GUEST_CHECK(deposit(id, {kSpare}).status() == Status::kSuccess);
       return set(state_of(id, VpStateType::kMessagePage), kSpare);
     }},
    {CallCode::kSetVpState, "a page of a device", Status::kOperationDenied,
     [] { return set(state_of(with_vp(), VpStateType::kMessagePage), kDevice); }},
    {CallCode::kSetVpState, "a VP that there is not", Status::kInvalidVpIndex,
     [] { return set_timers(active_partition(), {}); }},
    {CallCode::kSetVpState, "a finalized partition", Status::kInvalidPartitionState,
     [] { return set_timers(finalized_partition(), {}); }},
    {CallCode::kSetVpState, "no partition's id", Status::kInvalidPartitionId,
     [] { return set_timers(kNobody, {}); }},
    {CallCode::kSetVpState, "the caller's own VP", Status::kAccessDenied,
     [] { return set_timers(kSelf, {}); }},
    {CallCode::kSetVpState, "by a child", Status::kAccessDenied,
     [] { return set_timers(kSelf, {}); }, Caller::kChild},
};

}  // namespace

std::span<const CallCase> get_vp_state_cases() { return kGetCases; }
std::span<const CallCase> set_vp_state_cases() { return kSetCases; }

}  // namespace interface_test
