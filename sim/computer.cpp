#include "sim/computer.h"

#include <fmt/format.h>

#include <bit>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "sim/trace_recorder.h"

namespace sim {

thread_local constinit Computer* current_computer = nullptr;

namespace {

constexpr std::size_t kOperationsInMessage = 12;
constexpr machine::Site kIpiDelay{"sim.interrupt.delay"};
constexpr std::uint32_t kIpiDelaySteps = 64;

}  // namespace

Computer::Computer(WorldConfiguration configuration, Decider& decider)
    : configuration_(std::move(configuration)),
      decider_(decider),
      memory_(configuration_.memory_bytes),
      capabilities_(vtx::haswell()),
      turns_(std::clamp(configuration_.logical_processors, 1u, kMaxLogicalProcessors)) {
  if (configuration_.logical_processors == 0 ||
      configuration_.logical_processors > kMaxLogicalProcessors) {
    throw std::invalid_argument("a computer has 1 to 1,024 logical processors");
  }
  if (configuration_.hypervisor.entry == nullptr) {
    throw std::invalid_argument("a computer needs a hypervisor to boot");
  }
  if (configuration_.tsc_frequency_hz == 0) {
    throw std::invalid_argument("a time-stamp counter counts");
  }
  const std::uint64_t divisor =
      std::gcd(configuration_.tsc_frequency_hz, std::uint64_t{1'000'000'000});
  tsc_per_ns_numerator_ = configuration_.tsc_frequency_hz / divisor;
  tsc_per_ns_denominator_ = 1'000'000'000 / divisor;
  tsc_shift_ =
      std::has_single_bit(tsc_per_ns_denominator_) ? std::countr_zero(tsc_per_ns_denominator_) : -1;
  hash_.set_enabled(configuration_.hash_operations);
  hash_.flip_result_of(configuration_.flip_operation);
  hash_.set_listener(this);
}

Computer::~Computer() {
  for (const auto& program : programs_) {
    unmap_arena(program->arena);
  }
}

RunResult Computer::run() {
  current_computer = this;
  begin_watch();
  look_for_coins();
  try {
    board_ = std::make_unique<Board>(static_cast<BoardHost&>(*this), memory_, configuration_.disks);
    load_modules();
    start_processors();
    run_to_the_end();
  } catch (const RunEnded&) {
    // Everything is in the result.
  } catch (const std::exception& error) {
    result_.outcome = Outcome::kHarnessError;
    result_.error = error.what();
  }
  end_watch();
  if (board_ != nullptr && !board_->unfinished_line().empty()) {
    result_.console.push_back({now_ns(), board_->unfinished_line()});
  }
  result_.trace_hash = hash_.value();
  result_.events = hash_.operations();
  result_.turns = turns_given_.load(std::memory_order_relaxed);
  for (const std::uint64_t count : result_.vm_exits) {
    result_.vm_exit_count += count;
  }
  for (std::size_t code = 0; code < hypercalls_.size(); ++code) {
    if (hypercalls_[code] != 0) {
      result_.hypercalls[static_cast<std::uint16_t>(code)] = hypercalls_[code];
    }
  }
  result_.always = properties_.always.reached();
  result_.sometimes = properties_.sometimes.held();
  result_.traces = properties_.traces.reached();
  result_.trace_sums = properties_.traces.sums();
  current_computer = nullptr;
  return std::move(result_);
}

std::uint64_t Computer::ns_of(std::uint64_t tsc) const {
  if (tsc == kNever) {
    return kNever;
  }
  const unsigned __int128 dividend =
      static_cast<unsigned __int128>(tsc) * tsc_per_ns_denominator_ + tsc_per_ns_numerator_ - 1;
  if ((dividend >> 64) == 0) [[likely]] {
    return static_cast<std::uint64_t>(dividend) / tsc_per_ns_numerator_;
  }
  const unsigned __int128 nanoseconds = dividend / tsc_per_ns_numerator_;
  return nanoseconds > kNever ? kNever : static_cast<std::uint64_t>(nanoseconds);
}

std::uint32_t Computer::decide(const machine::Site& site, std::uint32_t domain) {
  ++result_.decisions;
  return decider_.decide(site, domain, hash_.operations());
}

void Computer::send_interrupt(LogicalProcessor& from, const InterruptCommand& command) {
  using Shorthand = InterruptCommand::Shorthand;
  for (const auto& processor : processors_) {
    const std::uint32_t id = processor->apic.id();
    const bool named = command.logical
                           ? (processor->apic.logical_id() >> 16 == command.destination >> 16 &&
                              (processor->apic.logical_id() & command.destination & 0xFFFF) != 0)
                           : command.destination == id;
    const bool wanted =
        command.shorthand == Shorthand::kSelf ? processor.get() == &from
        : command.shorthand == Shorthand::kOthers
            ? processor.get() != &from
            : command.shorthand == Shorthand::kAll || named || command.destination == 0xFFFF'FFFF;
    if (wanted) {
      // From half to twice the usual time.
      const std::uint64_t delay =
          cost::kIpi / 2 + cost::kIpi * 3 / 2 * decide(kIpiDelay, kIpiDelaySteps) / kIpiDelaySteps;
      processor->deliver_later(now_ns() + delay, command);
    }
  }
}

void Computer::set_external_interrupt(bool level) {
  if (!processors_.empty()) {
    processors_[0]->apic.set_lint0(level);
  }
}

void Computer::send_device_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) {
  constexpr std::uint8_t kAll = 0xFF;
  for (const auto& processor : processors_) {
    if (destination == kAll || processor->apic.id() == destination) {
      processor->apic.accept(vector, level);
    }
  }
}

void Computer::console_line(std::string line) {
  if (configuration_.on_console_line) {
    configuration_.on_console_line(line, now_ns());
  }
  if (configuration_.trace_recorder != nullptr) {
    configuration_.trace_recorder->add_console_line(now_ns(), line);
  }
  result_.console.push_back({now_ns(), std::move(line)});
}

void Computer::at_operation(std::uint64_t operation, std::uint64_t hash) {
  decider_.at_operation(operation, hash);
  if (configuration_.on_progress) {
    configuration_.on_progress(operation, now_ns());
  }
}

void Computer::finish(Outcome outcome) {
  result_.outcome = outcome;
  result_.virtual_ns = now_ns();
  ended_ = true;
  if (here_ == nullptr) {
    throw RunEnded{};
  }
  here_->running->fiber.switch_for_good_to(main_);
}

void Computer::stop(std::uint32_t code) {
  record(Operation::kStop, code, 0, 0);
  result_.stop_code = code;
  finish(Outcome::kStopped);
}

// Apart from violation(), whose frame is never left: what it owned would leak.
void Computer::add_violation(std::string_view property, std::string message) {
  const std::uint64_t operations = hash_.operations();
  const auto latest = hash_.latest(kOperationsInMessage);
  message += "\n  the last operations:";
  for (std::size_t index = 0; index < latest.size(); ++index) {
    const PastOperation& past = latest[index];
    message +=
        fmt::format("\n    #{} lp{} {} {:#x} {:#x} -> {:#x}", operations - latest.size() + index,
                    past.processor, name_of(past.kind), past.first, past.second, past.result);
  }
  result_.violations.push_back({std::string(property), now_ns(), operations,
                                here_ != nullptr ? here_->index : 0, std::move(message)});
}

void Computer::violation(std::string_view property, std::string message) {
  add_violation(property, std::move(message));
  finish(Outcome::kViolation);
}

void Computer::wrong_link_set(const char* operation) {
  violation("programs stay within their link set",
            fmt::format("{} in {}", operation,
                        context().is_guest() ? "a guest kernel" : "the hypervisor"));
}

void Computer::abandon(std::string stack) {
  result_.error = std::move(stack);
  finish(Outcome::kHang);
}

}  // namespace sim
