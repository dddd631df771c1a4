#include "sim/local_apic.h"

#include <bit>

#include "machine/x86.h"
#include "sim/event_queue.h"

namespace sim {

namespace x86 = machine::x86;

namespace {

constexpr std::uint32_t kBaseAddress = 0xFEE0'0000;
constexpr std::uint32_t kVersion = 0x0105'0015;  // six local vectors, EOI broadcast suppression
constexpr std::size_t kTimer = 0;
constexpr std::size_t kLint0 = 3;
constexpr std::size_t kLint1 = 4;
constexpr std::uint32_t kMasked = static_cast<std::uint32_t>(x86::kLvtMasked);
constexpr std::uint32_t kExternal = static_cast<std::uint32_t>(x86::kLvtDeliveryExtInt);
constexpr std::uint32_t kSuppressBroadcast = 1u << 12;  // in SVR
constexpr std::uint32_t kDeliveryMask = 7u << 8;
constexpr std::uint32_t kTimerModeMask = 3u << 17;
constexpr std::uint32_t kDeadlineMode = static_cast<std::uint32_t>(x86::kLvtTimerTscDeadline);
constexpr std::uint32_t kPeriodicMode = static_cast<std::uint32_t>(x86::kLvtTimerPeriodic);

}  // namespace

LocalApic::LocalApic(ApicHost& host, std::uint32_t id, bool boot_processor)
    : host_(host),
      id_(id),
      base_(kBaseAddress | x86::kApicBaseEnable | (boot_processor ? x86::kApicBaseBsp : 0)),
      spurious_(static_cast<std::uint32_t>(x86::kApicSoftwareEnable) | 0xF) {
  local_vectors_.fill(kMasked);
  if (boot_processor) {
    local_vectors_[kLint0] = kExternal;
    local_vectors_[kLint1] = 4u << 8;
  }
}

bool LocalApic::owns(std::uint32_t msr) {
  return msr == x86::kMsrApicBase || msr == x86::kMsrTscDeadline ||
         (msr >= x86::kX2ApicFirst && msr <= x86::kX2ApicLast);
}

std::uint32_t LocalApic::logical_id() const { return ((id_ >> 4) << 16) | (1u << (id_ & 0xF)); }

std::uint32_t LocalApic::highest(const Bits& bits) {
  for (std::uint32_t word = 8; word-- > 0;) {
    if (bits[word] != 0) {
      return word * 32 + 31 - static_cast<std::uint32_t>(std::countl_zero(bits[word]));
    }
  }
  return 0;
}

bool LocalApic::enabled() const { return (spurious_ & x86::kApicSoftwareEnable) != 0; }

std::uint32_t LocalApic::processor_priority() const {
  const std::uint32_t service = highest(in_service_) & 0xF0;
  return (task_priority_ & 0xF0) >= service ? task_priority_ : service;
}

bool LocalApic::has_fixed_request() const {
  return enabled() && (highest(requests_) & 0xF0) > (processor_priority() & 0xF0);
}

bool LocalApic::has_external_request() const {
  const std::uint32_t entry = local_vectors_[kLint0];
  return lint0_ && (entry & kMasked) == 0 && (entry & kDeliveryMask) == kExternal;
}

void LocalApic::update() {
  const bool request = has_fixed_request() || has_external_request();
  if (request != request_) {
    request_ = request;
    host_.interrupt_request_changed();
  }
}

void LocalApic::accept(std::uint8_t vector, bool level) {
  if (enabled() && vector >= 16) {
    const std::uint32_t bit = 1u << (vector % 32);
    requests_[vector / 32] |= bit;
    levels_[vector / 32] = (levels_[vector / 32] & ~bit) | (level ? bit : 0);
    update();
  }
}

void LocalApic::set_lint0(bool level) {
  lint0_ = level;
  update();
}

std::uint8_t LocalApic::acknowledge() {
  std::uint8_t vector = static_cast<std::uint8_t>(spurious_);
  if (has_fixed_request()) {
    vector = static_cast<std::uint8_t>(highest(requests_));
    requests_[vector / 32] &= ~(1u << (vector % 32));
    in_service_[vector / 32] |= 1u << (vector % 32);
  } else if (has_external_request()) {
    vector = host_.acknowledge_external();
  }
  update();
  return vector;
}

void LocalApic::end_of_interrupt() {
  if (const std::uint32_t vector = highest(in_service_); vector != 0) {
    const std::uint32_t bit = 1u << (vector % 32);
    in_service_[vector / 32] &= ~bit;
    if ((levels_[vector / 32] & bit) != 0 && (spurious_ & kSuppressBroadcast) == 0) {
      host_.broadcast_end_of_interrupt(static_cast<std::uint8_t>(vector));
    }
  }
  update();
}

void LocalApic::timer_expired() {
  deadline_tsc_ = 0;
  const std::uint32_t entry = local_vectors_[kTimer];
  if ((entry & kTimerModeMask) == kPeriodicMode) {
    count_started_tsc_ = host_.now_tsc();
    arm_count_timer();
  } else if ((entry & kTimerModeMask) == 0) {
    initial_count_ = 0;
  }
  if ((entry & kMasked) == 0) {
    accept(static_cast<std::uint8_t>(entry));
  }
}

std::uint64_t LocalApic::divider() const {
  const std::uint32_t code = (divide_configuration_ & 3) | ((divide_configuration_ >> 1) & 4);
  return code == 7 ? 1 : std::uint64_t{2} << code;
}

// The timer's crystal runs at the frequency of the time-stamp counter.
std::uint64_t LocalApic::current_count() const {
  const std::uint64_t passed = (host_.now_tsc() - count_started_tsc_) / divider();
  return passed >= initial_count_ ? 0 : initial_count_ - passed;
}

void LocalApic::arm_count_timer() {
  host_.set_timer(initial_count_ == 0 ? kNever : count_started_tsc_ + initial_count_ * divider());
}

std::optional<std::uint64_t> LocalApic::read(std::uint32_t msr) const {
  if (msr == x86::kMsrApicBase) {
    return base_;
  }
  if (msr == x86::kMsrTscDeadline) {
    return deadline_tsc_;
  }
  if ((base_ & x86::kApicBaseX2ApicEnable) == 0) {
    return std::nullopt;
  }
  if (msr >= x86::kX2ApicIsr0 && msr < x86::kX2ApicIsr0 + 8) {
    return in_service_[msr - x86::kX2ApicIsr0];
  }
  if (msr >= x86::kX2ApicTmr0 && msr < x86::kX2ApicTmr0 + 8) {
    return levels_[msr - x86::kX2ApicTmr0];
  }
  if (msr >= x86::kX2ApicIrr0 && msr < x86::kX2ApicIrr0 + 8) {
    return requests_[msr - x86::kX2ApicIrr0];
  }
  if (msr >= x86::kX2ApicLvtTimer && msr <= x86::kX2ApicLvtError) {
    return local_vectors_[msr - x86::kX2ApicLvtTimer];
  }
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
      return 0;
    case x86::kX2ApicIcr:
      return command_;
    case x86::kX2ApicTimerInitialCount:
      return initial_count_;
    case x86::kX2ApicTimerCurrentCount:
      return current_count();
    case x86::kX2ApicTimerDivide:
      return divide_configuration_;
    default:
      return std::nullopt;
  }
}

bool LocalApic::write_base(std::uint64_t value) {
  const std::uint64_t fixed = kBaseAddress | x86::kApicBaseEnable | (base_ & x86::kApicBaseBsp);
  // Only the step from xAPIC to x2APIC mode is offered (SDM vol. 3 10.12.5).
  if ((value & ~x86::kApicBaseX2ApicEnable) != fixed || (base_ & ~value) != 0) {
    return false;
  }
  base_ = value;
  return true;
}

bool LocalApic::write_command(std::uint64_t value) {
  using Delivery = InterruptCommand::Delivery;
  constexpr std::uint64_t kReserved = 0xFFF3'2000;
  const auto delivery = static_cast<std::uint8_t>((value >> 8) & 7);
  if ((value & kReserved) != 0) {
    return false;
  }
  command_ = value;
  InterruptCommand command;
  command.delivery = static_cast<Delivery>(delivery);
  command.shorthand = static_cast<InterruptCommand::Shorthand>((value >> 18) & 3);
  command.logical = (value & (1u << 11)) != 0;
  command.vector = static_cast<std::uint8_t>(value);
  command.destination = static_cast<std::uint32_t>(value >> 32);
  // INIT and start-up are the machine's own business here.
  if (command.delivery == Delivery::kFixed || command.delivery == Delivery::kLowestPriority ||
      command.delivery == Delivery::kNmi) {
    host_.send_interrupt(command);
  }
  return true;
}

bool LocalApic::write(std::uint32_t msr, std::uint64_t value) {
  if (msr == x86::kMsrApicBase) {
    return write_base(value);
  }
  if (msr == x86::kMsrTscDeadline) {
    if ((local_vectors_[kTimer] & kTimerModeMask) == kDeadlineMode) {
      deadline_tsc_ = value;
      host_.set_timer(value == 0 ? kNever : value);
    }
    return true;
  }
  const bool wide = msr == x86::kX2ApicIcr;
  if ((base_ & x86::kApicBaseX2ApicEnable) == 0 || (!wide && (value >> 32) != 0)) {
    return false;
  }
  return wide ? write_command(value) : write_register(msr, value);
}

bool LocalApic::write_register(std::uint32_t msr, std::uint64_t value) {
  const auto word = static_cast<std::uint32_t>(value);
  if (msr >= x86::kX2ApicLvtTimer && msr <= x86::kX2ApicLvtError) {
    std::uint32_t& entry = local_vectors_[msr - x86::kX2ApicLvtTimer];
    if (msr == x86::kX2ApicLvtTimer && ((entry ^ word) & kTimerModeMask) != 0) {
      deadline_tsc_ = 0;
      initial_count_ = 0;
      host_.set_timer(kNever);
    }
    entry = enabled() ? word : word | kMasked;
    update();
    return true;
  }
  switch (msr) {
    case x86::kX2ApicTpr:
      task_priority_ = word & 0xFF;
      update();
      return word <= 0xFF;
    case x86::kX2ApicEoi:
      if (word != 0) {
        return false;
      }
      end_of_interrupt();
      return true;
    case x86::kX2ApicSvr:
      spurious_ = word & 0x11FF;
      update();
      return true;
    case x86::kX2ApicEsr:
      return word == 0;
    case x86::kX2ApicTimerInitialCount:
      if ((local_vectors_[kTimer] & kTimerModeMask) != kDeadlineMode) {
        initial_count_ = word;
        count_started_tsc_ = host_.now_tsc();
        arm_count_timer();
      }
      return true;
    case x86::kX2ApicTimerDivide:
      divide_configuration_ = word & 0xB;
      return true;
    case x86::kX2ApicSelfIpi:
      host_.send_interrupt({.shorthand = InterruptCommand::Shorthand::kSelf,
                            .vector = static_cast<std::uint8_t>(word)});
      return word <= 0xFF;
    default:
      return false;
  }
}

}  // namespace sim
