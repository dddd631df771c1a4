// Messages with numbers, and a guest that takes them from its slots, for tests of the SynIC.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "hv/synic/queued_message.h"
#include "hv/synic/synic.h"
#include "tests/support/fake_spa_memory.h"

namespace synic_test {

inline constexpr machine::Spn kMessagePage{100};
inline constexpr machine::Spn kEventPage{101};
inline constexpr std::uint64_t kOrigination = 0x77;

/// Buffers of one owner, each message with a number as its payload.
class MessageSource {
 public:
  static constexpr std::uint32_t kBuffers = 16;

  MessageSource() {
    for (std::uint32_t index = 0; index < kBuffers; ++index) {
      entries_[index].owner = &owner;
      entries_[index].buffer = index;
      entries_[index].header.type = hv::MessageType{5};
      entries_[index].header.payload_size = sizeof(std::uint64_t);
      entries_[index].header.origination = kOrigination;
      entries_[index].payload = payloads_[index].data();
    }
  }
  /// Null when every buffer is under way.
  hv::QueuedMessage* make(std::uint64_t number) {
    for (std::uint32_t index = 0; index < kBuffers; ++index) {
      if (!owner.is_busy(index)) {
        owner.set_busy(index);
        std::memcpy(payloads_[index].data(), &number, sizeof(number));
        return &entries_[index];
      }
    }
    return nullptr;
  }
  hv::MessageOwner owner;

 private:
  std::array<hv::QueuedMessage, kBuffers> entries_{};
  std::array<std::array<std::byte, hv::kMessagePayloadBytes>, kBuffers> payloads_{};
};

inline std::uint64_t slot_address(std::uint32_t sint) {
  return kMessagePage.value() * machine::kPageSize + sint * hv::kMessageSlotBytes;
}

inline hv::Message slot(test_support::FakeSpaMemory& memory, std::uint32_t sint) {
  return memory.get<hv::Message>(slot_address(sint));
}

inline std::uint64_t number_in(const hv::Message& message) {
  std::uint64_t number = 0;
  std::memcpy(&number, message.payload.data(), sizeof(number));
  return number;
}

struct Taken {
  std::uint64_t number = 0;
  bool pending = false;
};

/// What a guest does with a slot: read it, empty it, then look at the flag.
inline std::optional<Taken> take(test_support::FakeSpaMemory& memory, std::uint32_t sint) {
  const hv::Message message = slot(memory, sint);
  if (message.header.type == hv::MessageType::kNone) {
    return std::nullopt;
  }
  memory.set(slot_address(sint), std::uint32_t{0});
  const auto flags = memory.get<std::uint8_t>(slot_address(sint) + 5);
  return Taken{number_in(message), (flags & hv::MessageHeader::kMessagePending) != 0};
}

struct Fixture {
  explicit Fixture(machine::Spn event_ring_page = machine::Spn())
      : synic(kMessagePage, kEventPage, event_ring_page) {
    synic.reset();
    memory.log.clear();
  }
  void enable() {
    static_cast<void>(synic.write(hv::kMsrSimp, 0x5001));
    static_cast<void>(synic.write(hv::kMsrSiefp, 0x6001));
    static_cast<void>(synic.write(hv::kMsrScontrol, 1));
  }
  void unmask(std::uint32_t sint, std::uint64_t bits = 0) {
    static_cast<void>(synic.write(hv::kMsrSint0 + sint, (0x30 + sint) | bits));
  }
  test_support::FakeSpaMemory memory;
  hv::Synic synic;
};

}  // namespace synic_test
