#include "hv/synic/synic.h"

#include <span>

#include "hv/synic/ended_interrupts.h"
#include "hv/tlfs/timers.h"
#include "machine/invariant.h"
#include "machine/vmx_root.h"

namespace hv {

using machine::Spa;

void Synic::reset() {
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    while (queues_[sint].first != nullptr) {
      remove_first(sint);
    }
    sints_[sint] = SintRegister{};
  }
  scontrol_ = 0;
  simp_ = OverlayPageRegister();
  siefp_ = OverlayPageRegister();
  sirbp_ = OverlayPageRegister();
  machine::fill_memory(Spa(message_page_), machine::kPageSize, 0);
  machine::fill_memory(Spa(event_flags_page_), machine::kPageSize, 0);
}

void Synic::preset_pages(machine::Gpn message_page, machine::Gpn event_flags_page) {
  simp_ = OverlayPageRegister(message_page, simp_.enabled());
  siefp_ = OverlayPageRegister(event_flags_page, siefp_.enabled());
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
  // The reset value has vector 0 and guests write back what they read, so a masked SINT may have
  // any vector.
  if (!written.masked() && written.vector() < SintRegister::kMinVector) {
    return WriteEffect::kFault;
  }
  sints_[sint] = written;
  return WriteEffect::kDeliver;
}

bool Synic::accepts_messages() const {
  return (scontrol_ & kScontrolEnable) != 0 && simp_.enabled();
}

bool Synic::accepts_events(std::uint32_t sint) const {
  return (scontrol_ & kScontrolEnable) != 0 && siefp_.enabled() &&
         (!sints_[sint].masked() || sints_[sint].polling());
}

SintSet Synic::post(std::uint32_t sint, QueuedMessage& message, std::uint64_t now_100ns) {
  INVARIANT(sint < kSintCount);
  INVARIANT(message.owner != nullptr && message.owner->is_busy(message.buffer));
  append(sint, message);
  SintSet interrupts;
  if (sints_[sint].masked() && !sints_[sint].polling()) {
    // The message waits until the guest unmasks or asks for it: a full slot must tell it to.
    if (accepts_messages()) {
      static_cast<void>(slot_is_free(slot_address(sint)));
    }
  } else if (deliver_one(sint, now_100ns)) {
    interrupts.add(sint);
  }
  return interrupts;
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
  for (bool more = accepts_messages(); more && slot_is_free(slot_address(sint));) {
    more = deliver_first(sint, now_100ns);
    delivered = true;
  }
  return delivered && !sints_[sint].masked() && !sints_[sint].polling();
}

/// Fills the free slot with the oldest message. True: that one is queued again.
bool Synic::deliver_first(std::uint32_t sint, std::uint64_t now_100ns) {
  QueuedMessage& message = *queues_[sint].first;
  EndedInterrupts* const ended =
      message.of_ended_interrupts ? static_cast<EndedInterrupts*>(message.owner) : nullptr;
  if (ended != nullptr) {
    ended->write_next();
  }
  fill_slot(slot_address(sint), message, message.next != nullptr, now_100ns);
  remove_first(sint);
  // Only after the buffer is free is it certain who posts what comes next.
  if (ended == nullptr || !ended->has_more() || !ended->take(message.buffer)) {
    return false;
  }
  append(sint, message);
  return true;
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
  if (message.stamped_on_delivery) {
    machine::store_u64(payload + offsetof(TimerExpiredPayload, delivery_time_100ns), now_100ns);
  }
  machine::store_u8(slot + offsetof(MessageHeader, payload_size), header.payload_size);
  machine::store_u8(slot + offsetof(MessageHeader, flags),
                    more_pending ? MessageHeader::kMessagePending : 0);
  machine::store_u64(slot + offsetof(MessageHeader, origination), header.origination);
  machine::store_u32(slot, static_cast<std::uint32_t>(header.type));
}

Status Synic::signal(std::uint32_t sint, std::uint32_t flag, EventOutcome& outcome) {
  INVARIANT(sint < kSintCount && flag < kEventFlagsPerSint);
  outcome = EventOutcome{};
  if (!accepts_events(sint)) {
    return Status::kInvalidSynicState;
  }
  const Spa word = Spa(event_flags_page_) + sint * kEventFlagsAreaBytes + flag / 64 * 8;
  const std::uint64_t bit = 1ull << (flag % 64);
  outcome.newly_set = (machine::fetch_or_u64(word, bit) & bit) == 0;
  if (outcome.newly_set && !sints_[sint].polling()) {
    outcome.interrupts.add(sint);
  }
  return Status::kSuccess;
}

void Synic::drop(const MessageOwner& owner) {
  for (std::uint32_t sint = 0; sint < kSintCount; ++sint) {
    Queue kept;
    for (QueuedMessage* message = queues_[sint].first; message != nullptr;) {
      QueuedMessage* const next = message->next;
      message->next = nullptr;
      if (message->owner == &owner) {
        message->owner->set_free(message->buffer);
      } else {
        (kept.first == nullptr ? kept.first : kept.last->next) = message;
        kept.last = message;
      }
      message = next;
    }
    queues_[sint] = kept;
    if (kept.first == nullptr) {
      queued_ = static_cast<std::uint16_t>(queued_ & ~(1u << sint));
    }
  }
}

void Synic::append(std::uint32_t sint, QueuedMessage& message) {
  message.next = nullptr;
  Queue& queue = queues_[sint];
  (queue.first == nullptr ? queue.first : queue.last->next) = &message;
  queue.last = &message;
  queued_ = static_cast<std::uint16_t>(queued_ | (1u << sint));
}

void Synic::remove_first(std::uint32_t sint) {
  Queue& queue = queues_[sint];
  QueuedMessage* const message = queue.first;
  INVARIANT(message != nullptr);
  queue.first = message->next;
  message->next = nullptr;
  if (queue.first == nullptr) {
    queue.last = nullptr;
    queued_ = static_cast<std::uint16_t>(queued_ & ~(1u << sint));
  }
  // From here on the owner may use the buffer again.
  message->owner->set_free(message->buffer);
}

}  // namespace hv
