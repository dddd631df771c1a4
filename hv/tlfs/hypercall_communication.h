// Parameters of the communication calls (TLFS "Inter-Partition Communication").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hv/tlfs/hypercall_partition.h"
#include "hv/tlfs/messages.h"
#include "hv/tlfs/partition.h"
#include "hv/tlfs/ports.h"

namespace hv {

struct PostMessageInput {
  ConnectionId connection{};
  std::uint32_t reserved = 0;
  MessageType type{};
  std::uint32_t payload_size = 0;
  std::array<std::byte, kMessagePayloadBytes> payload{};
};
static_assert(sizeof(PostMessageInput) == 256);
static_assert(offsetof(PostMessageInput, type) == 8);
static_assert(offsetof(PostMessageInput, payload_size) == 12);
static_assert(offsetof(PostMessageInput, payload) == 16);

/// Always made as a fast call: these 8 bytes are RDX.
struct SignalEventInput {
  ConnectionId connection{};
  std::uint16_t flag = 0;
  std::uint16_t reserved = 0;
};
static_assert(sizeof(SignalEventInput) == 8);
static_assert(offsetof(SignalEventInput, flag) == 4);

struct CreatePortInput {
  PartitionId port_partition{};
  PortId port{};
  std::uint8_t port_vtl = 0;
  std::uint8_t min_connection_vtl = 0;
  std::uint16_t reserved = 0;
  PartitionId connection_partition{};
  PortInfo info;
  ProximityDomainInfo proximity;
};
static_assert(sizeof(CreatePortInput) == 56);
static_assert(offsetof(CreatePortInput, port) == 8);
static_assert(offsetof(CreatePortInput, connection_partition) == 16);
static_assert(offsetof(CreatePortInput, info) == 24);
static_assert(offsetof(CreatePortInput, proximity) == 48);

struct DeletePortInput {
  PartitionId partition{};
  PortId port{};
  std::uint32_t reserved = 0;
};
static_assert(sizeof(DeletePortInput) == 16);

struct ConnectPortInput {
  PartitionId connection_partition{};
  ConnectionId connection{};
  std::uint8_t connection_vtl = 0;
  std::array<std::uint8_t, 3> reserved0{};
  PartitionId port_partition{};
  PortId port{};
  std::uint32_t reserved1 = 0;
  ConnectionInfo info;
  ProximityDomainInfo proximity;
};
static_assert(sizeof(ConnectPortInput) == 72);
static_assert(offsetof(ConnectPortInput, connection) == 8);
static_assert(offsetof(ConnectPortInput, port_partition) == 16);
static_assert(offsetof(ConnectPortInput, port) == 24);
static_assert(offsetof(ConnectPortInput, info) == 32);
static_assert(offsetof(ConnectPortInput, proximity) == 64);

struct DisconnectPortInput {
  static constexpr std::uint32_t kDoorbell = 1u << 0;
  PartitionId partition{};
  ConnectionId connection{};
  std::uint32_t flags = 0;
};
static_assert(sizeof(DisconnectPortInput) == 16);

struct GetPortPropertyInput {
  PartitionId partition{};
  PortId port{};
  std::uint32_t reserved0 = 0;
  PortProperty property{};
  std::uint32_t reserved1 = 0;
};
static_assert(sizeof(GetPortPropertyInput) == 24);
static_assert(offsetof(GetPortPropertyInput, property) == 16);

struct GetPortPropertyOutput {
  std::uint64_t value = 0;
};
static_assert(sizeof(GetPortPropertyOutput) == 8);

struct SetPortPropertyInput {
  PartitionId partition{};
  PortId port{};
  std::uint32_t reserved0 = 0;
  PortProperty property{};
  std::uint32_t reserved1 = 0;
  std::uint64_t value = 0;
};
static_assert(sizeof(SetPortPropertyInput) == 32);
static_assert(offsetof(SetPortPropertyInput, value) == 24);

struct SignalEventDirectInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t target_vtl = 0;
  std::uint8_t sint = 0;
  std::uint16_t flag = 0;
};
static_assert(sizeof(SignalEventDirectInput) == 16);
static_assert(offsetof(SignalEventDirectInput, sint) == 13);

struct SignalEventDirectOutput {
  std::uint8_t newly_signaled = 0;
  std::array<std::uint8_t, 7> reserved{};
};
static_assert(sizeof(SignalEventDirectOutput) == 8);

/// As shipped code has it; the message is at an odd place for its 8-byte words.
struct PostMessageDirectInput {
  PartitionId partition{};
  VpIndex vp{};
  std::uint8_t target_vtl = 0;
  std::array<std::uint8_t, 3> reserved0{};
  std::uint8_t sint = 0;
  std::array<std::uint8_t, 3> reserved1{};
  /// A Message.
  std::array<std::byte, kMessageSlotBytes> message{};
  std::uint32_t reserved2 = 0;
};
static_assert(sizeof(PostMessageDirectInput) == 280);
static_assert(offsetof(PostMessageDirectInput, sint) == 16);
static_assert(offsetof(PostMessageDirectInput, message) == 20);

struct NotifyPortRingEmptyInput {
  std::uint32_t sint = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(NotifyPortRingEmptyInput) == 8);

}  // namespace hv
