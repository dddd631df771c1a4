#include "partitions/child/workloads/storage.h"

#include "partitions/child/bus/plug_and_play.h"
#include "partitions/child/workloads/workload.h"

namespace child {

namespace {

kernel::Task<bool> hash_disk(Program& program, StorageClient& disk, std::uint32_t number,
                             std::uint32_t padding_bytes) {
  auto* hasher = program.heap().create<DiskHasher>(program, disk, number, padding_bytes);
  const bool good = co_await hasher->run();
  program.heap().destroy(hasher);
  co_return good;
}

kernel::Task<bool> test_disk(Program& program, StorageClient& disk) {
  auto* tester = program.heap().create<RandomTester>(program, disk);
  const bool good = co_await tester->run();
  program.heap().destroy(tester);
  co_return good;
}

kernel::Task<bool> use_disks(Program& program, PlugAndPlay& plug_and_play) {
  if (plug_and_play.disks().size() < 2) {
    program.console().line("there are not two disks on the bus");
    co_return false;
  }
  const bool hashed =
      co_await hash_disk(program, *plug_and_play.disks()[0], 0, program.settings().padding_bytes);
  if (!hashed) {
    program.console().line("disk 0 cannot be read");
    co_return false;
  }
  const bool tested = co_await test_disk(program, *plug_and_play.disks()[1]);
  kernel::TextLine text;
  text << "disk 1: " << program.settings().requests << " requests "
       << (tested ? "verified" : "did not all succeed");
  program.console().line(text.view());
  if (!tested) {
    co_return false;
  }
  // All of it is flushed: the medium must say the same when the power is off.
  const bool hashed_again = co_await hash_disk(program, *plug_and_play.disks()[1], 1, 0);
  co_return hashed_again;
}

}  // namespace

kernel::Task<bool> storage_workload(Program& program) {
  const std::size_t ring_pages = 1 + program.settings().ring_kib * 1024 / machine::kPageSize;
  auto* plug_and_play =
      program.heap().create<PlugAndPlay>(program, bus_options(program.settings()), ring_pages);
  bool good = co_await plug_and_play->start();
  if (good) {
    good = co_await use_disks(program, *plug_and_play);
    co_await plug_and_play->stop();
  } else {
    program.console().line("the bus or a disk does not start");
  }
  co_return good;
}

}  // namespace child
