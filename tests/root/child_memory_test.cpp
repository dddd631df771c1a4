#include "partitions/root/child_memory.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

using machine::Gpa;
using machine::Gpn;
using root::MemoryBlock;

TEST_CASE("what a child names is translated only within its own memory", "[root][memory]") {
  const MemoryBlock block{Gpn(0x1000), 16};
  const std::uint64_t end = 16 * machine::kPageSize;
  CHECK(block.translate(Gpa(0), 1) == Gpa(Gpn(0x1000)));
  CHECK(block.translate(Gpa(0), end) == Gpa(Gpn(0x1000)));
  CHECK(block.translate(Gpa(end - 1), 1).has_value());
  CHECK_FALSE(block.translate(Gpa(end - 1), 2).has_value());
  CHECK_FALSE(block.translate(Gpa(end), 1).has_value());
  CHECK_FALSE(block.translate(Gpa(~0ull), 2).has_value());
  CHECK_FALSE(block.translate(Gpa(1), ~0ull).has_value());
  CHECK(block.translate(Gpn(15)) == Gpn(0x100F));
  CHECK_FALSE(block.translate(Gpn(16)).has_value());
  CHECK_FALSE(block.translate(Gpn(~0ull)).has_value());
}

TEST_CASE("a translated run lies in the block, whatever was asked", "[root][memory]") {
  CHECK(rc::check("any address and size", [](std::uint64_t address, std::uint64_t size) {
    const MemoryBlock block{Gpn(0x1000), 1 + address % 1000};
    const auto result = block.translate(Gpa(address), size);
    if (result) {
      RC_ASSERT(result->value() >= Gpa(block.first).value());
      RC_ASSERT(result->value() + size <= Gpa(block.first + block.page_count).value());
    }
  }));
}
