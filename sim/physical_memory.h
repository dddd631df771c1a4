// The RAM of one simulated computer: sparse, zero at power-on, reached by system physical address.
//
// RAM lies from 0 up, as on a PC: what would fall into the gap below 4 GiB continues above it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "machine/address.h"
#include "sim/memory_blocks.h"

namespace sim {

/// Most pages of a computer with many partitions hold a few words: page tables, message slots,
/// free pages. So a page is kept in blocks of 128 bytes as long as few of them are not zero, and
/// becomes a page of the host's when more are, or when a program wants it in one piece.
class PhysicalMemory {
 public:
  /// The gap for device memory.
  static constexpr std::uint64_t kGapBegin = 0xC000'0000;
  static constexpr std::uint64_t kGapEnd = 0x1'0000'0000;

  /// `size_bytes` is a multiple of the page size. Memory that only ever was zero costs nothing.
  explicit PhysicalMemory(std::uint64_t size_bytes);
  ~PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  /// One past the highest RAM address.
  [[nodiscard]] std::uint64_t end() const { return end_; }

  /// Whether all of [address, address + size_bytes) is RAM.
  [[nodiscard]] bool contains(machine::Spa address, std::uint64_t size_bytes) const {
    const std::uint64_t first = address.value();
    return (first < low_end_ && size_bytes <= low_end_ - first) ||
           (first >= kGapEnd && first < end_ && size_bytes <= end_ - first);
  }

  /// Where a naturally aligned word is now; null if it is not RAM. Valid until the next call.
  [[nodiscard]] const std::byte* word(machine::Spa address, std::size_t size_bytes) const {
    if (!contains(address, size_bytes)) [[unlikely]] {
      return nullptr;
    }
    if (is_whole(address)) [[likely]] {
      return memory_ + address.value();
    }
    return in_blocks_.has(address) ? blocks_.find_or_zero(address.value())
                                   : MemoryBlocks::zeros(address.value());
  }
  /// The same for a word that is about to be changed.
  [[nodiscard]] std::byte* word(machine::Spa address, std::size_t size_bytes) {
    if (!contains(address, size_bytes)) [[unlikely]] {
      return nullptr;
    }
    return is_whole(address) ? memory_ + address.value() : make_block(address);
  }

  // All of what these name is RAM.
  void read(machine::Spa from, std::span<std::byte> to) const;
  void write(machine::Spa to, std::span<const std::byte> from);
  void fill(machine::Spa to, std::uint64_t size_bytes, std::byte value);
  /// The page around an address in one piece, which stays where it is.
  [[nodiscard]] std::byte* whole_page(machine::Spa address) {
    if (!is_whole(address)) {
      make_whole(address);
    }
    return memory_ + address.page().value() * machine::kPageSize;
  }

  /// What stands for an address as long as the memory lives, wherever its content is: a key, not to
  /// be followed.
  [[nodiscard]] const std::byte* key(machine::Spa address) const {
    return memory_ + address.value();
  }

 private:
  /// A page with more blocks than these is kept whole.
  static constexpr std::size_t kMostBlocks = 10;

  /// A bit for each page.
  class PageSet {
   public:
    void cover(std::uint64_t pages) { words_.resize((pages + 63) / 64); }
    [[nodiscard]] bool has(machine::Spa address) const {
      const std::uint64_t page = address.page().value();
      return ((words_[page / 64] >> (page % 64)) & 1) != 0;
    }
    void add(machine::Spa address) { words_[address.page().value() / 64] |= bit(address); }
    void remove(machine::Spa address) { words_[address.page().value() / 64] &= ~bit(address); }

   private:
    static std::uint64_t bit(machine::Spa address) {
      return std::uint64_t{1} << (address.page().value() % 64);
    }
    std::vector<std::uint64_t> words_;
  };

  [[nodiscard]] bool is_whole(machine::Spa address) const { return whole_.has(address); }
  [[nodiscard]] std::byte* make_block(machine::Spa address);
  void make_whole(machine::Spa address);
  void write_part(machine::Spa to, std::span<const std::byte> from);
  void fill_part(machine::Spa to, std::uint64_t size_bytes, std::byte value);

  /// Address space for all of it; a page that is not whole is untouched here.
  std::byte* memory_ = nullptr;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t low_end_ = 0;
  std::uint64_t end_ = 0;
  PageSet whole_;
  /// Those that may have blocks: most pages never had any, which filling with zeros must not check
  /// block by block.
  PageSet in_blocks_;
  MemoryBlocks blocks_;
};

}  // namespace sim
