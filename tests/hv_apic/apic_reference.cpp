#include "tests/hv_apic/apic_reference.h"

namespace apic_reference {
namespace {

using Kind = Outcome::Kind;

enum class Use : std::uint8_t { kNone, kRead, kWrite, kBoth };

/// A register: what the MSR is for, what the page's is for, and the bits that it takes. Bits that
/// it shows but ignores are `ignored`; any other faults as an MSR and is dropped in the page.
struct Register {
  std::uint32_t number;
  Use msr;
  Use page;
  std::uint64_t taken;
  std::uint64_t ignored;
};

constexpr std::uint32_t kId = 0x02;
constexpr std::uint32_t kVersion = 0x03;
constexpr std::uint32_t kTaskPriority = 0x08;
constexpr std::uint32_t kPriority = 0x0A;
constexpr std::uint32_t kEnd = 0x0B;
constexpr std::uint32_t kLogical = 0x0D;
constexpr std::uint32_t kModel = 0x0E;
constexpr std::uint32_t kSpurious = 0x0F;
constexpr std::uint32_t kServed = 0x10;
constexpr std::uint32_t kLevels = 0x18;
constexpr std::uint32_t kRequested = 0x20;
constexpr std::uint32_t kErrors = 0x28;
constexpr std::uint32_t kCmci = 0x2F;
constexpr std::uint32_t kCommand = 0x30;
constexpr std::uint32_t kCommandHigh = 0x31;
constexpr std::uint32_t kTimer = 0x32;
constexpr std::uint32_t kError = 0x37;
constexpr std::uint32_t kInitial = 0x38;
constexpr std::uint32_t kCurrent = 0x39;
constexpr std::uint32_t kDivide = 0x3E;
constexpr std::uint32_t kSelf = 0x3F;

constexpr std::uint64_t kLocalStatus = 0x5000;
constexpr std::uint32_t kMask = 0x10000;

constexpr Register kRegisters[] = {
    {kId, Use::kRead, Use::kRead, 0, 0},
    {kVersion, Use::kRead, Use::kRead, 0, 0},
    {kTaskPriority, Use::kBoth, Use::kBoth, 0xFF, 0},
    {kPriority, Use::kRead, Use::kRead, 0, 0},
    {kEnd, Use::kWrite, Use::kBoth, 0, 0},
    {kLogical, Use::kRead, Use::kBoth, 0xFF00'0000, 0},
    {kModel, Use::kNone, Use::kBoth, 0xF000'0000, 0},
    {kSpurious, Use::kBoth, Use::kBoth, 0x11FF, 0},
    {kErrors, Use::kBoth, Use::kBoth, 0, 0},
    {kCmci, Use::kBoth, Use::kBoth, 0x107FF, kLocalStatus},
    {kCommand, Use::kBoth, Use::kBoth, 0xFFFF'FFFF'000C'CFFF, 0x1000},
    {kCommandHigh, Use::kNone, Use::kBoth, 0xFF00'0000, 0},
    {kTimer, Use::kBoth, Use::kBoth, 0x700FF, kLocalStatus},
    {0x33, Use::kBoth, Use::kBoth, 0x107FF, kLocalStatus},
    {0x34, Use::kBoth, Use::kBoth, 0x107FF, kLocalStatus},
    {0x35, Use::kBoth, Use::kBoth, 0x1A7FF, kLocalStatus},
    {0x36, Use::kBoth, Use::kBoth, 0x1A7FF, kLocalStatus},
    {kError, Use::kBoth, Use::kBoth, 0x100FF, kLocalStatus},
    {kInitial, Use::kBoth, Use::kBoth, 0xFFFF'FFFF, 0},
    {kCurrent, Use::kRead, Use::kRead, 0, 0},
    {kDivide, Use::kBoth, Use::kBoth, 0xB, 0},
    {kSelf, Use::kWrite, Use::kNone, 0xFF, 0},
};

Register register_of(std::uint32_t number) {
  if (number >= kServed && number < kRequested + 8) {
    return {number, Use::kRead, Use::kRead, 0, 0};
  }
  for (const Register& row : kRegisters) {
    if (row.number == number) {
      return row;
    }
  }
  return {number, Use::kNone, Use::kNone, 0, 0};
}

bool reads(Use use) { return use == Use::kRead || use == Use::kBoth; }
bool writes(Use use) { return use == Use::kWrite || use == Use::kBoth; }
bool is_local(std::uint32_t number) {
  return number == kCmci || (number >= kTimer && number <= kError);
}

std::uint32_t word_of(const std::bitset<256>& vectors, std::uint32_t word) {
  std::uint32_t bits = 0;
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    bits |= vectors[word * 32 + bit] ? 1u << bit : 0u;
  }
  return bits;
}

std::optional<std::uint8_t> highest(const std::bitset<256>& vectors) {
  for (std::uint32_t vector = 256; vector-- > 0;) {
    if (vectors[vector]) {
      return static_cast<std::uint8_t>(vector);
    }
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t CountDown::divisor() const {
  static constexpr std::array<std::uint64_t, 8> kDivisors = {2, 4, 8, 16, 32, 64, 128, 1};
  return kDivisors[(divide & 3) + ((divide & 8) != 0 ? 4 : 0)];
}

void CountDown::set_mode(Mode mode) {
  if ((mode == Mode::kDeadline) != (mode_ == Mode::kDeadline)) {
    initial = 0;
    left_ = 0;
    deadline = 0;
  }
  mode_ = mode;
}

void CountDown::set_initial(std::uint32_t count) {
  if (mode_ != Mode::kDeadline) {
    initial = count;
    left_ = count;
    within_ = 0;
  }
}

void CountDown::set_divide(std::uint32_t configuration) {
  divide = configuration;
  within_ = 0;
}

void CountDown::set_deadline(std::uint64_t when) {
  if (mode_ == Mode::kDeadline) {
    deadline = when;
  }
}

bool CountDown::advance(std::uint64_t now) {
  std::uint64_t counts = (within_ + (now - at_)) / divisor();
  within_ = (within_ + (now - at_)) % divisor();
  at_ = now;
  if (mode_ == Mode::kDeadline) {
    const bool reached = deadline != 0 && deadline <= now;
    deadline = reached ? 0 : deadline;
    return reached;
  }
  if (left_ == 0 || counts < left_) {
    left_ -= left_ == 0 ? 0 : counts;
    return false;
  }
  counts -= left_;
  left_ = mode_ == Mode::kAgain ? initial - counts % initial : 0;
  return true;
}

std::uint32_t CountDown::current(std::uint64_t now) const {
  CountDown later = *this;
  static_cast<void>(later.advance(now));
  return static_cast<std::uint32_t>(later.left_);
}

std::optional<std::uint64_t> CountDown::due() const {
  if (mode_ == Mode::kDeadline) {
    return deadline != 0 ? std::optional(deadline) : std::nullopt;
  }
  return left_ != 0 ? std::optional(at_ + left_ * divisor() - within_) : std::nullopt;
}

void LocalApic::restart() {
  task_priority = 0;
  logical_ = 0;
  model_ = 0xF000'0000;
  spurious_ = 0xFF;
  shown_errors_ = 0;
  errors_ = 0;
  local_.fill(kMask);
  command_ = 0;
  requested_.reset();
  served_.reset();
  level_.reset();
  auto_eoi_.reset();
  timer_ = CountDown();
}

bool LocalApic::change_mode(hv::ApicMode mode) {
  using hv::ApicMode;
  if (mode_ == ApicMode::kDisabled && mode == ApicMode::kX2Apic) {
    return false;
  }
  if (mode_ == ApicMode::kX2Apic && mode == ApicMode::kXapic) {
    return false;
  }
  if (mode == ApicMode::kDisabled) {
    restart();
  }
  if (mode == ApicMode::kX2Apic && mode_ == ApicMode::kXapic) {
    command_ &= 0xFFFF'FFFF;
  }
  mode_ = mode;
  return true;
}

std::uint64_t LocalApic::value_of(std::uint32_t number, std::uint64_t now) const {
  if (is_local(number)) {
    return local_[number];
  }
  if (number >= kServed && number < kServed + 8) {
    return word_of(served_, number - kServed);
  }
  if (number >= kLevels && number < kLevels + 8) {
    return word_of(level_, number - kLevels);
  }
  if (number >= kRequested && number < kRequested + 8) {
    return word_of(requested_, number - kRequested);
  }
  switch (number) {
    case kVersion:
      return 0x0106'0014;
    case kTaskPriority:
      return task_priority;
    case kPriority:
      return priority();
    case kSpurious:
      return spurious_;
    case kErrors:
      return shown_errors_;
    case kInitial:
      return timer_.initial;
    case kCurrent:
      return timer_.current(now);
    case kDivide:
      return timer_.divide;
    default:
      return 0;
  }
}

std::optional<std::uint64_t> LocalApic::read_msr(std::uint32_t number, std::uint64_t now) const {
  if (!reads(register_of(number).msr)) {
    return std::nullopt;
  }
  switch (number) {
    case kId:
      return id_;
    case kLogical:
      return ((id_ >> 4) << 16) | (1u << (id_ % 16));
    case kCommand:
      return command_;
    default:
      return value_of(number, now);
  }
}

std::uint32_t LocalApic::read_page(std::uint32_t number, std::uint64_t now) {
  if (!reads(register_of(number).page)) {
    error(7);
    return 0;
  }
  switch (number) {
    case kId:
      return id_ << 24;
    case kLogical:
      return logical_;
    case kModel:
      return model_ | 0x0FFF'FFFF;
    case kCommand:
      return static_cast<std::uint32_t>(command_);
    case kCommandHigh:
      return static_cast<std::uint32_t>(command_ >> 32) << 24;
    default:
      return static_cast<std::uint32_t>(value_of(number, now));
  }
}

Outcome LocalApic::write_msr(std::uint32_t number, std::uint64_t value, std::uint64_t now) {
  // What ran out before this write did so as things were before it.
  static_cast<void>(let_time_pass(now));
  const Register row = register_of(number);
  const bool legal = writes(row.msr) && (value & ~(row.taken | row.ignored)) == 0;
  if (!legal || (number == kTimer && (value & 0x60000) == 0x60000)) {
    return {.kind = Kind::kFault, .command = 0, .level_vector = {}};
  }
  return store(number, value & row.taken);
}

Outcome LocalApic::write_page(std::uint32_t number, std::uint32_t value, std::uint64_t now) {
  static_cast<void>(let_time_pass(now));
  const Register row = register_of(number);
  if (row.page == Use::kNone) {
    error(7);
    return {};
  }
  if (!writes(row.page) || (number == kTimer && (value & 0x60000) == 0x60000)) {
    return {};
  }
  const auto taken = static_cast<std::uint32_t>(value & row.taken);
  switch (number) {
    case kLogical:
      logical_ = taken;
      return {};
    case kModel:
      model_ = taken;
      return {};
    case kCommand:
      return store(number, (command_ & ~0xFFFF'FFFFull) | taken);
    case kCommandHigh: {
      const std::uint64_t wide = taken == 0xFF00'0000 ? 0xFFFF'FFFF : taken >> 24;
      command_ = (command_ & 0xFFFF'FFFF) | (wide << 32);
      return {};
    }
    default:
      return store(number, taken);
  }
}

Outcome LocalApic::store(std::uint32_t number, std::uint64_t value) {
  const auto low = static_cast<std::uint32_t>(value);
  if (is_local(number)) {
    local_[number] = low | (enabled() ? 0 : kMask);
    if (number == kTimer) {
      timer_.set_mode(static_cast<CountDown::Mode>((low >> 17) & 3));
    }
    return {};
  }
  switch (number) {
    case kTaskPriority:
      task_priority = static_cast<std::uint8_t>(low);
      break;
    case kEnd:
      return {.kind = Kind::kEnds, .command = 0, .level_vector = end()};
    case kSpurious:
      spurious_ = low;
      for (std::uint32_t& entry : local_) {
        entry |= enabled() ? 0 : kMask;
      }
      break;
    case kErrors:
      shown_errors_ = errors_;
      errors_ = 0;
      break;
    case kCommand:
      return command(value);
    case kInitial:
      timer_.set_initial(low);
      break;
    case kDivide:
      timer_.set_divide(low);
      break;
    case kSelf:
      if (low < 16) {
        error(5);
      } else {
        static_cast<void>(accept(static_cast<std::uint8_t>(low), false, false));
      }
      break;
    default:
      break;
  }
  return {};
}

/// SDM vol. 3 table 10-3: who is named by a shorthand that includes the sender gets nothing but
/// fixed interrupts; modes 3 and 7 are reserved.
Outcome LocalApic::command(std::uint64_t value) {
  command_ = value;
  const auto delivery = static_cast<std::uint32_t>((value >> 8) & 7);
  const auto shorthand = static_cast<std::uint32_t>((value >> 18) & 3);
  const bool includes_self = shorthand == 1 || shorthand == 2;
  const bool is_level = (value & 0x8000) != 0;
  const bool asserts = (value & 0x4000) != 0;
  if (delivery <= 1 && (value & 0xFF) < 16) {
    error(5);
    return {};
  }
  if (delivery == 3 || delivery == 7 || (includes_self && delivery != 0) ||
      (delivery == 5 && is_level && !asserts)) {
    return {};
  }
  return {.kind = Kind::kSends, .command = value, .level_vector = {}};
}

void LocalApic::set_deadline(std::uint64_t deadline, std::uint64_t now) {
  static_cast<void>(let_time_pass(now));
  timer_.set_deadline(deadline);
}

void LocalApic::error(std::uint32_t bit) {
  const bool first = errors_ == 0;
  errors_ |= 1u << bit;
  const std::uint32_t vector = local_[kError] & 0xFF;
  if (first && (local_[kError] & kMask) == 0 && vector >= 16) {
    static_cast<void>(accept(static_cast<std::uint8_t>(vector), false, false));
  }
}

bool LocalApic::accept(std::uint8_t vector, bool level, bool auto_eoi) {
  if (mode_ == hv::ApicMode::kDisabled || !enabled()) {
    return false;
  }
  if (vector < 16) {
    error(6);
    return false;
  }
  requested_[vector] = true;
  level_[vector] = level;
  auto_eoi_[vector] = auto_eoi;
  return true;
}

void LocalApic::withdraw_levels() { requested_ &= ~level_; }

std::uint8_t LocalApic::priority() const {
  const int served = highest(served_).value_or(0) / 16;
  return served > task_priority / 16 ? static_cast<std::uint8_t>(served * 16) : task_priority;
}

std::optional<std::uint8_t> LocalApic::next() const {
  const auto vector = highest(requested_);
  return vector && *vector / 16 > priority() / 16 ? vector : std::nullopt;
}

void LocalApic::take(std::uint8_t vector) {
  requested_[vector] = false;
  served_[vector] = served_[vector] || !auto_eoi_[vector];
}

std::optional<std::uint8_t> LocalApic::end() {
  const auto vector = highest(served_);
  if (!vector) {
    return std::nullopt;
  }
  served_[*vector] = false;
  const bool suppressed = (spurious_ & 0x1000) != 0;
  return level_[*vector] && !suppressed ? vector : std::nullopt;
}

bool LocalApic::let_time_pass(std::uint64_t now) {
  if (!timer_.advance(now) || (local_[kTimer] & kMask) != 0) {
    return false;
  }
  return accept(static_cast<std::uint8_t>(local_[kTimer]), false, false);
}

bool LocalApic::hears(std::uint32_t destination, bool logical) const {
  if (mode_ == hv::ApicMode::kDisabled) {
    return false;
  }
  if (destination == ~0u) {
    return true;
  }
  if (!logical) {
    return destination == id_;
  }
  if (mode_ == hv::ApicMode::kX2Apic) {
    // A cluster of sixteen, and a bit for each of them.
    return destination >> 16 == id_ / 16 && ((destination >> (id_ % 16)) & 1) != 0;
  }
  const std::uint32_t own = logical_ >> 24;
  if (destination > 0xFF || destination == 0xFF) {
    return destination == 0xFF;
  }
  const bool flat = model_ == 0xF000'0000;
  return flat ? (own & destination) != 0
              : own / 16 == destination / 16 && (own & destination & 0xF) != 0;
}

}  // namespace apic_reference
