// PostMessage, SignalEvent and their direct forms, NotifyPortRingEmpty (TLFS "Inter-Partition
// Communication").
#include "tests/interface/case_tables.h"
#include "tests/interface/communication_world.h"
#include "tests/interface/msr_steps.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::ConnectionId;
using hv::MessageType;
using hv::PartitionId;
using hv::PortInfo;
using hv::PortType;
using hv::RegisterName;
using hv::SintRegister;
using hv::Status;
using hv::VpIndex;

constexpr PortInfo kMessagePort = PortInfo::message(kUsedSint, VpIndex{0});
constexpr PortInfo kEventPort = PortInfo::event(kUsedSint, VpIndex{0}, 8, 4);

// --- What the root prepares beside a child that calls itself
void loop_messages(const Child& child) { make_path(child.id, child.id, kMessagePort); }
void loop_messages_to_any(const Child& child) {
  make_path(child.id, child.id, PortInfo::message(kUsedSint, hv::kVpIndexAny));
}
void loop_events(const Child& child) { make_path(child.id, child.id, kEventPort); }
void loop_events_to_any(const Child& child) {
  make_path(child.id, child.id, PortInfo::event(kUsedSint, hv::kVpIndexAny, 8, 4));
}
void loop_then_delete_port(const Child& child) {
  loop_messages(child);
  GUEST_CHECK(delete_port(child.id) == Status::kSuccess);
}
void loop_to_deleted_vp(const Child& child) {
  hv::CreateVpInput input;
  input.partition = child.id;
  input.vp = VpIndex{1};
  GUEST_CHECK(try_call(CallCode::kCreateVp, input) == Status::kSuccess);
  make_path(child.id, child.id, PortInfo::message(kUsedSint, VpIndex{1}));
  GUEST_CHECK(
      create_port(port_input(child.id, child.id, PortInfo::event(kUsedSint, VpIndex{1}, 0, 1),
                             hv::PortId{5})) == Status::kSuccess);
  GUEST_CHECK(connect_port(connect_input(child.id, child.id, PortType::kEvent, ConnectionId{6},
                                         hv::PortId{5})) == Status::kSuccess);
  GUEST_CHECK(try_call(CallCode::kDeleteVp, hv::DeleteVpInput{child.id, VpIndex{1}, 0}) ==
              Status::kSuccess);
}
// --- What the root does while messages are under way
void delete_the_port(const Child& child) {
  GUEST_CHECK(delete_port(child.id) == Status::kSuccess);
  child_maker::destroy(child);
}
void delete_the_vp(const Child& child) {
  GUEST_CHECK(try_call(CallCode::kDeleteVp, hv::DeleteVpInput{child.id, VpIndex{0}, 0}) ==
              Status::kSuccess);
  GUEST_CHECK(delete_port(child.id) == Status::kSuccess);
  child_maker::destroy(child);
}
void destroy_the_child(const Child& child) { child_maker::destroy(child); }
void open_masked_path(const Child& child) {
  open_sint(kUsedSint, SintRegister::kMasked);
  make_path(hv::kPartitionIdSelf, child.id, kMessagePort);
}
/// A disconnected or dead sender's messages still arrive.
void disconnect_and_take(const Child& child) {
  GUEST_CHECK(disconnect_port(child.id) == Status::kSuccess);
  child_maker::destroy(child);
  machine::write_msr(hv::kMsrEom, 0);
  for (std::uint32_t number = 0; number < 16; ++number) {
    GUEST_CHECK(take_number(kUsedSint) == number);
  }
  GUEST_CHECK(take_number(kUsedSint) == ~0u);
  GUEST_CHECK(delete_port(hv::kPartitionIdSelf) == Status::kSuccess);
}
void delete_port_then_take(const Child& child) {
  GUEST_CHECK(delete_port(hv::kPartitionIdSelf) == Status::kSuccess);
  machine::write_msr(hv::kMsrEom, 0);
  GUEST_CHECK(take_number(kUsedSint) == ~0u);
  GUEST_CHECK(disconnect_port(child.id) == Status::kSuccess);
  child_maker::destroy(child);
}

/// To a masked SINT, where all stay in the queue.
Status post_until_refused() {
  for (std::uint32_t number = 0; number < 16; ++number) {
    GUEST_CHECK(post(number) == Status::kSuccess);
  }
  return post(16);
}
Status post_to_own_masked_sint() {
  open_sint(kUsedSint, SintRegister::kMasked);
  return post_until_refused();
}

Status post_of(std::uint32_t type, std::uint32_t payload_size) {
  hv::PostMessageInput input;
  input.connection = kConnection;
  input.type = MessageType{type};
  input.payload_size = payload_size;
  return try_call(CallCode::kPostMessage, input);
}
void disable(std::uint32_t msr) { machine::write_msr(msr, machine::read_msr(msr) & ~1ull); }

/// What GetPortProperty says of the child's port.
template <std::uint64_t Count>
void post_count_is(const Child& child) {
  hv::GetPortPropertyInput input;
  input.partition = child.id;
  input.port = kPort;
  input.property = hv::PortProperty::kPostCount;
  GUEST_CHECK(try_call(CallCode::kGetPortProperty, input) == Status::kSuccess);
  GUEST_CHECK(output<hv::GetPortPropertyOutput>().value == Count);
}
/// A second VP, which does not run, with pages and a SINT as the first has them.
void loop_to_any_of_two(const Child& child) {
  constexpr machine::Gpn kSecondMessages{0x40A};
  constexpr machine::Gpn kSecondEvents{0x40B};
  hv::CreateVpInput input;
  input.partition = child.id;
  input.vp = VpIndex{1};
  GUEST_CHECK(try_call(CallCode::kCreateVp, input) == Status::kSuccess);
  const auto set = [&](RegisterName name, std::uint64_t value) {
    child_maker::set_register(child, 1, name, value);
  };
  set(RegisterName::kScontrol, 1);
  set(RegisterName::kSimp, hv::OverlayPageRegister(kSecondMessages, true).value());
  set(RegisterName::kSiefp, hv::OverlayPageRegister(kSecondEvents, true).value());
  set(static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kSint0) + kUsedSint),
      0x40 + kUsedSint);
  loop_messages_to_any(child);
  GUEST_CHECK(
      create_port(port_input(child.id, child.id, PortInfo::event(kUsedSint, hv::kVpIndexAny, 0, 1),
                             hv::PortId{5})) == Status::kSuccess);
  GUEST_CHECK(connect_port(connect_input(child.id, child.id, PortType::kEvent, ConnectionId{6},
                                         hv::PortId{5})) == Status::kSuccess);
}

constexpr CallCase kCounted[] = {
    {CallCode::kPostMessage, "two messages and a refused one: the port counts two",
     Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       GUEST_CHECK(post(1) == Status::kSuccess);
       GUEST_CHECK(post_of(0, 4) == Status::kInvalidParameter);
       return post(2);
     },
     Caller::kChild, loop_messages, post_count_is<2>},
    {CallCode::kSignalEvent, "three events and a refused one: the port counts three",
     Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       GUEST_CHECK(signal(0) == Status::kSuccess);
       GUEST_CHECK(signal(0) == Status::kSuccess);
       GUEST_CHECK(signal(4) == Status::kInvalidParameter);
       return signal(3);
     },
     Caller::kChild, loop_events, post_count_is<3>},
    {CallCode::kPostMessage, "to any VP, of which only the second has a message page",
     Status::kSuccess,
     [] {
       disable(hv::kMsrSimp);
       const Status status = post(9);
       GUEST_CHECK(machine::load_u32(machine::Gpa(0x40'A300)) == 7);
       return status;
     },
     Caller::kChild, loop_to_any_of_two, post_count_is<1>},
    {CallCode::kSignalEvent, "to any VP, of which only the second has an event flags page",
     Status::kSuccess,
     [] {
       disable(hv::kMsrSiefp);
       const Status status = signal(0, ConnectionId{6});
       GUEST_CHECK(machine::load_u8(machine::Gpa(0x40'B300)) == 1);
       return status;
     },
     Caller::kChild, loop_to_any_of_two},
};

constexpr CallCase kPost[] = {
    {CallCode::kPostMessage, "a message to an open SINT", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const Status status = post(5);
       const hv::Message message = slot(kUsedSint);
       GUEST_CHECK(message.header.type == MessageType{7});
       GUEST_CHECK(message.header.payload_size == 4);
       GUEST_CHECK(message.header.flags == 0);
       GUEST_CHECK(message.header.origination == static_cast<std::uint64_t>(kPort));
       GUEST_CHECK(take_number(kUsedSint) == 5);
       return status;
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "240 bytes of payload", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const Status status = post_of(0x7FFF'FFFF, 240);
       GUEST_CHECK(slot(kUsedSint).header.payload_size == 240);
       return status;
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a masked SINT, which has the message at EOM", Status::kSuccess,
     [] {
       open_sint(kUsedSint, SintRegister::kMasked);
       const Status status = post(5);
       GUEST_CHECK(slot(kUsedSint).header.type == MessageType::kNone);
       machine::write_msr(hv::kMsrEom, 0);
       GUEST_CHECK(take_number(kUsedSint) == 5);
       return status;
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a port for any VP, of which one listens", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const Status status = post(5);
       GUEST_CHECK(take_number(kUsedSint) == 5);
       return status;
     },
     Caller::kChild, loop_messages_to_any},
    {CallCode::kPostMessage, "the 17th message to a full slot, in order afterwards",
     Status::kInsufficientBuffers,
     [] {
       open_sint(kUsedSint);
       for (std::uint32_t number = 0; number < 17; ++number) {  // the first is in the slot
         GUEST_CHECK(post(number) == Status::kSuccess);
       }
       const Status status = post(17);
       for (std::uint32_t number = 0; number < 17; ++number) {
         GUEST_CHECK(take_number(kUsedSint) == number);
       }
       GUEST_CHECK(take_number(kUsedSint) == ~0u);
       GUEST_CHECK(post(18) == Status::kSuccess);
       return status;
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a GUEST_OS_ID that was cleared meanwhile", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       GUEST_CHECK(post(1) == Status::kSuccess);
       GUEST_CHECK(post(2) == Status::kSuccess);
       machine::write_msr(hv::kMsrGuestOsId, 0);
       // The SynIC works on, and the calls as soon as there is a page for them again.
       GUEST_CHECK(take_number(kUsedSint) == 1);
       GUEST_CHECK(take_number(kUsedSint) == 2);
       machine::write_msr(hv::kMsrGuestOsId, hv::open_source_guest_os_id(1, 1));
       machine::write_msr(hv::kMsrHypercall,
                          hv::OverlayPageRegister(kHypercallPage.page(), true).value());
       const Status status = post(3);
       GUEST_CHECK(take_number(kUsedSint) == 3);
       return status;
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "16 messages under way when their port is deleted",
     Status::kInsufficientBuffers, post_to_own_masked_sint, Caller::kChild, loop_messages,
     delete_the_port},
    {CallCode::kPostMessage, "16 messages under way when their VP is deleted",
     Status::kInsufficientBuffers, post_to_own_masked_sint, Caller::kChild, loop_messages,
     delete_the_vp},
    {CallCode::kPostMessage, "16 messages under way when the partition is finalized",
     Status::kInsufficientBuffers, post_to_own_masked_sint, Caller::kChild, loop_messages,
     destroy_the_child},
    {CallCode::kPostMessage, "16 messages to the root, from a sender that is no more",
     Status::kInsufficientBuffers, post_until_refused, Caller::kChild, open_masked_path,
     disconnect_and_take},
    {CallCode::kPostMessage, "16 messages to a port of the root's, which it deletes",
     Status::kInsufficientBuffers, post_until_refused, Caller::kChild, open_masked_path,
     delete_port_then_take},
    {CallCode::kPostMessage, "message type 0", Status::kInvalidParameter,
     [] { return post_of(0, 0); }, Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a message type of the hypervisor's", Status::kInvalidParameter,
     [] { return post_of(0x8000'0010, 0); }, Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "241 bytes of payload", Status::kInvalidParameter,
     [] { return post_of(7, 241); }, Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "an id that no connection has", Status::kInvalidConnectionId,
     [] { return post(1); }},
    {CallCode::kPostMessage, "an id of 25 bits", Status::kInvalidConnectionId,
     [] { return post(1, ConnectionId{0x100'0031}); }, Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a connection whose port was deleted", Status::kInvalidPortId,
     [] { return post(1); }, Caller::kChild, loop_then_delete_port},
    {CallCode::kPostMessage, "an event connection", Status::kInvalidPortId, [] { return post(1); },
     Caller::kChild, loop_events},
    {CallCode::kPostMessage, "a port of a finalized partition", Status::kInvalidPortId,
     [] {
       const Child child = make_child();
       make_path(child.id, hv::kPartitionIdSelf, kMessagePort);
       GUEST_CHECK(try_call(CallCode::kFinalizePartition, hv::PartitionInput{child.id}) ==
                   Status::kSuccess);
       return post(1);
     }},
    {CallCode::kPostMessage, "a VP that was deleted", Status::kInvalidVpIndex,
     [] { return post(1); }, Caller::kChild, loop_to_deleted_vp},
    {CallCode::kPostMessage, "a partition without a VP", Status::kInvalidVpIndex,
     [] {
       const Child child = make_child(0);
       make_path(child.id, hv::kPartitionIdSelf, PortInfo::message(kUsedSint, hv::kVpIndexAny));
       return post(1);
     }},
    {CallCode::kPostMessage, "a VP whose SynIC is disabled", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint);
       disable(hv::kMsrScontrol);
       return post(1);
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a VP whose message page is disabled", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint);
       disable(hv::kMsrSimp);
       return post(1);
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a proxy SINT", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint, SintRegister::kProxy);
       return post(1);
     },
     Caller::kChild, loop_messages},
    {CallCode::kPostMessage, "a port for any VP, of which none listens", Status::kInvalidSynicState,
     [] {
       disable(hv::kMsrScontrol);
       return post(1);
     },
     Caller::kChild, loop_messages_to_any},
    {CallCode::kPostMessage, "a child without the privilege", Status::kAccessDenied,
     [] {
       begin();
       return post(1);
     },
     Caller::kChild, nullptr, nullptr, without<hv::Privilege::kPostMessages>},
};

constexpr CallCase kSignal[] = {
    {CallCode::kSignalEvent, "the last flag of an open SINT", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const Status status = signal(3);
       GUEST_CHECK(flag_is_set(kUsedSint, 11));
       GUEST_CHECK(!flag_is_set(kUsedSint, 10) && !flag_is_set(kUsedSint, 12));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a flag that is set already", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       GUEST_CHECK(signal(0) == Status::kSuccess);
       const Status status = signal(0);
       GUEST_CHECK(flag_is_set(kUsedSint, 8));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a polled SINT, masked as it is", Status::kSuccess,
     [] {
       open_sint(kUsedSint, SintRegister::kMasked | SintRegister::kPolling);
       const Status status = signal(0);
       GUEST_CHECK(flag_is_set(kUsedSint, 8));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a fast call", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const hv::HypercallResult result(machine::hypercall(
           kHypercallPage, hv::HypercallControl(CallCode::kSignalEvent).fast().value(),
           static_cast<std::uint64_t>(kConnection) | (1ull << 32), 0));
       GUEST_CHECK(flag_is_set(kUsedSint, 9));
       return result.status();
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a port for any VP", Status::kSuccess,
     [] {
       open_sint(kUsedSint);
       const Status status = signal(0);
       GUEST_CHECK(flag_is_set(kUsedSint, 8));
       return status;
     },
     Caller::kChild, loop_events_to_any},
    {CallCode::kSignalEvent, "a flag beyond the port's", Status::kInvalidParameter,
     [] {
       open_sint(kUsedSint);
       const Status status = signal(4);
       GUEST_CHECK(!flag_is_set(kUsedSint, 12));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "an id that no connection has", Status::kInvalidConnectionId,
     [] { return signal(0); }},
    {CallCode::kSignalEvent, "a message connection", Status::kInvalidPortId,
     [] { return signal(0); }, Caller::kChild, loop_messages},
    {CallCode::kSignalEvent, "a connection whose port was deleted", Status::kInvalidPortId,
     [] { return signal(0); }, Caller::kChild, loop_then_delete_port},
    {CallCode::kSignalEvent, "a VP that was deleted", Status::kInvalidVpIndex,
     [] { return signal(0, ConnectionId{6}); }, Caller::kChild, loop_to_deleted_vp},
    {CallCode::kSignalEvent, "a masked SINT, whose flag stays clear", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint, SintRegister::kMasked);
       const Status status = signal(0);
       GUEST_CHECK(!flag_is_set(kUsedSint, 8));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a VP whose SynIC is disabled", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint);
       disable(hv::kMsrScontrol);
       const Status status = signal(0);
       GUEST_CHECK(!flag_is_set(kUsedSint, 8));
       return status;
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a VP whose flags page is disabled", Status::kInvalidSynicState,
     [] {
       open_sint(kUsedSint);
       disable(hv::kMsrSiefp);
       return signal(0);
     },
     Caller::kChild, loop_events},
    {CallCode::kSignalEvent, "a port for any VP, of which none listens", Status::kInvalidSynicState,
     [] { return signal(0); }, Caller::kChild, loop_events_to_any},
    {CallCode::kSignalEvent, "a child without the privilege", Status::kAccessDenied,
     [] {
       begin();
       return signal(0);
     },
     Caller::kChild, nullptr, nullptr, without<hv::Privilege::kSignalEvents>},
};

}  // namespace

std::span<const CallCase> counted_call_cases() { return kCounted; }
std::span<const CallCase> post_message_cases() { return kPost; }
std::span<const CallCase> signal_event_cases() { return kSignal; }

}  // namespace interface_test
