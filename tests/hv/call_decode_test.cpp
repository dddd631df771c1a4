// The control word of a hypercall against what its call allows.
#include "hv/hypercall/call_decode.h"

#include <catch2/catch.hpp>

#include "hv/hypercall/call_table.h"

namespace {

using hv::CallCode;
using hv::CallDescription;
using hv::DecodeFailure;
using hv::HypercallControl;

CallDescription simple(std::uint16_t header_bytes) {
  CallDescription call;
  call.code = CallCode::kPostMessage;
  call.header_size_bytes = header_bytes;
  return call;
}

CallDescription rep(std::uint16_t header_bytes, std::uint16_t element_bytes,
                    std::uint16_t output_element_bytes = 0) {
  CallDescription call;
  call.code = CallCode::kGetVpRegisters;
  call.rep = hv::RepKind::kRep;
  call.header_size_bytes = header_bytes;
  call.element_size_bytes = element_bytes;
  call.output_element_size_bytes = output_element_bytes;
  return call;
}

constexpr HypercallControl kSimple(CallCode::kPostMessage);
constexpr HypercallControl kRep(CallCode::kGetVpRegisters);

}  // namespace

TEST_CASE("a bit that the interface reserves makes the input invalid", "[hv][hypercall]") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t value = kSimple.value() | (1ull << bit);
    const bool reserved = (HypercallControl::kReservedBits & (1ull << bit)) != 0;
    const auto decoded = hv::decode_call(HypercallControl(value), simple(16));
    INFO("bit " << bit);
    if (reserved || bit == 31) {
      REQUIRE_FALSE(decoded);
      CHECK(decoded.error() == DecodeFailure::kInvalidInput);
    }
  }
}

TEST_CASE("a simple call has no rep fields and a rep call has more reps than its start",
          "[hv][hypercall]") {
  CHECK(hv::decode_call(kSimple, simple(16)));
  CHECK_FALSE(hv::decode_call(kSimple.with_reps(1), simple(16)));
  CHECK_FALSE(hv::decode_call(kSimple.with_reps(0, 1), simple(16)));
  CHECK_FALSE(hv::decode_call(kRep, rep(16, 8)));
  CHECK_FALSE(hv::decode_call(kRep.with_reps(3, 3), rep(16, 8)));
  CHECK_FALSE(hv::decode_call(kRep.with_reps(3, 4), rep(16, 8)));
  const auto decoded = hv::decode_call(kRep.with_reps(3, 2), rep(16, 8, 16));
  REQUIRE(decoded);
  CHECK(decoded->rep_start == 2);
  CHECK(decoded->input_size_bytes == 16 + 3 * 8);
  CHECK(decoded->output_size_bytes == 3 * 16);
}

TEST_CASE("a variable header is only for calls that have one, and has at most 64 qwords",
          "[hv][hypercall]") {
  CallDescription call = simple(32);
  CHECK_FALSE(hv::decode_call(kSimple.with_variable_header(1), call));
  call.variable_header = hv::VariableHeader::kBanks;
  CHECK(hv::decode_call(kSimple.with_variable_header(0), call));
  const auto most = hv::decode_call(kSimple.with_variable_header(64), call);
  REQUIRE(most);
  CHECK(most->variable_header_bytes == 512);
  CHECK(most->input_size_bytes == 32 + 512);
  CHECK_FALSE(hv::decode_call(kSimple.with_variable_header(65), call));
}

TEST_CASE("a set whose mask is in the variable header has one qword more", "[hv][hypercall]") {
  CallDescription call = simple(56);
  call.variable_header = hv::VariableHeader::kMaskAndBanks;
  const auto most = hv::decode_call(kSimple.with_variable_header(65), call);
  REQUIRE(most);
  CHECK(most->input_size_bytes == 56 + 520);
  CHECK_FALSE(hv::decode_call(kSimple.with_variable_header(66), call));
}

TEST_CASE("a fast call may be any whose blocks fit in the registers", "[hv][hypercall]") {
  const auto failure = [](HypercallControl control, const CallDescription& call,
                          hv::FastOutput output = hv::FastOutput::kAllowed) {
    const auto decoded = hv::decode_call(control.fast(), call, output);
    REQUIRE_FALSE(decoded);
    return decoded.error();
  };
  CHECK(hv::decode_call(kSimple.fast(), simple(0)));
  CHECK(hv::decode_call(kSimple.fast(), simple(112)));
  CHECK(failure(kSimple, simple(120)) == DecodeFailure::kInvalidInput);
  CallDescription answering = simple(24);
  answering.output_size_bytes = 80;
  CHECK(hv::decode_call(kSimple.fast(), answering));
  answering.output_size_bytes = 88;
  CHECK(failure(kSimple, answering) == DecodeFailure::kInvalidInput);
  CHECK(hv::decode_call(kRep.fast().with_reps(4), rep(16, 4, 16)));
  CHECK(failure(kRep.with_reps(5), rep(16, 4, 16)) == DecodeFailure::kInvalidInput);
  CallDescription varying = simple(24);
  varying.variable_header = hv::VariableHeader::kBanks;
  CHECK(hv::decode_call(kSimple.fast().with_variable_header(11), varying));
  CHECK(failure(kSimple.with_variable_header(12), varying) == DecodeFailure::kInvalidInput);
}

TEST_CASE("a fast call that may not answer in registers is an undefined opcode if it would",
          "[hv][hypercall]") {
  CallDescription answering = simple(8);
  answering.output_size_bytes = 8;
  const auto refused = hv::decode_call(kSimple.fast(), answering, hv::FastOutput::kRefused);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == DecodeFailure::kUndefinedOpcode);
  CHECK(hv::decode_call(kSimple.fast(), simple(112), hv::FastOutput::kRefused));
  CHECK(hv::decode_call(kSimple, answering, hv::FastOutput::kRefused));
}

TEST_CASE("parameter blocks are aligned, within a page, and apart", "[hv][hypercall]") {
  hv::DecodedCall call;
  call.input_size_bytes = 64;
  call.output_size_bytes = 16;
  CHECK(hv::blocks_are_placed_well(call, 0x1000, 0x2000));
  CHECK(hv::blocks_are_placed_well(call, 0x1FC0, 0x2000));
  CHECK_FALSE(hv::blocks_are_placed_well(call, 0x1FC8, 0x2000));
  CHECK_FALSE(hv::blocks_are_placed_well(call, 0x1004, 0x2000));
  CHECK_FALSE(hv::blocks_are_placed_well(call, 0x1000, 0x2001));
  CHECK_FALSE(hv::blocks_are_placed_well(call, 0x1000, 0x1038));
  CHECK(hv::blocks_are_placed_well(call, 0x1000, 0x1040));
  CHECK(hv::blocks_are_placed_well(call, 0x1010, 0x1000));
  // At the end of the address space, nothing wraps around.
  CHECK(hv::blocks_are_placed_well(call, 0xFFFF'FFFF'FFFF'FFC0, 0));
  CHECK_FALSE(hv::blocks_are_placed_well(call, 0xFFFF'FFFF'FFFF'FFC0, 0xFFFF'FFFF'FFFF'FFF0));
  // A block that does not exist may be anywhere.
  call.output_size_bytes = 0;
  CHECK(hv::blocks_are_placed_well(call, 0x1000, 0x1003));
}

TEST_CASE("every call of the table has one handler, of its kind, and a name", "[hv][hypercall]") {
  for (const hv::CallEntry& entry : hv::call_table()) {
    INFO(entry.description.name);
    const bool rep_call = entry.description.rep == hv::RepKind::kRep;
    CHECK_FALSE(entry.description.name.empty());
    CHECK((entry.handle != nullptr) == !rep_call);
    CHECK((entry.handle_elements != nullptr) == rep_call);
    CHECK(hv::find_call(static_cast<std::uint16_t>(entry.description.code)) == &entry);
    if (entry.description.fast == hv::FastForm::kAllowed) {
      CHECK(entry.description.header_size_bytes <= hv::kFastInputBytes);
      CHECK(entry.description.output_size_bytes == 0);
    }
  }
  CHECK(hv::find_call(0) == nullptr);
  CHECK(hv::find_call(0xFFFF) == nullptr);
}
