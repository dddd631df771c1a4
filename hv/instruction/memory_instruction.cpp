#include "hv/instruction/memory_instruction.h"

namespace hv {
namespace {

using Extension = MemoryInstruction::Extension;

constexpr std::uint8_t kStackPointer = 4;
constexpr std::uint8_t kBasePointer = 5;

struct Prefixes {
  bool operand_size = false;
  bool address_size = false;
  SegmentOverride segment = SegmentOverride::kNone;
  std::uint8_t rex = 0;

  [[nodiscard]] bool wide() const { return (rex & 8) != 0; }
  [[nodiscard]] std::uint8_t extend_register() const { return (rex & 4) != 0 ? 8 : 0; }
  [[nodiscard]] std::uint8_t extend_index() const { return (rex & 2) != 0 ? 8 : 0; }
  [[nodiscard]] std::uint8_t extend_base() const { return (rex & 1) != 0 ? 8 : 0; }
};

/// The bytes from the first to the last; reading on behind them fails for good.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes)
      : bytes_(bytes.size() > kLongestInstruction ? bytes.first(kLongestInstruction) : bytes) {}

  [[nodiscard]] std::uint8_t next() {
    if (position_ == bytes_.size()) {
      failed_ = true;
      return 0;
    }
    return static_cast<std::uint8_t>(bytes_[position_++]);
  }
  void step_back() { --position_; }
  [[nodiscard]] std::uint64_t little_endian(std::size_t size_bytes) {
    std::uint64_t value = 0;
    for (std::size_t index = 0; index < size_bytes; ++index) {
      value |= std::uint64_t{next()} << (8 * index);
    }
    return value;
  }
  [[nodiscard]] std::int64_t signed_value(std::size_t size_bytes) {
    const std::uint64_t value = little_endian(size_bytes);
    const auto unused = static_cast<unsigned>(64 - 8 * size_bytes);
    return static_cast<std::int64_t>(value << unused) >> unused;
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::uint8_t position() const { return static_cast<std::uint8_t>(position_); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

[[nodiscard]] std::optional<SegmentOverride> segment_prefix(std::uint8_t byte) {
  switch (byte) {
    case 0x26:
      return SegmentOverride::kEs;
    case 0x2E:
      return SegmentOverride::kCs;
    case 0x36:
      return SegmentOverride::kSs;
    case 0x3E:
      return SegmentOverride::kDs;
    case 0x64:
      return SegmentOverride::kFs;
    case 0x65:
      return SegmentOverride::kGs;
    default:
      return std::nullopt;
  }
}

/// LOCK and REP are none that a move has: an opcode that does not exist follows from them.
[[nodiscard]] Prefixes read_prefixes(ByteReader& reader, CodeSize code_size) {
  Prefixes prefixes;
  for (;;) {
    const std::uint8_t byte = reader.next();
    if (byte == 0x66) {
      prefixes.operand_size = true;
    } else if (byte == 0x67) {
      prefixes.address_size = true;
    } else if (const auto segment = segment_prefix(byte)) {
      prefixes.segment = *segment;
    } else if (code_size == CodeSize::k64 && (byte & 0xF0) == 0x40) {
      prefixes.rex = byte;  // the last one before the opcode: whatever follows ends it
      return prefixes;
    } else {
      if (!reader.failed()) {
        reader.step_back();
      }
      return prefixes;
    }
  }
}

[[nodiscard]] std::uint8_t operand_bytes(const Prefixes& prefixes, CodeSize code_size) {
  if (prefixes.wide()) {
    return 8;
  }
  return prefixes.operand_size != (code_size == CodeSize::k16) ? 2 : 4;
}

[[nodiscard]] std::uint8_t address_bytes(const Prefixes& prefixes, CodeSize code_size) {
  switch (code_size) {
    case CodeSize::k16:
      return prefixes.address_size ? 4 : 2;
    case CodeSize::k32:
      return prefixes.address_size ? 2 : 4;
    case CodeSize::k64:
      break;
  }
  return prefixes.address_size ? 4 : 8;
}

struct ModRm {
  std::uint8_t mode = 0;
  std::uint8_t reg = 0;
  std::uint8_t rm = 0;
};

/// SDM vol. 2 table 2-1.
void read_operand_16(ByteReader& reader, const ModRm& modrm, MemoryOperand& operand) {
  struct Form {
    std::uint8_t base;
    std::uint8_t index;
  };
  constexpr std::uint8_t kNone = MemoryOperand::kNoRegister;
  constexpr std::array<Form, 8> kForms = {
      {{3, 6}, {3, 7}, {5, 6}, {5, 7}, {6, kNone}, {7, kNone}, {5, kNone}, {3, kNone}}};
  if (modrm.mode == 0 && modrm.rm == 6) {
    operand.displacement = reader.signed_value(2);
    return;
  }
  operand.base = kForms[modrm.rm].base;
  operand.index = kForms[modrm.rm].index;
  if (modrm.mode != 0) {
    operand.displacement = reader.signed_value(modrm.mode == 1 ? 1 : 2);
  }
}

/// SDM vol. 2 tables 2-2 and 2-3; 2.2.1 for REX and RIP-relative addresses.
void read_operand_32(ByteReader& reader, const ModRm& modrm, const Prefixes& prefixes,
                     CodeSize code_size, MemoryOperand& operand) {
  bool has_base = true;
  if (modrm.rm == kStackPointer) {
    const std::uint8_t sib = reader.next();
    const auto index = static_cast<std::uint8_t>(((sib >> 3) & 7) + prefixes.extend_index());
    operand.scale = static_cast<std::uint8_t>(1u << (sib >> 6));
    if (index != kStackPointer) {
      operand.index = index;
    }
    has_base = modrm.mode != 0 || (sib & 7) != kBasePointer;
    operand.base = static_cast<std::uint8_t>((sib & 7) + prefixes.extend_base());
  } else if (modrm.mode == 0 && modrm.rm == kBasePointer) {
    has_base = false;
    operand.from_rip = code_size == CodeSize::k64;
  } else {
    operand.base = static_cast<std::uint8_t>(modrm.rm + prefixes.extend_base());
  }
  if (!has_base) {
    operand.base = MemoryOperand::kNoRegister;
    operand.displacement = reader.signed_value(4);
  } else if (modrm.mode != 0) {
    operand.displacement = reader.signed_value(modrm.mode == 1 ? 1 : 4);
  }
}

/// ModRM and what follows; false if the operand is a register.
[[nodiscard]] bool read_operand(ByteReader& reader, const Prefixes& prefixes, CodeSize code_size,
                                MemoryInstruction& instruction) {
  const std::uint8_t byte = reader.next();
  const ModRm modrm{.mode = static_cast<std::uint8_t>(byte >> 6),
                    .reg = static_cast<std::uint8_t>((byte >> 3) & 7),
                    .rm = static_cast<std::uint8_t>(byte & 7)};
  if (modrm.mode == 3) {
    return false;
  }
  if (instruction.operand.address_bytes == 2) {
    read_operand_16(reader, modrm, instruction.operand);
  } else {
    read_operand_32(reader, modrm, prefixes, code_size, instruction.operand);
  }
  instruction.register_number = static_cast<std::uint8_t>(modrm.reg + prefixes.extend_register());
  return true;
}

/// Without REX the upper four byte registers are AH, CH, DH and BH.
void name_byte_register(const Prefixes& prefixes, MemoryInstruction& instruction) {
  if (prefixes.rex == 0 && instruction.register_number >= 4) {
    instruction.high_byte = true;
    instruction.register_number = static_cast<std::uint8_t>(instruction.register_number - 4);
  }
}

/// 88..8B: MOV with ModRM.
[[nodiscard]] bool read_move(ByteReader& reader, const Prefixes& prefixes, CodeSize code_size,
                             std::uint8_t opcode, MemoryInstruction& instruction) {
  const bool is_byte = (opcode & 1) == 0;
  instruction.writes = (opcode & 2) == 0;
  instruction.size_bytes = is_byte ? std::uint8_t{1} : operand_bytes(prefixes, code_size);
  if (!read_operand(reader, prefixes, code_size, instruction)) {
    return false;
  }
  if (is_byte) {
    name_byte_register(prefixes, instruction);
  }
  return true;
}

/// A0..A3: MOV between the accumulator and an address in the instruction.
void read_accumulator_move(ByteReader& reader, const Prefixes& prefixes, CodeSize code_size,
                           std::uint8_t opcode, MemoryInstruction& instruction) {
  instruction.writes = (opcode & 2) != 0;
  instruction.size_bytes = (opcode & 1) == 0 ? std::uint8_t{1} : operand_bytes(prefixes, code_size);
  instruction.operand.displacement =
      static_cast<std::int64_t>(reader.little_endian(instruction.operand.address_bytes));
}

/// C6 /0 and C7 /0: MOV of an immediate, of at most 4 bytes, its sign extended.
[[nodiscard]] bool read_immediate_move(ByteReader& reader, const Prefixes& prefixes,
                                       CodeSize code_size, std::uint8_t opcode,
                                       MemoryInstruction& instruction) {
  instruction.writes = true;
  instruction.size_bytes = (opcode & 1) == 0 ? std::uint8_t{1} : operand_bytes(prefixes, code_size);
  if (!read_operand(reader, prefixes, code_size, instruction) ||
      (instruction.register_number & 7) != 0) {
    return false;
  }
  instruction.register_number = 0;
  const std::size_t encoded = instruction.size_bytes < 4 ? instruction.size_bytes : 4;
  instruction.immediate = static_cast<std::uint64_t>(reader.signed_value(encoded));
  return true;
}

/// 0F B6, B7, BE, BF: MOVZX and MOVSX. 63: MOVSXD.
[[nodiscard]] bool read_extending_move(ByteReader& reader, const Prefixes& prefixes,
                                       CodeSize code_size, MemoryInstruction& instruction) {
  instruction.register_bytes = operand_bytes(prefixes, code_size);
  if (instruction.register_bytes < instruction.size_bytes) {
    instruction.size_bytes = instruction.register_bytes;  // MOVSXD to 16 bits reads no more
  }
  return read_operand(reader, prefixes, code_size, instruction);
}

[[nodiscard]] bool read_two_byte_opcode(ByteReader& reader, const Prefixes& prefixes,
                                        CodeSize code_size, MemoryInstruction& instruction) {
  const std::uint8_t opcode = reader.next();
  if ((opcode & 0xF6) != 0xB6) {
    return false;
  }
  instruction.extension = (opcode & 8) != 0 ? Extension::kSign : Extension::kZero;
  instruction.size_bytes = (opcode & 1) != 0 ? 2 : 1;
  return read_extending_move(reader, prefixes, code_size, instruction);
}

[[nodiscard]] bool read_opcode(ByteReader& reader, const Prefixes& prefixes, CodeSize code_size,
                               MemoryInstruction& instruction) {
  const std::uint8_t opcode = reader.next();
  switch (opcode) {
    case 0x88:
    case 0x89:
    case 0x8A:
    case 0x8B:
      return read_move(reader, prefixes, code_size, opcode, instruction);
    case 0xA0:
    case 0xA1:
    case 0xA2:
    case 0xA3:
      read_accumulator_move(reader, prefixes, code_size, opcode, instruction);
      return true;
    case 0xC6:
    case 0xC7:
      return read_immediate_move(reader, prefixes, code_size, opcode, instruction);
    case 0x63:
      instruction.extension = Extension::kSign;
      instruction.size_bytes = 4;
      return code_size == CodeSize::k64 &&
             read_extending_move(reader, prefixes, code_size, instruction);
    case 0x0F:
      return read_two_byte_opcode(reader, prefixes, code_size, instruction);
    default:
      return false;
  }
}

[[nodiscard]] constexpr std::uint64_t low_bytes(std::uint64_t value, std::uint8_t size_bytes) {
  return size_bytes >= 8 ? value : value & ((1ull << (8 * size_bytes)) - 1);
}

[[nodiscard]] constexpr std::uint64_t sign_extended(std::uint64_t value, std::uint8_t size_bytes) {
  const unsigned unused = 64u - 8u * size_bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << unused) >> unused);
}

}  // namespace

std::optional<MemoryInstruction> decode_memory_instruction(std::span<const std::byte> bytes,
                                                           CodeSize code_size) {
  ByteReader reader(bytes);
  const Prefixes prefixes = read_prefixes(reader, code_size);
  MemoryInstruction instruction;
  instruction.operand.segment = prefixes.segment;
  instruction.operand.address_bytes = address_bytes(prefixes, code_size);
  if (!read_opcode(reader, prefixes, code_size, instruction) || reader.failed()) {
    return std::nullopt;
  }
  if (instruction.register_bytes == 0) {
    instruction.register_bytes = instruction.size_bytes;
  }
  instruction.length = reader.position();
  return instruction;
}

std::uint64_t loaded_register(const MemoryInstruction& instruction, std::uint64_t before,
                              std::uint64_t value) {
  std::uint64_t loaded = low_bytes(value, instruction.size_bytes);
  if (instruction.extension == Extension::kSign) {
    loaded = low_bytes(sign_extended(loaded, instruction.size_bytes), instruction.register_bytes);
  }
  if (instruction.high_byte) {
    return (before & ~0xFF00ull) | (loaded << 8);
  }
  if (instruction.register_bytes >= 4) {
    return loaded;
  }
  return (before - low_bytes(before, instruction.register_bytes)) | loaded;
}

std::uint64_t stored_value(const MemoryInstruction& instruction, std::uint64_t register_value) {
  const std::uint64_t shifted = instruction.high_byte ? register_value >> 8 : register_value;
  return low_bytes(instruction.immediate.value_or(shifted), instruction.size_bytes);
}

std::uint64_t effective_address(const MemoryOperand& operand,
                                std::span<const std::uint64_t, 16> registers,
                                std::uint64_t next_rip) {
  auto address = static_cast<std::uint64_t>(operand.displacement);
  if (operand.base != MemoryOperand::kNoRegister) {
    address += registers[operand.base];
  }
  if (operand.index != MemoryOperand::kNoRegister) {
    address += registers[operand.index] * operand.scale;
  }
  if (operand.from_rip) {
    address += next_rip;
  }
  return low_bytes(address, operand.address_bytes);
}

}  // namespace hv
