// How a run on metal ends.
#include "machine/vmx_root.h"
#include "metal/metal.h"

namespace {

// Bochs: a 'D' on this port breaks into its debugger, whose next command ends the run.
constexpr std::uint16_t kBochsControlPort = 0x8900;
constexpr std::uint8_t kBochsBreak = 'D';
constexpr std::uint32_t kPanicCode = 3;

}  // namespace

namespace machine {

void stop(std::uint32_t code) {
  disable_interrupts();
  metal::serial_write("chronovisor: stopped with code ");
  metal::serial_write_decimal(code);
  metal::serial_write("\n");
  metal::serial_flush();
  out_u8(kBochsControlPort, kBochsBreak);
  for (;;) {
    asm volatile("cli; hlt");
  }
}

}  // namespace machine

namespace metal {

void end_program(std::string_view) { machine::stop(kPanicCode); }

}  // namespace metal
