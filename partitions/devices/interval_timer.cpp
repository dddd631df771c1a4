#include "partitions/devices/interval_timer.h"

namespace devices {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr TimerToken kOutputTimer{0};
constexpr std::uint16_t kGatePort = 0x61;

constexpr std::uint64_t ticks_of(std::uint64_t ns) {
  // In two parts, so that no product exceeds 64 bits.
  return ns / kNsPerSecond * kIntervalTimerHz + ns % kNsPerSecond * kIntervalTimerHz / kNsPerSecond;
}

/// The first moment at which ticks_of() has reached `ticks`.
constexpr std::uint64_t ns_of(std::uint64_t ticks) {
  const std::uint64_t rest = ticks % kIntervalTimerHz * kNsPerSecond;
  return ticks / kIntervalTimerHz * kNsPerSecond + (rest + kIntervalTimerHz - 1) / kIntervalTimerHz;
}

}  // namespace

IntervalTimer::IntervalTimer(Platform& platform, std::uint32_t interrupt_line)
    : platform_(platform), interrupt_line_(interrupt_line) {
  channels_[2].gate = false;
}

std::uint32_t IntervalTimer::read_port(std::uint16_t port, std::uint32_t size) {
  if (size != 1) {
    return 0xFFFFFFFF;
  }
  if (port == kGatePort) {
    // Bit 4 is the memory refresh toggle, which programs use to wait for 15 microseconds.
    const bool refresh = platform_.now_ns() / 15'085 % 2 != 0;
    return gate_bits_ | (refresh ? 0x10U : 0U) | (output(channels_[2]) ? 0x20U : 0U);
  }
  const std::uint32_t index = port & 3;
  return index < 3 ? read_count(channels_[index]) : 0xFF;
}

void IntervalTimer::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  if (size != 1) {
    return;
  }
  const auto byte = static_cast<std::uint8_t>(value);
  if (port == kGatePort) {
    write_gate(byte);
  } else if ((port & 3) == 3) {
    write_control(byte);
  } else {
    write_count(channels_[port & 3], byte);
  }
}

void IntervalTimer::write_control(std::uint8_t value) {
  const std::uint32_t index = value >> 6;
  if (index == 3) {
    write_read_back(value);
    return;
  }
  Channel& channel = channels_[index];
  const std::uint32_t access = (value >> 4) & 3;
  if (access == 0) {
    if (!channel.latched) {
      channel.latch = count(channel);
      channel.latched = true;
    }
    return;
  }
  channel.access = static_cast<Access>(access);
  // 8254 "Mode Definitions": bit 2 of the mode is ignored in modes 2 and 3.
  const auto mode = static_cast<std::uint8_t>((value >> 1) & 7);
  channel.mode = mode >= 6 ? mode & 3 : mode;
  channel.loaded = false;
  channel.latched = false;
  channel.status_latched = false;
  channel.write_high_next = false;
  channel.read_high_next = false;
  if (index == 0) {
    arm_interrupt();
  }
}

void IntervalTimer::write_read_back(std::uint8_t value) {
  for (std::uint32_t index = 0; index < 3; ++index) {
    if ((value & (2U << index)) == 0) {
      continue;
    }
    Channel& channel = channels_[index];
    if ((value & 0x20) == 0 && !channel.latched) {
      channel.latch = count(channel);
      channel.latched = true;
    }
    if ((value & 0x10) == 0 && !channel.status_latched) {
      const std::uint32_t access = static_cast<std::uint32_t>(channel.access) << 4;
      const std::uint32_t mode = static_cast<std::uint32_t>(channel.mode) << 1;
      channel.status = static_cast<std::uint8_t>((output(channel) ? 0x80U : 0U) |
                                                 (channel.loaded ? 0U : 0x40U) | access | mode);
      channel.status_latched = true;
    }
  }
}

void IntervalTimer::write_count(Channel& channel, std::uint8_t value) {
  switch (channel.access) {
    case Access::kLow:
      start(channel, value);
      return;
    case Access::kHigh:
      start(channel, static_cast<std::uint32_t>(value) << 8);
      return;
    case Access::kLowThenHigh:
      if (channel.write_high_next) {
        channel.write_high_next = false;
        start(channel, static_cast<std::uint32_t>(value) << 8 | channel.low_byte);
      } else {
        channel.write_high_next = true;
        channel.low_byte = value;
      }
      return;
  }
}

void IntervalTimer::start(Channel& channel, std::uint32_t reload) {
  channel.reload = reload == 0 ? 65536 : reload;
  channel.loaded = true;
  channel.start_ns = platform_.now_ns();
  channel.held_ticks = 0;
  if (&channel == channels_.data()) {
    arm_interrupt();
  }
}

std::uint8_t IntervalTimer::read_count(Channel& channel) {
  if (channel.status_latched) {
    channel.status_latched = false;
    return channel.status;
  }
  const std::uint16_t value = channel.latched ? channel.latch : count(channel);
  switch (channel.access) {
    case Access::kLow:
      channel.latched = false;
      return static_cast<std::uint8_t>(value);
    case Access::kHigh:
      channel.latched = false;
      return static_cast<std::uint8_t>(value >> 8);
    case Access::kLowThenHigh:
      break;
  }
  const bool high = channel.read_high_next;
  channel.read_high_next = !high;
  if (high) {
    channel.latched = false;
  }
  return static_cast<std::uint8_t>(high ? value >> 8 : value);
}

std::uint64_t IntervalTimer::elapsed_ticks(const Channel& channel) const {
  return channel.gate ? ticks_of(platform_.now_ns() - channel.start_ns) : channel.held_ticks;
}

std::uint16_t IntervalTimer::count(const Channel& channel) const {
  if (!channel.loaded) {
    return 0;
  }
  const std::uint64_t elapsed = elapsed_ticks(channel);
  const std::uint64_t reload = channel.reload;
  if (channel.mode == 2) {
    return static_cast<std::uint16_t>(reload - elapsed % reload);
  }
  if (channel.mode == 3) {
    // 8254 "Mode 3": counts by two, twice a period.
    const std::uint64_t half = (reload + 1) / 2;
    const std::uint64_t position = elapsed % reload;
    return static_cast<std::uint16_t>(reload - 2 * (position < half ? position : position - half));
  }
  return static_cast<std::uint16_t>(reload - elapsed);
}

bool IntervalTimer::output(const Channel& channel) const {
  if (!channel.loaded) {
    return channel.mode != 0;
  }
  const std::uint64_t elapsed = elapsed_ticks(channel);
  switch (channel.mode) {
    case 0:
      return elapsed >= channel.reload;
    case 3:
      return elapsed % channel.reload < (channel.reload + 1) / 2;
    default:
      // Mode 2 is low for the last clock of a period only.
      return channel.mode != 2 || elapsed % channel.reload != channel.reload - 1;
  }
}

void IntervalTimer::set_interrupt(bool level) {
  if (level != interrupt_level_) {
    interrupt_level_ = level;
    platform_.set_interrupt_line(interrupt_line_, level);
  }
}

void IntervalTimer::arm_interrupt() {
  const Channel& channel = channels_[0];
  if (!channel.loaded || (channel.mode != 0 && channel.mode != 2 && channel.mode != 3)) {
    platform_.cancel(*this, kOutputTimer);
    set_interrupt(false);
    return;
  }
  if (channel.mode == 0) {
    set_interrupt(false);
    platform_.schedule(*this, kOutputTimer, channel.start_ns + ns_of(channel.reload));
    return;
  }
  const std::uint64_t periods = elapsed_ticks(channel) / channel.reload + 1;
  platform_.schedule(*this, kOutputTimer, channel.start_ns + ns_of(periods * channel.reload));
}

void IntervalTimer::expired(TimerToken) {
  if (channels_[0].mode == 0) {
    set_interrupt(true);
    return;
  }
  // The rising edge is at the reload; the low part of the period that ends here is not told apart.
  set_interrupt(false);
  set_interrupt(true);
  arm_interrupt();
}

void IntervalTimer::write_gate(std::uint8_t value) {
  gate_bits_ = value & 0x03;
  Channel& channel = channels_[2];
  const bool gate = (value & 1) != 0;
  if (gate == channel.gate) {
    return;
  }
  if (!gate) {
    channel.held_ticks = elapsed_ticks(channel);
    channel.gate = false;
    return;
  }
  channel.gate = true;
  const bool resumes = channel.mode == 0 || channel.mode == 4;
  channel.start_ns = platform_.now_ns() - (resumes ? ns_of(channel.held_ticks) : 0);
}

}  // namespace devices
