// A disk that comes and goes: opened, read, closed, opened again, left open by a kernel that starts
// anew, while the root takes it away now and then and brings it back.
#include "machine/machine.h"
#include "partitions/child/program.h"
#include "partitions/child/storage/storage_client.h"
#include "partitions/child/workloads/storage.h"
#include "partitions/child/workloads/workload.h"

namespace child {

namespace {

/// Every so many openings end with a kernel that starts anew, every so many others go on over other
/// rings first.
constexpr std::uint32_t kCrashOneIn = 8;
constexpr std::uint32_t kRestartOneIn = 2;
constexpr std::uint32_t kReadSectors = 8;

constexpr machine::Site kFailsOnlyWhenRemoved("child.plug.disk_fails_only_when_removed");

kernel::Task<bool> read_first_sectors(Program& program, StorageClient& disk) {
  const auto page = program.pages().allocate(1);
  if (!page) {
    co_return false;
  }
  // Each of its channels has a turn, if they are there.
  bool good = true;
  for (std::uint32_t turn = 0; good && turn <= program.settings().subchannels; ++turn) {
    good = co_await disk.read(0, kReadSectors, *page);
  }
  program.pages().free(*page, 1);
  co_return good;
}

class PlugTester {
 public:
  PlugTester(Program& program, BusDriver& bus) : program_(program), bus_(bus) {}

  kernel::Task<bool> run() {
    bool good = true;
    for (std::uint32_t opening = 1; good && opening <= program_.settings().openings; ++opening) {
      OfferedDevice* device = co_await bus_.wait_for(vmbus::kScsiInterface);
      StorageOptions options = storage_options_of(program_);
      options.ring_pages = StorageChannel::kLeastRingPages;
      auto* disk = program_.heap().create<StorageClient>(program_, bus_, *device, options);
      good = co_await use(*disk, opening);
      program_.heap().destroy(disk);
    }
    co_return good;
  }

 private:
  kernel::Task<bool> use(StorageClient& disk, std::uint32_t opening) {
    bool works = co_await disk.start();
    if (works) {
      works = co_await read_first_sectors(program_, disk);
    }
    bool crashes = false;
    if (works && opening % kRestartOneIn == 0) {
      crashes = opening % kCrashOneIn == 0;
      works = crashes || co_await restart(disk);
    }
    bool connected = true;
    if (crashes) {
      co_await disk.break_off();
      connected = co_await bus_.start_anew();
      disk.free_pages();
    } else {
      co_await disk.stop();
    }
    machine::always(kFailsOnlyWhenRemoved, works || disk.removed());
    co_return connected && (works || disk.removed());
  }

  kernel::Task<bool> restart(StorageClient& disk) {
    bool works = co_await disk.restart();
    if (works) {
      works = co_await read_first_sectors(program_, disk);
    }
    co_return works;
  }

  Program& program_;
  BusDriver& bus_;
};

}  // namespace

kernel::Task<bool> plug(Program& program) {
  const std::uint32_t number = program.settings().number;
  auto* bus = program.heap().create<BusDriver>(program, bus_options_of(program));
  bool good = co_await bus->connect();
  if (good) {
    auto* tester = program.heap().create<PlugTester>(program, *bus);
    good = co_await tester->run();
    program.heap().destroy(tester);
  }
  // Some go without a word.
  if (good && number % 2 == 0) {
    co_await bus->disconnect();
  }
  co_return good;
}

}  // namespace child
