#include "hv/apic/local_apic.h"

#include "machine/invariant.h"
#include "machine/x86.h"

namespace hv {

namespace {

using Kind = ApicWriteOutcome::Kind;
namespace x86 = machine::x86;

constexpr std::uint32_t kMasked = 1u << 16;
constexpr std::uint32_t kDeliveryMask = 7u << 8;
constexpr std::uint32_t kLevelTriggered = 1u << 15;
// Writable bits of the local vector table: vector and mask, and the delivery mode, trigger,
// polarity and timer mode where the entry has them. Delivery status (12) and remote IRR (14) are
// read-only.
constexpr std::uint32_t kLvtTimerBits = 0x0007'00FF;
constexpr std::uint32_t kLvtErrorBits = 0x0001'00FF;
constexpr std::uint32_t kLvtModeBits = 0x0001'07FF;
constexpr std::uint32_t kLvtPinBits = 0x0001'A7FF;
constexpr std::uint32_t kLvtReadOnlyBits = 0x0000'5000;
constexpr std::uint64_t kCommandStatusBits = 0x1000;  // read-only: delivery status
constexpr std::uint32_t kErrorIllegalRegister = 1u << 7;
constexpr std::uint32_t kErrorSendIllegalVector = 1u << 5;
constexpr std::uint32_t kErrorReceiveIllegalVector = 1u << 6;

constexpr ApicWriteOutcome outcome(Kind kind) {
  ApicWriteOutcome result;
  result.kind = kind;
  return result;
}

constexpr std::uint8_t priority_class(std::uint8_t vector) { return vector >> 4; }

// Registers that the page has and the x2APIC has not, or has otherwise, by their number there.
constexpr std::uint32_t kPageId = 0x02;
constexpr std::uint32_t kPageEoi = 0x0B;
constexpr std::uint32_t kPageLogicalDestination = 0x0D;
constexpr std::uint32_t kPageDestinationFormat = 0x0E;
constexpr std::uint32_t kPageCommandLow = 0x30;
constexpr std::uint32_t kPageCommandHigh = 0x31;
constexpr std::uint32_t kPageSelfIpi = 0x3F;
constexpr std::uint32_t kRegisterSpacing = 16;
constexpr std::uint32_t kRegisterBytes = 4;

}  // namespace

void LocalApic::reset(std::uint32_t id) {
  id_ = id;
  mode_ = ApicMode::kXapic;
  init();
}

void LocalApic::init() {
  xapic_logical_id_ = 0;
  destination_model_ = kFlatModel;
  spurious_ = 0xFF;
  error_status_ = 0;
  error_pending_ = 0;
  command_ = 0;
  lvt_.fill(kMasked);
  task_priority_ = 0;
  requested_ = VectorSet();
  in_service_ = VectorSet();
  level_ = VectorSet();
  auto_eoi_ = VectorSet();
  timer_.reset();
}

bool LocalApic::set_mode(ApicMode mode) {
  if ((mode_ == ApicMode::kX2Apic && mode == ApicMode::kXapic) ||
      (mode_ == ApicMode::kDisabled && mode == ApicMode::kX2Apic)) {
    return false;
  }
  if (mode != mode_ && mode == ApicMode::kX2Apic) {
    command_ &= 0xFFFF'FFFF;  // the destination is of another form
  }
  if (mode == ApicMode::kDisabled) {
    init();
  }
  mode_ = mode;
  return true;
}

bool LocalApic::is_addressed_by(InterruptDestination destination) const {
  if (mode_ == ApicMode::kDisabled) {
    return false;
  }
  if (destination.id == InterruptDestination::kBroadcast) {
    return true;
  }
  if (destination.logical && mode_ == ApicMode::kXapic) {
    return is_addressed_as_xapic(destination);
  }
  if (!destination.logical) {
    return destination.id == id_;
  }
  const bool same_cluster = destination.id >> 16 == logical_id() >> 16;
  return same_cluster && (destination.id & logical_id() & 0xFFFF) != 0;
}

/// SDM vol. 3 10.6.2.2: a bit of 8, or of 4 within one of 15 clusters.
bool LocalApic::is_addressed_as_xapic(InterruptDestination destination) const {
  constexpr std::uint32_t kEverybody = 0xFF;
  if (destination.id > kEverybody) {
    return false;
  }
  if (destination.id == kEverybody || destination_model_ == kFlatModel) {
    return (destination.id & xapic_logical_id_) != 0 || destination.id == kEverybody;
  }
  return destination.id >> 4 == xapic_logical_id_ >> 4 &&
         (destination.id & xapic_logical_id_ & 0xF) != 0;
}

std::optional<LocalApic::Lvt> LocalApic::local_vector(std::uint32_t msr) {
  if (msr >= x86::kX2ApicLvtTimer && msr <= x86::kX2ApicLvtError) {
    return static_cast<Lvt>(msr - x86::kX2ApicLvtTimer);
  }
  return msr == x86::kX2ApicLvtCmci ? std::optional(kCmci) : std::nullopt;
}

std::uint32_t LocalApic::writable_bits(Lvt entry) {
  static constexpr std::array<std::uint32_t, kLvtCount> kWritable = {
      kLvtTimerBits, kLvtModeBits,  kLvtModeBits, kLvtPinBits,
      kLvtPinBits,   kLvtErrorBits, kLvtModeBits};
  return kWritable[entry];
}

std::optional<std::uint64_t> LocalApic::read(std::uint32_t msr, std::uint64_t tsc) const {
  switch (msr) {
    case x86::kX2ApicId:
      return id_;
    case x86::kX2ApicVersion:
      return kVersion;
    case x86::kX2ApicTpr:
      return task_priority_;
    case x86::kX2ApicPpr:
      return processor_priority();
    case x86::kX2ApicLdr:
      return logical_id();
    case x86::kX2ApicSvr:
      return spurious_;
    case x86::kX2ApicEsr:
      return error_status_;
    case x86::kX2ApicIcr:
      return command_;
    case x86::kX2ApicTimerInitialCount:
      return timer_.initial_count();
    case x86::kX2ApicTimerCurrentCount:
      return timer_.current_count(tsc);
    case x86::kX2ApicTimerDivide:
      return timer_.divide_configuration();
    default:
      break;
  }
  if (const std::optional<Lvt> entry = local_vector(msr)) {
    return lvt_[*entry];
  }
  return read_vectors(msr);
}

std::optional<std::uint64_t> LocalApic::read_vectors(std::uint32_t msr) const {
  constexpr std::uint32_t kWords = 8;
  if (msr >= x86::kX2ApicIsr0 && msr < x86::kX2ApicIsr0 + kWords) {
    return in_service_.register_word(msr - x86::kX2ApicIsr0);
  }
  if (msr >= x86::kX2ApicTmr0 && msr < x86::kX2ApicTmr0 + kWords) {
    return level_.register_word(msr - x86::kX2ApicTmr0);
  }
  if (msr >= x86::kX2ApicIrr0 && msr < x86::kX2ApicIrr0 + kWords) {
    return requested_.register_word(msr - x86::kX2ApicIrr0);
  }
  return std::nullopt;
}

void LocalApic::set_tsc_deadline(std::uint64_t deadline, std::uint64_t tsc) {
  (void)expire_timer(tsc);
  timer_.set_tsc_deadline(deadline);
}

ApicWriteOutcome LocalApic::write(std::uint32_t msr, std::uint64_t value, std::uint64_t tsc) {
  (void)expire_timer(tsc);
  if (msr == x86::kX2ApicIcr) {
    return write_command(value);
  }
  if (value >> 32 != 0) {
    return outcome(Kind::kFault);
  }
  const auto low = static_cast<std::uint32_t>(value);
  if (const std::optional<Lvt> entry = local_vector(msr)) {
    return write_lvt(*entry, low);
  }
  switch (msr) {
    case x86::kX2ApicTpr:
      if (low > 0xFF) {
        return outcome(Kind::kFault);
      }
      task_priority_ = static_cast<std::uint8_t>(low);
      return outcome(Kind::kDone);
    case x86::kX2ApicEoi:
      return low == 0 ? write_end_of_interrupt() : outcome(Kind::kFault);
    case x86::kX2ApicSvr:
      return write_spurious(low);
    case x86::kX2ApicEsr:
      if (low != 0) {
        return outcome(Kind::kFault);
      }
      error_status_ = error_pending_;
      error_pending_ = 0;
      return outcome(Kind::kDone);
    case x86::kX2ApicTimerInitialCount:
      timer_.set_initial_count(low, tsc);
      return outcome(Kind::kTimerChanged);
    case x86::kX2ApicTimerDivide:
      if ((low & ~kDivideBits) != 0) {
        return outcome(Kind::kFault);
      }
      timer_.set_divide_configuration(low, tsc);
      return outcome(Kind::kTimerChanged);
    case x86::kX2ApicSelfIpi:
      return write_self(value);
    default:
      return outcome(Kind::kFault);
  }
}

std::optional<std::uint32_t> LocalApic::read_page_register(std::uint32_t index,
                                                           std::uint64_t tsc) const {
  switch (index) {
    case kPageId:
      return id_ << 24;
    case kPageEoi:
      return 0;
    case kPageLogicalDestination:
      return std::uint32_t{xapic_logical_id_} << 24;
    case kPageDestinationFormat:
      return (std::uint32_t{destination_model_} << 28) | 0x0FFF'FFFF;
    case kPageCommandHigh:
      return static_cast<std::uint32_t>(xapic_icr_from_x2apic(command_) >> 32);
    default:
      break;
  }
  const std::optional<std::uint64_t> value = read(x86::kX2ApicFirst + index, tsc);
  return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
}

std::uint64_t LocalApic::read_page(std::uint32_t offset, std::uint32_t size_bytes,
                                   std::uint64_t tsc) {
  const std::optional<std::uint32_t> value = read_page_register(offset / kRegisterSpacing, tsc);
  const std::uint32_t skipped = offset % kRegisterSpacing;
  if (!value) {
    note_error(kErrorIllegalRegister);
    return 0;
  }
  if (skipped >= kRegisterBytes) {
    return 0;
  }
  const std::uint64_t shown = std::uint64_t{*value} >> (8 * skipped);
  return size_bytes >= 8 ? shown : shown & ((1ull << (8 * size_bytes)) - 1);
}

ApicWriteOutcome LocalApic::write_page(std::uint32_t offset, std::uint32_t size_bytes,
                                       std::uint64_t value, std::uint64_t tsc) {
  (void)expire_timer(tsc);
  if (offset % kRegisterSpacing != 0 || size_bytes != kRegisterBytes) {
    return outcome(Kind::kDone);
  }
  const ApicWriteOutcome result =
      write_page_register(offset / kRegisterSpacing, static_cast<std::uint32_t>(value), tsc);
  return result.kind == Kind::kFault ? outcome(Kind::kDone) : result;
}

ApicWriteOutcome LocalApic::write_page_register(std::uint32_t index, std::uint32_t value,
                                                std::uint64_t tsc) {
  const std::uint32_t msr = x86::kX2ApicFirst + index;
  switch (index) {
    case kPageEoi:
      return write_end_of_interrupt();
    case kPageLogicalDestination:
      xapic_logical_id_ = static_cast<std::uint8_t>(value >> 24);
      return outcome(Kind::kDone);
    case kPageDestinationFormat:
      destination_model_ = static_cast<std::uint8_t>(value >> 28);
      return outcome(Kind::kDone);
    case kPageCommandLow:
      value &= ~static_cast<std::uint32_t>(InterruptCommand::kReservedBits);
      return write_command((command_ & ~0xFFFF'FFFFull) | value);
    case kPageCommandHigh:
      command_ = x2apic_icr_from_xapic((std::uint64_t{value} << 32) | (command_ & 0xFFFF'FFFF));
      return outcome(Kind::kDone);
    case kPageSelfIpi:
      break;
    default: {
      std::uint32_t taken = value;
      if (const std::optional<Lvt> entry = local_vector(msr)) {
        taken &= writable_bits(*entry);
      }
      taken &= msr == x86::kX2ApicTpr ? 0xFFu : ~0u;
      taken &= msr == x86::kX2ApicSvr ? kSpuriousBits : ~0u;
      taken &= msr == x86::kX2ApicTimerDivide ? kDivideBits : ~0u;
      taken &= msr == x86::kX2ApicEsr ? 0u : ~0u;
      if (read_page_register(index, tsc)) {
        return write(msr, taken, tsc);
      }
      break;
    }
  }
  note_error(kErrorIllegalRegister);
  return outcome(Kind::kDone);
}

ApicWriteOutcome LocalApic::write_end_of_interrupt() {
  ApicWriteOutcome ended = outcome(Kind::kEndOfInterrupt);
  ended.level_vector = end_of_interrupt();
  return ended;
}

ApicWriteOutcome LocalApic::write_lvt(Lvt entry, std::uint32_t value) {
  const std::uint32_t writable = writable_bits(entry);
  if ((value & ~(writable | kLvtReadOnlyBits)) != 0) {
    return outcome(Kind::kFault);
  }
  if (entry == kTimer && (value >> 17) > 2) {
    return outcome(Kind::kFault);
  }
  lvt_[entry] = (value & writable) | (software_enabled() ? 0 : kMasked);
  if (entry == kTimer) {
    timer_.set_mode(static_cast<ApicTimerMode>(value >> 17));
    return outcome(Kind::kTimerChanged);
  }
  return outcome(Kind::kDone);
}

ApicWriteOutcome LocalApic::write_spurious(std::uint32_t value) {
  if ((value & ~kSpuriousBits) != 0) {
    return outcome(Kind::kFault);
  }
  spurious_ = value;
  if (!software_enabled()) {
    for (std::uint32_t& entry : lvt_) {
      entry |= kMasked;
    }
  }
  return outcome(Kind::kDone);
}

ApicWriteOutcome LocalApic::write_command(std::uint64_t value) {
  if ((value & InterruptCommand::kReservedBits) != 0) {
    return outcome(Kind::kFault);
  }
  command_ = value & ~kCommandStatusBits;
  ApicWriteOutcome result = outcome(Kind::kSendInterrupt);
  result.command = InterruptCommand::decode(value);
  const bool has_vector = result.command.delivery == InterruptDelivery::kFixed ||
                          result.command.delivery == InterruptDelivery::kLowestPriority;
  if (has_vector && result.command.vector < kMinVector) {
    note_error(kErrorSendIllegalVector);
    return outcome(Kind::kDone);
  }
  return result.command.goes_nowhere ? outcome(Kind::kDone) : result;
}

ApicWriteOutcome LocalApic::write_self(std::uint64_t value) {
  if ((value & ~InterruptCommand::kVectorMask) != 0) {
    return outcome(Kind::kFault);
  }
  const auto vector = static_cast<std::uint8_t>(value);
  if (vector < kMinVector) {
    note_error(kErrorSendIllegalVector);
  } else {
    request(vector);
  }
  return outcome(Kind::kDone);
}

/// A write to the ESR arms its interrupt again (SDM vol. 3 10.5.3).
void LocalApic::note_error(std::uint32_t bit) {
  const bool armed = error_pending_ == 0;
  error_pending_ |= bit;
  if (armed && (lvt_[kError] & kMasked) == 0) {
    const auto vector = static_cast<std::uint8_t>(lvt_[kError]);
    if (vector >= kMinVector) {
      request(vector);
    }
  }
}

bool LocalApic::request(std::uint8_t vector, Trigger trigger, bool auto_eoi) {
  if (!enabled()) {
    return false;
  }
  if (vector < kMinVector) {
    note_error(kErrorReceiveIllegalVector);
    return false;
  }
  requested_.add(vector);
  level_.set(vector, trigger == Trigger::kLevel);
  auto_eoi_.set(vector, auto_eoi);
  return true;
}

std::uint8_t LocalApic::processor_priority() const {
  const std::optional<std::uint8_t> served = in_service_.highest();
  if (!served || priority_class(*served) <= priority_class(task_priority_)) {
    return task_priority_;
  }
  return static_cast<std::uint8_t>(*served & 0xF0);
}

std::optional<std::uint8_t> LocalApic::deliverable() const {
  const std::optional<std::uint8_t> vector = requested_.highest();
  if (!vector || priority_class(*vector) <= priority_class(processor_priority())) {
    return std::nullopt;
  }
  return vector;
}

void LocalApic::acknowledge(std::uint8_t vector) {
  INVARIANT(requested_.has(vector));
  requested_.remove(vector);
  if (!auto_eoi_.has(vector)) {
    in_service_.add(vector);
  }
}

std::optional<std::uint8_t> LocalApic::end_of_interrupt() {
  const std::optional<std::uint8_t> vector = in_service_.highest();
  if (!vector) {
    return std::nullopt;
  }
  in_service_.remove(*vector);
  const bool is_told = level_.has(*vector) && (spurious_ & kSuppressEoiBroadcast) == 0;
  return is_told ? vector : std::nullopt;
}

bool LocalApic::expire_timer(std::uint64_t tsc) {
  if (!timer_.expire(tsc) || (lvt_[kTimer] & kMasked) != 0) {
    return false;
  }
  return request(static_cast<std::uint8_t>(lvt_[kTimer]));
}

std::optional<InterruptCommand> LocalApic::local_interrupt(std::uint32_t pin) const {
  INVARIANT(pin < 2);
  const std::uint32_t entry = lvt_[pin == 0 ? kLint0 : kLint1];
  if ((entry & kMasked) != 0) {
    return std::nullopt;
  }
  InterruptCommand command;
  command.delivery = static_cast<InterruptDelivery>((entry & kDeliveryMask) >> 8);
  command.vector = static_cast<std::uint8_t>(entry);
  command.shorthand = DestinationShorthand::kSelf;
  command.level = command.delivery == InterruptDelivery::kFixed && (entry & kLevelTriggered) != 0;
  return command;
}

}  // namespace hv
