// The blocks of simulated memory that are not zero, for pages of which most is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sim {

class MemoryBlocks {
 public:
  static constexpr std::uint64_t kBlockBytes = 128;

  MemoryBlocks();

  /// Where the byte at `address` is, in a block of zeros if its own is absent. Valid, and the bytes
  /// behind it up to the block's end, until the block goes.
  [[nodiscard]] const std::byte* find_or_zero(std::uint64_t address) const {
    const std::byte* const block = find(address);
    return block != nullptr ? block + address % kBlockBytes : zeros(address);
  }
  /// As that of a byte whose block is absent.
  [[nodiscard]] static const std::byte* zeros(std::uint64_t address) {
    return kZeros.data() + address % kBlockBytes;
  }
  /// The block around an address; null if it is absent.
  [[nodiscard]] std::byte* find(std::uint64_t address) const {
    const std::uint64_t number = address / kBlockBytes;
    for (std::size_t at = home_of(number);; at = next(at)) {
      const Entry entry = entries_[at];
      if (entry.number == number) {
        return block(entry.place);
      }
      if (entry.number == kNone) {
        return nullptr;
      }
    }
  }
  /// An absent block, now there and zero.
  [[nodiscard]] std::byte* add(std::uint64_t address);
  /// Absent again; nothing happens if it was.
  void remove(std::uint64_t address);

 private:
  static constexpr std::uint32_t kNone = ~0u;
  static constexpr std::size_t kBlocksPerChunk = 512;
  alignas(64) static constexpr std::array<std::byte, kBlockBytes> kZeros{};

  /// Block numbers fit: an address has at most 40 bits.
  struct Entry {
    std::uint32_t number = kNone;
    std::uint32_t place = 0;
  };
  struct Chunk {
    alignas(64) std::array<std::byte, kBlockBytes * kBlocksPerChunk> bytes;
  };

  [[nodiscard]] std::size_t home_of(std::uint64_t number) const {
    return static_cast<std::size_t>((number * 0x9E37'79B9'7F4A'7C15) >> shift_);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (entries_.size() - 1); }
  [[nodiscard]] std::byte* block(std::uint32_t place) const {
    return chunks_[place / kBlocksPerChunk]->bytes.data() + place % kBlocksPerChunk * kBlockBytes;
  }
  void insert(const Entry& entry);
  void grow();

  std::vector<Entry> entries_;  // open addressing by number; the size is a power of two
  unsigned shift_ = 0;          // from a hash to an index
  std::size_t used_ = 0;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::uint32_t fresh_ = 0;  // places from here on were never used
  std::vector<std::uint32_t> free_;
};

}  // namespace sim
