// IDENTIFY DEVICE: what an ATA drive says of itself (ATA 6.17).
#include <algorithm>

#include "partitions/devices/ata.h"
#include "partitions/devices/ide_drive.h"

namespace devices {
namespace {

/// ATA strings are padded with spaces; the first character of each pair is in the high byte.
void put_string(std::span<std::uint16_t> words, std::string_view text) {
  const auto character = [text](std::size_t index) {
    return static_cast<std::uint8_t>(index < text.size() ? text[index] : ' ');
  };
  for (std::size_t index = 0; index < words.size(); ++index) {
    words[index] = static_cast<std::uint16_t>(character(2 * index) << 8 | character(2 * index + 1));
  }
}

void put_u32(std::span<std::uint16_t, 2> words, std::uint64_t value) {
  words[0] = static_cast<std::uint16_t>(value);
  words[1] = static_cast<std::uint16_t>(value >> 16);
}

}  // namespace

void IdeDrive::describe(std::span<std::uint16_t, 256> words) const {
  const std::uint64_t sectors = storage_->sector_count();
  const std::uint64_t cylinders =
      std::min<std::uint64_t>(sectors / (ata::kHeads * ata::kSectorsPerTrack), ata::kMaxCylinders);
  const auto dma_class = static_cast<std::uint8_t>(transfer_mode_ >> 3);
  const auto selected_mode = static_cast<std::uint16_t>(0x100U << (transfer_mode_ & 7));

  words[0] = 0x0040;  // not removable
  words[1] = static_cast<std::uint16_t>(cylinders);
  words[3] = ata::kHeads;
  words[6] = ata::kSectorsPerTrack;
  put_string(words.subspan<10, 10>(), serial_);
  put_string(words.subspan<23, 4>(), "1.0");
  put_string(words.subspan<27, 20>(), model_);
  words[47] = 0x8000;  // no READ MULTIPLE
  words[49] = 0x0B00;  // flow control, LBA, DMA
  words[50] = 0x4000;
  words[53] = 0x0006;  // words 64..70 and 88 are valid
  put_u32(words.subspan<60, 2>(), std::min(sectors, ata::kMaxLba28Sectors));
  words[63] = static_cast<std::uint16_t>(0x0007 | (dma_class == 4 ? selected_mode : 0));
  words[64] = 0x0003;  // PIO modes 3 and 4
  std::ranges::fill(words.subspan<65, 4>(), std::uint16_t{120});
  words[80] = 0x00F0;  // ATA-4 to ATA-7
  words[82] = 0x0060;  // read look-ahead, write cache
  words[83] = 0x7400;  // FLUSH CACHE EXT, FLUSH CACHE, 48-bit addresses
  words[84] = 0x4040;  // WRITE DMA FUA EXT
  words[85] = static_cast<std::uint16_t>(0x0040 | (write_cache_ ? 0x0020 : 0));
  words[86] = 0x3400;
  words[87] = 0x4040;
  words[88] = static_cast<std::uint16_t>(0x003F | (dma_class == 8 ? selected_mode : 0));
  words[93] = second_drive_ ? 0x6B00 : 0x600B;  // an 80-conductor cable
  put_u32(words.subspan<100, 2>(), sectors);
  put_u32(words.subspan<102, 2>(), sectors >> 32);

  // The sum of all bytes, signature and checksum included, is zero.
  std::uint8_t sum = 0xA5;
  for (const std::uint16_t word : words.first<255>()) {
    sum = static_cast<std::uint8_t>(sum + (word & 0xFF) + (word >> 8));
  }
  const auto checksum = static_cast<std::uint8_t>(0x100 - sum);
  words[255] = static_cast<std::uint16_t>(checksum << 8 | 0xA5);
}

void IdeDrive::identify() {
  std::array<std::uint16_t, 256> words{};
  describe(words);
  for (std::size_t index = 0; index < words.size(); ++index) {
    buffer_[2 * index] = static_cast<std::byte>(words[index] & 0xFF);
    buffer_[2 * index + 1] = static_cast<std::byte>(words[index] >> 8);
  }
  host_may_transfer(Phase::kHostReads, true);
}

}  // namespace devices
