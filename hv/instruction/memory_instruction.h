// Instructions that move data between memory and a register, or an immediate into memory, decoded
// from their bytes (SDM vol. 2 chapter 2): what the hypervisor has to know of an access to memory
// that is not there.
//
// Pure functions over bytes that a guest may change at any moment: the caller has read them once.
// The local APIC's page and doorbells are the callers. Nothing here knows where bytes come from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace hv {

inline constexpr std::size_t kLongestInstruction = 15;

/// Of the code segment, in bits: what addresses and operands are without a prefix.
enum class CodeSize : std::uint8_t { k16, k32, k64 };

enum class SegmentOverride : std::uint8_t { kNone, kEs, kCs, kSs, kDs, kFs, kGs };

/// The memory operand: base + index * scale + displacement, cut to the size of an address.
struct MemoryOperand {
  static constexpr std::uint8_t kNoRegister = 0xFF;
  /// General registers by their number in the instruction set.
  std::uint8_t base = kNoRegister;
  std::uint8_t index = kNoRegister;
  std::uint8_t scale = 1;
  std::uint8_t address_bytes = 8;
  /// Relative to the instruction that follows.
  bool from_rip = false;
  SegmentOverride segment = SegmentOverride::kNone;
  std::int64_t displacement = 0;
  friend constexpr bool operator==(const MemoryOperand&, const MemoryOperand&) = default;
};

struct MemoryInstruction {
  enum class Extension : std::uint8_t { kNone, kZero, kSign };

  std::uint8_t length = 0;
  /// Memory is the destination.
  bool writes = false;
  /// How much of memory is accessed: 1, 2, 4 or 8.
  std::uint8_t size_bytes = 0;
  /// How wide the register is that a load fills: more than size_bytes with an extension.
  std::uint8_t register_bytes = 0;
  Extension extension = Extension::kNone;
  std::uint8_t register_number = 0;
  /// AH, CH, DH or BH: bits 15:8 of register_number.
  bool high_byte = false;
  /// What a store writes, if no register's value.
  std::optional<std::uint64_t> immediate;
  MemoryOperand operand;
  friend constexpr bool operator==(const MemoryInstruction&, const MemoryInstruction&) = default;
};

/// MOV (88..8B, A0..A3, C6, C7), MOVZX, MOVSX and MOVSXD with a memory operand. Nothing for
/// whatever else the bytes are, and for an instruction that goes on behind them.
[[nodiscard]] std::optional<MemoryInstruction> decode_memory_instruction(
    std::span<const std::byte> bytes, CodeSize code_size);

/// The register after a load of `value`: MOV to 1 or 2 bytes leaves the rest as it was, to 4 bytes
/// clears the upper half.
[[nodiscard]] std::uint64_t loaded_register(const MemoryInstruction& instruction,
                                            std::uint64_t before, std::uint64_t value);
/// What a store writes of the register that it names, or its immediate.
[[nodiscard]] std::uint64_t stored_value(const MemoryInstruction& instruction,
                                         std::uint64_t register_value);
/// Where the operand is within its segment. `registers` are those that it names, in the numbering
/// of the instruction set; `next_rip` is where the following instruction stands.
[[nodiscard]] std::uint64_t effective_address(const MemoryOperand& operand,
                                              std::span<const std::uint64_t, 16> registers,
                                              std::uint64_t next_rip);

}  // namespace hv
