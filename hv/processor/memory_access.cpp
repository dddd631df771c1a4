#include "hv/processor/memory_access.h"

#include <array>
#include <span>

#include "hv/hypervisor.h"
#include "hv/processor/guest_translation.h"
#include "hv/vtx/guest_context.h"

namespace hv {
namespace {

constexpr std::uint16_t kSegmentDefaultBig = 1u << 14;
constexpr std::uint8_t kRegisters = 16;

CodeSize code_size() {
  if (vtx::in_64_bit_code()) {
    return CodeSize::k64;
  }
  const SegmentRegister code = vtx::read_segment(vtx::SegmentName::kCs);
  return (code.attributes & kSegmentDefaultBig) != 0 ? CodeSize::k32 : CodeSize::k16;
}

std::uint64_t operand_address(const VirtualProcessor& vp, const MemoryInstruction& instruction) {
  std::array<std::uint64_t, kRegisters> registers{};
  for (std::uint8_t number = 0; number < kRegisters; ++number) {
    if (number == instruction.operand.base || number == instruction.operand.index) {
      registers[number] = vp.context.general_register(number);
    }
  }
  return effective_address(instruction.operand, registers, vtx::read_rip() + instruction.length);
}

/// Whether the processor can have made this access by executing this instruction. Segments begin at
/// pages here, and so does what their limit leaves of an address.
bool explains(const VirtualProcessor& vp, const MemoryInstruction& instruction, machine::Gpa gpa,
              const vtx::EptViolation& violation) {
  const bool is_flat = instruction.operand.segment != SegmentOverride::kFs &&
                       instruction.operand.segment != SegmentOverride::kGs && vtx::in_64_bit_code();
  const std::uint64_t offset = operand_address(vp, instruction) % machine::kPageSize;
  return instruction.writes == violation.write && (!is_flat || offset == gpa.offset_in_page());
}

}  // namespace

RefusedAccess decode_refused_access(VirtualProcessor& vp, machine::Gpa gpa,
                                    const vtx::EptViolation& violation) {
  const InstructionBytes fetched = fetch_instruction(vp);
  const auto instruction = decode_memory_instruction(
      std::as_bytes(std::span(fetched.bytes)).first(fetched.count), code_size());
  if (!instruction) {
    return {};
  }
  if (!explains(vp, *instruction, gpa, violation)) {
    return {RefusedAccess::Kind::kChanged, {}};
  }
  return {RefusedAccess::Kind::kDecoded, *instruction};
}

}  // namespace hv
