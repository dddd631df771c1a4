#include "partitions/child/workloads/storage.h"

#include <algorithm>

#include "partitions/child/bus/plug_and_play.h"
#include "partitions/child/workloads/workload.h"

namespace child {

namespace {

/// Moves the channels of a disk from processor to processor while others use it.
class Mover {
 public:
  Mover(Program& program, StorageClient& disk)
      : program_(program), disk_(disk), random_(program.settings().seed ^ kSeed) {}

  void start() { run().spawn(); }
  kernel::Task<> stop() {
    stopping_ = true;
    co_await ended_.wait();
  }

 private:
  static constexpr std::uint64_t kSeed = 0x6D6F766572;
  static constexpr std::uint64_t kMostBetween100ns = 5'000;

  kernel::Task<> run() {
    const std::uint32_t channels = 1 + program_.settings().subchannels;
    for (std::uint32_t left = program_.settings().moves; left != 0 && !stopping_; --left) {
      co_await kernel::sleep_for(1 + random_.below(kMostBetween100ns));
      const auto channel = static_cast<std::uint32_t>(random_.below(channels));
      const auto target = static_cast<std::uint32_t>(random_.below(program_.processor_count()));
      static_cast<void>(co_await disk_.move(channel, target));
    }
    ended_.set();
  }

  Program& program_;
  StorageClient& disk_;
  kernel::Random random_;
  bool stopping_ = false;
  kernel::Event ended_;
};

kernel::Task<bool> hash_disk(Program& program, StorageClient& disk, std::uint32_t number,
                             std::uint32_t padding_bytes) {
  auto* hasher = program.heap().create<DiskHasher>(program, disk, number, padding_bytes);
  const bool good = co_await hasher->run();
  program.heap().destroy(hasher);
  co_return good;
}

kernel::Task<bool> test_disk(Program& program, StorageClient& disk) {
  auto* tester = program.heap().create<RandomTester>(program, disk);
  auto* mover = program.heap().create<Mover>(program, disk);
  mover->start();
  const bool good = co_await tester->run();
  co_await mover->stop();
  program.heap().destroy(mover);
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

BusOptions bus_options_of(Program& program) {
  const Parameters& settings = program.settings();
  BusOptions options = bus_options(settings);
  const bool spread = settings.subchannels != 0 || settings.moves != 0;
  options.processors = spread ? program.processor_count() : 1;
  return options;
}

StorageOptions storage_options_of(const Program& program) {
  const Parameters& settings = program.settings();
  return {.ring_pages = 1 + settings.ring_kib * 1024 / machine::kPageSize,
          .subchannels = std::min(settings.subchannels, StorageClient::kMostSubchannels)};
}

kernel::Task<bool> storage_workload(Program& program) {
  const StorageOptions disks = storage_options_of(program);
  auto* plug_and_play = program.heap().create<PlugAndPlay>(program, bus_options_of(program), disks);
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
