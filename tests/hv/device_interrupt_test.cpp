// Interrupts of the root's devices, and how the root sends them elsewhere, on the whole hypervisor
// in the simulator: the interval timer ticks at the legacy interrupt controller, and levels come by
// the I/O APIC.
#include <array>
#include <catch2/catch.hpp>
#include <span>

#include "machine/guest.h"
#include "machine/image.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/start_context.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::CallCode;
using hv::HypercallControl;
using hv::InterruptSource;
using hv::RetargetDeviceInterruptInput;
using hv::Status;
using machine::Gpa;
namespace x86 = machine::x86;

/// Line 0 of the controller comes with the first.
constexpr std::uint8_t kLegacyVector = 0x40;
constexpr std::uint8_t kVectorHere = 0x71;
constexpr std::uint8_t kVectorThere = 0x72;
constexpr std::uint8_t kVectorEverywhere = 0x73;

/// How often each vector came, by processor.
Gpa word(std::uint8_t vector, std::uint32_t processor) {
  constexpr std::uint64_t kWords = 0x920'0000;
  return Gpa(kWords + vector * 16 + processor * 8);
}
std::uint32_t count(std::uint8_t vector, std::uint32_t processor) {
  return machine::load_u32(word(vector, processor));
}
std::uint32_t this_processor() { return machine::cpuid(1, 0).ebx >> 24; }

void note(const machine::InterruptFrame& frame) {
  const auto vector = static_cast<std::uint8_t>(frame.vector);
  const Gpa where = word(vector, this_processor());
  machine::store_u32(where, machine::load_u32(where) + 1);
  machine::out_u8(0x20, 0x20);  // EOI of the legacy controller
  if (vector > kLegacyVector && vector < 0x80) {
    machine::write_msr(x86::kX2ApicEoi, 0);
  }
}

void take_interrupts() {
  for (const std::uint8_t vector : {kLegacyVector, kVectorHere, kVectorThere, kVectorEverywhere}) {
    machine::set_interrupt_handler(vector, note);
  }
}

void start_ticking(std::uint8_t first_vector = kLegacyVector) {
  machine::out_u8(0x20, 0x11);
  machine::out_u8(0x21, first_vector);
  machine::out_u8(0x21, 4);
  machine::out_u8(0x21, 1);
  machine::out_u8(0x21, 0xFE);  // line 0 alone
  machine::out_u8(0x43, 0x34);  // channel 0, both bytes, mode 2
  machine::out_u8(0x40, 0x00);
  machine::out_u8(0x40, 0x04);  // every 858 us
}

Status retarget(InterruptSource source, std::uint8_t vector, std::uint64_t processors,
                std::uint32_t flags = 0, std::uint64_t bank = 0) {
  RetargetDeviceInterruptInput input;
  input.partition = hv::kPartitionIdSelf;
  input.entry = {
      source, 0,
      source == InterruptSource::kMsi ? std::uint64_t{kLegacyVector} << 32 : kLegacyVector};
  input.target = {vector, flags, processors};
  const bool is_set = (flags & hv::DeviceInterruptTarget::kProcessorSet) != 0;
  machine::store_u64(kInputPage + sizeof(input), 1);
  machine::store_u64(kInputPage + (sizeof(input) + 8), bank);
  return call(HypercallControl(CallCode::kRetargetDeviceInterrupt)
                  .with_variable_header(is_set ? 2 : 0),
              input)
      .status();
}

/// Until it came twice more.
void await(std::uint8_t vector, std::uint32_t processor) {
  const std::uint32_t before = count(vector, processor);
  while (count(vector, processor) < before + 2) {
    if (processor == 0) {
      machine::sti_hlt();
    } else {
      machine::spend(50'000);
      machine::pause();
    }
  }
}

void start_second() {
  hv::CreateVpInput creation;
  creation.partition = hv::kPartitionIdSelf;
  creation.vp = hv::VpIndex{1};
  creation.flags = 1;
  GUEST_CHECK(call(HypercallControl(CallCode::kCreateVp), creation).status() == Status::kSuccess);
  machine::ImageHeader header;
  machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&header, 1)));
  hv::StartVirtualProcessorInput input;
  input.partition = hv::kPartitionIdSelf;
  input.vp = hv::VpIndex{1};
  input.context = start_context(header, 1);
  GUEST_CHECK(call(HypercallControl(CallCode::kStartVirtualProcessor), input).status() ==
              Status::kSuccess);
}

void root_with_a_device() {
  if (this_processor() == 1) {
    enable_local_apic();
    take_interrupts();
    for (;;) {
      machine::sti_hlt();
    }
  }
  begin();
  take_interrupts();
  start_ticking();
  await(kLegacyVector, 0);
  GUEST_CHECK(retarget(InterruptSource::kIoApic, kVectorHere, 1) == Status::kSuccess);
  await(kVectorHere, 0);
  const std::uint32_t legacy = count(kLegacyVector, 0);
  await(kVectorHere, 0);
  GUEST_CHECK(count(kLegacyVector, 0) == legacy);
  start_second();
  GUEST_CHECK(retarget(InterruptSource::kMsi, kVectorThere, 2) == Status::kSuccess);
  await(kVectorThere, 1);
  GUEST_CHECK(count(kVectorThere, 0) == 0);
  GUEST_CHECK(
      retarget(InterruptSource::kMsi, kVectorEverywhere, hv::VpSet::kFormatSparse,
               hv::DeviceInterruptTarget::kMulticast | hv::DeviceInterruptTarget::kProcessorSet,
               3) == Status::kSuccess);
  await(kVectorEverywhere, 0);
  await(kVectorEverywhere, 1);
  GUEST_CHECK(count(kLegacyVector, 0) == legacy && count(kLegacyVector, 1) == 0);
  machine::out_u8(0x21, 0xFF);
  end(0);
}

/// The legacy controller is programmed with a vector that the hypervisor has given.
void root_with_a_mapped_device() {
  begin();
  take_interrupts();
  constexpr std::uint64_t kDevice = 2ull << 62;
  hv::InterruptEntry entry;
  do {
    hv::MapDeviceInterruptInput input;
    input.partition = hv::kPartitionIdSelf;
    input.device = kDevice;
    input.vector_count = 1;
    input.target = {kVectorHere, 0, 1};
    GUEST_CHECK(call(HypercallControl(CallCode::kMapDeviceInterrupt), input).status() ==
                Status::kSuccess);
    entry = output<hv::MapDeviceInterruptOutput>().entry;
  } while (entry.vector() % 8 != 0);  // line 0 has no other
  machine::set_interrupt_handler(entry.vector(), note);
  start_ticking(entry.vector());
  await(kVectorHere, 0);
  GUEST_CHECK(count(entry.vector(), 0) == 0);
  const hv::UnmapDeviceInterruptInput unmap{hv::kPartitionIdSelf, kDevice, entry};
  GUEST_CHECK(call(HypercallControl(CallCode::kUnmapDeviceInterrupt), unmap).status() ==
              Status::kSuccess);
  // It comes as what nobody has said anything of.
  const std::uint32_t before = count(kVectorHere, 0);
  await(entry.vector(), 0);
  GUEST_CHECK(count(kVectorHere, 0) <= before + 1);
  machine::out_u8(0x21, 0xFF);
  end(0);
}

// --- Levels, through the I/O APIC ----------------------------------------------------------------

constexpr Gpa kIoApic{0xFEC0'0000};
constexpr std::uint32_t kTimerPin = 0;
constexpr std::uint32_t kSerialPin = 4;
constexpr std::uint32_t kRemoteRequest = 1u << 14;
constexpr std::uint32_t kRounds = 5;
constexpr std::uint64_t kLongNs = 3'000'000;
/// What the second processor's handler waits for, and says.
constexpr Gpa kMayEnd{0x921'0000};
constexpr Gpa kHasEnded{0x921'0008};

std::uint32_t read_io_apic(std::uint32_t number) {
  machine::store_u32(kIoApic, number);
  return machine::load_u32(kIoApic + 0x10);
}
void write_io_apic(std::uint32_t number, std::uint32_t value) {
  machine::store_u32(kIoApic, number);
  machine::store_u32(kIoApic + 0x10, value);
}
/// The I/O APIC has sent it, and has not heard of its end.
bool is_unended(std::uint32_t pin) { return (read_io_apic(0x10 + 2 * pin) & kRemoteRequest) != 0; }
void await_end(std::uint32_t pin) {
  while (is_unended(pin)) {
    machine::pause();
  }
}
void pass_time() {
  for (std::uint64_t passed = 0; passed < kLongNs; passed += 50'000) {
    machine::spend(50'000);
    machine::pause();
  }
}
void await_count(std::uint8_t vector, std::uint32_t processor, std::uint32_t wanted) {
  while (count(vector, processor) < wanted) {
    machine::spend(10'000);
    machine::pause();
  }
}

hv::InterruptEntry map(std::uint64_t device, std::uint32_t trigger, std::uint32_t vectors,
                       const hv::DeviceInterruptTarget& target) {
  hv::MapDeviceInterruptInput input;
  input.partition = hv::kPartitionIdSelf;
  input.device = device;
  input.trigger_mode = trigger;
  input.vector_count = vectors;
  input.target = target;
  GUEST_CHECK(call(HypercallControl(CallCode::kMapDeviceInterrupt), input).status() ==
              Status::kSuccess);
  return output<hv::MapDeviceInterruptOutput>().entry;
}
hv::InterruptEntry map_level(std::uint32_t pin, const hv::DeviceInterruptTarget& target) {
  return map((2ull << 62) | pin, hv::MapDeviceInterruptInput::kLevel, 1, target);
}
Status unmap(std::uint64_t device, const hv::InterruptEntry& entry) {
  return call(HypercallControl(CallCode::kUnmapDeviceInterrupt),
              hv::UnmapDeviceInterruptInput{hv::kPartitionIdSelf, device, entry})
      .status();
}
void program(std::uint32_t pin, const hv::InterruptEntry& entry) {
  write_io_apic(0x11 + 2 * pin, static_cast<std::uint32_t>(entry.data >> 32));
  write_io_apic(0x10 + 2 * pin, static_cast<std::uint32_t>(entry.data));
}

/// The serial port's line stays up until its cause is read.
void raise_serial() {
  machine::out_u8(0x3FC, 0x08);
  machine::out_u8(0x3F9, 0x00);
  machine::out_u8(0x3F9, 0x02);
}
void serve_serial() { static_cast<void>(machine::in_u8(0x3FA)); }
/// The timer's line goes up once and stays up until it is set again.
void raise_timer() {
  machine::out_u8(0x43, 0x30);
  machine::out_u8(0x40, 0x40);
  machine::out_u8(0x40, 0x00);
}
void serve_timer() { machine::out_u8(0x43, 0x30); }

void begin_levels() {
  begin();
  machine::out_u8(0x21, 0xFF);
  machine::out_u8(0xA1, 0xFF);
}
void note_arrival(const machine::InterruptFrame& frame) {
  const Gpa where = word(static_cast<std::uint8_t>(frame.vector), this_processor());
  machine::store_u32(where, machine::load_u32(where) + 1);
}
void end_it() { machine::write_msr(x86::kX2ApicEoi, 0); }

/// Serves its device in the last round only.
void take_level(const machine::InterruptFrame& frame) {
  GUEST_CHECK(is_unended(kSerialPin));
  machine::spend(200'000);
  note_arrival(frame);
  if (count(static_cast<std::uint8_t>(frame.vector), this_processor()) % kRounds == 0) {
    serve_serial();
    machine::spend(1'000);
  }
  end_it();
}
void take_and_keep(const machine::InterruptFrame& frame) { note_arrival(frame); }
/// The second processor takes its time.
void take_and_wait(const machine::InterruptFrame& frame) {
  note_arrival(frame);
  while (this_processor() == 1 && machine::load_u32(kMayEnd) == 0) {
    machine::pause();
  }
  end_it();
  machine::store_u32(kHasEnded, 1);
}

void second_of_two(void (*handler)(const machine::InterruptFrame&)) {
  enable_local_apic();
  machine::set_interrupt_handler(kVectorThere, handler);
  for (;;) {
    machine::sti_hlt();
  }
}

void root_of_the_levels() {
  if (this_processor() == 1) {
    second_of_two(take_level);
  }
  begin_levels();
  machine::set_interrupt_handler(kVectorHere, take_level);
  const hv::InterruptEntry here = map_level(kSerialPin, {kVectorHere, 0, 1});
  program(kSerialPin, here);
  machine::enable_interrupts();
  raise_serial();
  await_count(kVectorHere, 0, kRounds);
  pass_time();
  GUEST_CHECK(count(kVectorHere, 0) == kRounds);
  GUEST_CHECK(!is_unended(kSerialPin));
  // At a VP of another processor than the one that the interrupt comes to.
  start_second();
  GUEST_CHECK(unmap((2ull << 62) | kSerialPin, here) == Status::kSuccess);
  program(kSerialPin, map_level(kSerialPin, {kVectorThere, 0, 2}));
  raise_serial();
  await_count(kVectorThere, 1, kRounds);
  pass_time();
  GUEST_CHECK(count(kVectorThere, 1) == kRounds);
  GUEST_CHECK(!is_unended(kSerialPin));
  end(0);
}

/// Two VPs get it.
void root_of_the_shared_level() {
  if (this_processor() == 1) {
    second_of_two(take_and_wait);
  }
  begin_levels();
  machine::set_interrupt_handler(kVectorThere, take_and_wait);
  start_second();
  machine::spend(1'000'000);
  program(kSerialPin,
          map_level(kSerialPin, {kVectorThere, hv::DeviceInterruptTarget::kMulticast, 3}));
  machine::enable_interrupts();
  raise_serial();
  await_count(kVectorThere, 0, 1);
  await_count(kVectorThere, 1, 1);
  serve_serial();
  pass_time();
  GUEST_CHECK(is_unended(kSerialPin));
  machine::store_u32(kMayEnd, 1);
  await_end(kSerialPin);
  pass_time();
  GUEST_CHECK(count(kVectorThere, 0) == 1 && count(kVectorThere, 1) == 1);
  end(0);
}

void take_above(const machine::InterruptFrame& frame) {
  note_arrival(frame);
  machine::store_u32(kMayEnd, 1);
  while (machine::load_u32(kHasEnded) == 0) {
    machine::pause();
  }
  serve_serial();
  pass_time();
  // What came before this one ends after it.
  GUEST_CHECK(is_unended(kSerialPin) && is_unended(kTimerPin));
  serve_timer();
  machine::spend(1'000);
  end_it();
}

/// The end that comes first is that of what the processor's own APIC ends last.
void root_of_the_crossing() {
  if (this_processor() == 1) {
    second_of_two(take_and_wait);
  }
  begin_levels();
  machine::set_interrupt_handler(kVectorHere, take_above);
  start_second();
  machine::spend(1'000'000);
  serve_timer();
  program(kTimerPin, map_level(kTimerPin, {kVectorHere, 0, 1}));
  hv::InterruptEntry lower;
  do {
    lower = map_level(kSerialPin, {kVectorThere, 0, 2});
  } while (lower.vector() >= 0xD0);
  program(kSerialPin, lower);
  raise_serial();
  await_count(kVectorThere, 1, 1);
  machine::enable_interrupts();
  raise_timer();
  await_count(kVectorHere, 0, 1);
  await_end(kTimerPin);
  await_end(kSerialPin);
  pass_time();
  GUEST_CHECK(count(kVectorHere, 0) == 1 && count(kVectorThere, 1) == 1);
  end(0);
}

void root_that_unmaps() {
  begin_levels();
  machine::set_interrupt_handler(kVectorHere, take_and_keep);
  const hv::InterruptEntry entry = map_level(kSerialPin, {kVectorHere, 0, 1});
  program(kSerialPin, entry);
  machine::enable_interrupts();
  raise_serial();
  await_count(kVectorHere, 0, 1);
  GUEST_CHECK(is_unended(kSerialPin));
  serve_serial();
  machine::spend(1'000);
  GUEST_CHECK(unmap((2ull << 62) | kSerialPin, entry) == Status::kSuccess);
  GUEST_CHECK(!is_unended(kSerialPin));
  end_it();
  // One whom nobody takes comes later, and nothing stands still meanwhile.
  program(kSerialPin, map_level(kSerialPin, {kVectorHere, 0, 1}));
  machine::write_msr(x86::kX2ApicSvr, 0xFF);
  raise_serial();
  pass_time();
  GUEST_CHECK(count(kVectorHere, 0) == 1);
  machine::write_msr(x86::kX2ApicSvr, x86::kApicSoftwareEnable | 0xFF);
  await_count(kVectorHere, 0, 2);
  serve_serial();
  end_it();
  await_end(kSerialPin);
  end(0);
}

/// INIT takes what was in service at a processor away, and no EOI comes.
void root_that_restarts_the_second() {
  if (this_processor() == 1) {
    second_of_two(take_and_keep);
  }
  begin_levels();
  start_second();
  machine::spend(1'000'000);
  program(kSerialPin, map_level(kSerialPin, {kVectorThere, 0, 2}));
  raise_serial();
  await_count(kVectorThere, 1, 1);
  serve_serial();
  pass_time();
  GUEST_CHECK(is_unended(kSerialPin));
  constexpr std::uint64_t kInitToSecond = 1ull << 32 | 0x4500;
  machine::write_msr(x86::kX2ApicIcr, kInitToSecond);
  await_end(kSerialPin);
  end(0);
}

/// The legacy controller comes with eight vectors in a row, too.
void root_of_the_messages() {
  begin();
  constexpr std::uint64_t kDevice = 1ull << 62;
  constexpr std::uint8_t kSerialVector = kVectorHere + kSerialPin;
  const hv::InterruptEntry entry =
      map(kDevice, hv::MapDeviceInterruptInput::kEdge, 8, {kVectorHere, 0, 1});
  const auto raw = static_cast<std::uint8_t>(entry.vector() + kSerialPin);
  for (const std::uint8_t vector : {kVectorHere, kSerialVector, raw}) {
    machine::set_interrupt_handler(vector, note);
  }
  start_ticking(entry.vector());
  machine::out_u8(0x21, 0xEE);  // lines 0 and 4
  await(kVectorHere, 0);
  raise_serial();
  while (count(kSerialVector, 0) != 1) {
    machine::sti_hlt();
  }
  serve_serial();
  // All of them end at once, and only by the first.
  hv::InterruptEntry second = entry;
  second.data += 1ull << 32;
  GUEST_CHECK(unmap(kDevice, second) == Status::kInvalidDeviceId);
  machine::out_u8(0x21, 0xEF);
  GUEST_CHECK(unmap(kDevice, entry) == Status::kSuccess);
  raise_serial();
  while (count(raw, 0) != 1) {
    machine::sti_hlt();
  }
  GUEST_CHECK(count(kSerialVector, 0) == 1);
  machine::out_u8(0x21, 0xFF);
  end(0);
}

void expect_pass(void (*root)(), std::uint32_t processors) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result = run(world(root, processors), seed);
    INFO("seed " << seed << " " << describe(result));
    CHECK(result.passed());
  }
}

}  // namespace

TEST_CASE("a level comes again until its device is served, once for each end", "[hv][devices]") {
  expect_pass(root_of_the_levels, 2);
}

TEST_CASE("a level for several VPs ends when it has ended at all of them", "[hv][devices]") {
  expect_pass(root_of_the_shared_level, 2);
}

TEST_CASE("levels end in the order in which the processor can end them", "[hv][devices]") {
  expect_pass(root_of_the_crossing, 2);
}

TEST_CASE("a level that is unmapped ends, and one that nobody takes holds nothing up",
          "[hv][devices]") {
  expect_pass(root_that_unmaps, 1);
}

TEST_CASE("a level ends with the processor that it was in service at", "[hv][devices]") {
  expect_pass(root_that_restarts_the_second, 2);
}

TEST_CASE("vectors that were mapped at once go to vectors in a row", "[hv][devices]") {
  expect_pass(root_of_the_messages, 1);
}

TEST_CASE("a mapped interrupt of a device comes to the VP and vector it is for", "[hv][devices]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world(root_with_a_mapped_device), seed);
    INFO("seed " << seed << " " << describe(result));
    CHECK(result.passed());
  }
}

TEST_CASE("the root sends a device's interrupt to another vector, another VP, or to several",
          "[hv][devices]") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const sim::RunResult result = run(world(root_with_a_device, 2), seed);
    INFO("seed " << seed << " " << describe(result));
    CHECK(result.passed());
  }
}
