#include "partitions/devices/interrupt_controller.h"

namespace devices {
namespace {

constexpr std::uint32_t kNoLevel = 8;
constexpr std::uint16_t kPrimaryCommand = 0x20;
constexpr std::uint16_t kSecondaryCommand = 0xA0;
constexpr std::uint16_t kPrimaryTrigger = 0x4D0;
constexpr std::uint16_t kSecondaryTrigger = 0x4D1;
/// Lines that a PC cannot make level triggered: timer, keyboard, cascade; clock, coprocessor.
constexpr std::uint8_t kPrimaryAlwaysEdge = 0x07;
constexpr std::uint8_t kSecondaryAlwaysEdge = 0x21;

constexpr std::uint8_t bit_of(std::uint32_t level) {
  return static_cast<std::uint8_t>(1U << (level & 7));
}

}  // namespace

void InterruptChip::set_line(std::uint32_t line, bool level) {
  const std::uint8_t bit = bit_of(line);
  const bool before = (lines_ & bit) != 0;
  if (level) {
    lines_ |= bit;
    if (!before || is_level_triggered(bit)) {
      requests_ |= bit;
    }
  } else {
    // A request that is gone before its acknowledge is forgotten: the acknowledge finds the default
    // level (8259A "Default IR7").
    lines_ &= static_cast<std::uint8_t>(~bit);
    requests_ &= static_cast<std::uint8_t>(~bit);
  }
}

bool InterruptChip::is_level_triggered(std::uint8_t bit) const {
  return all_level_triggered_ || (level_triggered_ & bit) != 0;
}

void InterruptChip::set_level_triggered(std::uint8_t mask) { level_triggered_ = mask; }

std::uint32_t InterruptChip::highest(std::uint8_t levels) const {
  for (std::uint32_t step = 1; step <= 8; ++step) {
    const std::uint32_t level = (lowest_priority_ + step) & 7;
    if ((levels & bit_of(level)) != 0) {
      return level;
    }
  }
  return kNoLevel;
}

std::uint32_t InterruptChip::pending_level() const {
  const auto unmasked = static_cast<std::uint8_t>(requests_ & ~mask_);
  const std::uint32_t requested = highest(unmasked);
  if (requested == kNoLevel) {
    return kNoLevel;
  }
  std::uint8_t blocking = in_service_;
  if (special_mask_) {
    // 8259A "Special Mask Mode": a masked level in service inhibits nothing, and any level that is
    // not in service may interrupt.
    const std::uint32_t free_level = highest(static_cast<std::uint8_t>(unmasked & ~in_service_));
    return free_level;
  }
  if (special_fully_nested_) {
    blocking &= static_cast<std::uint8_t>(~(cascaded_ & bit_of(requested)));
  }
  const std::uint32_t serviced = highest(blocking);
  if (serviced == kNoLevel) {
    return requested;
  }
  const std::uint32_t requested_rank = (requested - lowest_priority_ - 1) & 7;
  const std::uint32_t serviced_rank = (serviced - lowest_priority_ - 1) & 7;
  return requested_rank < serviced_rank ? requested : kNoLevel;
}

bool InterruptChip::requesting() const {
  return expected_ == Expected::kOperation && pending_level() != kNoLevel;
}

std::uint8_t InterruptChip::vector(std::uint32_t level) const {
  return static_cast<std::uint8_t>(vector_base_ | level);
}

std::uint32_t InterruptChip::acknowledge() {
  const std::uint32_t level = pending_level();
  if (level == kNoLevel) {
    return 7;
  }
  const std::uint8_t bit = bit_of(level);
  if (!is_level_triggered(bit)) {
    requests_ &= static_cast<std::uint8_t>(~bit);
  }
  if (auto_end_) {
    if (rotate_on_auto_end_) {
      lowest_priority_ = level;
    }
  } else {
    in_service_ |= bit;
  }
  return level;
}

void InterruptChip::write(bool second_port, std::uint8_t value) {
  if (!second_port) {
    if ((value & 0x10) != 0) {
      write_initialization(value);
    } else if ((value & 0x08) != 0) {
      write_mode(value);
    } else {
      write_end_of_interrupt(value);
    }
    return;
  }
  switch (expected_) {
    case Expected::kOperation:
      mask_ = value;
      return;
    case Expected::kWord2:
      vector_base_ = value & 0xF8;
      expected_ = !single_       ? Expected::kWord3
                  : needs_word4_ ? Expected::kWord4
                                 : Expected::kOperation;
      return;
    case Expected::kWord3:
      // Which lines carry another controller is wired on a PC, whatever the word says.
      expected_ = needs_word4_ ? Expected::kWord4 : Expected::kOperation;
      return;
    case Expected::kWord4:
      special_fully_nested_ = (value & 0x10) != 0;
      auto_end_ = (value & 0x02) != 0;
      expected_ = Expected::kOperation;
      return;
  }
}

void InterruptChip::write_initialization(std::uint8_t value) {
  // 8259A "ICW1": the edge detector starts afresh, so that a line that is high already must fall
  // first; mask, service and priorities are cleared.
  requests_ = 0;
  in_service_ = 0;
  mask_ = 0;
  lowest_priority_ = 7;
  special_mask_ = false;
  read_in_service_ = false;
  poll_ = false;
  all_level_triggered_ = (value & 0x08) != 0;
  single_ = (value & 0x02) != 0;
  needs_word4_ = (value & 0x01) != 0;
  if (!needs_word4_) {
    auto_end_ = false;
    special_fully_nested_ = false;
  }
  rotate_on_auto_end_ = false;
  expected_ = Expected::kWord2;
}

void InterruptChip::end(std::uint32_t level, bool rotate) {
  if (level == kNoLevel) {
    return;
  }
  const std::uint8_t bit = bit_of(level);
  in_service_ &= static_cast<std::uint8_t>(~bit);
  if (is_level_triggered(bit) && (lines_ & bit) != 0) {
    requests_ |= bit;
  }
  if (rotate) {
    lowest_priority_ = level;
  }
}

void InterruptChip::write_end_of_interrupt(std::uint8_t value) {
  const std::uint32_t level = value & 7;
  switch (value >> 5) {
    case 0:  // rotate in automatic end of interrupt: off
      rotate_on_auto_end_ = false;
      return;
    case 4:  // on
      rotate_on_auto_end_ = true;
      return;
    case 1:  // not specific
    case 5: {
      const auto ends =
          static_cast<std::uint8_t>(special_mask_ ? in_service_ & ~mask_ : in_service_);
      end(highest(ends), value >> 5 == 5);
      return;
    }
    case 3:  // specific
      end(level, false);
      return;
    case 7:
      end(level, true);
      return;
    case 6:  // set priority
      lowest_priority_ = level;
      return;
    case 2:  // no operation
    default:
      return;
  }
}

void InterruptChip::write_mode(std::uint8_t value) {
  if ((value & 0x04) != 0) {
    poll_ = true;
  }
  if ((value & 0x02) != 0) {
    read_in_service_ = (value & 0x01) != 0;
  }
  if ((value & 0x40) != 0) {
    special_mask_ = (value & 0x20) != 0;
  }
}

std::uint8_t InterruptChip::read(bool second_port) {
  if (poll_) {
    poll_ = false;
    if (pending_level() == kNoLevel) {
      return 0;
    }
    return static_cast<std::uint8_t>(0x80 | acknowledge());
  }
  if (second_port) {
    return mask_;
  }
  return read_in_service_ ? in_service_ : requests_;
}

InterruptController::InterruptController(InterruptPin& processor) : processor_(processor) {
  primary_.set_cascaded_level_mask(bit_of(kCascadeLine));
}

void InterruptController::set_line(std::uint32_t line, bool level) {
  if (line < 8) {
    if (line != kCascadeLine) {
      primary_.set_line(line, level);
    }
  } else if (line < 16) {
    secondary_.set_line(line - 8, level);
  }
  update();
}

void InterruptController::update() {
  const bool cascade = secondary_.requesting();
  if (cascade != cascade_level_) {
    cascade_level_ = cascade;
    primary_.set_line(kCascadeLine, cascade);
  }
  const bool request = primary_.requesting();
  if (request != request_level_) {
    request_level_ = request;
    processor_.set_interrupt_request(request);
  }
}

std::uint8_t InterruptController::acknowledge() {
  const std::uint32_t level = primary_.acknowledge();
  std::uint8_t vector = primary_.vector(level);
  if (level == kCascadeLine) {
    // If the secondary's request has gone since, it answers with its own default level.
    vector = secondary_.vector(secondary_.acknowledge());
    // The output falls with the acknowledge; a further request of the secondary is a new edge.
    cascade_level_ = false;
    primary_.set_line(kCascadeLine, false);
  }
  update();
  return vector;
}

InterruptChip& InterruptController::chip_of(std::uint16_t port) {
  return (port & 0xFFFE) == kPrimaryCommand || port == kPrimaryTrigger ? primary_ : secondary_;
}

std::uint32_t InterruptController::read_port(std::uint16_t port, std::uint32_t size) {
  if (size != 1) {
    return 0xFFFFFFFF;
  }
  InterruptChip& chip = chip_of(port);
  if (port == kPrimaryTrigger || port == kSecondaryTrigger) {
    return chip.level_triggered();
  }
  const std::uint8_t value = chip.read((port & 1) != 0);
  update();
  return value;
}

void InterruptController::write_port(std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  if (size == 2 &&
      (port == kPrimaryCommand || port == kSecondaryCommand || port == kPrimaryTrigger)) {
    write_port(port, 1, value & 0xFF);
    write_port(static_cast<std::uint16_t>(port + 1), 1, value >> 8);
    return;
  }
  if (size != 1) {
    return;
  }
  const auto byte = static_cast<std::uint8_t>(value);
  if (port == kPrimaryTrigger) {
    primary_.set_level_triggered(byte & static_cast<std::uint8_t>(~kPrimaryAlwaysEdge));
  } else if (port == kSecondaryTrigger) {
    secondary_.set_level_triggered(byte & static_cast<std::uint8_t>(~kSecondaryAlwaysEdge));
  } else {
    chip_of(port).write((port & 1) != 0, byte);
  }
  update();
}

}  // namespace devices
