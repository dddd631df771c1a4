// The common link set, and memory.
#include <array>
#include <cstddef>

#include "machine/common.h"
#include "machine/shared.h"
#include "machine/spin_lock.h"
#include "machine/x86.h"
#include "tests/metal/seam_check.h"

namespace seam_check {
namespace {

namespace x86 = machine::x86;
using machine::Spa;

constexpr std::uint8_t kSelfVector = 0x60;
constexpr std::uint8_t kTimerVector = 0x62;

constinit machine::Shared<std::uint32_t> interrupts{0};
constinit std::uint64_t seen_vector = 0;

void on_interrupt(const machine::InterruptFrame& frame) {
  seen_vector = frame.vector;
  interrupts.fetch_add(1);
  machine::write_msr(x86::kX2ApicEoi, 0);
}

void check_msrs() {
  const machine::Exception general_protection{.vector = x86::kVectorGeneralProtection,
                                              .error_code = 0};
  check("an MSR that refuses to be read gives #GP(0)",
        machine::try_read_msr(x86::kX2ApicEoi) == std::unexpected(general_protection));
  check("an MSR that refuses a value gives #GP(0)",
        machine::try_write_msr(x86::kMsrEfer, ~0ull) ==
            std::expected<void, machine::Exception>(std::unexpected(general_protection)));
  const auto efer = machine::try_read_msr(x86::kMsrEfer);
  check("try_read_msr reads what read_msr reads", efer.has_value() &&
                                                      *efer == machine::read_msr(x86::kMsrEfer) &&
                                                      (*efer & x86::kEferLma) != 0);
  check("try_write_msr writes", machine::try_write_msr(x86::kMsrKernelGsBase, 0x123456789000) &&
                                    machine::read_msr(x86::kMsrKernelGsBase) == 0x123456789000);
}

void check_memory() {
  const Spa place = page(Page::kIoBitmapA);
  machine::store_u64(place, 0x1122334455667788);
  check("memory is little endian and reached in all widths",
        machine::load_u8(place) == 0x88 && machine::load_u16(place) == 0x7788 &&
            machine::load_u32(place + 4) == 0x11223344);
  check("compare-exchange returns the value from before",
        machine::compare_exchange_u32(place, 0x55667788, 1) == 0x55667788 &&
            machine::compare_exchange_u32(place, 0x55667788, 2) == 1 &&
            machine::load_u32(place) == 1);
  check("fetch-or and fetch-and return the value from before",
        machine::fetch_or_u32(place, 6) == 1 && machine::fetch_and_u32(place, 5) == 7 &&
            machine::load_u32(place) == 5);
  machine::store_u64(place, 0);
  check("a byte is or-ed alone",
        machine::fetch_or_u8(place + 1, 0x80) == 0 && machine::load_u64(place) == 0x8000);
  std::array<std::byte, 5> bytes{};
  machine::fill_memory(place, 3, 0xAB);
  machine::read_memory(place, bytes);
  check("fill_memory and read_memory take any length",
        bytes[0] == std::byte{0xAB} && bytes[2] == std::byte{0xAB} && bytes[3] == std::byte{0});
  machine::fill_memory(place, machine::kPageSize, 0);
}

void check_shared() {
  machine::Shared<std::uint64_t> wide{5};
  machine::Shared<std::uint32_t> narrow{7};
  check("shared words exchange, add, or and compare",
        wide.fetch_add(10) == 5 && wide.fetch_or(16) == 15 && wide.fetch_and(24) == 31 &&
            wide.exchange(1) == 24 && narrow.exchange(9) == 7 && narrow.compare_exchange(9, 10) &&
            !narrow.compare_exchange(9, 11) && narrow.load() == 10 && wide.load() == 1);
  machine::SpinLock lock(machine::LockRank{1});
  lock.acquire();
  lock.release();
  lock.acquire();
  lock.release();
  check("a spin lock is taken and released", true);
}

void check_extended_registers() {
  const std::uint64_t components =
      machine::cpuid(x86::kCpuidExtendedState, 0).eax & (x86::kXcr0X87 | x86::kXcr0Sse);
  check("XCR0 takes what CPUID offers, and reads as it was written",
        machine::try_write_xcr0(components) && machine::read_xcr0() == components);
  check("XCR0 without the x87 state is refused with #GP(0)",
        machine::try_write_xcr0(x86::kXcr0Sse) ==
            std::expected<void, machine::Exception>(std::unexpected(
                machine::Exception{.vector = x86::kVectorGeneralProtection, .error_code = 0})));
  machine::XmmRegisters first;
  machine::XmmRegisters second;
  for (std::size_t index = 0; index < first.quadwords.size(); ++index) {
    first.quadwords[index] = 0x0102030405060708 * (index + 1);
    second.quadwords[index] = ~first.quadwords[index];
  }
  machine::XmmRegisters seen;
  machine::write_xmm(first);
  machine::read_xmm(seen);
  check("XMM0 to XMM5 read as they were written", seen == first);
  const Spa area = page(Page::kIoBitmapA);
  machine::store_u32(area + x86::kXsaveMxcsr, x86::kMxcsrInitial);
  machine::save_extended_state(area, components);
  machine::write_xmm(second);
  machine::restore_extended_state(area, components);
  machine::read_xmm(seen);
  check("a saved state comes back when it is restored", seen == first);
  machine::store_u64(area + x86::kXsaveHeader, 0);
  machine::restore_extended_state(area, components);
  machine::read_xmm(seen);
  check("a component that an area says is initial is", seen == machine::XmmRegisters{});
  machine::fill_memory(area, machine::kPageSize, 0);
}

void check_own_interrupts() {
  machine::set_interrupt_handler(kSelfVector, on_interrupt);
  machine::set_interrupt_handler(kTimerVector, on_interrupt);
  machine::write_msr(x86::kX2ApicSelfIpi, kSelfVector);
  for (int turn = 0; turn < 1000; ++turn) {
    machine::pause();
  }
  check("no interrupt arrives while interrupts are disabled", interrupts.load() == 0);
  machine::enable_interrupts();
  const bool were_enabled = machine::disable_interrupts();
  check("a pending interrupt arrives when interrupts are enabled",
        were_enabled && interrupts.load() == 1 && seen_vector == kSelfVector);
  machine::write_msr(x86::kX2ApicLvtTimer, x86::kLvtTimerTscDeadline | kTimerVector);
  machine::write_msr(x86::kMsrTscDeadline, machine::read_tsc() + 100'000);
  machine::sti_hlt();
  check("the TSC-deadline timer ends sti_hlt",
        interrupts.load() == 2 && seen_vector == kTimerVector && !machine::interrupts_enabled());
  machine::write_msr(x86::kX2ApicSelfIpi, kSelfVector);
  machine::sti_hlt();
  check("an interrupt that was pending before ends sti_hlt", interrupts.load() == 3);
}

}  // namespace

void check_instructions() {
  const machine::CpuidResult vendor = machine::cpuid(0, 0);
  check("CPUID names Intel",
        vendor.ebx == 0x756E6547 && vendor.edx == 0x49656E69 && vendor.ecx == 0x6C65746E);
  const std::uint64_t before = machine::read_tsc();
  check("the time-stamp counter counts", machine::read_tsc() > before);
  check("processor_local is null until it is set", machine::processor_local() == nullptr);
  int word = 0;
  machine::set_processor_local(&word);
  check("processor_local is what was set", machine::processor_local() == &word);
  check("a port without a device reads all-ones",
        machine::in_u8(0x2F0) == 0xFF && machine::in_u16(0x2F0) == 0xFFFF);
  check_msrs();
  check_memory();
  check_shared();
  check_extended_registers();
  check_own_interrupts();
}

}  // namespace seam_check
