// What a child can be told to do. Each workload is a task on VP 0 that says at the end whether all
// was as it must be; it logs what it did, without anything that depends on time.
#pragma once

#include "partitions/kernel/task.h"

namespace child {

class Program;

/// Says hello, is interrupted by a timer and by the root while it is busy.
[[nodiscard]] kernel::Task<bool> hello(Program& program);
/// Every VP takes the ticks of a periodic timer and sleeps in between.
[[nodiscard]] kernel::Task<bool> idle(Program& program);
/// Computes, fills and checks memory, and sends errands between the VPs.
[[nodiscard]] kernel::Task<bool> work(Program& program);
/// Hashes the first disk of the bus, then tests the second at random.
[[nodiscard]] kernel::Task<bool> storage_workload(Program& program);
/// Lies to the hypervisor and to the root.
[[nodiscard]] kernel::Task<bool> lie(Program& program);
/// Connects to services of the root, talks to them, and ends it in several ways.
[[nodiscard]] kernel::Task<bool> stream(Program& program);
/// Uses a disk until it fails: falls silent, is busy for ever, crashes or leaves.
[[nodiscard]] kernel::Task<bool> fail(Program& program);
/// Sends to itself through its loop-back connections, from each VP.
[[nodiscard]] kernel::Task<bool> loop(Program& program);
/// Opens and closes a disk that comes and goes.
[[nodiscard]] kernel::Task<bool> plug(Program& program);

}  // namespace child
