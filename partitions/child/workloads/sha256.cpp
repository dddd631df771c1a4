#include "partitions/child/workloads/sha256.h"

#include <algorithm>
#include <bit>

namespace child {

namespace {

// FIPS 180-4 4.2.2: the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> kRoundConstants = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2};

std::uint32_t load_big(std::span<const std::byte> bytes) {
  std::uint32_t word = 0;
  __builtin_memcpy(&word, bytes.data(), sizeof(word));
  return __builtin_bswap32(word);
}

}  // namespace

void Sha256::process(std::span<const std::byte, kBlockBytes> block) {
  std::array<std::uint32_t, 64> schedule;
  for (std::size_t index = 0; index < 16; ++index) {
    schedule[index] = load_big(block.subspan(index * 4, 4));
  }
  for (std::size_t index = 16; index < 64; ++index) {
    const std::uint32_t early = schedule[index - 15];
    const std::uint32_t late = schedule[index - 2];
    schedule[index] = schedule[index - 16] + schedule[index - 7] +
                      (std::rotr(early, 7) ^ std::rotr(early, 18) ^ (early >> 3)) +
                      (std::rotr(late, 17) ^ std::rotr(late, 19) ^ (late >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (std::size_t index = 0; index < 64; ++index) {
    const std::uint32_t first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                ((e & f) ^ (~e & g)) + kRoundConstants[index] + schedule[index];
    const std::uint32_t second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (std::size_t index = 0; index < state_.size(); ++index) {
    state_[index] += added[index];
  }
}

void Sha256::add(std::span<const std::byte> bytes) {
  total_bytes_ += bytes.size();
  while (!bytes.empty()) {
    if (partial_bytes_ == 0 && bytes.size() >= kBlockBytes) {
      process(bytes.first<kBlockBytes>());
      bytes = bytes.subspan(kBlockBytes);
      continue;
    }
    const std::size_t part = std::min(bytes.size(), kBlockBytes - partial_bytes_);
    std::copy_n(bytes.begin(), part,
                partial_.begin() + static_cast<std::ptrdiff_t>(partial_bytes_));
    partial_bytes_ += part;
    bytes = bytes.subspan(part);
    if (partial_bytes_ == kBlockBytes) {
      process(partial_);
      partial_bytes_ = 0;
    }
  }
}

std::array<std::byte, Sha256::kDigestBytes> Sha256::finish() {
  constexpr std::array<std::byte, 1> kEnd{std::byte{0x80}};
  constexpr std::array<std::byte, 1> kZero{};
  const std::uint64_t bits = total_bytes_ * 8;
  add(kEnd);
  while (partial_bytes_ != kBlockBytes - sizeof(bits)) {
    add(kZero);
  }
  const std::uint64_t big = __builtin_bswap64(bits);
  add(std::as_bytes(std::span(&big, 1)));
  std::array<std::byte, kDigestBytes> digest{};
  for (std::size_t index = 0; index < state_.size(); ++index) {
    const std::uint32_t word = __builtin_bswap32(state_[index]);
    __builtin_memcpy(&digest[index * 4], &word, sizeof(word));
  }
  return digest;
}

}  // namespace child
