#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "machine/x86.h"
#include "sim/extended_registers.h"

namespace {

namespace x86 = machine::x86;
using sim::ExtendedRegisters;

using AreaBytes = std::array<std::byte, ExtendedRegisters::kAreaBytes>;
constexpr std::uint64_t kAll = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx;

AreaBytes fresh_area() {
  AreaBytes area{};
  std::memcpy(area.data() + x86::kXsaveMxcsr, &x86::kMxcsrInitial, sizeof x86::kMxcsrInitial);
  return area;
}

std::uint64_t in_use(const AreaBytes& area) {
  std::uint64_t value = 0;
  std::memcpy(&value, area.data() + x86::kXsaveHeader, sizeof value);
  return value;
}

machine::XmmRegisters pattern(std::uint64_t seed) {
  machine::XmmRegisters registers;
  for (std::uint64_t& quadword : registers.quadwords) {
    quadword = seed++;
  }
  return registers;
}

ExtendedRegisters with_all() {
  ExtendedRegisters registers;
  REQUIRE(registers.set_xcr0(kAll));
  return registers;
}

}  // namespace

TEST_CASE("XCR0 takes legal combinations of components alone", "[sim][extended]") {
  ExtendedRegisters registers;
  CHECK(registers.xcr0() == x86::kXcr0X87);
  CHECK(registers.area_bytes_in_use() == 576);
  CHECK_FALSE(registers.set_xcr0(0));
  CHECK_FALSE(registers.set_xcr0(x86::kXcr0Sse));
  CHECK_FALSE(registers.set_xcr0(x86::kXcr0X87 | x86::kXcr0Avx));
  CHECK_FALSE(registers.set_xcr0(kAll | 8));
  CHECK(registers.xcr0() == x86::kXcr0X87);
  CHECK(registers.set_xcr0(kAll));
  CHECK(registers.area_bytes_in_use() == ExtendedRegisters::kAreaBytes);
}

TEST_CASE("what was saved comes back with a restore", "[sim][extended]") {
  ExtendedRegisters registers = with_all();
  registers.set_xmm(pattern(1));
  AreaBytes area = fresh_area();
  registers.save(kAll, area);
  CHECK(in_use(area) == x86::kXcr0Sse);
  ExtendedRegisters other = with_all();
  other.set_xmm(pattern(1000));
  REQUIRE(other.restore(kAll, area));
  CHECK(other.xmm() == pattern(1));
}

TEST_CASE("a component in its initial state is told, not written", "[sim][extended]") {
  const ExtendedRegisters registers = with_all();
  AreaBytes area = fresh_area();
  area[x86::kXsaveXmm0] = std::byte{0x55};
  area[x86::kXsaveHeader] = std::byte{kAll};
  registers.save(kAll, area);
  CHECK(in_use(area) == 0);
  CHECK(area[x86::kXsaveXmm0] == std::byte{0x55});
  ExtendedRegisters other = with_all();
  other.set_xmm(pattern(7));
  REQUIRE(other.restore(kAll, area));
  CHECK(other.xmm() == machine::XmmRegisters{});
}

TEST_CASE("components that XCR0 does not have are neither saved nor restored", "[sim][extended]") {
  ExtendedRegisters registers;
  registers.set_xmm(pattern(1));
  AreaBytes area = fresh_area();
  registers.save(kAll, area);
  CHECK(in_use(area) == 0);
  REQUIRE(registers.restore(kAll, area));
  CHECK(registers.xmm() == pattern(1));
}

TEST_CASE("an area that the processor does not take changes nothing", "[sim][extended]") {
  ExtendedRegisters registers = with_all();
  registers.set_xmm(pattern(1));
  AreaBytes unknown_component = fresh_area();
  unknown_component[x86::kXsaveHeader] = std::byte{8};
  CHECK_FALSE(registers.restore(kAll, unknown_component));
  AreaBytes compacted = fresh_area();
  compacted[x86::kXsaveHeader + 15] = std::byte{0x80};
  CHECK_FALSE(registers.restore(kAll, compacted));
  AreaBytes reserved_mxcsr = fresh_area();
  reserved_mxcsr[x86::kXsaveMxcsr + 2] = std::byte{1};
  CHECK_FALSE(registers.restore(kAll, reserved_mxcsr));
  CHECK(registers.xmm() == pattern(1));
}
