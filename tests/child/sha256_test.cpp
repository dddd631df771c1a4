#include "partitions/child/workloads/sha256.h"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "partitions/kernel/text.h"

using child::Sha256;

namespace {

std::string digest_of(std::string_view text, std::size_t portion) {
  Sha256 hash;
  std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  while (!bytes.empty()) {
    const std::size_t part = std::min(portion, bytes.size());
    hash.add(bytes.first(part));
    bytes = bytes.subspan(part);
  }
  const auto digest = hash.finish();
  kernel::TextLine line;
  line << kernel::HexBytes{digest};
  return std::string(line.view());
}

}  // namespace

TEST_CASE("the digests of the standard's examples come out", "[child][sha256]") {
  CHECK(digest_of("", 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest_of("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest_of(std::string(1'000'000, 'a'), 1'000) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a digest does not depend on the portions that the bytes came in", "[child][sha256]") {
  const std::string text(300, 'x');
  const std::string whole = digest_of(text, text.size());
  for (const std::size_t portion : {1u, 7u, 63u, 64u, 65u, 128u}) {
    CHECK(digest_of(text, portion) == whole);
  }
}
