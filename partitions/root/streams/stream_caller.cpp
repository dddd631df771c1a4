#include "partitions/root/streams/stream_caller.h"

#include "machine/testing.h"
#include "partitions/root/bus/vmbus_service.h"
#include "partitions/root/streams/stream_call.h"

namespace root {

namespace {

/// Streams that are called at a time.
constexpr std::uint32_t kLines = 2;
constexpr std::uint64_t kLookAgain100ns = 1'000;
/// Nobody says that nobody listens: a call that nobody has taken by then is taken back.
constexpr std::uint64_t kPatience100ns = 500'000;

constexpr machine::Site kTalkedToItsEnd("root.stream.a_call_that_is_taken_is_talked_to_its_end");
constexpr machine::Site kNobodyTakes("root.stream.nobody_takes_a_call_to_nobody");
constexpr machine::Site kTakenBack("root.stream.call_taken_back");

}  // namespace

void StreamCaller::start() {
  lines_ = kLines;
  for (std::uint32_t line = 0; line < kLines; ++line) {
    call_in_turn(line).spawn();
  }
}

kernel::Task<> StreamCaller::call_in_turn(std::uint32_t line) {
  kernel::Random random(plan_.seed + line);
  while (!stopping_ && left_ != 0) {
    if (!bus_.carries_streams()) {
      co_await kernel::sleep_for(kLookAgain100ns);
      continue;
    }
    const std::uint32_t number = left_--;
    bool made = false;
    while (!made && !stopping_) {
      made = co_await call(is_to_nobody(number) ? vmbus::kChildDeafPort : vmbus::kChildEchoPort,
                           random);
    }
  }
  if (--lines_ == 0) {
    stopped_.set();
  }
}

kernel::Task<bool> StreamCaller::call(std::uint32_t port, kernel::Random& random) {
  CallOutcome outcome;
  auto* const device =
      kernel_.heap().try_create<StreamCall>(kernel_, port, plan_.messages, random, outcome);
  if (device == nullptr || bus_.add(*device, flags_) == hv::Status::kNoResources) {
    co_await kernel::sleep_for(kLookAgain100ns);
    co_return false;
  }
  const std::uint64_t end = kernel::reference_time_100ns() + kPatience100ns;
  while (!outcome.gone.is_set() && !outcome.taken && kernel::reference_time_100ns() < end) {
    co_await kernel::sleep_for(kLookAgain100ns);
  }
  if (!outcome.gone.is_set() && !outcome.taken) {
    machine::sometimes(kTakenBack, true);
    bus_.end(*device);
  }
  co_await outcome.gone.wait();
  const bool to_nobody = port == vmbus::kChildDeafPort;
  machine::always(kNobodyTakes, !to_nobody || !outcome.taken);
  machine::always(kTalkedToItsEnd, !outcome.taken || outcome.talked_to_its_end || stopping_);
  co_return to_nobody || outcome.taken;
}

}  // namespace root
