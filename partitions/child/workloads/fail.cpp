// Uses a disk as it should and fails in the midst of it: stops answering, stops altogether, or
// crashes, at any moment between two steps.
#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/child/program.h"
#include "partitions/child/workloads/storage.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr std::uint32_t kReaders = 60;
constexpr std::uint32_t kReadSectors = 8;
constexpr std::uint64_t kMostLife100ns = 30'000;
constexpr machine::Gpa kNowhere{0x7000'0000'0000};

class FailingChild {
 public:
  explicit FailingChild(Program& program)
      : program_(program),
        bus_(program, bus_options_of(program)),
        random_(program.settings().seed) {}

  kernel::Task<bool> run() {
    fail_in_time().spawn();
    const bool connected = co_await bus_.connect();
    while (connected) {
      OfferedDevice* device = co_await bus_.wait_for(vmbus::kScsiInterface);
      StorageOptions options = storage_options_of(program_);
      options.ring_pages = StorageChannel::kLeastRingPages;
      auto* disk = program_.heap().create<StorageClient>(program_, bus_, *device, options);
      const bool started = co_await disk->start();
      if (started) {
        co_await read_much(*disk);
      }
      co_await disk->stop();
      program_.heap().destroy(disk);
    }
    co_return false;
  }

 private:
  /// More than its rings hold.
  kernel::Task<> read_much(StorageClient& disk) {
    readers_ = kReaders;
    all_read_.clear();
    for (std::uint32_t reader = 0; reader < kReaders; ++reader) {
      read_once(disk).spawn();
    }
    co_await all_read_.wait();
  }
  kernel::Task<> read_once(StorageClient& disk) {
    const auto page = program_.pages().allocate(1);
    if (page) {
      static_cast<void>(co_await disk.read(0, kReadSectors, *page));
      program_.pages().free(*page, 1);
    }
    if (--readers_ == 0) {
      all_read_.set();
    }
  }

  kernel::Task<> fail_in_time() {
    co_await kernel::sleep_for(1 + random_.below(kMostLife100ns));
    switch (random_.below(4)) {
      case 0:  // It crashes.
        static_cast<void>(machine::load_u8(kNowhere));
        break;
      case 1:  // It is silent for ever.
        machine::disable_interrupts();
        while (true) {
          machine::sti_hlt();
          machine::disable_interrupts();
        }
      case 2:  // It is busy for ever and hears nobody.
        machine::disable_interrupts();
        while (true) {
          machine::spend(10'000);
          machine::pause();
        }
      default:  // It goes as if all were done.
        program_.console().done(kernel::Verdict::kPassed);
    }
  }

  Program& program_;
  BusDriver bus_;
  kernel::Random random_;
  std::uint32_t readers_ = 0;
  kernel::Event all_read_;
};

}  // namespace

kernel::Task<bool> fail(Program& program) {
  auto* failing = program.heap().create<FailingChild>(program);
  const bool good = co_await failing->run();
  co_return good;
}

}  // namespace child
