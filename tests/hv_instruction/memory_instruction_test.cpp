// The decoder against encodings that an assembler gave (SDM vol. 2), and against any bytes.
#include "hv/instruction/memory_instruction.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <vector>

namespace {

using hv::CodeSize;
using hv::decode_memory_instruction;
using hv::MemoryInstruction;
using hv::MemoryOperand;
using hv::SegmentOverride;
using Extension = MemoryInstruction::Extension;

constexpr std::uint8_t kNone = MemoryOperand::kNoRegister;

using Bytes = std::vector<std::uint8_t>;

std::optional<MemoryInstruction> decode(const Bytes& bytes, CodeSize code_size = CodeSize::k64) {
  return decode_memory_instruction(std::as_bytes(std::span(bytes)), code_size);
}

struct Move {
  const char* text;
  Bytes bytes;
  bool writes;
  std::uint8_t size_bytes;
  std::uint8_t register_number;
};

struct Address {
  const char* text;
  CodeSize code_size;
  Bytes bytes;
  MemoryOperand operand;
};

struct Immediate {
  const char* text;
  Bytes bytes;
  std::uint8_t size_bytes;
  std::uint64_t value;
};

}  // namespace

TEST_CASE("moves between registers and memory have their direction, size and register",
          "[hv][instruction]") {
  const Move move = GENERATE(values<Move>({
      {"mov [rdi], al", {0x88, 0x07}, true, 1, 0},
      {"mov [rdi], ax", {0x66, 0x89, 0x07}, true, 2, 0},
      {"mov [rdi], eax", {0x89, 0x07}, true, 4, 0},
      {"mov [rdi], rax", {0x48, 0x89, 0x07}, true, 8, 0},
      {"mov al, [rdi]", {0x8A, 0x07}, false, 1, 0},
      {"mov bx, [rdi]", {0x66, 0x8B, 0x1F}, false, 2, 3},
      {"mov edi, [rdi]", {0x8B, 0x3F}, false, 4, 7},
      {"mov r15, [rdi]", {0x4C, 0x8B, 0x3F}, false, 8, 15},
      {"mov r8b, [rdi]", {0x44, 0x8A, 0x07}, false, 1, 8},
      {"mov spl, [rdi]", {0x40, 0x8A, 0x27}, false, 1, 4},
      {"mov [rdi], sil", {0x40, 0x88, 0x37}, true, 1, 6},
      {"mov rax, [rdi], with a useless 66", {0x66, 0x48, 0x8B, 0x07}, false, 8, 0},
      {"mov [0x8877665544332211], rax",
       {0x48, 0xA3, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88},
       true,
       8,
       0},
      {"mov al, [0x8877665544332211]",
       {0xA0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88},
       false,
       1,
       0},
  }));
  INFO(move.text);
  const auto decoded = decode(move.bytes);
  REQUIRE(decoded);
  CHECK(decoded->writes == move.writes);
  CHECK(decoded->size_bytes == move.size_bytes);
  CHECK(decoded->register_bytes == move.size_bytes);
  CHECK(decoded->register_number == move.register_number);
  CHECK(!decoded->high_byte);
  CHECK(!decoded->immediate);
  CHECK(decoded->length == move.bytes.size());
}

TEST_CASE("a memory operand is what its ModRM, SIB and displacement say", "[hv][instruction]") {
  constexpr SegmentOverride kNoSegment = SegmentOverride::kNone;
  const Address address = GENERATE(values<Address>({
      {"[rax]", CodeSize::k64, {0x89, 0x08}, {0, kNone, 1, 8, false, kNoSegment, 0}},
      {"[r15]", CodeSize::k64, {0x41, 0x89, 0x0F}, {15, kNone, 1, 8, false, kNoSegment, 0}},
      {"[rbp-16]", CodeSize::k64, {0x89, 0x4D, 0xF0}, {5, kNone, 1, 8, false, kNoSegment, -16}},
      {"[rbx+0x12345678]",
       CodeSize::k64,
       {0x89, 0x8B, 0x78, 0x56, 0x34, 0x12},
       {3, kNone, 1, 8, false, kNoSegment, 0x1234'5678}},
      {"[rsp]", CodeSize::k64, {0x89, 0x0C, 0x24}, {4, kNone, 1, 8, false, kNoSegment, 0}},
      {"[r12]", CodeSize::k64, {0x41, 0x89, 0x0C, 0x24}, {12, kNone, 1, 8, false, kNoSegment, 0}},
      {"[rax+r12*8]", CodeSize::k64, {0x42, 0x89, 0x0C, 0xE0}, {0, 12, 8, 8, false, kNoSegment, 0}},
      {"[rdx+rcx*4+1]",
       CodeSize::k64,
       {0x89, 0x4C, 0x8A, 0x01},
       {2, 1, 4, 8, false, kNoSegment, 1}},
      {"[rcx*2-1]",
       CodeSize::k64,
       {0x89, 0x0C, 0x4D, 0xFF, 0xFF, 0xFF, 0xFF},
       {kNone, 1, 2, 8, false, kNoSegment, -1}},
      {"[r13+0]", CodeSize::k64, {0x41, 0x89, 0x4D, 0x00}, {13, kNone, 1, 8, false, kNoSegment, 0}},
      {"[-0x11fff50]",
       CodeSize::k64,
       {0x89, 0x0C, 0x25, 0xB0, 0x00, 0xE0, 0xFE},
       {kNone, kNone, 1, 8, false, kNoSegment, -0x11F'FF50}},
      {"[rip+0x10]",
       CodeSize::k64,
       {0x89, 0x0D, 0x10, 0x00, 0x00, 0x00},
       {kNone, kNone, 1, 8, true, kNoSegment, 0x10}},
      {"gs:[rax]",
       CodeSize::k64,
       {0x65, 0x89, 0x08},
       {0, kNone, 1, 8, false, SegmentOverride::kGs, 0}},
      {"[eax]", CodeSize::k64, {0x67, 0x89, 0x08}, {0, kNone, 1, 4, false, kNoSegment, 0}},
      {"[0xfee000b0] of 32-bit code",
       CodeSize::k32,
       {0x89, 0x0D, 0xB0, 0x00, 0xE0, 0xFE},
       {kNone, kNone, 1, 4, false, kNoSegment, -0x11F'FF50}},
      {"fs:[bx+si+2] of 16-bit code",
       CodeSize::k16,
       {0x64, 0x89, 0x48, 0x02},
       {3, 6, 1, 2, false, SegmentOverride::kFs, 2}},
      {"[0x1234] of 16-bit code",
       CodeSize::k16,
       {0x89, 0x0E, 0x34, 0x12},
       {kNone, kNone, 1, 2, false, kNoSegment, 0x1234}},
      {"[bp+0x100] of 16-bit code",
       CodeSize::k16,
       {0x89, 0x8E, 0x00, 0x01},
       {5, kNone, 1, 2, false, kNoSegment, 0x100}},
      {"[edi] of 16-bit code",
       CodeSize::k16,
       {0x67, 0x89, 0x0F},
       {7, kNone, 1, 4, false, kNoSegment, 0}},
  }));
  INFO(address.text);
  const auto decoded = decode(address.bytes, address.code_size);
  REQUIRE(decoded);
  CHECK(decoded->operand == address.operand);
  CHECK(decoded->register_number == 1);
  CHECK(decoded->length == address.bytes.size());
}

TEST_CASE("an immediate is as wide as the store, its sign extended", "[hv][instruction]") {
  const Immediate store = GENERATE(values<Immediate>({
      {"mov byte [rdi], 0x80", {0xC6, 0x07, 0x80}, 1, 0x80},
      {"mov word [rdi], 0x8001", {0x66, 0xC7, 0x07, 0x01, 0x80}, 2, 0x8001},
      {"mov dword [rdi], -2", {0xC7, 0x07, 0xFE, 0xFF, 0xFF, 0xFF}, 4, 0xFFFF'FFFE},
      {"mov qword [rdi], -2", {0x48, 0xC7, 0x07, 0xFE, 0xFF, 0xFF, 0xFF}, 8, ~1ull},
      {"mov dword [rdi+8], 7", {0xC7, 0x47, 0x08, 0x07, 0x00, 0x00, 0x00}, 4, 7},
  }));
  INFO(store.text);
  const auto decoded = decode(store.bytes);
  REQUIRE(decoded);
  CHECK(decoded->writes);
  CHECK(decoded->size_bytes == store.size_bytes);
  CHECK(hv::stored_value(*decoded, 0x1234) == store.value);
  CHECK(decoded->length == store.bytes.size());
}

TEST_CASE("a load fills its register as its instruction says", "[hv][instruction]") {
  constexpr std::uint64_t kBefore = 0x1111'2222'3333'4444;
  constexpr std::uint64_t kMemory = 0x8888'9999'AAAA'BBCC;
  struct Load {
    const char* text;
    Bytes bytes;
    std::uint8_t size_bytes;
    std::uint64_t after;
  };
  const Load load = GENERATE_REF(values<Load>({
      {"mov al, [rdi]", {0x8A, 0x07}, 1, 0x1111'2222'3333'44CC},
      {"mov ah, [rdi]", {0x8A, 0x27}, 1, 0x1111'2222'3333'CC44},
      {"mov ax, [rdi]", {0x66, 0x8B, 0x07}, 2, 0x1111'2222'3333'BBCC},
      {"mov eax, [rdi]", {0x8B, 0x07}, 4, 0xAAAA'BBCC},
      {"mov rax, [rdi]", {0x48, 0x8B, 0x07}, 8, kMemory},
      {"movzx eax, byte [rdi]", {0x0F, 0xB6, 0x07}, 1, 0xCC},
      {"movzx ax, byte [rdi]", {0x66, 0x0F, 0xB6, 0x07}, 1, 0x1111'2222'3333'00CC},
      {"movzx rax, word [rdi]", {0x48, 0x0F, 0xB7, 0x07}, 2, 0xBBCC},
      {"movsx eax, byte [rdi]", {0x0F, 0xBE, 0x07}, 1, 0xFFFF'FFCC},
      {"movsx rax, word [rdi]", {0x48, 0x0F, 0xBF, 0x07}, 2, 0xFFFF'FFFF'FFFF'BBCC},
      {"movsxd rax, dword [rdi]", {0x48, 0x63, 0x07}, 4, 0xFFFF'FFFF'AAAA'BBCC},
  }));
  INFO(load.text);
  const auto decoded = decode(load.bytes);
  REQUIRE(decoded);
  CHECK(!decoded->writes);
  CHECK(decoded->size_bytes == load.size_bytes);
  CHECK(decoded->register_number == 0);
  CHECK(hv::loaded_register(*decoded, kBefore, kMemory) == load.after);
}

TEST_CASE("a store takes the part of the register that its instruction names",
          "[hv][instruction]") {
  constexpr std::uint64_t kRegister = 0x8888'9999'AAAA'BBCC;
  CHECK(hv::stored_value(*decode({0x88, 0x07}), kRegister) == 0xCC);
  CHECK(hv::stored_value(*decode({0x88, 0x27}), kRegister) == 0xBB);
  CHECK(decode({0x88, 0x27})->register_number == 0);
  CHECK(hv::stored_value(*decode({0x66, 0x89, 0x07}), kRegister) == 0xBBCC);
  CHECK(hv::stored_value(*decode({0x89, 0x07}), kRegister) == 0xAAAA'BBCC);
  CHECK(hv::stored_value(*decode({0x48, 0x89, 0x07}), kRegister) == kRegister);
}

TEST_CASE("an effective address is the sum of its parts, cut to the address's size",
          "[hv][instruction]") {
  std::array<std::uint64_t, 16> registers{};
  registers[0] = 0x1'0000'0010;
  registers[1] = 0x20;
  const auto address_of = [&](const Bytes& bytes) {
    return hv::effective_address(decode(bytes)->operand, registers, 0x1000);
  };
  CHECK(address_of({0x89, 0x4C, 0x88, 0xFF}) == 0x1'0000'008F);      // [rax+rcx*4-1]
  CHECK(address_of({0x67, 0x89, 0x4C, 0x88, 0xFF}) == 0x8F);         // [eax+ecx*4-1]
  CHECK(address_of({0x89, 0x0D, 0xF0, 0xFF, 0xFF, 0xFF}) == 0xFF0);  // [rip-16]
}

TEST_CASE("what is no such move is not decoded", "[hv][instruction]") {
  const Bytes bytes = GENERATE(values<Bytes>({
      {},
      {0x89},                                           // ends in the middle
      {0x89, 0x8B, 0x78, 0x56, 0x34},                   // in the displacement
      {0xC7, 0x07, 0x01, 0x02, 0x03},                   // in the immediate
      {0x89, 0xC8},                                     // mov eax, ecx
      {0x8B, 0xC1},                                     // mov eax, ecx
      {0xC7, 0x0F, 0x00, 0x00, 0x00, 0x00},             // C7 /1
      {0xF0, 0x89, 0x07},                               // lock mov
      {0xF3, 0xA4},                                     // rep movsb
      {0x0F, 0xB1, 0x17},                               // cmpxchg
      {0x0F, 0xBA, 0x27, 0x00},                         // bt
      {0x87, 0x07},                                     // xchg
      {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,  // 16 bytes
       0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x89, 0x07},
      {0x48, 0x66, 0x89, 0x07},  // REX not the last prefix
  }));
  CHECK(!decode(bytes));
}

TEST_CASE("REX is one in 64-bit code only", "[hv][instruction]") {
  CHECK(decode({0x48, 0x89, 0x07}));
  CHECK(!decode({0x48, 0x89, 0x07}, CodeSize::k32));  // dec eax
  CHECK(!decode({0x63, 0x07}, CodeSize::k32));        // arpl
}

TEST_CASE("any bytes give an instruction that lies within them, or none", "[hv][instruction]") {
  CHECK(rc::check("any bytes", [] {
    const auto size = *rc::gen::inRange<std::size_t>(0, 20);
    auto bytes = *rc::gen::container<Bytes>(size, rc::gen::arbitrary<std::uint8_t>());
    if (size > 4 && *rc::gen::arbitrary<bool>()) {
      const auto move = *rc::gen::element<std::uint8_t>(0x88, 0x8B, 0xA1, 0xC7, 0x0F, 0x63);
      bytes[*rc::gen::inRange<std::size_t>(0, 3)] = move;
    }
    const auto code_size = *rc::gen::element(CodeSize::k16, CodeSize::k32, CodeSize::k64);
    const auto decoded = decode(bytes, code_size);
    if (!decoded) {
      return;
    }
    RC_ASSERT(decoded->length <= bytes.size());
    RC_ASSERT(decoded->length <= hv::kLongestInstruction);
    RC_ASSERT(decoded->register_number < 16);
    RC_ASSERT(decoded->size_bytes == 1 || decoded->size_bytes == 2 || decoded->size_bytes == 4 ||
              decoded->size_bytes == 8);
    // What follows an instruction does not change it.
    const std::uint8_t length = decoded->length;
    bytes.resize(length);
    RC_ASSERT(decode(bytes, code_size) == decoded);
    bytes.pop_back();
    RC_ASSERT(!decode(bytes, code_size));
  }));
}
