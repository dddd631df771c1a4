// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace child {

class Sha256 {
 public:
  static constexpr std::size_t kDigestBytes = 32;

  void add(std::span<const std::byte> bytes);
  /// The digest of all that was added; the object is used up.
  [[nodiscard]] std::array<std::byte, kDigestBytes> finish();

 private:
  static constexpr std::size_t kBlockBytes = 64;

  void process(std::span<const std::byte, kBlockBytes> block);

  std::array<std::uint32_t, 8> state_{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
  std::array<std::byte, kBlockBytes> partial_{};
  std::size_t partial_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace child
