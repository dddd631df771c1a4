// The synthetic interrupt controller: one per virtual processor (TLFS "Synthetic Interrupt
// Controller", "Inter-Partition Communication"), and the ports and connections of partitions.
//
// The run loop calls it for MSRs, EOM and EOI, the hypercall handlers to post and signal, under the
// lock of the virtual processor. It writes to the message and event flags pages, which the guest
// shares, and answers which SINTs' interrupts to request; it knows no APIC and takes no lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hv/synic/event_ring.h"
#include "hv/synic/queued_message.h"
#include "hv/tlfs/intercepts.h"
#include "hv/tlfs/messages.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/status.h"
#include "hv/tlfs/synic.h"
#include "machine/address.h"
#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

/// The SINTs whose interrupt the caller requests at the local APIC: edge triggered, with the vector
/// and auto-EOI of the SINT's register. First, however, intercept() takes those that have a message
/// for an interrupt.
class SintSet {
 public:
  constexpr SintSet() = default;
  constexpr explicit SintSet(std::uint16_t bits) : bits_(bits) {}
  [[nodiscard]] constexpr std::uint16_t bits() const { return bits_; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  [[nodiscard]] constexpr bool has(std::uint32_t sint) const { return ((bits_ >> sint) & 1) != 0; }
  constexpr void add(std::uint32_t sint) {
    bits_ = static_cast<std::uint16_t>(bits_ | (1u << sint));
  }
  constexpr void remove(std::uint32_t sint) {
    bits_ = static_cast<std::uint16_t>(bits_ & ~(1u << sint));
  }
  [[nodiscard]] constexpr bool has_any(SintSet other) const { return (bits_ & other.bits_) != 0; }
  constexpr void add(SintSet other) { bits_ = static_cast<std::uint16_t>(bits_ | other.bits_); }
  friend constexpr bool operator==(SintSet, SintSet) = default;

 private:
  std::uint16_t bits_ = 0;
};

class Synic {
 public:
  /// What a register write asks of the caller.
  enum class WriteEffect : std::uint8_t {
    kFault,           // #GP; nothing changed
    kNone,            // the value is stored
    kMessagePage,     // SIMP changed: show, move or hide the overlay; then deliver()
    kEventFlagsPage,  // SIEFP changed: likewise
    kEventRingPage,   // SIRBP changed: likewise
    kDeliver,         // call deliver(): EOM, SCONTROL, or a SINT that may have been unmasked
  };

  /// The pages are the hypervisor's own, zeroed, and stay for the Synic's life. Where the guest
  /// sees them is the caller's business. Only processors of the root have an event ring page; it is
  /// page 0 for the others.
  Synic(machine::Spn message_page, machine::Spn event_flags_page,
        machine::Spn event_ring_page = machine::Spn());
  Synic(const Synic&) = delete;
  Synic& operator=(const Synic&) = delete;

  /// Registers to their reset values, pages to zero, queued messages dropped.
  void reset();

  /// SCONTROL..SIRBP and SINT0..SINT15.
  [[nodiscard]] static constexpr bool has_msr(std::uint32_t msr) {
    return (msr >= kMsrScontrol && msr <= kMsrSirbp) || (msr >= kMsrSint0 && msr <= kMsrSint15);
  }
  /// `msr` is one of has_msr().
  [[nodiscard]] std::uint64_t read(std::uint32_t msr) const;
  [[nodiscard]] WriteEffect write(std::uint32_t msr, std::uint64_t value);
  /// Where the hypervisor puts the pages of a root's processor: where they lie; enable bits stay
  /// clear.
  void preset_pages();

  [[nodiscard]] SintRegister sint(std::uint32_t index) const { return sints_[index]; }
  [[nodiscard]] OverlayPageRegister simp() const { return simp_; }
  [[nodiscard]] OverlayPageRegister siefp() const { return siefp_; }
  [[nodiscard]] OverlayPageRegister sirbp() const { return sirbp_; }
  [[nodiscard]] machine::Spn message_page() const { return message_page_; }
  [[nodiscard]] machine::Spn event_flags_page() const { return event_flags_page_; }
  [[nodiscard]] bool has_event_rings() const { return event_ring_page_ != machine::Spn(); }

  /// Whether this processor is a target for messages to a SINT: SynIC and message page enabled,
  /// and the SINT not a proxy.
  [[nodiscard]] bool accepts_messages(std::uint32_t sint) const {
    return is_enabled() && simp_.enabled() && !sints_[sint].proxy();
  }
  /// Whether it is a target for event flags of a SINT: SynIC and flags page enabled, and the SINT
  /// neither masked nor a proxy.
  [[nodiscard]] bool accepts_events(std::uint32_t sint) const { return event_targets_.has(sint); }
  /// Likewise for the event ring of a SINT.
  [[nodiscard]] bool accepts_doorbells(std::uint32_t sint) const;

  /// Queues a message for a SINT and delivers as far as that slot allows. The message is complete,
  /// its buffer marked busy and in no queue. `now_100ns` is the partition's reference time.
  [[nodiscard]] SintSet post(std::uint32_t sint, QueuedMessage& message, std::uint64_t now_100ns);
  /// Offers every empty slot the oldest message of its queue: after EOM, EOI, and what write()
  /// says.
  [[nodiscard]] SintSet deliver(std::uint64_t now_100ns);
  /// post() of a message that needs no buffer, because its slot is empty and nothing is queued for
  /// it; nothing: it is not so, and post() is the way. The SINT accepts_messages().
  [[nodiscard]] std::optional<SintSet> post_past_queue(std::uint32_t sint,
                                                       const QueuedMessage& message);
  /// Fills an empty slot that nobody waits for; the message needs no buffer. kInvalidSynicState if
  /// accepts_messages() is false or the SINT is masked; kObjectInUse if the slot is full, which
  /// then has the flag that makes the guest write EOM.
  [[nodiscard]] Status post_at_once(std::uint32_t sint, const QueuedMessage& message,
                                    SintSet& interrupts);
  /// Of `wanted`, those whose slot is empty and for which nothing is queued, if this processor is a
  /// target for messages; the slots of the others have the flag that makes the guest write EOM.
  [[nodiscard]] SintSet free_slots(SintSet wanted) const;
  [[nodiscard]] bool any_queued() const { return queued_ != 0; }
  [[nodiscard]] bool is_queued(std::uint32_t sint) const { return ((queued_ >> sint) & 1) != 0; }

  struct EventOutcome {
    bool newly_set = false;
    SintSet interrupts;
  };
  /// Sets an event flag; kInvalidSynicState, and nothing set, if accepts_events() is false.
  [[nodiscard]] Status signal(std::uint32_t sint, std::uint32_t flag, EventOutcome& outcome) {
    INVARIANT(sint < kSintCount && flag < kEventFlagsPerSint);
    outcome = EventOutcome{};
    if (!accepts_events(sint)) {
      return Status::kInvalidSynicState;
    }
    const machine::Spa word =
        machine::Spa(event_flags_page_) + sint * kEventFlagsAreaBytes + flag / 64 * 8;
    const std::uint64_t bit = 1ull << (flag % 64);
    outcome.newly_set = (machine::fetch_or_u64(word, bit) & bit) == 0;
    if (outcome.newly_set && !sints_[sint].polling()) {
      outcome.interrupts.add(sint);
    }
    return Status::kSuccess;
  }

  /// Puts the id of a doorbell port in the ring of a SINT; kInvalidSynicState if
  /// accepts_doorbells() is false. `put` false: the ring is full.
  [[nodiscard]] Status ring(std::uint32_t sint, PortId port, bool& put, SintSet& interrupts);

  /// A SINT that is to be intercepted has a message in SINT0 for an interrupt (TLFS
  /// HvMessageTypeSynicSintIntercept): what is left are the SINTs that interrupt. What happens
  /// again before that message is in its slot is told once.
  [[nodiscard]] SintSet intercept(SintSet sints) {
    return sints.has_any(intercepting_) ? intercept_some(sints) : sints;
  }

  /// Drops the queued messages of one owner and frees their buffers: a port is deleted, a virtual
  /// processor goes away.
  void drop(const MessageOwner& owner);

 private:
  [[nodiscard]] WriteEffect write_register(std::uint32_t msr, std::uint64_t value);
  [[nodiscard]] SintSet intercept_some(SintSet sints);
  void review_registers();
  [[nodiscard]] WriteEffect write_sint(std::uint32_t sint, std::uint64_t value);
  [[nodiscard]] bool deliver_one(std::uint32_t sint, std::uint64_t now_100ns);
  [[nodiscard]] bool deliver_first(std::uint32_t sint, std::uint64_t now_100ns);
  [[nodiscard]] bool slot_is_free(machine::Spa slot) const;
  [[nodiscard]] bool is_enabled() const { return (scontrol_ & kScontrolEnable) != 0; }
  [[nodiscard]] bool is_open(std::uint32_t sint) const {
    return !sints_[sint].masked() || sints_[sint].polling();
  }
  void prepare_payload(const QueuedMessage& message);
  [[nodiscard]] bool has_more(const QueuedMessage& message) const;
  void fill_slot(machine::Spa slot, const QueuedMessage& message, bool more_pending,
                 std::uint64_t now_100ns) const;
  [[nodiscard]] machine::Spa slot_address(std::uint32_t sint) const {
    return machine::Spa(message_page_) + sint * kMessageSlotBytes;
  }
  [[nodiscard]] QueuedMessage* first(std::uint32_t sint) const {
    return queues_[sint] == nullptr ? nullptr : queues_[sint]->next;
  }
  void append(std::uint32_t sint, QueuedMessage& message);
  void remove_first(std::uint32_t sint);

  machine::Spn message_page_;
  machine::Spn event_flags_page_;
  std::uint64_t scontrol_ = 0;
  OverlayPageRegister simp_;
  OverlayPageRegister siefp_;
  OverlayPageRegister sirbp_;
  std::array<SintRegister, kSintCount> sints_{};
  /// The youngest message of each queue, which leads to the oldest.
  std::array<QueuedMessage*, kSintCount> queues_{};
  std::uint16_t queued_ = 0;
  /// Intercepted SINTs that the message of their own has not told of yet.
  SintSet intercepted_;
  // What follows from the registers: see accepts_events() and intercept().
  SintSet event_targets_;
  SintSet intercepting_;
  machine::Spn event_ring_page_;
  EventRing event_ring_;
  MessageOwner intercept_owner_;
  SynicSintInterceptMessage intercept_payload_;
  QueuedMessage intercept_message_;
};
static_assert(sizeof(Synic) <= 440);

}  // namespace hv
