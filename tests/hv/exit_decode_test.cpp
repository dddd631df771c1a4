// Exit qualifications and event formats as values.
#include "hv/vtx/exit.h"

#include <catch2/catch.hpp>
#include <set>

#include "hv/vtx/capabilities.h"

namespace {

using hv::vtx::AllowedSettings;
using hv::vtx::ControlRegisterAccess;
using hv::vtx::Event;
using hv::vtx::EventType;

}  // namespace

TEST_CASE("an I/O exit tells port, size, direction and form", "[hv][vtx]") {
  using hv::vtx::decode_io;
  using hv::vtx::IoExit;
  CHECK(decode_io(0x03F8'0000) == IoExit{.port = 0x3F8, .size_bytes = 1});
  CHECK(decode_io(0x01F0'0009) == IoExit{.port = 0x1F0, .size_bytes = 2, .in = true});
  CHECK(decode_io(0x0CFC'0003) == IoExit{.port = 0xCFC, .size_bytes = 4});
  CHECK(decode_io(0x01F0'0039) ==
        IoExit{.port = 0x1F0, .size_bytes = 2, .in = true, .string = true, .repeated = true});
}

TEST_CASE("the address size of a string instruction is in its information", "[hv][vtx]") {
  CHECK(hv::vtx::decode_address_mask(0) == 0xFFFF);
  CHECK(hv::vtx::decode_address_mask(1u << 7) == 0xFFFF'FFFF);
  CHECK(hv::vtx::decode_address_mask((2u << 7) | (3u << 15) | 0x7F) == ~0ull);
}

TEST_CASE("a control register exit tells the register on both sides", "[hv][vtx]") {
  using hv::vtx::decode_control_register;
  const auto to_cr8 = decode_control_register(0x908);
  CHECK(to_cr8.control_register == 8);
  CHECK(to_cr8.access == ControlRegisterAccess::kMoveTo);
  CHECK(to_cr8.general_register == 9);
  CHECK(decode_control_register(0x018).access == ControlRegisterAccess::kMoveFrom);
  CHECK(decode_control_register(0x020).access == ControlRegisterAccess::kClts);
  const auto lmsw = decode_control_register(0xABCD'0030);
  CHECK(lmsw.access == ControlRegisterAccess::kLmsw);
  CHECK(lmsw.lmsw_source == 0xABCD);
}

TEST_CASE("an EPT violation is mapped as soon as any right is there", "[hv][vtx]") {
  using hv::vtx::decode_ept_violation;
  const auto unmapped = decode_ept_violation(0x182);
  CHECK(unmapped.write);
  CHECK_FALSE(unmapped.read);
  CHECK_FALSE(unmapped.mapped);
  CHECK(unmapped.linear_address_valid);
  CHECK(unmapped.translated);
  CHECK(decode_ept_violation(0x00A).mapped);
  CHECK(decode_ept_violation(0x014).mapped);
  CHECK(decode_ept_violation(0x024).mapped);
  CHECK(decode_ept_violation(0x004).fetch);
}

TEST_CASE("an event survives its format", "[hv][vtx]") {
  using hv::vtx::decode_event;
  using hv::vtx::encode_event;
  const Event page_fault = hv::vtx::hardware_exception(14, 0x15);
  CHECK(encode_event(page_fault) == 0x8000'0B0E);
  CHECK(decode_event(encode_event(page_fault), 0x15) == page_fault);
  const Event interrupt{.type = EventType::kExternalInterrupt, .vector = 0x30, .valid = true};
  CHECK(encode_event(interrupt) == 0x8000'0030);
  CHECK(decode_event(encode_event(interrupt), 77) == interrupt);
  CHECK(encode_event(Event{}) == 0);
  CHECK_FALSE(decode_event(0x0000'0B0E, 0).valid);
}

TEST_CASE("a control value has what is required, what is wanted and allowed, and what must be",
          "[hv][vtx]") {
  using hv::vtx::control_value;
  const AllowedSettings allowed{.must_be_one = 0b0001, .may_be_one = 0b0111};
  CHECK(control_value(0b0010, 0, allowed) == 0b0011u);
  CHECK(control_value(0b0010, 0b1100, allowed) == 0b0111u);
  CHECK_FALSE(control_value(0b1000, 0, allowed).has_value());
  CHECK(AllowedSettings::from_msr(0x0000'00FF'0000'000F).must_be_one == 0xF);
  CHECK(AllowedSettings::from_msr(0x0000'00FF'0000'000F).may_be_one == 0xFF);
}

TEST_CASE("an event can be injected if an entry with it is legal", "[hv][vtx]") {
  using hv::vtx::can_be_injected;
  using hv::vtx::hardware_exception;
  const auto event = [](EventType type, std::uint8_t vector, std::uint32_t length = 0) {
    return Event{.type = type, .vector = vector, .instruction_length = length, .valid = true};
  };
  CHECK(can_be_injected(event(EventType::kExternalInterrupt, 0xFF)));
  CHECK(can_be_injected(event(EventType::kNmi, 2)));
  CHECK_FALSE(can_be_injected(event(EventType::kNmi, 3)));
  CHECK(can_be_injected(hardware_exception(31)));
  CHECK_FALSE(can_be_injected(hardware_exception(32)));
  CHECK(can_be_injected(hardware_exception(14)));
  CHECK(can_be_injected(hardware_exception(14, 0x7FFF)));
  CHECK_FALSE(can_be_injected(hardware_exception(14, 0x8000)));
  for (std::uint8_t vector = 0; vector < 32; ++vector) {
    const std::set<int> with_code = {8, 10, 11, 12, 13, 14, 17};
    CHECK(can_be_injected(hardware_exception(vector, 0)) == with_code.contains(vector));
  }
  for (const EventType type : {EventType::kExternalInterrupt, EventType::kNmi,
                               EventType::kSoftwareInterrupt, EventType::kSoftwareException}) {
    Event with_code = event(type, 2, 2);
    with_code.has_error_code = true;
    CHECK_FALSE(can_be_injected(with_code));
  }
  for (const EventType type : {EventType::kSoftwareInterrupt, EventType::kSoftwareException,
                               EventType::kPrivilegedSoftwareException}) {
    CHECK_FALSE(can_be_injected(event(type, 3, 0)));
    CHECK(can_be_injected(event(type, 3, 1)));
    CHECK(can_be_injected(event(type, 3, 15)));
    CHECK_FALSE(can_be_injected(event(type, 3, 16)));
  }
  CHECK_FALSE(can_be_injected(event(EventType{1}, 3)));
  CHECK_FALSE(can_be_injected(event(EventType{7}, 3)));
}
