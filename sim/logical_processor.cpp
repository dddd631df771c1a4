#include "sim/logical_processor.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "sim/computer.h"
#include "sim/memory_operations.h"

namespace sim {

namespace {

// Events of a processor: its timer, or an interrupt command that arrives.
constexpr std::uint64_t kTimerEvent = std::uint64_t{1} << 63;

}  // namespace

LogicalProcessor::LogicalProcessor(Computer& computer, std::uint32_t number)
    : index(number),
      apic(*this, number, number == 0),
      vtx(*this, computer.vmcss(), computer.capabilities(), number),
      computer_(computer) {}

void LogicalProcessor::wake(std::uint64_t at_ns) {
  if (sleeping) {
    wake_ns = std::min(wake_ns, at_ns);
    computer_.set_turn(*this);
  } else {
    look_soon();
  }
}

void LogicalProcessor::deliver_later(std::uint64_t at_ns, const InterruptCommand& command) {
  const bool nmi = command.delivery == InterruptCommand::Delivery::kNmi;
  computer_.schedule(at_ns, *this, command.vector | (nmi ? 0x100u : 0u));
}

void LogicalProcessor::happen(std::uint64_t token) {
  if ((token & kTimerEvent) != 0) {
    if (static_cast<std::uint32_t>(token) == timer_generation_) {
      apic.timer_expired();
    }
  } else if ((token & 0x100) != 0) {
    nmi_pending = true;
    wake(computer_.now_ns() + cost::kWakeUp);
  } else {
    apic.accept(static_cast<std::uint8_t>(token));
  }
}

void LogicalProcessor::send_interrupt(const InterruptCommand& command) {
  computer_.send_interrupt(*this, command);
}

void LogicalProcessor::set_timer(std::uint64_t at_tsc) {
  ++timer_generation_;
  if (at_tsc != kNever) {
    const std::uint64_t at_ns = std::max(computer_.ns_of(at_tsc), computer_.now_ns());
    computer_.schedule(at_ns, *this, kTimerEvent | timer_generation_);
  }
}

void LogicalProcessor::interrupt_request_changed() {
  if (apic.requests_interrupt()) {
    wake(computer_.now_ns() + cost::kWakeUp);
  }
}

std::uint64_t LogicalProcessor::now_tsc() { return computer_.now_tsc(); }

std::uint8_t LogicalProcessor::acknowledge_external() {
  const Computer::DevicesAct devices(computer_);
  return computer_.board().acknowledge_interrupt();
}

void LogicalProcessor::broadcast_end_of_interrupt(std::uint8_t vector) {
  const Computer::DevicesAct devices(computer_);
  computer_.board().end_of_interrupt(vector);
}

namespace {

template <class Word>
Word load(const PhysicalMemory& memory, machine::Spa address) {
  const std::byte* const from = memory.word(address, sizeof(Word));
  return from == nullptr ? static_cast<Word>(~Word{0}) : load_word<Word>(from);
}

}  // namespace

std::uint8_t LogicalProcessor::load_u8(machine::Spa address) {
  return load<std::uint8_t>(computer_.memory(), address);
}

std::uint32_t LogicalProcessor::load_u32(machine::Spa address) {
  return load<std::uint32_t>(computer_.memory(), address);
}

std::uint64_t LogicalProcessor::load_u64(machine::Spa address) {
  return load<std::uint64_t>(computer_.memory(), address);
}

void LogicalProcessor::fetch_or_u64(machine::Spa address, std::uint64_t bits) {
  store_u64(address, load_u64(address) | bits);
}

void LogicalProcessor::store_u64(machine::Spa address, std::uint64_t value) {
  if (std::byte* const to = computer_.memory().word(address, sizeof value)) {
    store_word(to, value);
  }
}

void LogicalProcessor::misuse(const char* rule) {
  computer_.violation("the processor is used as its manual allows", rule);
}

}  // namespace sim
