#include "metal/hypervisor/acpi.h"

#include <cstddef>
#include <string_view>

namespace metal {
namespace {

template <class T>
T read(std::uint64_t address) {
  T value;
  __builtin_memcpy(&value, reinterpret_cast<const void*>(address), sizeof(value));
  return value;
}

bool sums_to_zero(std::uint64_t address, std::uint32_t size_bytes) {
  std::uint8_t sum = 0;
  for (std::uint32_t index = 0; index < size_bytes; ++index) {
    sum = static_cast<std::uint8_t>(sum + read<std::uint8_t>(address + index));
  }
  return sum == 0;
}

// System description table header (ACPI 5.2.6).
constexpr std::uint64_t kLengthOffset = 4;
constexpr std::uint32_t kHeaderSize = 36;
// MADT (ACPI 5.2.12): local APIC address and flags follow the header.
constexpr std::uint32_t kMadtEntriesOffset = 44;
constexpr std::uint8_t kLocalApic = 0;
constexpr std::uint8_t kLocalX2Apic = 9;
constexpr std::uint32_t kEnabled = 1;

bool has_signature(std::uint64_t table, std::string_view signature) {
  return std::string_view(reinterpret_cast<const char*>(table), 4) == signature;
}

std::uint64_t find_madt(std::uint64_t root_pointer) {
  const bool extended = read<std::uint8_t>(root_pointer + 15) >= 2;
  const std::uint64_t xsdt = extended ? read<std::uint64_t>(root_pointer + 24) : 0;
  const std::uint64_t list = xsdt != 0 ? xsdt : read<std::uint32_t>(root_pointer + 16);
  const std::uint32_t entry_size = xsdt != 0 ? 8 : 4;
  const std::uint32_t length = read<std::uint32_t>(list + kLengthOffset);
  for (std::uint32_t offset = kHeaderSize; offset + entry_size <= length; offset += entry_size) {
    const std::uint64_t table =
        entry_size == 8 ? read<std::uint64_t>(list + offset) : read<std::uint32_t>(list + offset);
    if (has_signature(table, "APIC")) {
      return table;
    }
  }
  return 0;
}

void add(ProcessorList& list, std::uint32_t apic_id, std::uint32_t flags) {
  if ((flags & kEnabled) != 0 && list.count < list.apic_ids.size()) {
    list.apic_ids[list.count++] = apic_id;
  }
}

}  // namespace

ProcessorList read_processor_list(std::uint64_t root_pointer) {
  ProcessorList list;
  const std::uint64_t madt = root_pointer == 0 ? 0 : find_madt(root_pointer);
  if (madt == 0) {
    return list;
  }
  const std::uint32_t length = read<std::uint32_t>(madt + kLengthOffset);
  if (!sums_to_zero(madt, length)) {
    return list;
  }
  for (std::uint32_t offset = kMadtEntriesOffset; offset + 2 <= length;) {
    const std::uint64_t entry = madt + offset;
    const auto type = read<std::uint8_t>(entry);
    const auto size = read<std::uint8_t>(entry + 1);
    if (size < 2) {
      break;
    }
    if (type == kLocalApic) {
      add(list, read<std::uint8_t>(entry + 3), read<std::uint32_t>(entry + 4));
    } else if (type == kLocalX2Apic) {
      add(list, read<std::uint32_t>(entry + 4), read<std::uint32_t>(entry + 8));
    }
    offset += size;
  }
  return list;
}

}  // namespace metal
