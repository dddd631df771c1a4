#include "tests/support/host_seam.h"

#include <cstring>
#include <memory>
#include <utility>

#include "machine/guest.h"
#include "machine/machine.h"

namespace host_seam {

namespace {

std::unique_ptr<Computer>& current() {
  static std::unique_ptr<Computer> instance = std::make_unique<Computer>();
  return instance;
}

}  // namespace

Computer& computer() { return *current(); }
void reset() { current() = std::make_unique<Computer>(); }

namespace {

template <class Word>
Word load(machine::Gpa address) {
  Word word;
  std::memcpy(&word, &computer().memory.at(address.value()), sizeof(Word));
  return word;
}

template <class Word>
void store(machine::Gpa address, Word word) {
  std::memcpy(&computer().memory.at(address.value()), &word, sizeof(Word));
}

template <class Word, class Change>
Word modify(machine::Gpa address, Change change) {
  if (computer().before_exchange) {
    computer().before_exchange();
  }
  const Word old = load<Word>(address);
  store<Word>(address, change(old));
  return old;
}

}  // namespace

}  // namespace host_seam

namespace machine {

using host_seam::computer;

std::uint8_t load_u8(Gpa address) { return host_seam::load<std::uint8_t>(address); }
std::uint16_t load_u16(Gpa address) { return host_seam::load<std::uint16_t>(address); }
std::uint32_t load_u32(Gpa address) { return host_seam::load<std::uint32_t>(address); }
std::uint64_t load_u64(Gpa address) { return host_seam::load<std::uint64_t>(address); }
void store_u8(Gpa address, std::uint8_t value) { host_seam::store(address, value); }
void store_u16(Gpa address, std::uint16_t value) { host_seam::store(address, value); }
void store_u32(Gpa address, std::uint32_t value) { host_seam::store(address, value); }
void store_u64(Gpa address, std::uint64_t value) { host_seam::store(address, value); }

std::uint32_t exchange_u32(Gpa address, std::uint32_t value) {
  return host_seam::modify<std::uint32_t>(address, [&](std::uint32_t) { return value; });
}
std::uint32_t compare_exchange_u32(Gpa address, std::uint32_t expected, std::uint32_t desired) {
  return host_seam::modify<std::uint32_t>(
      address, [&](std::uint32_t old) { return old == expected ? desired : old; });
}
std::uint64_t compare_exchange_u64(Gpa address, std::uint64_t expected, std::uint64_t desired) {
  return host_seam::modify<std::uint64_t>(
      address, [&](std::uint64_t old) { return old == expected ? desired : old; });
}
std::uint32_t fetch_or_u32(Gpa address, std::uint32_t bits) {
  return host_seam::modify<std::uint32_t>(address, [&](std::uint32_t old) { return old | bits; });
}
std::uint32_t fetch_and_u32(Gpa address, std::uint32_t bits) {
  return host_seam::modify<std::uint32_t>(address, [&](std::uint32_t old) { return old & bits; });
}
std::uint64_t fetch_or_u64(Gpa address, std::uint64_t bits) {
  return host_seam::modify<std::uint64_t>(address, [&](std::uint64_t old) { return old | bits; });
}
std::uint64_t fetch_and_u64(Gpa address, std::uint64_t bits) {
  return host_seam::modify<std::uint64_t>(address, [&](std::uint64_t old) { return old & bits; });
}

void read_memory(Gpa from, std::span<std::byte> to) {
  std::memcpy(to.data(), computer().memory.data() + from.value(), to.size());
}
void write_memory(Gpa to, std::span<const std::byte> from) {
  std::memcpy(computer().memory.data() + to.value(), from.data(), from.size());
}
void fill_memory(Gpa to, std::uint64_t size_bytes, std::uint8_t value) {
  std::memset(computer().memory.data() + to.value(), value, size_bytes);
}

std::uint64_t hypercall(Gpa, std::uint64_t control, std::uint64_t input, std::uint64_t output) {
  const host_seam::Hypercall call{control, input, output};
  computer().hypercalls.push_back(call);
  return computer().on_hypercall ? computer().on_hypercall(call) : 0;
}
Gpa image_base() { return Gpa(0); }

std::uint64_t read_msr(std::uint32_t msr) { return computer().msrs[msr]; }
void write_msr(std::uint32_t msr, std::uint64_t value) {
  computer().msrs[msr] = value;
  computer().msr_writes.push_back({msr, value});
}

std::uint32_t in_u32(std::uint16_t port) {
  return computer().on_port_read ? computer().on_port_read(port) : ~std::uint32_t{0};
}
std::uint16_t in_u16(std::uint16_t port) { return static_cast<std::uint16_t>(in_u32(port)); }
std::uint8_t in_u8(std::uint16_t port) { return static_cast<std::uint8_t>(in_u32(port)); }
void out_u32(std::uint16_t port, std::uint32_t value) {
  computer().port_writes.push_back({port, value});
}
void out_u16(std::uint16_t port, std::uint16_t value) { out_u32(port, value); }
void out_u8(std::uint16_t port, std::uint8_t value) { out_u32(port, value); }

void fence() {}
void pause() {}
bool disable_interrupts() { return std::exchange(computer().interrupts_enabled, false); }
void enable_interrupts() { computer().interrupts_enabled = true; }
bool interrupts_enabled() { return computer().interrupts_enabled; }
void sti_hlt() {
  ++computer().halts;
  if (computer().on_halt) {
    computer().on_halt();
  }
}
void set_interrupt_handler(std::uint8_t vector, InterruptHandler handler) {
  computer().handlers[vector] = handler;
}
void* processor_local() { return computer().processor_local; }
void set_processor_local(void* object) { computer().processor_local = object; }
std::span<std::byte> arena() { return computer().arena; }
void spend(std::uint64_t nanoseconds) { computer().spent_ns += nanoseconds; }

std::uint32_t choose(const Site&, std::uint32_t) { return 0; }
void always(const Site&, bool condition, std::uint64_t, std::uint64_t) {
  computer().broken_properties += condition ? 0 : 1;
}
void sometimes(const Site&, bool) {}
void trace(const Site&, Track, std::uint64_t, std::uint64_t, std::uint64_t) {}
void lock_wanted(std::uint32_t) {}
void lock_acquired(std::uint32_t, const void*) {}
void lock_released(std::uint32_t, const void*) {}

}  // namespace machine
