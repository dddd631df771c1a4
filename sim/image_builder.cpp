#include "sim/image_builder.h"

#include <xxhash.h>

#include <cstring>
#include <stdexcept>

#include "machine/image.h"
#include "sim/context.h"

namespace sim {

namespace {

constexpr std::uint32_t kMarkerMagic = 0x59'54'4E'45;  // "ENTY"
constexpr std::uint64_t kEntryPage = 1;
// The page tables, from the top: all memory under its own address in pages of 1 GiB, and the entry
// page at every address where a guest can stand.
constexpr std::uint64_t kTopTablePage = 2;
constexpr std::uint64_t kIdentityTablePage = 3;
constexpr std::uint64_t kFirstCodeTablePage = 4;
constexpr std::uint64_t kCodeTables = 3;
constexpr std::uint64_t kBootPage = kFirstCodeTablePage + kCodeTables;
constexpr std::uint64_t kStackPages = kBootPage + 1;

constexpr std::uint64_t kTableEntries = 512;
// SDM vol. 3 tables 4-15 to 4-20: present, writable, accessed; dirty and page size where they are.
constexpr std::uint64_t kPresentWritable = 0x23;
constexpr std::uint64_t kDirty = 0x40;
constexpr std::uint64_t kLargePage = 0x80;
constexpr std::uint64_t kTopTableReach = std::uint64_t{1} << 39;

struct MarkerBytes {
  std::uint32_t magic;
  std::uint32_t boot_processor;
  std::uint64_t program;
};
static_assert(sizeof(MarkerBytes) == kEntryMarkerBytes);

void put_marker(Bytes& image, std::uint64_t offset, const EntryMarker& marker) {
  const MarkerBytes bytes{kMarkerMagic, marker.boot_processor ? 1u : 0u, marker.program};
  std::memcpy(image.data() + offset, &bytes, sizeof bytes);
}

void put_entry(Bytes& image, std::uint64_t page, std::uint64_t index, std::uint64_t entry) {
  std::memcpy(image.data() + page * machine::kPageSize + index * sizeof entry, &entry,
              sizeof entry);
}

void put_page_tables(Bytes& image, std::uint64_t base) {
  const auto pointing_to = [base](std::uint64_t page) {
    return (base + page * machine::kPageSize) | kPresentWritable;
  };
  put_entry(image, kTopTablePage, 0, pointing_to(kIdentityTablePage));
  for (std::uint64_t index = Context::kSyntheticRip / kTopTableReach;
       index < 2 * Context::kSyntheticRip / kTopTableReach; ++index) {
    put_entry(image, kTopTablePage, index, pointing_to(kFirstCodeTablePage));
  }
  for (std::uint64_t index = 0; index < kTableEntries; ++index) {
    put_entry(image, kIdentityTablePage, index,
              (index << 30) | kPresentWritable | kDirty | kLargePage);
    for (std::uint64_t level = 0; level < kCodeTables; ++level) {
      const bool last = level + 1 == kCodeTables;
      put_entry(
          image, kFirstCodeTablePage + level, index,
          last ? pointing_to(kEntryPage) | kDirty : pointing_to(kFirstCodeTablePage + level + 1));
    }
  }
}

}  // namespace

std::uint64_t program_key(const std::string& name) { return XXH3_64bits(name.data(), name.size()); }

std::uint64_t entry_page_gpa(const GuestProgram& program) {
  return program.load_gpa + kEntryPage * machine::kPageSize;
}

std::optional<EntryMarker> read_marker(std::span<const std::byte, kEntryMarkerBytes> bytes) {
  MarkerBytes marker{};
  std::memcpy(&marker, bytes.data(), sizeof marker);
  if (marker.magic != kMarkerMagic || marker.boot_processor > 1) {
    return std::nullopt;
  }
  return EntryMarker{marker.program, marker.boot_processor == 1};
}

Bytes build_image(const GuestProgram& program) {
  using machine::kPageSize;
  if (program.stack_bytes % kPageSize != 0 || program.arena_bytes % kPageSize != 0 ||
      program.load_gpa % kPageSize != 0 || program.name.size() > 15) {
    throw std::invalid_argument("the image of " + program.name + " has impossible sizes");
  }
  const std::uint64_t base = program.load_gpa;
  machine::ImageHeader header;
  header.max_processors = program.max_processors;
  header.load_gpa = base;
  header.file_size_bytes = kBootPage * kPageSize;
  header.entry_gpa = entry_page_gpa(program);
  header.processor_entry_gpa = header.entry_gpa + kEntryMarkerBytes;
  header.page_tables_gpa = base + kTopTablePage * kPageSize;
  header.boot_page_gpa = base + kBootPage * kPageSize;
  header.stacks_gpa = base + kStackPages * kPageSize;
  header.stack_size_bytes = program.stack_bytes;
  header.arena_gpa = header.stacks_gpa + program.max_processors * program.stack_bytes;
  header.arena_size_bytes = program.arena_bytes;
  header.memory_size_bytes = header.arena_gpa + program.arena_bytes - base;
  std::memcpy(header.name.data(), program.name.data(), program.name.size());

  Bytes image(header.file_size_bytes);
  std::memcpy(image.data(), &header, sizeof header);
  const std::uint64_t key = program_key(program.name);
  put_instructions(std::span(image).subspan(kEntryPage * kPageSize, kPageSize));
  put_page_tables(image, base);
  put_marker(image, kEntryPage * kPageSize, {key, true});
  put_marker(image, kEntryPage * kPageSize + kEntryMarkerBytes, {key, false});
  return image;
}

}  // namespace sim
