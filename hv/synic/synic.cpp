#include "hv/synic/synic.h"

#include <bit>
#include <span>

#include "hv/synic/ended_interrupts.h"
#include "hv/tlfs/timers.h"
#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

using machine::Spa;

namespace {

constexpr std::uint32_t kInterceptSint = 0;

}  // namespace

Synic::Synic(machine::Spn message_page, machine::Spn event_flags_page, machine::Spn event_ring_page)
    : message_page_(message_page),
      event_flags_page_(event_flags_page),
      event_ring_page_(event_ring_page) {
  intercept_message_.owner = &intercept_owner_;
  intercept_message_.on_delivery = OnDelivery::kSintOfIntercept;
  intercept_message_.header.type = MessageType::kSynicSintIntercept;
  intercept_message_.header.payload_size = sizeof(intercept_payload_);
  intercept_message_.payload = reinterpret_cast<const std::byte*>(&intercept_payload_);
}

void Synic::reset() {
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    while (queues_[sint] != nullptr) {
      remove_first(sint);
    }
    sints_[sint] = SintRegister{};
  }
  intercepted_ = {};
  scontrol_ = 0;
  simp_ = OverlayPageRegister();
  siefp_ = OverlayPageRegister();
  sirbp_ = OverlayPageRegister();
  machine::fill_memory(Spa(message_page_), machine::kPageSize, 0);
  machine::fill_memory(Spa(event_flags_page_), machine::kPageSize, 0);
  if (has_event_rings()) {
    machine::fill_memory(Spa(event_ring_page_), machine::kPageSize, 0);
    event_ring_.reset();
  }
  review_registers();
}

/// After every change of a register.
void Synic::review_registers() {
  event_targets_ = {};
  intercepting_ = {};
  const bool enabled = is_enabled() && siefp_.enabled();
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    if (enabled && is_open(sint) && !sints_[sint].proxy()) {
      event_targets_.add(sint);
    }
    // The SINT that would get the message cannot be intercepted itself.
    if (sints_[sint].as_intercept() && sint != kInterceptSint) {
      intercepting_.add(sint);
    }
  }
}

void Synic::preset_pages() {
  simp_ = OverlayPageRegister(machine::Gpn(message_page_.value()), false);
  siefp_ = OverlayPageRegister(machine::Gpn(event_flags_page_.value()), false);
  sirbp_ = OverlayPageRegister(machine::Gpn(event_ring_page_.value()), false);
  review_registers();
}

std::uint64_t Synic::read(std::uint32_t msr) const {
  switch (msr) {
    case kMsrScontrol:
      return scontrol_;
    case kMsrSversion:
      return kSynicVersion;
    case kMsrSiefp:
      return siefp_.value();
    case kMsrSimp:
      return simp_.value();
    case kMsrEom:
      return 0;
    case kMsrSirbp:
      return sirbp_.value();
    default:
      INVARIANT(msr >= kMsrSint0 && msr <= kMsrSint15);
      return sints_[msr - kMsrSint0].value;
  }
}

Synic::WriteEffect Synic::write(std::uint32_t msr, std::uint64_t value) {
  const WriteEffect effect = write_register(msr, value);
  review_registers();
  return effect;
}

Synic::WriteEffect Synic::write_register(std::uint32_t msr, std::uint64_t value) {
  switch (msr) {
    case kMsrScontrol:
      scontrol_ = value;
      return WriteEffect::kDeliver;
    case kMsrSversion:
      return WriteEffect::kFault;
    case kMsrSiefp:
      siefp_ = OverlayPageRegister(value);
      return WriteEffect::kEventFlagsPage;
    case kMsrSimp:
      simp_ = OverlayPageRegister(value);
      return WriteEffect::kMessagePage;
    case kMsrEom:
      return WriteEffect::kDeliver;
    case kMsrSirbp:
      sirbp_ = OverlayPageRegister(value);
      return WriteEffect::kEventRingPage;
    default:
      INVARIANT(msr >= kMsrSint0 && msr <= kMsrSint15);
      return write_sint(msr - kMsrSint0, value);
  }
}

Synic::WriteEffect Synic::write_sint(std::uint32_t sint, std::uint64_t value) {
  const SintRegister written{value};
  // The reset value has vector 0 and guests write back what they read.
  const bool as_after_reset = written.masked() && written.vector() == 0;
  if (written.vector() < SintRegister::kMinVector && !as_after_reset) {
    return WriteEffect::kFault;
  }
  sints_[sint] = written;
  return WriteEffect::kDeliver;
}

bool Synic::accepts_doorbells(std::uint32_t sint) const {
  return is_enabled() && has_event_rings() && sirbp_.enabled() && is_open(sint) &&
         !sints_[sint].proxy();
}

SintSet Synic::post(std::uint32_t sint, QueuedMessage& message, std::uint64_t now_100ns) {
  INVARIANT(sint < kSintCount);
  INVARIANT(message.owner != nullptr && message.owner->is_busy(message.buffer));
  append(sint, message);
  SintSet interrupts;
  if (!is_open(sint)) {
    // The message waits until the guest unmasks or asks for it: a full slot must tell it to.
    if (is_enabled() && simp_.enabled()) {
      static_cast<void>(slot_is_free(slot_address(sint)));
    }
  } else if (deliver_one(sint, now_100ns)) {
    interrupts.add(sint);
  }
  return interrupts;
}

std::optional<SintSet> Synic::post_past_queue(std::uint32_t sint, const QueuedMessage& message) {
  INVARIANT(accepts_messages(sint) && message.on_delivery == OnDelivery::kNothing);
  if (!is_open(sint) || is_queued(sint) || !slot_is_free(slot_address(sint))) {
    return std::nullopt;
  }
  fill_slot(slot_address(sint), message, false, 0);
  SintSet interrupts;
  if (!sints_[sint].masked() && !sints_[sint].polling()) {
    interrupts.add(sint);
  }
  return interrupts;
}

Status Synic::post_at_once(std::uint32_t sint, const QueuedMessage& message, SintSet& interrupts) {
  INVARIANT(sint < kSintCount && message.on_delivery == OnDelivery::kNothing);
  interrupts = {};
  if (!accepts_messages(sint) || !is_open(sint)) {
    return Status::kInvalidSynicState;
  }
  if (!slot_is_free(slot_address(sint)) || is_queued(sint)) {
    return Status::kObjectInUse;
  }
  fill_slot(slot_address(sint), message, false, 0);
  if (!sints_[sint].polling()) {
    interrupts.add(sint);
  }
  return Status::kSuccess;
}

SintSet Synic::free_slots(SintSet wanted) const {
  SintSet found;
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    if (wanted.has(sint) && accepts_messages(sint) && slot_is_free(slot_address(sint)) &&
        !is_queued(sint)) {
      found.add(sint);
    }
  }
  return found;
}

SintSet Synic::deliver(std::uint64_t now_100ns) {
  SintSet interrupts;
  for (std::uint32_t sint = 0; queued_ >> sint != 0; ++sint) {
    if (is_queued(sint) && deliver_one(sint, now_100ns)) {
      interrupts.add(sint);
    }
  }
  return interrupts;
}

/// Delivers the oldest message of a SINT if its slot is free. Returns whether an interrupt follows.
bool Synic::deliver_one(std::uint32_t sint, std::uint64_t now_100ns) {
  bool delivered = false;
  // What has more to tell is queued again: the slot, full as a rule, gets the flag for that. In a
  // loop, as a guest that empties it at once decides how often.
  for (bool more = is_enabled() && simp_.enabled(); more && slot_is_free(slot_address(sint));) {
    more = deliver_first(sint, now_100ns);
    delivered = true;
  }
  return delivered && !sints_[sint].masked() && !sints_[sint].polling();
}

/// Fills the free slot with the oldest message. True: that one is queued again.
bool Synic::deliver_first(std::uint32_t sint, std::uint64_t now_100ns) {
  QueuedMessage& message = *first(sint);
  prepare_payload(message);
  fill_slot(slot_address(sint), message, message.next != &message, now_100ns);
  remove_first(sint);
  // Only after the buffer is free is it certain who posts what comes next.
  if (!has_more(message) || !message.owner->take(message.buffer)) {
    return false;
  }
  append(sint, message);
  return true;
}

/// Some messages say only now what they are about.
void Synic::prepare_payload(const QueuedMessage& message) {
  if (message.on_delivery == OnDelivery::kEndedInterrupt) {
    static_cast<EndedInterrupts*>(message.owner)->write_next();
  } else if (message.on_delivery == OnDelivery::kSintOfIntercept) {
    intercept_payload_.sint = static_cast<std::uint32_t>(std::countr_zero(intercepted_.bits()));
    intercepted_.remove(intercept_payload_.sint);
  }
}

bool Synic::has_more(const QueuedMessage& message) const {
  if (message.on_delivery == OnDelivery::kEndedInterrupt) {
    return static_cast<EndedInterrupts*>(message.owner)->has_more();
  }
  return message.on_delivery == OnDelivery::kSintOfIntercept && !intercepted_.empty();
}

/// A slot that the guest has not emptied gets the flag that makes the guest write EOM. The guest
/// may empty it just before the flag is set, and then sees no flag: so look again.
bool Synic::slot_is_free(Spa slot) const {
  if (machine::load_u32(slot) == 0) {
    return true;
  }
  // The locked operation is also the fence between setting the flag and looking again.
  machine::fetch_or_u8(slot + offsetof(MessageHeader, flags), MessageHeader::kMessagePending);
  return machine::load_u32(slot) == 0;
}

/// The type is what tells the guest that a message is there: it goes last.
void Synic::fill_slot(Spa slot, const QueuedMessage& message, bool more_pending,
                      std::uint64_t now_100ns) const {
  const MessageHeader& header = message.header;
  INVARIANT(header.type != MessageType::kNone && header.payload_size <= kMessagePayloadBytes);
  const Spa payload = slot + offsetof(Message, payload);
  machine::write_memory(payload, std::span(message.payload, header.payload_size));
  if (message.on_delivery == OnDelivery::kTime) {
    machine::store_u64(payload + offsetof(TimerExpiredPayload, delivery_time_100ns), now_100ns);
  }
  machine::store_u8(slot + offsetof(MessageHeader, payload_size), header.payload_size);
  machine::store_u8(slot + offsetof(MessageHeader, flags),
                    more_pending ? MessageHeader::kMessagePending : 0);
  machine::store_u64(slot + offsetof(MessageHeader, origination), header.origination);
  machine::store_u32(slot, static_cast<std::uint32_t>(header.type));
}

Status Synic::ring(std::uint32_t sint, PortId port, bool& put, SintSet& interrupts) {
  INVARIANT(sint < kSintCount);
  put = false;
  interrupts = {};
  if (!accepts_doorbells(sint)) {
    return Status::kInvalidSynicState;
  }
  const EventRing::Outcome outcome = event_ring_.put(event_ring_page_, sint, port);
  put = outcome.put;
  if (outcome.interrupt && !sints_[sint].polling()) {
    interrupts.add(sint);
  }
  return Status::kSuccess;
}

SintSet Synic::intercept_some(SintSet sints) {
  SintSet left = sints;
  for (std::uint32_t sint = 0; sints.bits() >> sint != 0; ++sint) {
    if (!sints.has(sint) || !intercepting_.has(sint)) {
      continue;
    }
    left.remove(sint);
    intercepted_.add(sint);
    if (intercept_owner_.take(intercept_message_.buffer)) {
      // The time does not matter: no timer posts to this SINT.
      left.add(post(kInterceptSint, intercept_message_, 0));
    }
  }
  return left;
}

void Synic::drop(const MessageOwner& owner) {
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    QueuedMessage* const youngest = queues_[sint];
    if (youngest == nullptr) {
      continue;
    }
    QueuedMessage* message = youngest->next;
    queues_[sint] = nullptr;
    for (bool last = false; !last;) {
      QueuedMessage* const next = message->next;
      last = message == youngest;
      if (message->owner == &owner) {
        message->next = nullptr;
        message->owner->set_free(message->buffer);
      } else {
        append(sint, *message);
      }
      message = next;
    }
    if (queues_[sint] == nullptr) {
      queued_ = static_cast<std::uint16_t>(queued_ & ~(1u << sint));
    }
  }
}

void Synic::append(std::uint32_t sint, QueuedMessage& message) {
  QueuedMessage*& youngest = queues_[sint];
  message.next = youngest == nullptr ? &message : youngest->next;
  if (youngest != nullptr) {
    youngest->next = &message;
  }
  youngest = &message;
  queued_ = static_cast<std::uint16_t>(queued_ | (1u << sint));
}

void Synic::remove_first(std::uint32_t sint) {
  QueuedMessage*& youngest = queues_[sint];
  INVARIANT(youngest != nullptr);
  QueuedMessage* const message = youngest->next;
  if (message == youngest) {
    youngest = nullptr;
    queued_ = static_cast<std::uint16_t>(queued_ & ~(1u << sint));
  } else {
    youngest->next = message->next;
  }
  message->next = nullptr;
  // From here on the owner may use the buffer again.
  message->owner->set_free(message->buffer);
}

}  // namespace hv
