#include <cstdint>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr machine::Site kMemoryKept("child.memory_is_as_written");
constexpr machine::Site kErrandRan("child.errand_ran_elsewhere");
constexpr std::uint64_t kComputeNs = 20'000;
constexpr std::uint64_t kWordStride = 512;
constexpr std::uint32_t kRoundsBetweenSleeps = 8;

/// Fills a page sparsely from a seed, computes, and finds it unchanged.
bool fill_and_check(kernel::Kernel& kernel, std::uint64_t seed) {
  const std::optional<machine::Gpn> page = kernel.pages().allocate(1);
  if (!page) {
    return false;
  }
  kernel::Random written(seed);
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += kWordStride) {
    machine::store_u64(machine::Gpa(*page) + offset, written.next());
  }
  machine::spend(kComputeNs);
  kernel::Random expected(seed);
  bool kept = true;
  for (std::uint64_t offset = 0; offset < machine::kPageSize; offset += kWordStride) {
    kept = machine::load_u64(machine::Gpa(*page) + offset) == expected.next() && kept;
  }
  kernel.pages().free(*page, 1);
  machine::always(kMemoryKept, kept, seed);
  return kept;
}

/// Runs on another VP; failure shows as a property.
void work_here(ProcessorState& here, std::uint64_t seed) {
  machine::always(kErrandRan, &here.processor() == &kernel::Processor::current());
  static_cast<void>(fill_and_check(here.processor().kernel(), seed));
}

void report(Program& program) {
  kernel::TextLine text;
  text << "worked " << program.settings().rounds << " rounds";
  program.console().line(text.view());
}

}  // namespace

kernel::Task<bool> work(Program& program) {
  kernel::Random random(program.settings().seed);
  bool good = true;
  for (std::uint32_t round = 0; round < program.settings().rounds; ++round) {
    const std::uint32_t where = round % program.processor_count();
    Errand errand(program.state(where), &work_here, random.next());
    errand.go();
    good = fill_and_check(program, random.next()) && good;
    co_await errand.done();
    if (round % kRoundsBetweenSleeps == kRoundsBetweenSleeps - 1) {
      co_await kernel::sleep_for(kernel::kMillisecond100ns);
    }
  }
  report(program);
  co_return good;
}

}  // namespace child
