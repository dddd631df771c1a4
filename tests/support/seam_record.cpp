#include "tests/support/seam_record.h"

#include <algorithm>
#include <cstring>

#include "machine/guest.h"
#include "machine/testing.h"

namespace seam_record {

Record& record() {
  static Record instance;
  return instance;
}

void clear() { record() = Record(); }

void forget_what_happened() {
  record().accesses.clear();
  record().traces.clear();
  record().reached.clear();
}

std::size_t count_traces(const std::string& site) {
  return static_cast<std::size_t>(std::ranges::count_if(
      record().traces, [&](const Trace& trace) { return trace.site == site; }));
}

}  // namespace seam_record

namespace machine {

using seam_record::AccessKind;
using seam_record::record;

std::uint32_t load_u32(Gpa address) {
  std::uint32_t value;
  std::memcpy(&value, &record().memory.at(address.value()), sizeof(value));
  record().accesses.push_back({AccessKind::kLoad, address.value(), value});
  return value;
}

void store_u32(Gpa address, std::uint32_t value) {
  std::memcpy(&record().memory.at(address.value()), &value, sizeof(value));
  record().accesses.push_back({AccessKind::kStore, address.value(), value});
}

void read_memory(Gpa from, std::span<std::byte> to) {
  std::memcpy(to.data(), &record().memory.at(from.value()), to.size());
  record().accesses.push_back({AccessKind::kRead, from.value(), to.size()});
}

void write_memory(Gpa to, std::span<const std::byte> from) {
  std::memcpy(&record().memory.at(to.value()), from.data(), from.size());
  record().accesses.push_back({AccessKind::kWrite, to.value(), from.size()});
}

void fence() { record().accesses.push_back({AccessKind::kFence, 0, 0}); }

void trace(const Site& event, Track, std::uint64_t id, std::uint64_t a, std::uint64_t b) {
  record().traces.push_back({event.name(), id, a, b});
}

void sometimes(const Site& property, bool condition) {
  record().reached[property.name()] += condition ? 1 : 0;
}

}  // namespace machine
