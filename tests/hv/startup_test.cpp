// How a child's first processor starts its second by INIT and startup IPIs, as on hardware: in real
// mode, where the vector says (SDM vol. 3 8.4.4, 10.4.7.3).
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <span>

#include "hv/apic/interrupt_command.h"
#include "hv/tlfs/tlfs.h"
#include "machine/guest.h"
#include "machine/image.h"
#include "machine/machine.h"
#include "machine/x86.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/intercept_slot.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using hv::InterruptCommand;
using hv::InterruptDelivery;
using machine::Gpa;

constexpr std::uint8_t kFirstVector = 0x08;
constexpr std::uint8_t kSecondVector = 0x9F;
constexpr std::uint8_t kWakeVector = 0x60;
/// The child's words: how often its second processor has started, been woken, and what it is.
constexpr Gpa kStarts{0x40'5000};
constexpr Gpa kWakes{0x40'5008};
constexpr Gpa kApicId{0x40'5010};
constexpr Gpa kDone{0x40'5018};

void acknowledge(const machine::InterruptFrame&) {
  machine::write_msr(machine::x86::kX2ApicEoi, 0);
}

/// What a kernel has for its other processors goes where a startup IPI can point to. Here that is
/// the entry that its image has for them.
void place_trampoline(std::uint8_t vector) {
  constexpr std::size_t kEntryBytes = 16;
  machine::ImageHeader header;
  machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&header, 1)));
  std::array<std::byte, kEntryBytes> entry;
  machine::read_memory(Gpa(header.processor_entry_gpa), entry);
  machine::write_memory(Gpa(std::uint64_t{vector} << machine::kPageShift), entry);
}

void send(InterruptDelivery delivery, std::uint8_t vector) {
  constexpr std::uint64_t kSecondProcessor = std::uint64_t{1}
                                             << InterruptCommand::kDestinationShift;
  machine::write_msr(
      machine::x86::kX2ApicIcr,
      kSecondProcessor | InterruptCommand::kAssert |
          (static_cast<std::uint64_t>(delivery) << InterruptCommand::kDeliveryShift) | vector);
}

void await(Gpa word, std::uint32_t value) {
  while (machine::load_u32(word) != value) {
    machine::pause();
  }
}

void first_processor() {
  begin();
  place_trampoline(kFirstVector);
  // Without an INIT before it, the IPI means nothing to a processor that runs; this one waits.
  send(InterruptDelivery::kInit, 0);
  send(InterruptDelivery::kStartup, kFirstVector);
  send(InterruptDelivery::kStartup, kFirstVector);
  await(kStarts, 1);
  GUEST_CHECK(machine::load_u32(kApicId) == 1);
  send(InterruptDelivery::kFixed, kWakeVector);
  await(kWakes, 1);
  send(InterruptDelivery::kStartup, kSecondVector);  // it runs: nothing happens
  send(InterruptDelivery::kFixed, kWakeVector);
  await(kWakes, 2);
  GUEST_CHECK(machine::load_u32(kStarts) == 1);
  // Again, from another place.
  send(InterruptDelivery::kInit, 0);
  send(InterruptDelivery::kFixed, kWakeVector);  // finds its APIC disabled
  machine::fill_memory(Gpa(std::uint64_t{kFirstVector} << machine::kPageShift), machine::kPageSize,
                       0);
  place_trampoline(kSecondVector);
  send(InterruptDelivery::kStartup, kSecondVector);
  await(kStarts, 2);
  send(InterruptDelivery::kFixed, kWakeVector);
  await(kWakes, 3);
  machine::store_u32(kDone, 1);
  machine::sti_hlt();
  end(99);
}

/// On one logical processor, where the second cannot look at the IPIs one by one.
void first_that_starts_and_resets() {
  begin();
  place_trampoline(kFirstVector);
  send(InterruptDelivery::kInit, 0);
  send(InterruptDelivery::kStartup, kFirstVector);
  send(InterruptDelivery::kInit, 0);
  machine::spend(50'000'000);  // the second has its turn
  GUEST_CHECK(machine::load_u32(kStarts) == 0);
  send(InterruptDelivery::kStartup, kFirstVector);
  await(kStarts, 1);
  machine::store_u32(kDone, 1);
  machine::sti_hlt();
  end(99);
}

void second_processor() {
  enable_local_apic();
  machine::set_interrupt_handler(kWakeVector, acknowledge);
  const auto id = static_cast<std::uint32_t>(machine::read_msr(machine::x86::kX2ApicId));
  machine::store_u32(kApicId, id);
  machine::store_u32(kStarts, machine::load_u32(kStarts) + 1);
  for (;;) {
    machine::sti_hlt();
    machine::store_u32(kWakes, machine::load_u32(kWakes) + 1);
  }
}

/// What is read there is the parent's to say: the hypervisor must find the instruction.
constexpr std::uint64_t kAnswer = 0x1234'5678;

void first_that_starts_one_in_real_mode() {
  begin();
  place_trampoline(kFirstVector);
  send(InterruptDelivery::kInit, 0);
  send(InterruptDelivery::kStartup, kSecondVector);  // where no memory is
  await(kDone, 1);
  machine::sti_hlt();
  end(99);
}

void second_that_touches_the_hole() {
  const std::uint32_t read = machine::load_u32(child_maker::kHole);
  GUEST_CHECK(read == kAnswer);
  machine::store_u32(kDone, 1);
  for (;;) {
    machine::sti_hlt();
  }
}

void check_real_mode(const hv::InterceptHeader& header) {
  GUEST_CHECK(header.vp == hv::VpIndex{1});
  GUEST_CHECK(header.cs.selector == kSecondVector << 8);
  GUEST_CHECK(header.cs.base == std::uint64_t{kSecondVector} << machine::kPageShift);
  GUEST_CHECK(header.cs.limit == 0xFFFF);
  GUEST_CHECK(header.execution_state == 0);  // neither protected nor long mode
  GUEST_CHECK(header.instruction_length() == 0);
}

void unmap_page(const child_maker::Child& child, Gpa page) {
  const hv::UnmapGpaPagesInput input{child.id, page.page(), 0, 0};
  machine::write_memory(kInputPage, std::as_bytes(std::span(&input, 1)));
  GUEST_CHECK(call(hv::HypercallControl(hv::CallCode::kUnmapGpaPages).with_reps(1)).status() ==
              hv::Status::kSuccess);
}
void map_page(const child_maker::Child& child, Gpa page) {
  const hv::MapGpaPagesInput header{child.id, page.page(),
                                    hv::kMapRead | hv::kMapWrite | hv::kMapExecute, 0};
  const std::array<machine::Gpn, 1> pages{(child.memory + page.value()).page()};
  GUEST_CHECK(call(hv::HypercallControl(hv::CallCode::kMapGpaPages), header,
                   std::span<const machine::Gpn>(pages))
                  .status() == hv::Status::kSuccess);
}

std::array<std::uint8_t, 16> bytes_at(const child_maker::Child& child, std::uint64_t gpa) {
  std::array<std::uint8_t, 16> bytes{};
  machine::read_memory(child.memory + gpa, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

/// The first page of code is not there when the processor starts in it; then it is.
void root_of_one_in_real_mode() {
  begin();
  machine::set_interrupt_handler(0x30, acknowledge);
  machine::write_msr(hv::kMsrSint0, 0x30);
  const child_maker::Child child = child_maker::make("child", 2);
  const Gpa code{std::uint64_t{kSecondVector} << machine::kPageShift};
  unmap_page(child, code);
  child_maker::set_register(child, 1, hv::RegisterName::kExplicitSuspend, 0);
  child_maker::start(child, 0);

  const auto fetch = take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa);
  check_real_mode(fetch.header);
  GUEST_CHECK(fetch.header.access == hv::InterceptAccess::kExecute);
  GUEST_CHECK(fetch.header.rip == 0);
  GUEST_CHECK(fetch.gpa == code.value());
  GUEST_CHECK(fetch.gva == code.value());
  GUEST_CHECK(fetch.instruction_byte_count == 0);
  const std::array<std::uint8_t, 16> entry =
      bytes_at(child, std::uint64_t{kFirstVector} << machine::kPageShift);
  machine::write_memory(child.memory + code.value(), std::as_bytes(std::span(entry)));
  map_page(child, code);
  child_maker::set_register(child, 1, hv::RegisterName::kInterceptSuspend, 0);

  const auto load = take_payload<hv::MemoryIntercept>(hv::MessageType::kUnmappedGpa);
  check_real_mode(load.header);
  GUEST_CHECK(load.header.access == hv::InterceptAccess::kRead);
  GUEST_CHECK(load.gpa == child_maker::kHole.value());
  GUEST_CHECK(load.instruction_byte_count == 16);
  const std::uint64_t linear = (load.header.cs.base + load.header.rip) & 0xFFFF'FFFF;
  GUEST_CHECK(load.instruction_bytes == bytes_at(child, linear));
  GUEST_CHECK(load.instruction_bytes[0] == 0x8B);  // MOV EAX, [...]
  child_maker::set_register(child, 1, hv::RegisterName::kRax, kAnswer);
  child_maker::set_register(child, 1, hv::RegisterName::kRip, load.header.rip + 2);
  child_maker::set_register(child, 1, hv::RegisterName::kInterceptSuspend, 0);
  while (machine::load_u32(child.memory + kDone.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

/// As a kernel that is the root brings its other processors up.
void root_that_starts_its_second() {
  begin();
  hv::CreateVpInput input;
  input.partition = hv::kPartitionIdSelf;
  input.vp = hv::VpIndex{1};
  input.flags = 1;
  GUEST_CHECK(call(hv::HypercallControl(hv::CallCode::kCreateVp), input).status() ==
              hv::Status::kSuccess);
  place_trampoline(kFirstVector);
  send(InterruptDelivery::kInit, 0);
  send(InterruptDelivery::kStartup, kFirstVector);
  await(kStarts, 1);
  GUEST_CHECK(machine::load_u32(kApicId) == 1);
  end(0);
}

void root() {
  begin();
  const child_maker::Child child = child_maker::make("child", 2);
  child_maker::start(child, 0);
  // The second is not held back; it waits for its startup.
  child_maker::set_register(child, 1, hv::RegisterName::kExplicitSuspend, 0);
  while (machine::load_u32(child.memory + kDone.value()) == 0) {
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

}  // namespace

TEST_CASE("a child starts its second processor by INIT and startup IPI", "[hv][startup]") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const std::uint32_t processors : {1u, 2u, 3u}) {
      const sim::RunResult result =
          run(world_with_child(root, first_processor, second_processor, processors), seed);
      INFO("seed " << seed << ", " << processors << " processors: " << describe(result));
      REQUIRE(result.passed());
    }
  }
}

TEST_CASE("an INIT ends a startup that was asked for before it", "[hv][startup]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result =
        run(world_with_child(root, first_that_starts_and_resets, second_processor, 1), seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("the root starts its second processor by INIT and startup IPI", "[hv][startup]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    sim::WorldConfiguration configuration = world(root_that_starts_its_second, 2);
    configuration.guests.front().boot_processor = second_processor;
    const sim::RunResult result = run(configuration, seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}

TEST_CASE("what a processor in real mode touches is told with its code segment and instruction",
          "[hv][startup][intercept]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const sim::RunResult result =
        run(world_with_child(root_of_one_in_real_mode, first_that_starts_one_in_real_mode,
                             second_that_touches_the_hole),
            seed);
    INFO("seed " << seed << ": " << describe(result));
    REQUIRE(result.passed());
  }
}
