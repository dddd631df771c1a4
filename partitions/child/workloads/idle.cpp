#include "machine/testing.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/workload.h"

namespace child {

namespace {

constexpr machine::Site kTicksKeptCount("child.periodic_timer_keeps_count");
constexpr std::uint64_t kSecond100ns = 10'000'000;

void start_ticking(ProcessorState& here, std::uint64_t period_100ns) {
  here.start_periodic_timer(period_100ns);
}

void stop_ticking(ProcessorState& here, std::uint64_t) { here.stop_periodic_timer(); }

/// Runs an errand on every VP, one after the other.
kernel::Task<> on_every_processor(Program& program, Errand::Run run, std::uint64_t argument) {
  for (std::uint32_t index = 0; index < program.processor_count(); ++index) {
    Errand errand(program.state(index), run, argument);
    errand.go();
    co_await errand.done();
  }
}

void report(Program& program) {
  const Parameters& settings = program.settings();
  kernel::TextLine text;
  text << "idle for " << settings.idle_ms << " ms at " << settings.timer_hz << " Hz";
  program.console().line(text.view());
}

}  // namespace

kernel::Task<bool> idle(Program& program) {
  const Parameters& settings = program.settings();
  const std::uint64_t period_100ns = kSecond100ns / settings.timer_hz;
  const std::uint64_t duration_100ns = settings.idle_ms * kernel::kMillisecond100ns;
  co_await on_every_processor(program, &start_ticking, period_100ns);
  co_await kernel::sleep_for(duration_100ns);
  co_await on_every_processor(program, &stop_ticking, 0);

  // A busy computer may drop ticks that are long overdue, but an idle child gets nearly all.
  const std::uint64_t expected = duration_100ns / period_100ns;
  bool kept = true;
  for (std::uint32_t index = 0; index < program.processor_count(); ++index) {
    const std::uint64_t ticks = program.state(index).ticks();
    const bool enough = ticks + ticks / 8 + 2 >= expected;
    machine::always(kTicksKeptCount, enough, ticks, expected);
    kept = kept && enough;
  }
  report(program);
  co_return kept;
}

}  // namespace child
