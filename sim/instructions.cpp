#include "sim/instructions.h"

#include <algorithm>

namespace sim {

namespace {

struct Code {
  Instruction instruction;
  std::array<std::uint8_t, 5> bytes;
};

// SDM vol. 2, by name.
constexpr auto kCodes = std::to_array<Code>({
    {instructions::kCpuid, {0x0F, 0xA2}},
    {instructions::kRdmsr, {0x0F, 0x32}},
    {instructions::kWrmsr, {0x0F, 0x30}},
    {instructions::kRdtsc, {0x0F, 0x31}},
    {instructions::kPause, {0xF3, 0x90}},
    {instructions::kHlt, {0xF4}},
    {instructions::kVmcall, {0x0F, 0x01, 0xC1}},
    {instructions::kIn8, {0xEC}},
    {instructions::kIn16, {0x66, 0xED}},
    {instructions::kIn32, {0xED}},
    {instructions::kOut8, {0xEE}},
    {instructions::kOut16, {0x66, 0xEF}},
    {instructions::kOut32, {0xEF}},
    {instructions::kLoad8, {0x8A, 0x07}},
    {instructions::kLoad16, {0x66, 0x8B, 0x07}},
    {instructions::kLoad32, {0x8B, 0x07}},
    {instructions::kLoad64, {0x48, 0x8B, 0x07}},
    {instructions::kStore8, {0x88, 0x07}},
    {instructions::kStore16, {0x66, 0x89, 0x07}},
    {instructions::kStore32, {0x89, 0x07}},
    {instructions::kStore64, {0x48, 0x89, 0x07}},
    {instructions::kExchange32, {0x87, 0x17}},
    {instructions::kCompareExchange32, {0xF0, 0x0F, 0xB1, 0x17}},
    {instructions::kCompareExchange64, {0xF0, 0x48, 0x0F, 0xB1, 0x17}},
    {instructions::kMoveString, {0xF3, 0xA4}},
    {instructions::kFillString, {0xF3, 0xAA}},
    {instructions::kXsetbv, {0x0F, 0x01, 0xD1}},
});

constexpr std::byte kNop{0x90};

}  // namespace

void put_instructions(std::span<std::byte> entry_page) {
  std::ranges::fill(
      entry_page.subspan(std::size_t{instructions::kFirstSlot} * instructions::kSlotBytes), kNop);
  for (const Code& code : kCodes) {
    for (std::size_t index = 0; index < code.instruction.length; ++index) {
      entry_page[code.instruction.offset + index] = std::byte{code.bytes[index]};
    }
  }
}

}  // namespace sim
