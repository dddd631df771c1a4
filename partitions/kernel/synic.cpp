#include "partitions/kernel/synic.h"

#include <bit>

#include "hv/tlfs/msr.h"
#include "machine/guest.h"
#include "machine/invariant.h"
#include "partitions/kernel/guest_memory.h"
#include "partitions/kernel/vectors.h"

namespace kernel {

namespace {

constexpr std::uint32_t kFlagsPerWord = 64;

}  // namespace

Synic::Synic(Executor& executor)
    : Work([](Work& work) { static_cast<Synic&>(work).scan(); }), executor_(executor) {}

void Synic::enable(machine::Gpn message_page, machine::Gpn event_page) {
  message_page_ = machine::Gpa(message_page);
  event_page_ = machine::Gpa(event_page);
  machine::write_msr(hv::kMsrSimp, hv::OverlayPageRegister(message_page, true).value());
  machine::write_msr(hv::kMsrSiefp, hv::OverlayPageRegister(event_page, true).value());
  machine::write_msr(hv::kMsrScontrol, hv::kScontrolEnable);
}

void Synic::enable_where_preset() {
  const hv::OverlayPageRegister messages(machine::read_msr(hv::kMsrSimp));
  const hv::OverlayPageRegister events(machine::read_msr(hv::kMsrSiefp));
  enable(messages.page(), events.page());
}

void Synic::attach(std::uint32_t sint, SintReceiver& receiver) {
  INVARIANT(sint < hv::kSintCount && attached_count_ < attached_.size());
  attached_[attached_count_++] = {&receiver, sint};
  machine::write_msr(hv::kMsrSint0 + sint, kVectorSint + sint);
}

void Synic::scan() {
  for (std::size_t index = 0; index < attached_count_; ++index) {
    take_events(attached_[index]);
    take_messages(attached_[index]);
  }
}

void Synic::take_messages(const Attached& attached) {
  const machine::Gpa slot = message_page_ + attached.sint * hv::kMessageSlotBytes;
  while (true) {
    const std::uint32_t type = machine::load_u32(slot);
    if (type == 0) {
      return;
    }
    auto message = read_object<hv::Message>(slot);
    message.header.type = static_cast<hv::MessageType>(type);
    // The hypervisor writes "pending" into an occupied slot at any time until the type is 0; only
    // after the fence is what the flags say the last word.
    machine::compare_exchange_u32(slot, type, 0);
    machine::fence();
    const std::uint8_t flags = machine::load_u8(slot + offsetof(hv::MessageHeader, flags));
    if ((flags & hv::MessageHeader::kMessagePending) != 0) {
      machine::write_msr(hv::kMsrEom, 0);
    }
    attached.receiver->message_arrived(message);
  }
}

void Synic::take_events(const Attached& attached) {
  const machine::Gpa area = event_page_ + attached.sint * hv::kEventFlagsAreaBytes;
  const std::uint32_t limit = attached.receiver->event_flag_limit();
  INVARIANT(limit <= hv::kEventFlagsPerSint);
  for (std::uint32_t base = 0; base < limit; base += kFlagsPerWord) {
    const machine::Gpa word = area + base / 8;
    if (machine::load_u64(word) == 0) {
      continue;
    }
    std::uint64_t flags = machine::fetch_and_u64(word, 0);
    while (flags != 0) {
      const auto bit = static_cast<std::uint32_t>(std::countr_zero(flags));
      flags &= flags - 1;
      attached.receiver->event_flag_set(base + bit);
    }
  }
}

}  // namespace kernel
