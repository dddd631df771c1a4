// Interrupts of the root's devices, and how the root sends them elsewhere, on the whole hypervisor
// in the simulator: the interval timer ticks at the legacy interrupt controller.
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

}  // namespace

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
