#include "partitions/root/program.h"

#include <algorithm>

#include "machine/machine.h"
#include "partitions/kernel/vectors.h"
#include "partitions/root/child_parameters.h"
#include "partitions/root/streams/stream_caller.h"

namespace root {

namespace {

constexpr std::uint32_t kInterceptSint = 0;
constexpr std::uint64_t kSectorsPerMib = 1024 * 1024 / kDiskSectorBytes;
constexpr machine::Site kEveryPageReturned("root.every_page_returned");
constexpr machine::Site kEveryChildPassed("root.every_child_passed");
constexpr machine::Site kPatienceLost("root.silent_child_ended");
/// How long a child that fails may be silent.
constexpr std::uint64_t kPatience100ns = 100'000;
constexpr std::uint32_t kMostRemovals = 1'000'000;

void on_legacy_interrupt(const machine::InterruptFrame& frame) {
  kernel::Processor& processor = kernel::Processor::current();
  auto& program = static_cast<Program&>(processor.kernel());
  program.legacy_interrupts().interrupted(
      static_cast<std::uint32_t>(frame.vector - kernel::kVectorLegacy), processor.executor());
}

std::string_view plural(std::uint64_t count) { return count == 1 ? "" : "s"; }

}  // namespace

Program::Program(std::span<std::byte> heap)
    : Kernel(heap, kernel::OverlayPages::kPreset),
      calls_(*this),
      services_(children_, calls_, *this),
      intercepts_(children_, calls_, *this),
      bus_receiver_(children_),
      disks_(*this) {}

void Program::start() {
  serial_port_.set_up();
  for (std::uint32_t input = 0; input < kLegacyLines; ++input) {
    machine::set_interrupt_handler(static_cast<std::uint8_t>(kernel::kVectorLegacy + input),
                                   &on_legacy_interrupt);
  }
  legacy_interrupts_.set_up();
  kernel::Synic& synic = processor(0).synic();
  synic.attach(kInterceptSint, intercepts_);
  synic.attach(kernel::kServicesSint, services_);
  synic.attach(vmbus::kVmbusSint, bus_receiver_);
  main().spawn();
}

void Program::line(std::string_view text) { serial_port_.write_line("[root] ", text); }

void Program::child_line(std::uint32_t child_number, std::string_view text) {
  kernel::TextLine prefix;
  prefix << "[child " << child_number << "] ";
  serial_port_.write_line(prefix.view(), text);
}

bool Program::take_parameters() {
  const auto parameters = parse_parameters(Kernel::parameters());
  if (parameters) {
    parameters_ = *parameters;
    return true;
  }
  kernel::TextLine problem;
  problem << "parameters, line " << parameters.error().line << ": " << parameters.error().problem;
  line(problem.view());
  return false;
}

kernel::Task<> Program::main() {
  if (!take_parameters()) {
    // The line tells why.
  } else if (const hv::Status status = calls_.learn_own_id(); status != hv::Status::kSuccess) {
    line("GetPartitionId is refused");
    passed_ = false;
  } else {
    if (uses_disks(parameters_.workload)) {
      disks_.set_up(legacy_interrupts_);
    }
    const std::uint64_t pages_at_start = pages().free_pages();
    co_await run_children();
    take_census(pages_at_start);
  }
  machine::always(kEveryChildPassed, passed_);
  line("done");
  power_off();
}

void Program::announce_children() {
  kernel::TextLine text;
  text << parameters_.children << (parameters_.children == 1 ? " child" : " children") << " of "
       << parameters_.child_processors << " processor" << plural(parameters_.child_processors)
       << ", " << parameters_.child_memory_mib << " MiB: " << workload_name(parameters_.workload);
  line(text.view());
}

kernel::Task<> Program::run_children() {
  announce_children();
  children_left_ = parameters_.children;
  for (std::uint32_t place = 0; place < parameters_.children_at_once; ++place) {
    places_.release();
  }
  for (std::uint32_t number = 1; number <= parameters_.children; ++number) {
    co_await places_.acquire();
    run_child(number).spawn();
    if (number == 1) {
      liars_left_ = parameters_.lying_children;
      for (std::uint32_t place = 0; place < parameters_.lying_children; ++place) {
        run_liars(place).spawn();
      }
    }
  }
  if (parameters_.children != 0) {
    co_await all_gone_.wait();
  }
}

void Program::one_child_less() {
  if (--children_left_ != 0) {
    return;
  }
  // Nobody is left to be lied to.
  for (ChildPartition* liar : liars_) {
    if (liar != nullptr) {
      liar->end(kernel::Verdict::kFailed);
    }
  }
  if (liars_left_ == 0) {
    all_gone_.set();
  }
}

Parameters Program::liar_parameters(std::uint32_t generation) const {
  // Not the seed of another child, now or later.
  constexpr std::uint64_t kSeedsApart = 0x1'0000'0000;
  Parameters parameters = parameters_;
  parameters.workload = parameters_.liars_fail != 0 ? Workload::kFail : Workload::kLie;
  parameters.removals = parameters_.liars_fail != 0 ? kMostRemovals : 0;
  parameters.child_processors = parameters_.lying_processors;
  parameters.seed += kSeedsApart * (std::uint64_t{generation} + 1);
  return parameters;
}

kernel::Task<> Program::run_liars(std::uint32_t place) {
  // One that cannot be made fails the run; the next one could not be made either.
  for (std::uint32_t generation = 0; children_left_ != 0 && passed_; ++generation) {
    co_await run_liar(place, generation);
  }
  if (--liars_left_ == 0 && children_left_ == 0) {
    all_gone_.set();
  }
}

/// The parameters are more than a task's frame takes.
std::optional<ChildPartition::Failure> Program::prepare_liar(ChildPartition& child,
                                                             std::uint32_t generation) {
  return prepare(child, liar_parameters(generation));
}

kernel::Task<> Program::run_liar(std::uint32_t place, std::uint32_t generation) {
  auto* liar = heap().create<ChildPartition>(*this, calls_, parameters_.children + 1 + place);
  children_.add(*liar);
  if (const auto problem = prepare_liar(*liar, generation)) {
    report(*liar, *problem);
  } else {
    liars_[place] = liar;
    if (parameters_.liars_fail != 0) {
      lose_patience(place).spawn();
    }
    co_await liar->ended().wait();
    liars_[place] = nullptr;
  }
  const std::optional<ChildPartition::Failure> failure = co_await liar->tear_down();
  if (failure) {
    report(*liar, *failure);
  }
  children_.remove(*liar);
  heap().destroy(liar);
}

/// Ends a child that may never say anything again.
kernel::Task<> Program::lose_patience(std::uint32_t place) {
  const ChildPartition* const liar = liars_[place];
  const std::uint64_t generation = ++patience_[place];
  co_await kernel::sleep_for(kPatience100ns);
  const bool is_there = liars_[place] == liar && patience_[place] == generation;
  machine::sometimes(kPatienceLost, is_there);
  if (is_there && liar != nullptr) {
    liars_[place]->end(kernel::Verdict::kFailed);
  }
}

kernel::Task<> Program::run_child(std::uint32_t number) {
  ChildPartition* child = heap().create<ChildPartition>(*this, calls_, number);
  children_.add(*child);
  if (const auto problem = prepare(*child, parameters_)) {
    report(*child, *problem);
  } else {
    co_await child->ended().wait();
    passed_ = passed_ && child->verdict() == kernel::Verdict::kPassed;
  }
  const std::optional<ChildPartition::Failure> failure = co_await child->tear_down();
  if (failure) {
    report(*child, *failure);
  }
  report_gone(number);
  children_.remove(*child);
  heap().destroy(child);
  places_.release();
  one_child_less();
}

void Program::report_gone(std::uint32_t child_number) {
  kernel::TextLine text;
  text << "child " << child_number << " is gone";
  line(text.view());
}

std::optional<ChildPartition::Failure> Program::prepare(ChildPartition& child,
                                                        const Parameters& parameters) {
  const machine::BootModule* image = find_module("child");
  if (image == nullptr) {
    return ChildPartition::Failure{"there is no module \"child\"", hv::Status::kNotFound};
  }
  const ChildParameterText text(parameters, child.number());
  if (const auto failure = child.create(parameters, *image, text.view())) {
    return failure;
  }
  if (uses_disks(parameters_.workload) || parameters.workload == Workload::kFail) {
    if (const auto failure = offer_disks(child)) {
      return failure;
    }
  }
  if (parameters.workload == Workload::kStream || parameters.workload == Workload::kLie) {
    child.bus()->take_streams(bus_receiver_.flags());
  }
  if (parameters.workload == Workload::kStream && parameters.calls != 0) {
    const CallPlan plan{parameters.calls, parameters.messages, parameters.seed + child.number()};
    child.bus()->begin_calls(plan, bus_receiver_.flags());
  }
  return child.start();
}

/// The whole data disk, and for storage a range of the scratch disk that no other child has.
std::optional<ChildPartition::Failure> Program::offer_disks(ChildPartition& child) {
  const std::uint64_t data_sectors = disks_.sector_count(parameters_.data_disk);
  const std::uint64_t scratch_sectors = parameters_.scratch_mib * kSectorsPerMib;
  const std::uint64_t first = (child.number() - 1) * scratch_sectors;
  if (data_sectors == 0) {
    return ChildPartition::Failure{"there is no data disk", hv::Status::kNotFound};
  }
  const bool scratch =
      parameters_.workload == Workload::kStorage && child.number() <= parameters_.children;
  if (scratch && disks_.sector_count(parameters_.scratch_disk) < first + scratch_sectors) {
    return ChildPartition::Failure{"the scratch disk is too small", hv::Status::kNoResources};
  }
  EventFlags& flags = bus_receiver_.flags();
  const DiskRange data{parameters_.data_disk, 0, data_sectors, true};
  for (std::uint32_t disk = 0; disk < parameters_.disks; ++disk) {
    if (const auto failure = child.offer_disk(disks_, flags, data)) {
      return failure;
    }
  }
  if (!scratch) {
    return std::nullopt;
  }
  return child.offer_disk(disks_, flags, {parameters_.scratch_disk, first, scratch_sectors, false});
}

void Program::report(const ChildPartition& child, const ChildPartition::Failure& failure) {
  passed_ = false;
  kernel::TextLine text;
  text << "child " << child.number() << ": " << failure.what << ": "
       << hv::status_name(failure.status);
  line(text.view());
}

const machine::BootModule* Program::find_module(std::string_view name) const {
  for (const machine::BootModule& module : modules()) {
    const auto* const end = std::find(module.name.begin(), module.name.end(), '\0');
    if (std::string_view(module.name.begin(), end) == name) {
      return &module;
    }
  }
  return nullptr;
}

void Program::take_census(std::uint64_t pages_at_start) {
  const hv::Status status = calls_.withdraw_own_deposits();
  const std::uint64_t pages_now = pages().free_pages();
  const bool complete = status == hv::Status::kSuccess && pages_now == pages_at_start;
  machine::always(kEveryPageReturned, complete, pages_at_start, pages_now);
  if (complete) {
    line("all pages returned");
    return;
  }
  passed_ = false;
  kernel::TextLine text;
  text << "of " << pages_at_start << " free pages, " << pages_now << " came back";
  line(text.view());
}

void Program::power_off() {
  serial_port_.drain();
  const hv::EnterSleepStateInput input{hv::EnterSleepStateInput::kOff, 0};
  static_cast<void>(
      kernel::Processor::current().hypercalls().call_fast(hv::CallCode::kEnterSleepState, input));
  line("the computer refuses to power off");
  while (true) {
    machine::disable_interrupts();
    machine::sti_hlt();
  }
}

}  // namespace root
