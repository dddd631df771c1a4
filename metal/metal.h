// The real computer: the seam's functions as x86-64 instructions, and what must be there before the
// first of them can run: boot, descriptor tables, interrupt stubs, processors, bootable images.
//
// Folders: hypervisor/ (boot from GRUB, VMX root instructions), guest/ (the images of root and
// child), launch/ (hosted: runs an image on an emulator). The programs above the seam call it
// through machine/ alone; it calls hv::boot and the entry functions of the kernels, and knows
// nothing else of them. The seam's functions are at most eight instructions each: tests/metal/
// holds that.
//
// This header is what the parts of one freestanding program share.
#pragma once

#include <cstdint>
#include <string_view>

namespace metal {

/// Writes text on COM1, polled; "\n" becomes "\r\n". Bounded: without a device nothing is written.
void serial_write(std::string_view text);
/// As 0x and hexadecimal digits, without leading zeros.
void serial_write_hex(std::uint64_t value);
void serial_write_decimal(std::uint64_t value);
/// Sets COM1 to 115200 8N1.
void serial_initialize();
/// Waits until the last byte has left (the transmitter is empty).
void serial_flush();

/// Ends the program after it has reported why: the hypervisor stops the machine, a kernel its
/// partition (triple fault). Each of the two kinds of program links its own.
[[noreturn]] void end_program(std::string_view why);

/// Reports and ends the program.
[[noreturn]] void panic(std::string_view what);

/// Points the IDT of the executing processor at the program's handlers. The first call, by the
/// first processor and before any other processor runs, builds the table. `code_selector` is that
/// of the program's GDT. With `separate_stacks`, double fault, NMI and machine check use IST 1
/// to 3.
void load_interrupt_table(std::uint16_t code_selector, bool separate_stacks);

/// What GS points at on each processor. processor_local() reads the first word.
struct ProcessorBlock {
  void* local = nullptr;
};

/// Points GS of the executing processor at `block`, whose word becomes null.
void load_processor_block(ProcessorBlock& block);

}  // namespace metal
