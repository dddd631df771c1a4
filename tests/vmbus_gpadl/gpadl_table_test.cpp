#include <array>
#include <catch2/catch.hpp>

#include "tests/support/gpadl_wire.h"
#include "vmbus/gpadl_table.h"

using namespace vmbus;
using gpadl_wire::header;
using gpadl_wire::range_head;
using gpadl_wire::whole_pages;
using gpadl_wire::words_as_bytes;

namespace {

struct Fixture {
  std::array<std::uint64_t, 20000> words{};
  std::array<Gpadl, 4> entries{};
  FixedGpadlStorage storage{words};
  GpadlTable table{entries, storage};
};

}  // namespace

TEST_CASE("a GPADL that fits one message is complete at once", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(8);
  const GpadlStep step = f.table.begin(header(3, 50, words.size()), words_as_bytes(words));
  CHECK(step.progress == GpadlProgress::kComplete);
  CHECK(step.channel == ChannelId(3));
  CHECK(step.id == GpadlId(50));
  const Gpadl* const gpadl = f.table.find(ChannelId(3), GpadlId(50));
  REQUIRE(gpadl != nullptr);
  CHECK(gpadl->state == GpadlState::kOffered);
  CHECK(std::ranges::equal(gpadl->values, words));
}

TEST_CASE("the longest GPADL arrives in one header and 292 bodies", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(8190);
  std::span<const std::uint64_t> rest(words);
  REQUIRE(f.table.begin(header(1, 9, words.size()), words_as_bytes(rest.first(27))).progress ==
          GpadlProgress::kInProgress);
  rest = rest.subspan(27);
  int bodies = 0;
  GpadlStep step;
  while (!rest.empty()) {
    const std::size_t part = std::min<std::size_t>(28, rest.size());
    step = f.table.add_body(GpadlId(9), words_as_bytes(rest.first(part)));
    rest = rest.subspan(part);
    ++bodies;
    REQUIRE(step.progress ==
            (rest.empty() ? GpadlProgress::kComplete : GpadlProgress::kInProgress));
  }
  CHECK(bodies == 292);
  CHECK(std::ranges::equal(f.table.find(ChannelId(1), GpadlId(9))->values, words));
}

TEST_CASE("a body may begin anywhere in the ranges", "[vmbus][gpadl]") {
  Fixture f;
  const std::vector<std::uint64_t> words = {range_head(8192), 1, 2, range_head(4096), 3};
  const std::span<const std::uint64_t> all(words);
  REQUIRE(f.table.begin(header(1, 9, 5, 2), {}).progress == GpadlProgress::kInProgress);
  REQUIRE(f.table.add_body(GpadlId(9), words_as_bytes(all.first(2))).progress ==
          GpadlProgress::kInProgress);
  REQUIRE(f.table.add_body(GpadlId(9), words_as_bytes(all.subspan(2, 2))).progress ==
          GpadlProgress::kInProgress);
  REQUIRE(f.table.add_body(GpadlId(9), words_as_bytes(all.subspan(4))).progress ==
          GpadlProgress::kComplete);
}

TEST_CASE("several GPADLs may be in progress, told apart by their ids", "[vmbus][gpadl]") {
  Fixture f;
  const auto first = whole_pages(2, 100);
  const auto second = whole_pages(2, 200);
  REQUIRE(f.table.begin(header(1, 5, 3), {}).progress == GpadlProgress::kInProgress);
  REQUIRE(f.table.begin(header(2, 6, 3), {}).progress == GpadlProgress::kInProgress);
  CHECK(f.table.add_body(GpadlId(6), words_as_bytes(second)).progress == GpadlProgress::kComplete);
  CHECK(f.table.add_body(GpadlId(5), words_as_bytes(first)).channel == ChannelId(1));
  CHECK(f.table.find(ChannelId(1), GpadlId(5))->values[1] == 100);
  CHECK(f.table.find(ChannelId(2), GpadlId(6))->values[1] == 200);
}

TEST_CASE("a second GPADL with the id of one that is in progress is refused", "[vmbus][gpadl]") {
  Fixture f;
  REQUIRE(f.table.begin(header(1, 5, 3), {}).progress == GpadlProgress::kInProgress);
  // On another channel too: bodies carry the id alone.
  CHECK(f.table.begin(header(2, 5, 3), {}).progress == GpadlProgress::kFailed);
  CHECK(f.table.begin(header(1, 5, 3), {}).progress == GpadlProgress::kFailed);
  CHECK(f.table.count() == 1);
}

TEST_CASE("an id in use on its channel is refused, on another it is not", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(1);
  REQUIRE(f.table.begin(header(1, 5, 2), words_as_bytes(words)).progress ==
          GpadlProgress::kComplete);
  CHECK(f.table.begin(header(1, 5, 2), words_as_bytes(words)).progress == GpadlProgress::kFailed);
  CHECK(f.table.begin(header(2, 5, 2), words_as_bytes(words)).progress == GpadlProgress::kComplete);
}

TEST_CASE("a body for an id that is not in progress changes nothing", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(1);
  CHECK(f.table.add_body(GpadlId(5), words_as_bytes(words)).progress == GpadlProgress::kUnknown);
  REQUIRE(f.table.begin(header(1, 5, 2), words_as_bytes(words)).progress ==
          GpadlProgress::kComplete);
  CHECK(f.table.add_body(GpadlId(5), words_as_bytes(words)).progress == GpadlProgress::kUnknown);
  CHECK(f.table.count() == 1);
}

TEST_CASE("more than was announced forgets the GPADL", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(4);
  CHECK(f.table.begin(header(1, 5, 4), words_as_bytes(words)).progress == GpadlProgress::kFailed);
  REQUIRE(f.table.begin(header(1, 6, 5), {}).progress == GpadlProgress::kInProgress);
  const auto longer = whole_pages(5);
  const GpadlStep step = f.table.add_body(GpadlId(6), words_as_bytes(longer));
  CHECK(step.progress == GpadlProgress::kFailed);
  CHECK(step.channel == ChannelId(1));  // so that the client can be told
  CHECK(f.table.count() == 0);
  CHECK(f.storage.used_words() == 0);
}

TEST_CASE("malformed ranges fail when they are complete, and leave nothing", "[vmbus][gpadl]") {
  const std::vector<std::vector<std::uint64_t>> rows = {
      {range_head(8192), 1},
      {range_head(4096), 1, 2},
      {range_head(0), 1},
      {range_head(8, 4096), 1},
  };
  for (const auto& words : rows) {
    Fixture f;
    CHECK(f.table.begin(header(1, 5, words.size()), words_as_bytes(words)).progress ==
          GpadlProgress::kFailed);
    CHECK(f.table.count() == 0);
    CHECK(f.storage.used_words() == 0);
  }
}

TEST_CASE("a header that makes no sense is refused", "[vmbus][gpadl]") {
  Fixture f;
  GpadlHeader no_ranges = header(1, 5, 2, 0);
  CHECK(f.table.begin(no_ranges, {}).progress == GpadlProgress::kFailed);
  GpadlHeader no_bytes = header(1, 5, 0);
  CHECK(f.table.begin(no_bytes, {}).progress == GpadlProgress::kFailed);
  GpadlHeader odd = header(1, 5, 2);
  odd.range_bytes = 17;
  CHECK(f.table.begin(odd, {}).progress == GpadlProgress::kFailed);
  CHECK(f.storage.used_words() == 0);
}

TEST_CASE("bytes that do not fill a word are ignored", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(1);
  std::vector<std::byte> bytes(21);
  copy_bytes(bytes, words_as_bytes(words));
  CHECK(f.table.begin(header(1, 5, 2), bytes).progress == GpadlProgress::kComplete);
}

TEST_CASE("a table that is full, or storage that is, refuses and recovers", "[vmbus][gpadl]") {
  Fixture f;
  for (std::uint32_t id = 0; id < 4; ++id) {
    REQUIRE(f.table.begin(header(1, id, 3), {}).progress == GpadlProgress::kInProgress);
  }
  CHECK(f.table.begin(header(1, 4, 3), {}).progress == GpadlProgress::kFailed);
  f.table.forget(*f.table.find(ChannelId(1), GpadlId(2)));
  CHECK(f.table.begin(header(1, 4, 3), {}).progress == GpadlProgress::kInProgress);

  Fixture g;
  REQUIRE(g.table.begin(header(1, 1, 8191), {}).progress == GpadlProgress::kInProgress);
  REQUIRE(g.table.begin(header(1, 2, 8191), {}).progress == GpadlProgress::kInProgress);
  CHECK(g.table.begin(header(1, 3, 8191), {}).progress == GpadlProgress::kFailed);
  CHECK(g.table.begin(header(1, 3, 100), {}).progress == GpadlProgress::kInProgress);
}

TEST_CASE("a ring GPADL is split where the second ring begins", "[vmbus][gpadl]") {
  Fixture f;
  const auto words = whole_pages(8, 40);
  REQUIRE(f.table.begin(header(1, 5, 9), words_as_bytes(words)).progress ==
          GpadlProgress::kComplete);
  const Gpadl& gpadl = *f.table.find(ChannelId(1), GpadlId(5));
  const auto rings = split_ring(gpadl, 5);
  REQUIRE(rings);
  CHECK(rings->client_to_server.size() == 5);
  CHECK(rings->client_to_server[0] == 40);
  CHECK(rings->server_to_client.size() == 3);
  CHECK(rings->server_to_client[0] == 45);
  for (const std::uint32_t offset : {0u, 1u, 7u, 8u, 9u, 0x80000000u, 0xFFFFFFFFu}) {
    CAPTURE(offset);
    CHECK_FALSE(split_ring(gpadl, offset));
  }
  CHECK(split_ring(gpadl, 2));
  CHECK(split_ring(gpadl, 6));
}

TEST_CASE("only one range of whole pages is a ring", "[vmbus][gpadl]") {
  Fixture f;
  const std::vector<std::vector<std::uint64_t>> rows = {
      {range_head(8192, 8), 1, 2, 3},
      {range_head(8000), 1, 2},
      {range_head(4096), 1},
      {range_head(12288), 1, 2, 3},
  };
  for (std::uint32_t id = 0; id < rows.size(); ++id) {
    REQUIRE(f.table.begin(header(1, id, rows[id].size()), words_as_bytes(rows[id])).progress ==
            GpadlProgress::kComplete);
    CHECK_FALSE(split_ring(*f.table.find(ChannelId(1), GpadlId(id)), 2));
  }
  Fixture g;
  const std::vector<std::uint64_t> two = {range_head(16384), 1, 2, 3, 4, range_head(4096), 5};
  REQUIRE(g.table.begin(header(1, 1, 7, 2), words_as_bytes(two)).progress ==
          GpadlProgress::kComplete);
  CHECK_FALSE(split_ring(*g.table.find(ChannelId(1), GpadlId(1)), 2));
}
