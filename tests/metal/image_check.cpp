// A guest image: its own header, boot page, stacks, arena, interrupt table, and guest.h.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "machine/common.h"
#include "machine/guest.h"
#include "machine/image.h"
#include "machine/shared.h"
#include "machine/x86.h"
#include "metal/guest/image.h"
#include "tests/metal/image_check.h"

namespace seam_check {
namespace {

namespace x86 = machine::x86;
using machine::Gpa;

constexpr std::uint8_t kVector = 0x44;

// A hypercall page as a hypervisor would supply it.
alignas(4096) constinit std::array<std::uint8_t, 4> call_page = {0x0F, 0x01, 0xC1, 0xC3};
constinit std::uint64_t seen_vector = 0;
constinit void* seen_local = nullptr;

std::uint64_t call(ImageCall what, std::uint64_t first, std::uint64_t second) {
  return machine::hypercall(Gpa(reinterpret_cast<std::uint64_t>(call_page.data())),
                            static_cast<std::uint64_t>(what), first, second);
}

void check(const char* property, bool holds) {
  call(ImageCall::kCheck, reinterpret_cast<std::uint64_t>(property), holds ? 1 : 0);
}

machine::ImageHeader read_header() {
  machine::ImageHeader header;
  machine::read_memory(machine::image_base(), std::as_writable_bytes(std::span(&header, 1)));
  return header;
}

bool contains(const machine::ImageHeader& header, std::uint64_t address) {
  return address >= header.load_gpa && address < header.load_gpa + header.memory_size_bytes;
}

std::uint64_t stack_pointer() {
  std::uint64_t value = 0;
  asm volatile("movq %%rsp, %0" : "=r"(value));
  return value;
}

void check_header(const machine::ImageHeader& header) {
  check("an image finds its own header", header.magic == machine::kImageMagic &&
                                             header.version == machine::kImageVersion &&
                                             header.load_gpa == machine::image_base().value() &&
                                             std::string_view(header.name.data()) == "image_check");
  check("the header describes the arena that the seam gives",
        header.arena_gpa == reinterpret_cast<std::uint64_t>(machine::arena().data()) &&
            header.arena_size_bytes == machine::arena().size() &&
            contains(header, header.arena_gpa + header.arena_size_bytes - 1));
  check("what only memory holds is zero at the start",
        machine::load_u64(Gpa(header.arena_gpa)) == 0 &&
            header.file_size_bytes < header.memory_size_bytes);
  check("a processor starts on its own stack",
        stack_pointer() <= header.stacks_gpa + header.stack_size_bytes &&
            stack_pointer() > header.stacks_gpa);
  check("the processors' stacks lie inside of the image",
        contains(header, header.stacks_gpa + header.max_processors * header.stack_size_bytes - 1));
  std::uint64_t tables = 0;
  asm volatile("movq %%cr3, %0" : "=r"(tables));
  check("an image runs on the page tables that it brought", tables == header.page_tables_gpa);
  machine::BootPage boot_page;
  machine::read_memory(Gpa(header.boot_page_gpa), std::as_writable_bytes(std::span(&boot_page, 1)));
  check("an image finds its boot page",
        boot_page.magic == machine::kBootPageMagic && boot_page.processor_count == 2);
}

void check_memory(const machine::ImageHeader& header) {
  const Gpa place(header.arena_gpa + header.arena_size_bytes - machine::kPageSize);
  machine::store_u32(place, 1);
  check("a guest's words exchange and compare",
        machine::exchange_u32(place, 2) == 1 && machine::compare_exchange_u32(place, 2, 3) == 2 &&
            machine::fetch_or_u32(place, 4) == 3 && machine::fetch_and_u32(place, 5) == 7 &&
            machine::load_u32(place) == 5);
  machine::store_u64(place, ~0ull);
  check("a guest's wide words exchange and compare",
        machine::compare_exchange_u64(place, ~0ull, 1) == ~0ull &&
            machine::fetch_or_u64(place, 6) == 1 && machine::fetch_and_u64(place, 2) == 7 &&
            machine::load_u16(place) == 2 && machine::load_u8(place) == 2);
}

void on_interrupt(const machine::InterruptFrame& frame) {
  seen_vector = frame.vector;
  seen_local = machine::processor_local();
}

void check_interrupts() {
  int word = 0;
  check("a guest's processor_local is null until it is set", machine::processor_local() == nullptr);
  machine::set_processor_local(&word);
  machine::set_interrupt_handler(kVector, on_interrupt);
  machine::enable_interrupts();
  call(ImageCall::kInterrupt, kVector, 0);
  check("an interrupt runs the guest's own handler, which finds its processor",
        seen_vector == kVector && seen_local == &word);
  check("a handler returns to where interrupts are enabled", machine::interrupts_enabled());
  machine::disable_interrupts();
  machine::HypercallRegisters both{10, 20};
  static_cast<void>(
      machine::hypercall_in_registers(Gpa(reinterpret_cast<std::uint64_t>(call_page.data())),
                                      static_cast<std::uint64_t>(ImageCall::kCount), both));
  check("a call in registers takes and returns RDX and R8", both.rdx == 11 && both.r8 == 21);
  check("an MSR that a guest may not read gives it #GP(0)",
        machine::try_read_msr(x86::kX2ApicEoi) ==
            std::unexpected(machine::Exception{x86::kVectorGeneralProtection, 0}));
}

}  // namespace
}  // namespace seam_check

namespace metal {

void run_image() {
  const machine::ImageHeader header = seam_check::read_header();
  seam_check::check_header(header);
  seam_check::check_memory(header);
  seam_check::check_interrupts();
  for (;;) {
    seam_check::call(seam_check::ImageCall::kDone, 1, 0);
  }
}

void run_image_processor() {
  const machine::ImageHeader header = seam_check::read_header();
  seam_check::check("another processor starts at its own entry, on its own stack",
                    seam_check::stack_pointer() > header.stacks_gpa + header.stack_size_bytes &&
                        machine::processor_local() == nullptr);
  for (;;) {
    seam_check::call(seam_check::ImageCall::kDone, 0, 0);
  }
}

}  // namespace metal
