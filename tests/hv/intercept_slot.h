// SINT0's slot, in which a root finds the hypervisor's own messages.
#pragma once

#include <cstring>
#include <span>

#include "hv/tlfs/tlfs.h"
#include "machine/machine.h"
#include "tests/hv/test_kernel.h"

namespace test_kernel {

/// Rests until a message is there, and empties the slot for what may follow.
inline hv::Message take_message() {
  while (machine::load_u32(kMessagePage) == 0) {
    machine::sti_hlt();
  }
  hv::Message message;
  machine::read_memory(kMessagePage, std::as_writable_bytes(std::span(&message, 1)));
  machine::store_u32(kMessagePage, 0);
  machine::fence();
  const std::uint8_t flags = machine::load_u8(kMessagePage + offsetof(hv::MessageHeader, flags));
  if ((flags & hv::MessageHeader::kMessagePending) != 0) {
    machine::write_msr(hv::kMsrEom, 0);
  }
  return message;
}

/// The same of a message of a type, which has this payload.
template <class Payload>
Payload take_payload(hv::MessageType type) {
  const hv::Message message = take_message();
  GUEST_CHECK(message.header.type == type);
  GUEST_CHECK(message.header.payload_size == sizeof(Payload));
  Payload payload;
  std::memcpy(&payload, message.payload.data(), sizeof(payload));
  return payload;
}

}  // namespace test_kernel
