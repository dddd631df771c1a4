// A child's side of the bus by hand: posts what it is told to and looks into the SynIC pages
// itself, so that a test sees each message, where it came and when. Interrupts stay disabled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "hv/tlfs/messages.h"
#include "hv/tlfs/msr.h"
#include "hv/tlfs/synic.h"
#include "machine/guest.h"
#include "partitions/kernel/guest_memory.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/root_services.h"
#include "partitions/kernel/vectors.h"
#include "tests/support/gpadl_wire.h"
#include "vmbus/protocol/bytes.h"
#include "vmbus/protocol/messages.h"
#include "vmbus/vmbus.h"

namespace partitions_test {

class BareKernel final : public kernel::Kernel {
 public:
  explicit BareKernel(std::span<std::byte> heap) : Kernel(heap, kernel::OverlayPages::kOwn) {}
};

[[noreturn]] inline void sleep_for_ever() {
  while (true) {
    machine::disable_interrupts();
    machine::sti_hlt();
  }
}

inline void say_done(kernel::Verdict verdict = kernel::Verdict::kPassed) {
  const auto done = kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                                         std::as_bytes(std::span(&verdict, 1)));
  while (kernel::try_post(done) == hv::Status::kInsufficientBuffers) {
    machine::spend(10'000);
  }
}

class RawBus {
 public:
  struct Arrived {
    vmbus::MessageType type = vmbus::MessageType::kInvalid;
    std::vector<std::byte> bytes;
    template <class T>
    [[nodiscard]] T as() const {
      return vmbus::read_object<T>(bytes).value_or(T{});
    }
  };

  RawBus()
      : messages_(hv::OverlayPageRegister(machine::read_msr(hv::kMsrSimp)).page()),
        events_(hv::OverlayPageRegister(machine::read_msr(hv::kMsrSiefp)).page()) {
    use_sint(vmbus::kVmbusSint);
  }

  /// Messages and flags are taken by it from now on.
  static void use_sint(std::uint32_t sint) {
    machine::write_msr(hv::kMsrSint0 + sint, kernel::kVectorSint + sint);
  }

  template <class T>
  void say(const T& message) {
    post(vmbus::bytes_of(message));
  }
  void say_bare(vmbus::MessageType type) { say(vmbus::EmptyMessage{{type, 0}}); }
  void post(std::span<const std::byte> message) {
    const auto input = kernel::make_message(hv::ConnectionId(vmbus::kMessageConnectionVersion5),
                                            hv::MessageType{vmbus::kVmbusMessageType}, message);
    while (kernel::try_post(input) == hv::Status::kInsufficientBuffers) {
      machine::spend(1'000);
    }
  }
  void contact(std::uint32_t version, std::uint32_t target_vp = 0, std::uint32_t features = 0) {
    vmbus::InitiateContact message;
    message.version = version;
    message.target_vp = target_vp;
    message.interrupt_page_or_target = vmbus::kVmbusSint | std::uint64_t{features} << 32;
    say(message);
  }
  /// Lends whole pages from `first` on, or that page so many times.
  void lend(std::uint32_t channel, std::uint32_t id, std::size_t pages, std::uint64_t first,
            bool same_page = false) {
    constexpr std::size_t kInHeader = (vmbus::kMaxMessageSize - sizeof(vmbus::GpadlHeader)) / 8;
    constexpr std::size_t kInBody = (vmbus::kMaxMessageSize - sizeof(vmbus::GpadlBody)) / 8;
    auto words = gpadl_wire::whole_pages(pages, first);
    if (same_page) {
      std::fill(words.begin() + 1, words.end(), first);
    }
    std::span<const std::uint64_t> rest(words);
    const std::size_t head = std::min(rest.size(), kInHeader);
    post(gpadl_wire::message(gpadl_wire::header(channel, id, words.size()), rest.first(head)));
    for (rest = rest.subspan(head); !rest.empty();) {
      vmbus::GpadlBody body;
      body.gpadl_id = id;
      const std::size_t count = std::min(rest.size(), kInBody);
      post(gpadl_wire::message(body, rest.first(count)));
      rest = rest.subspan(count);
    }
  }

  /// Lets the root do all that it has to do by now.
  void wait() const {
    for (int turn = 0; turn < 2'000; ++turn) {
      machine::spend(5'000);
      machine::pause();
    }
  }
  /// The next message; nothing if none comes for long.
  [[nodiscard]] std::optional<Arrived> take(std::uint32_t sint = vmbus::kVmbusSint) const {
    const machine::Gpa slot = messages_ + sint * hv::kMessageSlotBytes;
    for (int turn = 0; turn < 2'000 && machine::load_u32(slot) == 0; ++turn) {
      machine::spend(5'000);
      machine::pause();
    }
    const std::uint32_t type = machine::load_u32(slot);
    if (type == 0) {
      return std::nullopt;
    }
    const auto message = kernel::read_object<hv::Message>(slot);
    machine::compare_exchange_u32(slot, type, 0);
    machine::fence();
    if ((machine::load_u8(slot + offsetof(hv::MessageHeader, flags)) &
         hv::MessageHeader::kMessagePending) != 0) {
      machine::write_msr(hv::kMsrEom, 0);
    }
    const auto payload =
        std::as_bytes(std::span(message.payload)).first(message.header.payload_size);
    return Arrived{vmbus::read_object<vmbus::MessageHeader>(payload)->type,
                   {payload.begin(), payload.end()}};
  }
  /// The types of all that come.
  [[nodiscard]] std::vector<vmbus::MessageType> take_types() const {
    std::vector<vmbus::MessageType> types;
    while (const auto message = take()) {
      types.push_back(message->type);
    }
    return types;
  }
  /// Whether the flag of the bus's SINT was set; it is clear now.
  [[nodiscard]] bool take_flag(std::uint32_t flag) const {
    const machine::Gpa word =
        events_ + vmbus::kVmbusSint * hv::kEventFlagsAreaBytes + flag / 64 * 8;
    const std::uint64_t bit = std::uint64_t{1} << flag % 64;
    const bool set = (machine::load_u64(word) & bit) != 0;
    machine::fetch_and_u64(word, ~bit);
    return set;
  }

 private:
  machine::Gpa messages_;
  machine::Gpa events_;
};

}  // namespace partitions_test
