#include "tests/support/recording_envelope.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace recording_envelope {
namespace {

// See scenarios/recording.h.
constexpr std::size_t kHeaderBytes = 40;
constexpr std::string_view kMagic = "CHRONREC";
constexpr std::uint64_t kVersion = 1;

void put_word(std::span<std::byte> to, std::uint64_t value) {
  for (std::size_t index = 0; index < 8; ++index) {
    to[index] = static_cast<std::byte>(value >> (8 * index));
  }
}

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

sim::Bytes contents_of(std::span<const std::byte> file) {
  const std::span<const std::byte> packed = file.subspan(kHeaderBytes);
  sim::Bytes contents(ZSTD_getFrameContentSize(packed.data(), packed.size()));
  require(ZSTD_decompress(contents.data(), contents.size(), packed.data(), packed.size()) ==
          contents.size());
  return contents;
}

sim::Bytes file_of(std::span<const std::byte> contents) {
  sim::Bytes file(kHeaderBytes + ZSTD_compressBound(contents.size()));
  const std::span<std::byte> packed = std::span(file).subspan(kHeaderBytes);
  const std::size_t size =
      ZSTD_compress(packed.data(), packed.size(), contents.data(), contents.size(), 1);
  require(ZSTD_isError(size) == 0);
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  put_word(std::span(file).subspan(8), kVersion);
  put_word(std::span(file).subspan(16), size);
  put_word(std::span(file).subspan(24), contents.size());
  put_word(std::span(file).subspan(32), XXH3_64bits(packed.data(), size));
  file.resize(kHeaderBytes + size);
  return file;
}

}  // namespace recording_envelope
