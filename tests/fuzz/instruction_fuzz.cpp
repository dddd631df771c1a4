// The bytes at a guest's RIP: whatever they are, the decoder stays inside of them, and what it
// makes of them is something that a processor could do.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "hv/instruction/memory_instruction.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

/// One more than the longest instruction has.
constexpr std::uint32_t kMostBytes = hv::kLongestInstruction + 1;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(const hv::MemoryInstruction& instruction, std::size_t available) {
  require(instruction.length != 0 && instruction.length <= available);
  require(instruction.length <= hv::kLongestInstruction);
  const std::array sizes{1, 2, 4, 8};
  require(std::ranges::find(sizes, instruction.size_bytes) != sizes.end());
  require(instruction.register_number < 16);
  require(!instruction.high_byte || instruction.size_bytes == 1);
  require(instruction.writes || !instruction.immediate);
  const hv::MemoryOperand& operand = instruction.operand;
  require(operand.base == hv::MemoryOperand::kNoRegister || operand.base < 16);
  require(operand.index == hv::MemoryOperand::kNoRegister || operand.index < 16);
  const std::array scales{1, 2, 4, 8};
  require(std::ranges::find(scales, operand.scale) != scales.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto code_size = static_cast<hv::CodeSize>(input.below(3));
  // The bytes come first: the registers count for little, and may be left out.
  const std::span<const std::byte> bytes = input.take_bytes(input.below(kMostBytes + 1));
  std::array<std::uint64_t, 16> registers{};
  for (std::uint64_t& value : registers) {
    value = input.take<std::uint64_t>();
  }
  const auto instruction = hv::decode_memory_instruction(bytes, code_size);
  if (instruction) {
    check(*instruction, bytes.size());
    const std::uint64_t address = hv::effective_address(instruction->operand, registers, 0x1000);
    require(instruction->operand.address_bytes != 4 || address <= 0xFFFF'FFFF);
    require(instruction->operand.address_bytes != 2 || address <= 0xFFFF);
    static_cast<void>(hv::loaded_register(*instruction, registers[0], registers[1]));
    static_cast<void>(hv::stored_value(*instruction, registers[0]));
  }
  return 0;
}
