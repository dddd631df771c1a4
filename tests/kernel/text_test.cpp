#include "partitions/kernel/text.h"

#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <string>

using kernel::Hex;
using kernel::HexBytes;
using kernel::TextLine;

TEST_CASE("numbers are written in decimal", "[kernel][text]") {
  TextLine line;
  line << std::uint64_t{0} << " " << std::uint64_t{10} << " "
       << std::numeric_limits<std::uint64_t>::max();
  CHECK(line.view() == "0 10 18446744073709551615");
}

TEST_CASE("hexadecimal numbers have at least the digits that are asked for", "[kernel][text]") {
  TextLine line;
  line << Hex{0} << " " << Hex{0xAB, 4} << " " << Hex{0x123456, 2} << " "
       << Hex{0xFEDCBA9876543210, 1};
  CHECK(line.view() == "0 00ab 123456 fedcba9876543210");
}

TEST_CASE("bytes are written in pairs of digits", "[kernel][text]") {
  const std::array bytes{std::byte{0x00}, std::byte{0x9F}, std::byte{0xFF}};
  TextLine line;
  line << HexBytes{bytes};
  CHECK(line.view() == "009fff");
}

TEST_CASE("what does not fit into a line is cut off", "[kernel][text]") {
  TextLine line;
  line << std::string(TextLine::kCapacity - 1, 'a') << "bc";
  CHECK(line.view() == std::string(TextLine::kCapacity - 1, 'a') + "b");
}
