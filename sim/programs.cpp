// The programs of a world and the fibers that run them.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "machine/boot.h"
#include "sim/computer.h"
#include "sim/image_builder.h"

namespace sim {

namespace {

constexpr machine::Site kProcessorStart{"sim.start.processor"};

constexpr std::uint64_t kHypervisorStackBytes = 64 * 1024;
constexpr std::uint64_t kSmallestGuestStackBytes = 64 * 1024;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
// As on metal: the hypervisor's program lies from 16 to 32 MiB, modules from 48 MiB up. The root's
// image goes between them.
constexpr std::uint64_t kHypervisorBegin = 16 * kMegabyte;
constexpr std::uint64_t kHypervisorEnd = 32 * kMegabyte;
constexpr std::uint64_t kModulesBegin = 48 * kMegabyte;
constexpr std::uint64_t kSmallestMemory = 64 * kMegabyte;

#ifdef CHRONOVISOR_ADDRESS_SANITIZER
// Instrumented frames are several times as large.
constexpr std::uint64_t kStackScale = 4;
#else
constexpr std::uint64_t kStackScale = 1;
#endif

}  // namespace

Arena map_arena(std::uint64_t size_bytes, const Perturbation& perturbation) {
  Arena arena;
  const std::uint64_t displacement = perturbation.displacement_pages * machine::kPageSize;
  arena.mapping_bytes = size_bytes + displacement;
  void* const region = mmap(nullptr, arena.mapping_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    throw std::bad_alloc();
  }
  arena.mapping = static_cast<std::byte*>(region);
  arena.content = {arena.mapping + displacement, size_bytes};
  if (perturbation.fill != 0) {
    std::memset(arena.content.data(), perturbation.fill, size_bytes);
  }
  return arena;
}

void unmap_arena(const Arena& arena) { munmap(arena.mapping, arena.mapping_bytes); }

void Computer::load_modules() {
  if (memory_.size_bytes() < kSmallestMemory) {
    throw std::invalid_argument("a computer has at least 64 MiB of memory");
  }
  machine::BootInformation& boot = boot_information_;
  boot.tsc_frequency_hz = configuration_.tsc_frequency_hz;
  boot.logical_processor_count = configuration_.logical_processors;
  for (std::uint32_t index = 0; index < boot.logical_processor_count; ++index) {
    apic_ids_.push_back(index);
  }
  boot.apic_ids = apic_ids_;
  const auto add_range = [&](std::uint64_t base, std::uint64_t end) {
    if (end > base) {
      boot.memory_ranges[boot.memory_range_count++] = {base, end - base};
    }
  };
  add_range(machine::kPageSize, 0x9F000);
  add_range(kMegabyte, kHypervisorBegin);
  add_range(kHypervisorEnd, std::min(memory_.end(), PhysicalMemory::kGapBegin));
  add_range(PhysicalMemory::kGapEnd, memory_.end());

  std::vector<Module> modules;
  modules.reserve(configuration_.guests.size() + configuration_.modules.size());
  for (const GuestProgram& guest : configuration_.guests) {
    modules.push_back({guest.name, build_image(guest)});
  }
  modules.insert(modules.end(), configuration_.modules.begin(), configuration_.modules.end());
  std::uint64_t next = kModulesBegin;
  for (const Module& module : modules) {
    if (boot.module_count == boot.modules.size() || module.name.size() > 31 ||
        !memory_.contains(machine::Spa(next), module.bytes.size())) {
      throw std::invalid_argument("boot module " + module.name + " does not fit");
    }
    memory_.write(machine::Spa(next), module.bytes);
    machine::BootModule& entry = boot.modules[boot.module_count++];
    entry.base = next;
    entry.size_bytes = module.bytes.size();
    std::ranges::copy(module.name, entry.name.begin());
    next += (module.bytes.size() + machine::kPageSize - 1) & ~(machine::kPageSize - 1);
  }
}

void Computer::start_processors() {
  Program& hypervisor = add_program(nullptr, 0, configuration_.hypervisor.arena_bytes);
  for (std::uint32_t index = 0; index < configuration_.logical_processors; ++index) {
    processors_.push_back(std::make_unique<LogicalProcessor>(*this, index));
    LogicalProcessor& processor = *processors_.back();
    Context& context = add_context(hypervisor, kHypervisorStackBytes, &run_hypervisor);
    context.on = &processor;
    processor.hypervisor = &context;
    processor.run(context);
    processor.next_stall = configuration_.stall_interval_ns == 0 ? kNever : 0;
    processor.wake_ns = index == 0 ? 0 : 1 + decide(kProcessorStart, cost::kProcessorStartSpread);
    set_turn(processor);
  }
}

void Computer::run_hypervisor(void* context) {
  const LogicalProcessor& processor = *static_cast<Context*>(context)->on;
  Computer& self = *current_computer;
  self.configuration_.hypervisor.entry(self.boot_information_, processor.index);
  self.violation("programs do not end", "the hypervisor's entry has returned");
}

void Computer::run_guest(void* argument) {
  Context& context = *static_cast<Context*>(argument);
  Computer& self = *current_computer;
  if (const std::optional<vtx::Event> event = context.entry_event) {
    context.entry_event.reset();
    self.deliver(*event);
  }
  const GuestProgram& kernel = *context.program.kernel;
  (context.boot_processor ? kernel.boot : kernel.boot_processor)();
  self.violation("programs do not end", "the entry of kernel " + kernel.name + " has returned");
}

Context& Computer::add_context(Program& program, std::uint64_t stack_bytes, FiberEntry entry) {
  const auto id = static_cast<std::uint32_t>(contexts_.size());
  const std::uint64_t displacement =
      configuration_.perturbation.displacement_pages * machine::kPageSize;
  const Stack stack =
      stacks_.take(std::max(stack_bytes, kSmallestGuestStackBytes) * kStackScale + displacement);
  if (configuration_.perturbation.fill != 0) {
    std::memset(stack.bottom, configuration_.perturbation.fill, stack.size_bytes);
  }
  contexts_.push_back(std::make_unique<Context>(stack, entry, program, id));
  ++program.contexts;
  watch_new_memory({stack.bottom, stack.size_bytes});
  if (detector_ != nullptr) {
    detector_->begin(id + 1);
  }
  return *contexts_.back();
}

Program* Computer::find_program(std::uint64_t entry_page) {
  const auto found = std::ranges::find_if(programs_, [&](const auto& program) {
    return program->kernel != nullptr && program->entry_page == entry_page;
  });
  return found == programs_.end() ? nullptr : found->get();
}

/// The youngest of a partition, should others of old have had the same tables.
Program* Computer::find_program_in(std::uint64_t ept_pointer) {
  for (auto program = programs_.rbegin(); program != programs_.rend(); ++program) {
    if ((*program)->kernel != nullptr && (*program)->ept_pointer == ept_pointer) {
      return program->get();
    }
  }
  return nullptr;
}

Program& Computer::add_program(const GuestProgram* kernel, std::uint64_t entry_page,
                               std::uint64_t arena_bytes) {
  programs_.push_back(std::make_unique<Program>());
  Program& program = *programs_.back();
  program.kernel = kernel;
  program.entry_page = entry_page;
  program.arena = map_arena(arena_bytes, configuration_.perturbation);
  watch_new_memory(program.arena.content);
  return program;
}

void Computer::drop_context(std::uint32_t id) {
  Context& context = *contexts_[id];
  if (context.on != nullptr) {
    violation("one processor runs a virtual processor",
              "a guest is started anew while another processor runs it");
  }
  Program& program = context.program;
  stacks_.give_back(context.fiber.stack());
  contexts_[id].reset();
  if (--program.contexts == 0) {
    unmap_arena(program.arena);
    std::erase_if(programs_, [&](const auto& entry) { return entry.get() == &program; });
  }
}

void Computer::drop_program(Program& program) {
  // The last context takes the program with it.
  std::uint32_t left = program.contexts;
  for (std::uint32_t id = 0; left != 0; ++id) {
    if (contexts_[id] != nullptr && &contexts_[id]->program == &program) {
      drop_context(id);
      --left;
    }
  }
}

}  // namespace sim
