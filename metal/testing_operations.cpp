// The operations for testing (machine/testing.h) on metal: no fault is chosen, a property that does
// not hold is reported on the serial port and ends the program, so that it is seen even where the
// program has no serial port; traces and coverage goals go to a small ring buffer that a debugger
// can read.
#include "machine/testing.h"

#include <array>
#include <cstddef>

#include "machine/shared.h"
#include "metal/metal.h"

namespace metal {

struct TraceEntry {
  const char* name;
  std::uint64_t id;
  std::uint64_t a;
  std::uint64_t b;
};

constexpr std::size_t kTraceEntries = 256;

// Found by its symbol. Two processors never write the same entry unless one is 256 events behind.
constinit std::array<TraceEntry, kTraceEntries> trace_entries{};
constinit machine::Shared<std::uint64_t> trace_count;

namespace {

void remember(const char* name, std::uint64_t id, std::uint64_t a, std::uint64_t b) {
  trace_entries[trace_count.fetch_add(1) % kTraceEntries] = {name, id, a, b};
}

}  // namespace
}  // namespace metal

namespace machine {

std::uint32_t choose(const Site&, std::uint32_t) { return 0; }

void always(const Site& property, bool condition, std::uint64_t a, std::uint64_t b) {
  if (condition) {
    return;
  }
  metal::serial_write("chronovisor: property violated: ");
  metal::serial_write(property.name());
  metal::serial_write(" a=");
  metal::serial_write_hex(a);
  metal::serial_write(" b=");
  metal::serial_write_hex(b);
  metal::serial_write("\n");
  metal::serial_flush();
  metal::end_program(property.name());
}

void sometimes(const Site& property, bool condition) {
  if (condition) {
    metal::remember(property.name(), 0, 0, 0);
  }
}

void trace(const Site& event, Track, std::uint64_t id, std::uint64_t a, std::uint64_t b) {
  metal::remember(event.name(), id, a, b);
}

void lock_wanted(std::uint32_t) {}
void lock_acquired(std::uint32_t, const void*) {}
void lock_released(std::uint32_t, const void*) {}

}  // namespace machine
