// SignalEventDirect, PostMessageDirect and NotifyPortRingEmpty: what a parent does to its child's
// SynIC without ports, and what the root tells of its event rings.
#include "tests/interface/case_tables.h"
#include "tests/interface/communication_world.h"

namespace interface_test {
namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::MessageType;
using hv::PartitionId;
using hv::RegisterName;
using hv::SintRegister;
using hv::Status;
using hv::VpIndex;

/// A child whose SynIC takes everything at one SINT.
Child listening_child(std::uint64_t sint_bits = 0) {
  const Child child = make_child();
  const auto page = [](machine::Gpa at) {
    return hv::OverlayPageRegister(at.page(), true).value();
  };
  child_maker::set_register(child, 0, RegisterName::kSimp, page(kMessagePage));
  child_maker::set_register(child, 0, RegisterName::kSiefp, page(kEventFlagsPage));
  child_maker::set_register(child, 0, RegisterName::kScontrol, hv::kScontrolEnable);
  const auto sint =
      static_cast<RegisterName>(static_cast<std::uint32_t>(RegisterName::kSint0) + kUsedSint);
  child_maker::set_register(child, 0, sint, 0x43 | sint_bits);
  return child;
}

struct Target {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t vtl = 0;
  std::uint8_t sint = kUsedSint;
};

Status signal_direct(const Target& target, std::uint16_t flag) {
  return try_call(
      CallCode::kSignalEventDirect,
      hv::SignalEventDirectInput{target.partition, target.vp, target.vtl, target.sint, flag});
}
bool newly_signaled() { return output<hv::SignalEventDirectOutput>().newly_signaled != 0; }

Status post_direct(const Target& target, MessageType type = MessageType{1},
                   std::uint8_t payload_size = 4) {
  hv::PostMessageDirectInput input;
  input.partition = target.partition;
  input.vp = target.vp;
  input.target_vtl = target.vtl;
  input.sint = target.sint;
  hv::Message message;
  message.header.type = type;
  message.header.payload_size = payload_size;
  input.message = std::bit_cast<std::array<std::byte, hv::kMessageSlotBytes>>(message);
  return try_call(CallCode::kPostMessageDirect, input);
}
void turn_off(const Child& child, RegisterName name) {
  child_maker::set_register(child, 0, name, 0);
}
PartitionId finalized() {
  const Child child = make_child();
  GUEST_CHECK(try_call(CallCode::kFinalizePartition, hv::PartitionInput{child.id}) ==
              Status::kSuccess);
  return child.id;
}

constexpr CallCase kSignalDirect[] = {
    {CallCode::kSignalEventDirect, "a flag, newly and once more", Status::kSuccess,
     [] {
       const Child child = listening_child();
       GUEST_CHECK(signal_direct({child.id}, 2047) == Status::kSuccess);
       GUEST_CHECK(newly_signaled());
       const Status status = signal_direct({child.id}, 2047);
       GUEST_CHECK(!newly_signaled());
       GUEST_CHECK(signal_direct({child.id}, 2046) == Status::kSuccess);
       GUEST_CHECK(newly_signaled());
       return status;
     }},
    {CallCode::kSignalEventDirect, "flag 2048", Status::kInvalidParameter,
     [] { return signal_direct({listening_child().id}, 2048); }},
    {CallCode::kSignalEventDirect, "SINT 16", Status::kInvalidParameter,
     [] { return signal_direct({listening_child().id, VpIndex{0}, 0, 16}, 0); }},
    {CallCode::kSignalEventDirect, "a VTL", Status::kInvalidParameter,
     [] { return signal_direct({listening_child().id, VpIndex{0}, 1}, 0); }},
    {CallCode::kSignalEventDirect, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return signal_direct({listening_child().id, VpIndex{1}}, 0); }},
    {CallCode::kSignalEventDirect, "any VP", Status::kInvalidVpIndex,
     [] { return signal_direct({listening_child().id, hv::kVpIndexAny}, 0); }},
    {CallCode::kSignalEventDirect, "a masked SINT", Status::kInvalidSynicState,
     [] { return signal_direct({listening_child(SintRegister::kMasked).id}, 0); }},
    {CallCode::kSignalEventDirect, "a SynIC that is disabled", Status::kInvalidSynicState,
     [] {
       const Child child = listening_child();
       turn_off(child, RegisterName::kScontrol);
       return signal_direct({child.id}, 0);
     }},
    {CallCode::kSignalEventDirect, "a flags page that is disabled", Status::kInvalidSynicState,
     [] {
       const Child child = listening_child();
       turn_off(child, RegisterName::kSiefp);
       return signal_direct({child.id}, 0);
     }},
    {CallCode::kSignalEventDirect, "no partition's id", Status::kInvalidPartitionId,
     [] { return signal_direct({kNobody}, 0); }},
    {CallCode::kSignalEventDirect, "a finalized partition", Status::kInvalidPartitionState,
     [] { return signal_direct({finalized()}, 0); }},
    {CallCode::kSignalEventDirect, "the caller itself", Status::kAccessDenied,
     [] { return signal_direct({hv::kPartitionIdSelf}, 0); }},
    {CallCode::kSignalEventDirect, "a child without the privilege", Status::kAccessDenied,
     [] { return signal_direct({kNobody}, 0); }, Caller::kChild},
};

constexpr CallCase kPostDirect[] = {
    {CallCode::kPostMessageDirect, "an empty slot", Status::kSuccess,
     [] { return post_direct({listening_child().id}); }},
    {CallCode::kPostMessageDirect, "a message of the hypervisor's type and 240 bytes",
     Status::kSuccess,
     [] { return post_direct({listening_child().id}, MessageType::kTimerExpired, 240); }},
    {CallCode::kPostMessageDirect, "a slot that is full", Status::kObjectInUse,
     [] {
       const Child child = listening_child();
       GUEST_CHECK(post_direct({child.id}) == Status::kSuccess);
       return post_direct({child.id});
     }},
    {CallCode::kPostMessageDirect, "message type 0", Status::kInvalidParameter,
     [] { return post_direct({listening_child().id}, MessageType::kNone); }},
    {CallCode::kPostMessageDirect, "241 bytes of payload", Status::kInvalidParameter,
     [] { return post_direct({listening_child().id}, MessageType{1}, 241); }},
    {CallCode::kPostMessageDirect, "SINT 16", Status::kInvalidParameter,
     [] { return post_direct({listening_child().id, VpIndex{0}, 0, 16}); }},
    {CallCode::kPostMessageDirect, "a VTL", Status::kInvalidParameter,
     [] { return post_direct({listening_child().id, VpIndex{0}, 1}); }},
    {CallCode::kPostMessageDirect, "a VP that does not exist", Status::kInvalidVpIndex,
     [] { return post_direct({listening_child().id, VpIndex{1}}); }},
    {CallCode::kPostMessageDirect, "a masked SINT", Status::kInvalidSynicState,
     [] { return post_direct({listening_child(SintRegister::kMasked).id}); }},
    {CallCode::kPostMessageDirect, "a SynIC that is disabled", Status::kInvalidSynicState,
     [] {
       const Child child = listening_child();
       turn_off(child, RegisterName::kScontrol);
       return post_direct({child.id});
     }},
    {CallCode::kPostMessageDirect, "a message page that is disabled", Status::kInvalidSynicState,
     [] {
       const Child child = listening_child();
       turn_off(child, RegisterName::kSimp);
       return post_direct({child.id});
     }},
    {CallCode::kPostMessageDirect, "no partition's id", Status::kInvalidPartitionId,
     [] { return post_direct({kNobody}); }},
    {CallCode::kPostMessageDirect, "a finalized partition", Status::kInvalidPartitionState,
     [] { return post_direct({finalized()}); }},
    {CallCode::kPostMessageDirect, "the caller itself", Status::kAccessDenied,
     [] { return post_direct({hv::kPartitionIdSelf}); }},
    {CallCode::kPostMessageDirect, "a child without the privilege", Status::kAccessDenied,
     [] { return post_direct({kNobody}); }, Caller::kChild},
};

Status ring_empty(std::uint32_t sint, std::uint32_t reserved = 0) {
  return try_call(CallCode::kNotifyPortRingEmpty, hv::NotifyPortRingEmptyInput{sint, reserved});
}

constexpr CallCase kRingEmpty[] = {
    {CallCode::kNotifyPortRingEmpty, "a SINT that nothing waits for", Status::kSuccess,
     [] { return ring_empty(5); }},
    {CallCode::kNotifyPortRingEmpty, "a fast call", Status::kSuccess,
     [] {
       return hv::HypercallResult(
                  machine::hypercall(
                      kHypercallPage,
                      hv::HypercallControl(CallCode::kNotifyPortRingEmpty).fast().value(), 5, 0))
           .status();
     }},
    {CallCode::kNotifyPortRingEmpty, "SINT 16", Status::kInvalidParameter,
     [] { return ring_empty(16); }},
    {CallCode::kNotifyPortRingEmpty, "a reserved field", Status::kInvalidParameter,
     [] { return ring_empty(5, 1); }},
    {CallCode::kNotifyPortRingEmpty, "a child", Status::kAccessDenied, [] { return ring_empty(5); },
     Caller::kChild},
};

}  // namespace

std::span<const CallCase> signal_event_direct_cases() { return kSignalDirect; }
std::span<const CallCase> post_message_direct_cases() { return kPostDirect; }
std::span<const CallCase> notify_port_ring_empty_cases() { return kRingEmpty; }

}  // namespace interface_test
