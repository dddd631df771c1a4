// The control word of a hypercall, checked against what its call allows (TLFS "Hypercall
// Interface"). Pure: no partition, no memory.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "hv/hypercall/call_arithmetic.h"
#include "hv/tlfs/hypercall.h"
#include "hv/tlfs/privileges.h"

namespace hv {

enum class RepKind : std::uint8_t { kSimple, kRep };
enum class FastForm : bool { kRefused, kAllowed };
/// How many qwords a variable header may have at most: one for each bank of a VP set, or the mask
/// of the banks first, where the fixed header ends before it.
enum class VariableHeader : std::uint8_t { kNone = 0, kBanks = 64, kMaskAndBanks = 65 };

inline constexpr auto kMaxVariableHeaderQwords =
    static_cast<std::uint32_t>(VariableHeader::kMaskAndBanks);

/// What the interface says about a call, its meaning apart.
struct CallDescription {
  CallCode code{};
  std::string_view name;
  RepKind rep = RepKind::kSimple;
  /// Whether the call may be fast on every processor: RDX and R8 are enough for it. Others need the
  /// XMM registers.
  FastForm fast = FastForm::kRefused;
  VariableHeader variable_header = VariableHeader::kNone;
  /// Sizes in bytes; the element sizes are those of one repetition.
  std::uint16_t header_size_bytes = 0;
  std::uint16_t element_size_bytes = 0;
  std::uint16_t output_size_bytes = 0;
  std::uint16_t output_element_size_bytes = 0;
  /// What the caller must hold; 0 for calls that ask for no privilege or for more than one bit.
  std::uint64_t privilege = 0;
};

/// A call whose control word is legal. Any call may be made fast whose blocks fit the registers.
struct DecodedCall {
  bool fast = false;
  std::uint32_t rep_count = 0;
  std::uint32_t rep_start = 0;
  std::uint32_t variable_header_bytes = 0;
  /// Sizes of the whole blocks; 0 for none.
  std::uint32_t input_size_bytes = 0;
  std::uint32_t output_size_bytes = 0;
};

enum class DecodeFailure : std::uint8_t {
  kInvalidInput,
  /// A fast call would answer in registers that it may not use: #UD.
  kUndefinedOpcode,
};

/// Whether a fast call may answer in registers: not to a caller outside of 64-bit mode, nor to one
/// that CPUID has not told so (TLFS "Extended Fast Hypercalls").
enum class FastOutput : bool { kRefused, kAllowed };

[[nodiscard]] constexpr std::expected<DecodedCall, DecodeFailure> decode_call(
    HypercallControl control, const CallDescription& call,
    FastOutput fast_output = FastOutput::kAllowed) {
  using Failure = std::unexpected<DecodeFailure>;
  const bool rep = call.rep == RepKind::kRep;
  // What most calls are: simple, with nothing beside the code and the fast bit.
  const bool answers_in_registers = control.is_fast() && call.output_size_bytes != 0;
  if (control.value() >> 17 == 0 && !rep && !answers_in_registers &&
      (!control.is_fast() || call.header_size_bytes <= kFastInputBytes)) [[likely]] {
    DecodedCall plain;
    plain.fast = control.is_fast();
    plain.input_size_bytes = call.header_size_bytes;
    plain.output_size_bytes = call.output_size_bytes;
    return plain;
  }
  if (!control.reserved_bits_are_zero() || control.is_nested()) {
    return Failure(DecodeFailure::kInvalidInput);
  }
  if (rep ? control.rep_count() <= control.rep_start()
          : (control.rep_count() != 0 || control.rep_start() != 0)) {
    return Failure(DecodeFailure::kInvalidInput);
  }
  if (control.variable_header_qwords() > static_cast<std::uint32_t>(call.variable_header)) {
    return Failure(DecodeFailure::kInvalidInput);
  }
  DecodedCall decoded;
  decoded.fast = control.is_fast();
  decoded.rep_count = control.rep_count();
  decoded.rep_start = control.rep_start();
  decoded.variable_header_bytes = control.variable_header_qwords() * 8;
  decoded.input_size_bytes = call.header_size_bytes + decoded.variable_header_bytes +
                             decoded.rep_count * call.element_size_bytes;
  decoded.output_size_bytes =
      call.output_size_bytes + decoded.rep_count * call.output_element_size_bytes;
  if (!decoded.fast) {
    return decoded;
  }
  if (decoded.output_size_bytes != 0 && fast_output == FastOutput::kRefused) {
    return Failure(DecodeFailure::kUndefinedOpcode);
  }
  if (!call_arithmetic::fits_in_registers<std::uint64_t>(decoded.input_size_bytes,
                                                         decoded.output_size_bytes)) {
    return Failure(DecodeFailure::kInvalidInput);
  }
  return decoded;
}

/// Where the blocks of a call in memory lie.
[[nodiscard]] constexpr bool blocks_are_placed_well(const DecodedCall& call, std::uint64_t input,
                                                    std::uint64_t output) {
  using namespace call_arithmetic;
  const std::uint64_t input_size = call.input_size_bytes;
  const std::uint64_t output_size = call.output_size_bytes;
  if (output_size == 0) {
    return block_is_placed_well(input, input_size);
  }
  return block_is_placed_well(input, input_size) && block_is_placed_well(output, output_size) &&
         blocks_are_apart(input, input_size, output, output_size);
}

}  // namespace hv
