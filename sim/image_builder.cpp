#include "sim/image_builder.h"

#include <xxhash.h>

#include <cstring>
#include <stdexcept>

#include "machine/image.h"

namespace sim {

namespace {

constexpr std::uint32_t kMarkerMagic = 0x59'54'4E'45;  // "ENTY"
constexpr std::uint64_t kEntryPage = 1;
constexpr std::uint64_t kTablePage = 2;
constexpr std::uint64_t kBootPage = 3;
constexpr std::uint64_t kStackPages = 4;

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

}  // namespace

std::uint64_t program_key(const std::string& name) { return XXH3_64bits(name.data(), name.size()); }

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
  header.entry_gpa = base + kEntryPage * kPageSize;
  header.processor_entry_gpa = header.entry_gpa + kEntryMarkerBytes;
  header.page_tables_gpa = base + kTablePage * kPageSize;
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
  put_marker(image, kEntryPage * kPageSize, {key, true});
  put_marker(image, kEntryPage * kPageSize + kEntryMarkerBytes, {key, false});
  return image;
}

}  // namespace sim
