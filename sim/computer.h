// The state of one world, and how its processors take turns. The seam's link sets find it through
// current_computer, one per operating system thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/board.h"
#include "sim/cost_table.h"
#include "sim/event_queue.h"
#include "sim/logical_processor.h"
#include "sim/physical_memory.h"
#include "sim/properties.h"
#include "sim/trace_hash.h"
#include "sim/turn_order.h"
#include "sim/watch/race_detector.h"
#include "sim/world.h"

namespace sim {

class Computer;
// Set for the duration of World::run().
extern thread_local constinit Computer* current_computer;

/// The run is over: thrown on the world's own stack, where a fiber would switch away for good.
struct RunEnded {};

/// How an operation that caused an exit goes on when the guest is entered again.
enum class Resume : std::uint8_t {
  /// RIP is unchanged: execute it again, from the registers as they are now.
  kRetry,
  /// RIP is past it: its results are in the registers.
  kComplete,
  /// It has raised an exception that the caller wanted to have.
  kFault,
};

class Computer final : private BoardHost, private HashListener {
 public:
  Computer(WorldConfiguration configuration, Decider& decider);
  ~Computer();
  Computer(const Computer&) = delete;
  Computer& operator=(const Computer&) = delete;

  [[nodiscard]] RunResult run();
  [[nodiscard]] Bytes read_disk(std::size_t index, std::uint64_t offset, std::uint64_t size) const {
    return board_->read_disk(index, offset, size);
  }

  // --- The executing processor -------------------------------------------------------------------

  [[nodiscard]] LogicalProcessor& here() { return *here_; }
  [[nodiscard]] Context& context() { return *here_->running; }

  /// Time passes, in an operation that no other actor sees.
  void pass_private(cost::Nanoseconds nanoseconds) { here_->now += nanoseconds; }
  /// Time passes before an operation that others see: whatever comes first in virtual time happens
  /// first, interrupts and timers of this processor included.
  void pass(cost::Nanoseconds nanoseconds) {
    LogicalProcessor& self = *here_;
    const std::uint64_t now = self.now + nanoseconds;
    self.now = now;
    if (now >= self.horizon) [[unlikely]] {
      reach_boundary();
    }
  }
  /// As pass(0), whatever the horizon: takes turns, and the events of this processor.
  void look_around();
  /// Time passes in computation that no other actor sees, but that events of this processor cut
  /// short.
  void spend(std::uint64_t nanoseconds) {
    do {
      const LogicalProcessor& self = *here_;
      const std::uint64_t timer = self.in_guest ? self.preemption_ns : kNever;
      const std::uint64_t until = std::min(events_.next_ns(), timer);
      const std::uint64_t free = until > self.now ? until - self.now : 1;
      const std::uint64_t step = std::min(nanoseconds, free);
      nanoseconds -= step;
      pass(step);
    } while (nanoseconds != 0);
  }
  /// Sleeps until an interrupt is requested of the executing processor, or until `until_ns`.
  void sleep(std::uint64_t until_ns);

  std::uint64_t record(Operation kind, std::uint64_t first, std::uint64_t second,
                       std::uint64_t result) {
    return hash_.add(kind, here_->index, first, second, result);
  }

  /// The executing actor has read, or is about to write, a word that others can see: what orders
  /// plain accesses, for the watch on them.
  void observe(const void* word) {
    if (detector_ != nullptr) [[unlikely]] {
      detector_->acquire(reinterpret_cast<std::uintptr_t>(word));
    }
  }
  void publish(const void* word) {
    if (detector_ != nullptr) [[unlikely]] {
      detector_->release(reinterpret_cast<std::uintptr_t>(word));
    }
  }

  /// The devices act on behalf of the executing processor while this lives.
  class DevicesAct {
   public:
    explicit DevicesAct(Computer& computer) : computer_(computer) { computer_.watch_devices(); }
    ~DevicesAct() { computer_.watch_switch(computer_.here_); }
    DevicesAct(const DevicesAct&) = delete;
    DevicesAct& operator=(const DevicesAct&) = delete;

   private:
    Computer& computer_;
  };

  void require_hypervisor(const char* operation) {
    if (here_->in_guest) [[unlikely]] {
      wrong_link_set(operation);
    }
  }
  void require_guest(const char* operation) {
    if (!here_->in_guest) [[unlikely]] {
      wrong_link_set(operation);
    }
  }

  // --- Guests (guest_execution.cpp) --------------------------------------------------------------

  /// VMLAUNCH or VMRESUME on the executing processor; returns with the next exit. In one piece with
  /// its caller, as exit_guest() is: each return between two fibers' calls is one that the host's
  /// processor cannot foresee.
  [[nodiscard, gnu::always_inline]] machine::VmxResult enter_guest(
      machine::EntryKind kind, machine::GuestRegisters& registers) {
    machine::VmxResult result{};
    LogicalProcessor& processor = *here_;
    if (Context* const guest = begin_entry(kind, registers, result)) {
      processor.hypervisor->fiber.switch_to(guest->fiber);
      end_entry();
    }
    if (result == machine::VmxResult::kSucceed) {
      registers = processor.registers;
    }
    return result;
  }
  /// The executing guest exits at the operation under way, an `instruction`; returns when it is
  /// entered again, maybe on another processor, and an event of the entry has been delivered. An
  /// injected exception is put into `caught`, if given, instead of delivered.
  [[gnu::always_inline]] Resume exit_guest(const vtx::Exit& cause, Instruction instruction,
                                           machine::Exception* caught = nullptr) {
    Context& guest = context();
    begin_exit(cause, instruction);
    guest.fiber.switch_to(here_->hypervisor->fiber);
    return end_exit(guest, instruction.length, caught);
  }
  /// An event goes through the executing guest's interrupt table, as a nested call.
  void deliver(const vtx::Event& event);
  /// The operation under way raises an exception in the executing program.
  Resume raise(const machine::Exception& exception, machine::Exception* caught = nullptr);
  /// Events that RFLAGS.IF or an opened window now lets in.
  void take_guest_events() {
    while (take_guest_event()) {
    }
  }

  // --- The hypervisor's interrupts ---------------------------------------------------------------

  /// Takes the pending interrupt through the hypervisor's table, as a nested call.
  void take_root_interrupt();

  // --- The computer ------------------------------------------------------------------------------

  [[nodiscard]] const WorldConfiguration& configuration() const { return configuration_; }
  [[nodiscard]] PhysicalMemory& memory() { return memory_; }
  [[nodiscard]] Board& board() { return *board_; }
  [[nodiscard]] vtx::VmcsTable& vmcss() { return vmcss_; }
  [[nodiscard]] const vtx::Capabilities& capabilities() const { return capabilities_; }
  [[nodiscard]] std::vector<std::unique_ptr<LogicalProcessor>>& processors() { return processors_; }
  [[nodiscard]] Properties& properties() { return properties_; }
  [[nodiscard]] TraceRecorder* trace_recorder() const { return configuration_.trace_recorder; }
  void count_hypercall(std::uint16_t code) {
    if (code < hypercalls_.size()) [[likely]] {
      ++hypercalls_[code];
    } else {
      ++result_.hypercalls[code];
    }
  }

  [[nodiscard]] std::uint64_t now_ns() const override {
    return here_ != nullptr ? here_->now : event_ns_;
  }
  [[nodiscard]] std::uint64_t tsc_of(std::uint64_t nanoseconds) const {
    // Exact at any time and frequency; the quotient of 64 bits is the quick one, a shift quicker.
    const unsigned __int128 product =
        static_cast<unsigned __int128>(nanoseconds) * tsc_per_ns_numerator_;
    if ((product >> 64) != 0) [[unlikely]] {
      return static_cast<std::uint64_t>(product / tsc_per_ns_denominator_);
    }
    const auto low = static_cast<std::uint64_t>(product);
    return tsc_shift_ >= 0 ? low >> tsc_shift_ : low / tsc_per_ns_denominator_;
  }
  /// The first nanosecond at which the time-stamp counter is at least `tsc`.
  [[nodiscard]] std::uint64_t ns_of(std::uint64_t tsc) const;
  [[nodiscard]] std::uint64_t now_tsc() const { return tsc_of(now_ns()); }

  void schedule(std::uint64_t at_ns, EventHandler& handler, std::uint64_t token) override;
  [[nodiscard]] std::uint32_t decide(const machine::Site& site, std::uint32_t domain) override;
  void send_interrupt(LogicalProcessor& from, const InterruptCommand& command);

  /// A processor that sleeps acts at another time than before.
  void set_turn(const LogicalProcessor& sleeper) {
    turns_.insert_sleeper(sleeper.index, sleeper.wake_ns);
    bring_horizon_to(sleeper.wake_ns);
  }

  // --- Ends --------------------------------------------------------------------------------------

  [[noreturn]] void stop(std::uint32_t code);
  [[noreturn]] void violation(std::string_view property, std::string message);

  /// Grows while the run gets on; read by the watchdog's thread.
  [[nodiscard]] std::uint64_t progress() const {
    return turns_given_.load(std::memory_order_relaxed) + looks_.load(std::memory_order_relaxed);
  }
  /// From the watchdog's signal handler, on the world's thread: gives the run up.
  [[noreturn]] void abandon(std::string stack);

 private:
  [[noreturn]] void finish(Outcome outcome);
  void add_violation(std::string_view property, std::string message);
  [[noreturn]] void wrong_link_set(const char* operation);

  // The watch on plain memory: actors are contexts, and 0 for devices.
  void watch_switch(const LogicalProcessor* next) {
    if (detector_ != nullptr) [[unlikely]] {
      detector_->switch_to(next != nullptr ? next->running->id + 1 : 0);
    }
  }
  /// The devices act, on the stack of what runs here, if anything does.
  void watch_devices() {
    if (detector_ != nullptr) [[unlikely]] {
      const Stack stack = here_ != nullptr ? here_->running->fiber.stack() : Stack{};
      detector_->switch_to_borrower(0, reinterpret_cast<std::uintptr_t>(stack.bottom),
                                    stack.size_bytes);
    }
  }
  void watch_new_memory(std::span<std::byte> memory) {
    if (detector_ != nullptr) {
      detector_->forget(reinterpret_cast<std::uintptr_t>(memory.data()), memory.size());
    }
  }
  void begin_watch();
  void end_watch();

  // Turns (scheduler.cpp).
  void run_to_the_end();
  /// The horizon of the executing processor was reached.
  void reach_boundary();
  /// Who acts first of the processors that do not run, off the order of turns.
  [[nodiscard, gnu::always_inline]] LogicalProcessor& take_first_processor();
  /// The same; null if an event comes before.
  [[nodiscard]] LogicalProcessor* take_first();
  /// Comes back when the executing processor is first.
  void give_turns();
  [[gnu::always_inline]] bool switch_processors(LogicalProcessor& from, LogicalProcessor& to);
  [[gnu::always_inline]] void wake_up(LogicalProcessor& processor);
  [[gnu::always_inline]] void set_horizon(LogicalProcessor& processor);
  void set_look(LogicalProcessor& processor);
  // The world's thread alone writes them.
  static void count(std::atomic<std::uint64_t>& counter, std::uint64_t more) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  /// Before the first tie.
  void look_for_coins();
  /// Which of several processors that are first acts.
  [[nodiscard, gnu::always_inline]] std::uint32_t decide_tie(std::uint32_t equals);
  void bring_horizon_to(std::uint64_t at_ns) {
    if (here_ != nullptr) {
      here_->horizon = std::min(here_->horizon, at_ns);
    }
  }
  void stall(LogicalProcessor& processor);

  // Guests (guest_execution.cpp).
  /// The guest to switch to; null if none runs, for which `result` is the answer.
  [[nodiscard]] Context* begin_entry(machine::EntryKind kind,
                                     const machine::GuestRegisters& registers,
                                     machine::VmxResult& result);
  /// It has come back.
  void end_entry() {
    if (trace_recorder() != nullptr) [[unlikely]] {
      end_span();
    }
  }
  void end_span();
  void begin_exit(const vtx::Exit& cause, Instruction instruction);
  [[nodiscard]] Resume end_exit(Context& guest, std::uint32_t length, machine::Exception* caught);
  [[nodiscard]] bool take_guest_event();
  [[nodiscard]] Context* find_guest(LogicalProcessor& processor,
                                    const std::optional<vtx::Event>& event);
  [[nodiscard]] Context* find_suspended_guest(std::uint32_t id, std::uint64_t rip);
  [[nodiscard]] Context& start_guest(const vtx::Vmcs& vmcs, const GuestProgram& kernel,
                                     std::uint64_t entry_page, bool boot_processor);

  // Programs and fibers (programs.cpp).
  void load_modules();
  void start_processors();
  static void run_hypervisor(void* context);
  static void run_guest(void* argument);
  [[nodiscard]] Context& add_context(Program& program, std::uint64_t stack_bytes, FiberEntry entry);
  [[nodiscard]] Program* find_program(std::uint64_t entry_page);
  [[nodiscard]] Program* find_program_in(std::uint64_t ept_pointer);
  [[nodiscard]] Program& add_program(const GuestProgram* kernel, std::uint64_t entry_page,
                                     std::uint64_t arena_bytes);
  void drop_context(std::uint32_t id);
  void drop_program(Program& program);

  void set_external_interrupt(bool level) override;
  void send_device_interrupt(std::uint8_t destination, std::uint8_t vector, bool level) override;
  void console_line(std::string line) override;
  void at_operation(std::uint64_t operation, std::uint64_t hash) override;

  WorldConfiguration configuration_;
  Decider& decider_;
  PhysicalMemory memory_;
  vtx::VmcsTable vmcss_;
  vtx::Capabilities capabilities_;

  // What every turn needs, on few lines of the host's cache.
  alignas(64) LogicalProcessor* here_ = nullptr;   // null: the world's own stack
  std::unique_ptr<watch::RaceDetector> detector_;  // null: nothing is watched
  std::vector<std::unique_ptr<LogicalProcessor>> processors_;
  Coins no_coins_;
  Coins* tie_coins_ = &no_coins_;
  std::atomic<std::uint64_t> turns_given_{0};
  EventQueue events_;
  TraceHash hash_;
  TurnOrder turns_;

  Properties properties_;
  machine::BootInformation boot_information_;
  std::vector<std::uint32_t> apic_ids_;
  std::unique_ptr<Board> board_;
  StackPool stacks_;
  std::vector<std::unique_ptr<Program>> programs_;  // [0] is the hypervisor
  /// By id; null where a guest was dropped.
  std::vector<std::unique_ptr<Context>> contexts_;

  Fiber main_;
  std::uint64_t event_ns_ = 0;
  bool ended_ = false;
  std::uint64_t tsc_per_ns_numerator_ = 1;
  std::uint64_t tsc_per_ns_denominator_ = 1;
  /// The denominator's logarithm if it is a power of two, as it mostly is; -1 if not.
  int tsc_shift_ = 0;
  std::array<std::uint64_t, 256> hypercalls_{};  // by call code; rarer codes go to the result
  RunResult result_;
  std::atomic<std::uint64_t> looks_{0};
};

}  // namespace sim
