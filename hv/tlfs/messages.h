// Messages and their slots (TLFS "Inter-Partition Communication": HV_MESSAGE).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/synic.h"

namespace hv {

/// Types with bit 31 set are the hypervisor's; others belong to whoever posts them; 0 is no
/// message.
enum class MessageType : std::uint32_t {
  kNone = 0,
  kVmbusChannel = 0x00000001,
  kUnmappedGpa = 0x80000000,
  kGpaIntercept = 0x80000001,
  kTimerExpired = 0x80000010,
  kInvalidVpRegisterValue = 0x80000020,
  kUnrecoverableException = 0x80000021,
  kUnsupportedFeature = 0x80000022,
  kOpaqueIntercept = 0x8000003F,
  kEventLogBufferComplete = 0x80000040,
  kHypercallIntercept = 0x80000050,
  kSynicEventIntercept = 0x80000060,
  kSynicSintIntercept = 0x80000061,
  kSynicSintDeliverable = 0x80000062,
  kAsyncCallCompletion = 0x80000070,
  kX64IoPortIntercept = 0x80010000,
  kX64MsrIntercept = 0x80010001,
  kX64CpuidIntercept = 0x80010002,
  kExceptionIntercept = 0x80010003,
  kX64ApicEoi = 0x80010004,
  kRegisterIntercept = 0x80010006,
  kX64Halt = 0x80010007,
  kX64InterruptionDeliverable = 0x80010008,
  kX64SipiIntercept = 0x80010009,
};
inline constexpr std::uint32_t kHypervisorMessageBit = 1u << 31;

inline constexpr std::size_t kMessagePayloadBytes = 240;
inline constexpr std::size_t kMessageSlotBytes = 256;

struct MessageHeader {
  static constexpr std::uint8_t kMessagePending = 1u << 0;

  MessageType type = MessageType::kNone;
  std::uint8_t payload_size = 0;
  std::uint8_t flags = 0;
  std::uint16_t reserved = 0;
  /// Hypervisor messages: the sender's partition id; port messages: the port id.
  std::uint64_t origination = 0;
};
static_assert(sizeof(MessageHeader) == 16);
static_assert(offsetof(MessageHeader, payload_size) == 4);
static_assert(offsetof(MessageHeader, flags) == 5);
static_assert(offsetof(MessageHeader, origination) == 8);

/// One slot of the message page; slot n of 16 belongs to SINT n.
struct Message {
  MessageHeader header;
  std::array<std::byte, kMessagePayloadBytes> payload{};
};
static_assert(sizeof(Message) == kMessageSlotBytes);
static_assert(offsetof(Message, payload) == 16);
static_assert(sizeof(Message) * kSintCount == 4096);

}  // namespace hv
