#include "partitions/devices/clock.h"

namespace devices {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint64_t kSecondsPerDay = 86'400;
/// The clock's two digits of the year count from 2000 to 2099.
constexpr std::uint64_t kDaysPerCentury = 36'525;

constexpr TimerToken kPeriodicTimer{0};
constexpr TimerToken kSecondTimer{1};

// Register B.
constexpr std::uint8_t kSet = 0x80;
constexpr std::uint8_t kPeriodicEnable = 0x40;
constexpr std::uint8_t kAlarmEnable = 0x20;
constexpr std::uint8_t kUpdateEnable = 0x10;
constexpr std::uint8_t kBinary = 0x04;
constexpr std::uint8_t k24Hours = 0x02;
// Register C.
constexpr std::uint8_t kInterruptRequest = 0x80;
constexpr std::uint8_t kPeriodic = 0x40;
constexpr std::uint8_t kAlarm = 0x20;
constexpr std::uint8_t kUpdateEnded = 0x10;
/// Register A's update-in-progress bit shows for this long before each second.
constexpr std::uint64_t kUpdateNs = 244'000;

constexpr std::uint8_t kCenturyIndex = 0x32;

struct Date {
  std::uint32_t second = 0;
  std::uint32_t minute = 0;
  std::uint32_t hour = 0;
  std::uint32_t weekday = 1;
  std::uint32_t day = 1;
  std::uint32_t month = 1;
  std::uint32_t year = 0;
};

constexpr bool is_leap(std::uint32_t year) { return year % 4 == 0; }

constexpr std::uint32_t days_in(std::uint32_t month, std::uint32_t year) {
  constexpr std::array<std::uint8_t, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

constexpr Date date_of(std::uint64_t seconds) {
  Date date;
  auto days = static_cast<std::uint32_t>(seconds / kSecondsPerDay % kDaysPerCentury);
  const auto in_day = static_cast<std::uint32_t>(seconds % kSecondsPerDay);
  date.second = in_day % 60;
  date.minute = in_day / 60 % 60;
  date.hour = in_day / 3600;
  // 2000-01-01 was a Saturday, which is 7 on a clock whose week starts with Sunday.
  date.weekday = (days + 6) % 7 + 1;
  while (days >= (is_leap(date.year) ? 366U : 365U)) {
    days -= is_leap(date.year) ? 366 : 365;
    ++date.year;
  }
  while (days >= days_in(date.month, date.year)) {
    days -= days_in(date.month, date.year);
    ++date.month;
  }
  date.day = days + 1;
  return date;
}

/// Values beyond their range count on into the next unit, as the counters of a clock would.
constexpr std::uint64_t seconds_of(const Date& date) {
  std::uint64_t days = date.day == 0 ? 0 : date.day - 1;
  for (std::uint32_t year = 0; year < date.year; ++year) {
    days += is_leap(year) ? 366 : 365;
  }
  for (std::uint32_t month = 1; month < date.month && month <= 12; ++month) {
    days += days_in(month, date.year);
  }
  return days * kSecondsPerDay + date.hour * 3600ULL + date.minute * 60ULL + date.second;
}

static_assert(seconds_of(date_of(0)) == 0);
static_assert(date_of(59 * kSecondsPerDay).day == 29);
static_assert(seconds_of(date_of(823'456'789)) == 823'456'789);

}  // namespace

Clock::Clock(Platform& platform, std::uint32_t interrupt_line, std::uint64_t power_on_seconds)
    : platform_(platform), interrupt_line_(interrupt_line), offset_seconds_(power_on_seconds) {}

std::uint32_t Clock::read_port(std::uint16_t port, std::uint32_t size) {
  if (size != 1 || (port & 1) == 0) {
    return 0xFFFFFFFF;  // the index cannot be read back
  }
  return read_register(index_);
}

void Clock::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  if (size == 2 && (port & 1) == 0) {
    write_port(port, 1, value & 0xFF);
    write_port(static_cast<std::uint16_t>(port + 1), 1, value >> 8);
    return;
  }
  if (size != 1) {
    return;
  }
  if ((port & 1) == 0) {
    index_ = value & 0x7F;  // bit 7 gates the NMI, of which this board has no source
  } else {
    write_register(index_, static_cast<std::uint8_t>(value));
  }
}

void Clock::set_memory(std::uint8_t index, std::uint8_t value) { memory_[index & 0x7F] = value; }

std::uint64_t Clock::seconds_now() const {
  if ((register_b_ & kSet) != 0) {
    return held_seconds_;
  }
  return offset_seconds_ + platform_.now_ns() / kNsPerSecond;
}

std::uint8_t Clock::encode(std::uint32_t value) const {
  if ((register_b_ & kBinary) != 0) {
    return static_cast<std::uint8_t>(value);
  }
  return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
}

std::uint32_t Clock::decode(std::uint8_t value) const {
  return (register_b_ & kBinary) != 0 ? value : (value >> 4) * 10U + (value & 0x0FU);
}

std::uint8_t Clock::time_register(std::uint8_t index) const {
  const Date date = date_of(seconds_now());
  switch (index) {
    case 0:
      return encode(date.second);
    case 2:
      return encode(date.minute);
    case 4: {
      if ((register_b_ & k24Hours) != 0) {
        return encode(date.hour);
      }
      const std::uint32_t hour = date.hour % 12 == 0 ? 12 : date.hour % 12;
      return static_cast<std::uint8_t>(encode(hour) | (date.hour >= 12 ? 0x80 : 0));
    }
    case 6:
      return encode(date.weekday);
    case 7:
      return encode(date.day);
    case 8:
      return encode(date.month);
    default:
      return encode(date.year);
  }
}

void Clock::set_time_register(std::uint8_t index, std::uint8_t value) {
  Date date = date_of(seconds_now());
  switch (index) {
    case 0:
      date.second = decode(value);
      break;
    case 2:
      date.minute = decode(value);
      break;
    case 4:
      if ((register_b_ & k24Hours) != 0) {
        date.hour = decode(value);
      } else {
        date.hour = decode(value & 0x7F) % 12 + ((value & 0x80) != 0 ? 12 : 0);
      }
      break;
    case 6:
      return;  // follows from the date
    case 7:
      date.day = decode(value);
      break;
    case 8:
      date.month = decode(value);
      break;
    default:
      date.year = decode(value) % 100;
      break;
  }
  const std::uint64_t seconds = seconds_of(date);
  if ((register_b_ & kSet) != 0) {
    held_seconds_ = seconds;
  } else {
    offset_seconds_ = seconds - platform_.now_ns() / kNsPerSecond;
  }
}

std::uint8_t Clock::read_register(std::uint8_t index) {
  switch (index) {
    case 0x01:
    case 0x03:
    case 0x05:
      return alarm_[index / 2];
    case 0x00:
    case 0x02:
    case 0x04:
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
      return time_register(index);
    case 0x0A: {
      const bool updating = (register_b_ & kSet) == 0 &&
                            platform_.now_ns() % kNsPerSecond >= kNsPerSecond - kUpdateNs;
      return static_cast<std::uint8_t>(register_a_ | (updating ? 0x80 : 0));
    }
    case 0x0B:
      return register_b_;
    case 0x0C: {
      const std::uint8_t causes = register_c_;
      register_c_ = 0;
      if ((causes & kInterruptRequest) != 0) {
        platform_.set_interrupt_line(interrupt_line_, false);
      }
      return causes;
    }
    case 0x0D:
      return 0x80;  // the battery is good
    case kCenturyIndex:
      return encode(20);
    default:
      return memory_[index];
  }
}

void Clock::write_register(std::uint8_t index, std::uint8_t value) {
  switch (index) {
    case 0x01:
    case 0x03:
    case 0x05:
      alarm_[index / 2] = value;
      return;
    case 0x00:
    case 0x02:
    case 0x04:
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
      set_time_register(index, value);
      return;
    case 0x0A:
      register_a_ = value & 0x7F;
      arm_periodic();
      return;
    case 0x0B:
      write_register_b(value);
      return;
    case 0x0C:
    case 0x0D:
    case kCenturyIndex:
      return;
    default:
      memory_[index] = value;
      return;
  }
}

void Clock::write_register_b(std::uint8_t value) {
  const std::uint64_t seconds = seconds_now();
  register_b_ = value;
  if ((value & kSet) != 0) {
    held_seconds_ = seconds;
  } else {
    offset_seconds_ = seconds - platform_.now_ns() / kNsPerSecond;
  }
  arm_periodic();
  arm_second();
}

std::uint64_t Clock::periodic_ns() const {
  // Rates 1 and 2 repeat 8 and 9; otherwise 32768 Hz divided by 2^(rate - 1).
  std::uint32_t rate = register_a_ & 0x0F;
  if (rate == 0) {
    return 0;
  }
  if (rate < 3) {
    rate += 7;
  }
  return (kNsPerSecond << (rate - 1)) / 32'768;
}

void Clock::arm_periodic() {
  const std::uint64_t period = periodic_ns();
  if ((register_b_ & kPeriodicEnable) == 0 || period == 0) {
    platform_.cancel(*this, kPeriodicTimer);
    return;
  }
  const std::uint64_t now = platform_.now_ns();
  platform_.schedule(*this, kPeriodicTimer, (now / period + 1) * period);
}

void Clock::arm_second() {
  const bool wanted = (register_b_ & (kAlarmEnable | kUpdateEnable)) != 0;
  if (!wanted || (register_b_ & kSet) != 0) {
    platform_.cancel(*this, kSecondTimer);
    return;
  }
  const std::uint64_t now = platform_.now_ns();
  platform_.schedule(*this, kSecondTimer, (now / kNsPerSecond + 1) * kNsPerSecond);
}

bool Clock::alarm_matches() const {
  for (std::uint8_t index = 0; index < 3; ++index) {
    // A value of 0xC0 and above matches everything.
    const std::uint8_t wanted = alarm_[index];
    if (wanted < 0xC0 && wanted != time_register(static_cast<std::uint8_t>(2 * index))) {
      return false;
    }
  }
  return true;
}

void Clock::raise(std::uint8_t cause) {
  register_c_ |= cause;
  const bool enabled = (register_c_ & register_b_ & 0x70) != 0;
  if (enabled && (register_c_ & kInterruptRequest) == 0) {
    register_c_ |= kInterruptRequest;
    platform_.set_interrupt_line(interrupt_line_, true);
  }
}

void Clock::expired(TimerToken token) {
  if (token == kPeriodicTimer) {
    raise(kPeriodic);
    arm_periodic();
    return;
  }
  raise(static_cast<std::uint8_t>(kUpdateEnded | (alarm_matches() ? kAlarm : 0)));
  arm_second();
}

}  // namespace devices
