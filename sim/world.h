// The simulated computer: what a run is made of and what comes out of it.
//
// One World is one whole computer with everything on it, owned by the thread that runs it; worlds
// share nothing, so as many run at once as there are processors. Scenarios, tests and benchmarks
// build and run worlds. This folder may not know what the programs above the seam do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine/boot.h"
#include "machine/testing.h"
#include "sim/decider.h"

namespace sim {

class TraceRecorder;
class Computer;

using Bytes = std::vector<std::byte>;

/// A program above the seam may have a lower limit of its own.
inline constexpr std::uint32_t kMaxLogicalProcessors = 1024;

/// A kernel as the simulator runs it: native functions, and the shape of the image that stands for
/// it in simulated memory.
struct GuestProgram {
  /// At most 15 characters; also the name of the boot module that holds the image.
  std::string name;
  /// What VP 0 and the other VPs execute. They do not return.
  void (*boot)() = nullptr;
  void (*boot_processor)() = nullptr;
  std::uint64_t load_gpa = 0;
  std::uint32_t max_processors = 1;
  std::uint64_t stack_bytes = 64 * 1024;
  std::uint64_t arena_bytes = 1024 * 1024;
};

struct HypervisorProgram {
  machine::HypervisorEntry entry = nullptr;
  std::uint64_t arena_bytes = 8 * 1024 * 1024;
};

struct Module {
  std::string name;
  Bytes bytes;
};

/// A disk on the IDE channels: primary master, primary slave, secondary master, secondary slave.
struct DiskConfiguration {
  std::string model;
  std::string serial;
  std::uint64_t size_bytes = 0;  // a multiple of 512
  /// What the disk holds at power-on; zeros follow. May be null.
  std::shared_ptr<const Bytes> content;
  /// Sectors of volatile write cache; 0: every write is durable at once.
  std::uint32_t write_cache_sectors = 0;
};

struct Limits {
  std::uint64_t virtual_ns = ~std::uint64_t{0};
  std::uint64_t operations = ~std::uint64_t{0};
  /// Wall time without reaching the seam after which a program counts as hanging.
  std::uint32_t watchdog_seconds = 20;
};

/// What must make no difference; varied by the determinism test.
struct Perturbation {
  /// The undefined content of arenas.
  std::uint8_t fill = 0;
  /// Unused pages of address space before each arena and stack.
  std::uint32_t displacement_pages = 0;
};

/// A call of machine::trace().
struct TraceEvent {
  const machine::Site& site;
  machine::Track track;
  std::uint64_t id = 0;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t virtual_ns = 0;
};

struct WorldConfiguration {
  std::uint32_t logical_processors = 1;
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
  std::uint64_t tsc_frequency_hz = 2'500'000'000;
  HypervisorProgram hypervisor;
  /// Each becomes a boot module too, under its name.
  std::vector<GuestProgram> guests;
  std::vector<Module> modules;
  std::vector<DiskConfiguration> disks;
  Limits limits;
  Perturbation perturbation;
  bool hash_operations = true;
  /// Reports races between plain accesses of the code above the seam. Sees those of the build that
  /// has CHRONOVISOR_WATCH; in any other it only costs time.
#ifdef CHRONOVISOR_WATCH
  bool watch_plain_memory = true;
#else
  bool watch_plain_memory = false;
#endif
  /// Scale of the random stalls: about how many nanoseconds of work pass between two; 0: none.
  std::uint32_t stall_interval_ns = 2'000;
  /// The operation whose result is turned over; for the hash's own test.
  std::uint64_t flip_operation = ~std::uint64_t{0};
  /// Told of each console line when it is complete. Not part of the world's state.
  std::function<void(const std::string& line, std::uint64_t virtual_ns)> on_console_line;
  /// Told of each trace event as it happens. Not part of the world's state.
  std::function<void(const TraceEvent& event)> on_trace;
  /// Told now and then how far the run has come. Not part of the world's state.
  std::function<void(std::uint64_t events, std::uint64_t virtual_ns)> on_progress;
  TraceRecorder* trace_recorder = nullptr;
};

enum class Outcome : std::uint8_t {
  /// The software ended the run; stop_code says how.
  kStopped,
  /// A property was broken.
  kViolation,
  kTimeLimit,
  kOperationLimit,
  /// A program did not reach the seam; RunResult::error has its stack.
  kHang,
  /// The simulator or the host failed.
  kHarnessError,
};

struct Violation {
  std::string property;
  std::uint64_t virtual_ns = 0;
  /// Index of the operation.
  std::uint64_t event = 0;
  std::uint32_t processor = 0;
  std::string message;
};

struct ConsoleLine {
  std::uint64_t virtual_ns = 0;
  std::string text;
};

struct RunResult {
  Outcome outcome = Outcome::kHarnessError;
  std::uint32_t stop_code = 0;
  std::string error;
  std::uint64_t trace_hash = 0;
  /// Operations of the seam.
  std::uint64_t events = 0;
  std::uint64_t virtual_ns = 0;
  std::uint64_t decisions = 0;
  /// How often the end of a processor's turn was followed by a switch to whoever is next: where
  /// several are first at one time, a decision can say that it is the same one.
  std::uint64_t turns = 0;
  /// By basic exit reason.
  std::array<std::uint64_t, 64> vm_exits{};
  std::uint64_t vm_exit_count = 0;
  /// Hypercalls by call code, as the VMCALL had it.
  std::map<std::uint16_t, std::uint64_t> hypercalls;
  std::uint64_t interrupts_delivered = 0;
  std::vector<Violation> violations;
  /// By name: how often each was evaluated, and how often each coverage goal was true.
  std::map<std::string, std::uint64_t> always;
  std::map<std::string, std::uint64_t> sometimes;
  /// How often each kind of trace event happened.
  std::map<std::string, std::uint64_t> traces;
  /// By kind of trace event: the sum of each one's `b`, where that is an amount.
  std::map<std::string, std::uint64_t> trace_sums;
  std::vector<ConsoleLine> console;

  [[nodiscard]] bool passed() const { return outcome == Outcome::kStopped && stop_code == 0; }
};

class World {
 public:
  /// `decider` stays valid while the world runs.
  World(WorldConfiguration configuration, Decider& decider);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// Runs to the end, once, on the calling thread.
  [[nodiscard]] RunResult run();

  /// After the run: what is on a disk's medium; what only its volatile cache held is lost.
  [[nodiscard]] Bytes read_disk(std::size_t index, std::uint64_t offset, std::uint64_t size) const;

 private:
  std::unique_ptr<Computer> computer_;
};

[[nodiscard]] const char* name_of(Outcome outcome);
/// The name of a basic exit reason, as the SDM's appendix C has it, in snake case.
[[nodiscard]] const char* exit_reason_name(std::uint32_t reason);

}  // namespace sim
