#include <array>
#include <catch2/catch.hpp>
#include <memory>

#include "tests/support/gpadl_wire.h"
#include "vmbus/gpadl_messages.h"
#include "vmbus/gpadl_table.h"

using namespace vmbus;

namespace {

std::vector<machine::Gpn> pages(std::size_t count) {
  std::vector<machine::Gpn> result;
  for (std::size_t page = 0; page < count; ++page) {
    result.emplace_back(1000 + page * 3);
  }
  return result;
}

std::vector<std::vector<std::byte>> all_messages(std::size_t count) {
  const auto list = pages(count);
  GpadlMessages messages(ChannelId(7), GpadlId(0xE1E10), list);
  std::vector<std::vector<std::byte>> result;
  for (auto message = messages.next(); !message.empty(); message = messages.next()) {
    result.emplace_back(message.begin(), message.end());
  }
  return result;
}

}  // namespace

TEST_CASE("a short list is one message, byte for byte", "[vmbus][gpadl]") {
  const auto messages = all_messages(2);
  REQUIRE(messages.size() == 1);
  const std::vector<std::uint8_t> expected = {
      8,    0,    0, 0, 0,    0,    0,    0,  // GPADL_HEADER
      7,    0,    0, 0, 0x10, 0x1E, 0x0E, 0,  // channel, id
      24,   0,    1, 0,                       // bytes of ranges, ranges
      0,    0x20, 0, 0, 0,    0,    0,    0,  // 8192 bytes from offset 0
      0xE8, 3,    0, 0, 0,    0,    0,    0,  // page 1000
      0xEB, 3,    0, 0, 0,    0,    0,    0,
  };
  REQUIRE(messages[0].size() == expected.size());
  for (std::size_t index = 0; index < expected.size(); ++index) {
    CHECK(static_cast<std::uint8_t>(messages[0][index]) == expected[index]);
  }
}

TEST_CASE("26 pages fit the header, 28 each body", "[vmbus][gpadl]") {
  CHECK(all_messages(1).size() == 1);
  CHECK(all_messages(26).size() == 1);
  CHECK(all_messages(27).size() == 2);
  CHECK(all_messages(54).size() == 2);
  CHECK(all_messages(55).size() == 3);
  // The example of the protocol: a 16 MiB buffer takes one header and 146 bodies.
  CHECK(all_messages(4096).size() == 147);
}

TEST_CASE("no message is longer than a SynIC message's payload", "[vmbus][gpadl]") {
  for (const auto& message : all_messages(8190)) {
    CHECK(message.size() <= kMaxMessageSize);
  }
}

TEST_CASE("what the client generates the server's table assembles, for lists of any length",
          "[vmbus][gpadl]") {
  for (const std::size_t count : {1u, 2u, 25u, 26u, 27u, 28u, 53u, 54u, 55u, 500u, 8189u, 8190u}) {
    CAPTURE(count);
    const auto words = std::make_unique<std::array<std::uint64_t, 9000>>();
    std::array<Gpadl, 2> entries{};
    FixedGpadlStorage storage(*words);
    GpadlTable table(entries, storage);
    GpadlStep step;
    for (const auto& message : all_messages(count)) {
      const std::span<const std::byte> bytes(message);
      if (const auto header = read_object<GpadlHeader>(bytes);
          header && header->header.type == MessageType::kGpadlHeader) {
        step = table.begin(*header, bytes.subspan(sizeof(GpadlHeader)));
      } else {
        const auto body = read_object<GpadlBody>(bytes);
        step = table.add_body(GpadlId(body->gpadl_id), bytes.subspan(sizeof(GpadlBody)));
      }
    }
    REQUIRE(step.progress == GpadlProgress::kComplete);
    const Gpadl& gpadl = *table.find(ChannelId(7), GpadlId(0xE1E10));
    REQUIRE(gpadl.values.size() == count + 1);
    const auto expected = pages(count);
    for (std::size_t page = 0; page < count; ++page) {
      REQUIRE(gpadl.values[page + 1] == expected[page].value());
    }
  }
}
