// Ports, connections and SINTs for the rows about communication.
#pragma once

#include <cstdint>

#include "tests/hv/test_kernel.h"
#include "tests/interface/call_case.h"

namespace interface_test {

inline constexpr std::uint32_t kUsedSint = 3;
inline constexpr hv::PortId kPort{0x21};
inline constexpr hv::ConnectionId kConnection{0x31};

/// Opens a SINT of the caller's own processor.
inline void open_sint(std::uint32_t sint, std::uint64_t bits = 0) {
  machine::write_msr(hv::kMsrSint0 + sint, (0x40 + sint) | bits);
}

[[nodiscard]] inline hv::CreatePortInput port_input(hv::PartitionId owner, hv::PartitionId sender,
                                                    const hv::PortInfo& info,
                                                    hv::PortId id = kPort) {
  hv::CreatePortInput input;
  input.port_partition = owner;
  input.connection_partition = sender;
  input.port = id;
  input.info = info;
  return input;
}

[[nodiscard]] inline hv::ConnectPortInput connect_input(hv::PartitionId sender,
                                                        hv::PartitionId owner, hv::PortType type,
                                                        hv::ConnectionId id = kConnection,
                                                        hv::PortId port = kPort) {
  hv::ConnectPortInput input;
  input.connection_partition = sender;
  input.connection = id;
  input.port_partition = owner;
  input.port = port;
  input.info.type = type;
  return input;
}

template <class Input>
[[nodiscard]] hv::Status try_call(hv::CallCode code, const Input& input) {
  return test_kernel::call(hv::HypercallControl(code), input).status();
}

[[nodiscard]] inline hv::Status create_port(const hv::CreatePortInput& input) {
  return try_call(hv::CallCode::kCreatePort, input);
}
[[nodiscard]] inline hv::Status connect_port(const hv::ConnectPortInput& input) {
  return try_call(hv::CallCode::kConnectPort, input);
}
[[nodiscard]] inline hv::Status delete_port(hv::PartitionId owner, hv::PortId id = kPort) {
  return try_call(hv::CallCode::kDeletePort, hv::DeletePortInput{owner, id, 0});
}
[[nodiscard]] inline hv::Status disconnect_port(hv::PartitionId owner,
                                                hv::ConnectionId id = kConnection,
                                                std::uint32_t flags = 0) {
  return try_call(hv::CallCode::kDisconnectPort, hv::DisconnectPortInput{owner, id, flags});
}

/// A port of `owner` and the connection of `sender` to it.
inline void make_path(hv::PartitionId owner, hv::PartitionId sender, const hv::PortInfo& info) {
  GUEST_CHECK(create_port(port_input(owner, sender, info)) == hv::Status::kSuccess);
  GUEST_CHECK(connect_port(connect_input(sender, owner, info.type)) == hv::Status::kSuccess);
}

[[nodiscard]] inline hv::Status post(std::uint32_t number,
                                     hv::ConnectionId connection = kConnection) {
  hv::PostMessageInput input;
  input.connection = connection;
  input.type = hv::MessageType{7};
  input.payload_size = 4;
  input.payload[0] = static_cast<std::byte>(number);
  return try_call(hv::CallCode::kPostMessage, input);
}
[[nodiscard]] inline hv::Status signal(std::uint16_t flag,
                                       hv::ConnectionId connection = kConnection) {
  return try_call(hv::CallCode::kSignalEvent, hv::SignalEventInput{connection, flag, 0});
}

[[nodiscard]] inline hv::Message slot(std::uint32_t sint) {
  hv::Message message;
  machine::read_memory(test_kernel::kMessagePage + sint * hv::kMessageSlotBytes,
                       std::as_writable_bytes(std::span(&message, 1)));
  return message;
}
/// Takes the message of a slot and writes EOM; its first payload byte, or ~0 for an empty slot.
inline std::uint32_t take_number(std::uint32_t sint) {
  const hv::Message message = slot(sint);
  if (message.header.type == hv::MessageType::kNone) {
    return ~0u;
  }
  machine::store_u32(test_kernel::kMessagePage + sint * hv::kMessageSlotBytes, 0);
  machine::fence();
  machine::write_msr(hv::kMsrEom, 0);
  return static_cast<std::uint32_t>(message.payload[0]);
}
[[nodiscard]] inline bool flag_is_set(std::uint32_t sint, std::uint32_t flag) {
  const std::uint8_t byte =
      machine::load_u8(test_kernel::kEventFlagsPage + sint * hv::kEventFlagsAreaBytes + flag / 8);
  return ((byte >> (flag % 8)) & 1) != 0;
}

}  // namespace interface_test
