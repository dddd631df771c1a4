// The local APIC as a whole, saved and restored (TLFS HvCallGetVpState).
#include "hv/apic/local_apic.h"
#include "machine/x86.h"

namespace hv {
namespace {

constexpr std::uint32_t kModelBits = 0xF000'0000;
constexpr std::uint32_t kLogicalIdBits = 0xFF00'0000;
constexpr std::uint32_t kErrorBits = 0xFF;
constexpr std::uint64_t kNoModel = 0x0FFF'FFFF;
/// No vector below 16 is ever requested.
constexpr std::uint32_t kIllegalVectors = 0xFFFF;
constexpr std::uint32_t kTimerModeShift = 17;
constexpr std::uint32_t kTimerModes = 3;

VectorSet vectors_from(const std::array<std::uint32_t, 8>& words) {
  VectorSet vectors;
  for (std::size_t index = 0; index < words.size(); ++index) {
    vectors.set_register_word(index, words[index]);
  }
  return vectors;
}

void write_words(const VectorSet& vectors, std::array<std::uint32_t, 8>& words) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    words[index] = vectors.register_word(index);
  }
}

}  // namespace

std::array<std::uint32_t, LocalApic::kLvtCount> LocalApic::local_vectors(
    const LocalApicState& state) {
  return {state.lvt_timer, state.lvt_thermal, state.lvt_performance, state.lvt_lint0,
          state.lvt_lint1, state.lvt_error,   state.lvt_cmci};
}

void LocalApic::save(LocalApicState& state, std::uint64_t tsc) const {
  state = {};
  state.id = shown_id();
  state.version = kVersion;
  state.logical_destination =
      mode_ == ApicMode::kX2Apic ? logical_id() : std::uint32_t{xapic_logical_id_} << 24;
  state.destination_format =
      static_cast<std::uint32_t>((std::uint32_t{destination_model_} << 28) | kNoModel);
  state.spurious = spurious_;
  write_words(in_service_, state.in_service);
  write_words(level_, state.trigger_mode);
  write_words(requested_, state.requested);
  state.error = error_status_;
  state.error_status = error_pending_;
  const std::uint64_t command =
      mode_ == ApicMode::kX2Apic ? command_ : xapic_icr_from_x2apic(command_);
  state.command_high = static_cast<std::uint32_t>(command >> 32);
  state.command_low = static_cast<std::uint32_t>(command);
  state.lvt_timer = lvt_[kTimer];
  state.lvt_thermal = lvt_[kThermal];
  state.lvt_performance = lvt_[kPerformance];
  state.lvt_lint0 = lvt_[kLint0];
  state.lvt_lint1 = lvt_[kLint1];
  state.lvt_error = lvt_[kError];
  state.lvt_cmci = lvt_[kCmci];
  state.initial_count = timer_.initial_count();
  state.current_count = timer_.current_count(tsc);
  state.divide_configuration = timer_.divide_configuration();
}

bool LocalApic::could_have_saved(const LocalApicState& state) const {
  const std::array<std::uint32_t, kLvtCount> vectors = local_vectors(state);
  for (std::uint32_t entry = 0; entry < kLvtCount; ++entry) {
    if ((vectors[entry] & ~writable_bits(static_cast<Lvt>(entry))) != 0) {
      return false;
    }
  }
  const bool x2apic = mode_ == ApicMode::kX2Apic;
  const bool places = x2apic || (state.logical_destination & ~kLogicalIdBits) == 0;
  const std::uint32_t vectors_below = state.in_service[0] | state.requested[0];
  return mode_ != ApicMode::kDisabled && state.id == shown_id() && places &&
         (vectors_below & kIllegalVectors) == 0 && (state.spurious & ~kSpuriousBits) == 0 &&
         ((state.error | state.error_status) & ~kErrorBits) == 0 &&
         (state.command_low & InterruptCommand::kReservedBits) == 0 &&
         (state.lvt_timer >> kTimerModeShift) < kTimerModes &&
         (state.divide_configuration & ~kDivideBits) == 0 &&
         state.current_count <= state.initial_count;
}

bool LocalApic::restore(const LocalApicState& state, const VectorSet& auto_eoi, std::uint64_t tsc) {
  if (!could_have_saved(state)) {
    return false;
  }
  if (mode_ == ApicMode::kXapic) {
    xapic_logical_id_ = static_cast<std::uint8_t>(state.logical_destination >> 24);
  }
  destination_model_ = static_cast<std::uint8_t>((state.destination_format & kModelBits) >> 28);
  spurious_ = state.spurious;
  in_service_ = vectors_from(state.in_service);
  level_ = vectors_from(state.trigger_mode);
  requested_ = vectors_from(state.requested);
  auto_eoi_ = requested_.with(auto_eoi);
  error_status_ = state.error;
  error_pending_ = state.error_status;
  const std::uint64_t command =
      (static_cast<std::uint64_t>(state.command_high) << 32) | state.command_low;
  command_ = mode_ == ApicMode::kX2Apic ? command : x2apic_icr_from_xapic(command);
  lvt_ = local_vectors(state);
  timer_.set_mode(static_cast<ApicTimerMode>(lvt_[kTimer] >> kTimerModeShift));
  timer_.set_divide_configuration(state.divide_configuration, tsc);
  timer_.continue_from(state.initial_count, state.current_count, tsc);
  return true;
}

}  // namespace hv
