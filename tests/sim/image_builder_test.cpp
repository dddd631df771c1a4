// What a hypervisor finds in the image of a native kernel: tables that it can walk (SDM vol. 3 4.5)
// and, where a guest stands, the instruction that it executes.
#include "sim/image_builder.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "machine/image.h"
#include "sim/context.h"

namespace {

constexpr std::uint64_t kAddressBits = 0x000F'FFFF'FFFF'F000;

struct Image {
  sim::GuestProgram program;
  sim::Bytes bytes;
  machine::ImageHeader header;

  [[nodiscard]] std::uint64_t word(std::uint64_t address) const {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + (address - header.load_gpa), sizeof value);
    return value;
  }
  /// Nothing: not present.
  [[nodiscard]] std::optional<std::uint64_t> walk(std::uint64_t linear) const {
    std::uint64_t table = header.page_tables_gpa;
    for (unsigned shift = 39;; shift -= 9) {
      const std::uint64_t entry = word(table + ((linear >> shift) & 511) * 8);
      if ((entry & 1) == 0) {
        return std::nullopt;
      }
      const bool is_page = shift == 12 || (entry & 0x80) != 0;
      if (is_page) {
        const std::uint64_t within = (std::uint64_t{1} << shift) - 1;
        return (entry & kAddressBits & ~within) | (linear & within);
      }
      table = entry & kAddressBits;
    }
  }
};

Image make_image() {
  Image image;
  image.program.name = "walked";
  image.program.load_gpa = 0x20'0000;
  image.bytes = sim::build_image(image.program);
  std::memcpy(&image.header, image.bytes.data(), sizeof image.header);
  return image;
}

}  // namespace

TEST_CASE("an image's page tables map memory to its own addresses", "[sim]") {
  const Image image = make_image();
  for (const std::uint64_t address : {0x0ull, 0x20'0123ull, 0xFEE0'00B0ull, 0x7F'FFFF'FFFFull}) {
    CHECK(image.walk(address) == address);
  }
  CHECK(!image.walk(0xFFFF'8000'0000'0000));
  CHECK(!image.walk(0x80'0000'0000));
}

TEST_CASE("an image's page tables show instructions wherever a guest can stand", "[sim]") {
  const Image image = make_image();
  for (const std::uint64_t page :
       {0x4000'0000'0000ull, 0x4000'0012'3000ull, 0x4123'4567'8000ull, 0x7FFF'FFFF'F000ull}) {
    const auto load = image.walk(page | sim::instructions::kLoad32.offset);
    REQUIRE(load);
    CHECK((image.word(*load) & 0xFFFF) == 0x078B);  // mov eax, [rdi]
    const auto store = image.walk(page | sim::instructions::kStore64.offset);
    REQUIRE(store);
    CHECK((image.word(*store) & 0xFF'FFFF) == 0x07'8948);  // mov [rdi], rax
  }
}
