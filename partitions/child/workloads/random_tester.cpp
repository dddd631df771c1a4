#include <algorithm>

#include "machine/guest.h"
#include "machine/machine.h"
#include "partitions/child/workloads/storage.h"

namespace child {

namespace {

constexpr std::uint64_t kBufferPages = 8;
constexpr std::uint32_t kFlushOneIn = 16;
constexpr std::uint32_t kTries = 64;
constexpr std::uint32_t kBusyOneIn = 64;
constexpr std::uint64_t kNsPerMicrosecond = 1'000;

constexpr machine::Site kReadsLastWrite("child.storage.read_returns_last_write");
constexpr machine::Site kRequestSucceeds("child.storage.request_succeeds");
constexpr machine::Site kOverlapAvoided("child.storage.overlap_avoided");

}  // namespace

RandomTester::RandomTester(Program& program, StorageClient& disk)
    : program_(program),
      disk_(disk),
      random_(program.settings().seed),
      model_(
          program.heap(), program.settings().seed,
          static_cast<std::uint32_t>(std::min<std::uint64_t>(disk.sector_count(), kModelSectors))),
      left_(program.settings().requests) {
  static_assert(kMaxSectors * BlockModel::kSectorBytes == kBufferPages * machine::kPageSize);
}

kernel::Task<bool> RandomTester::run() {
  workers_ = std::clamp<std::uint32_t>(program_.settings().in_flight, 1, 64);
  const std::uint32_t count = workers_;
  for (std::size_t place = 0; place < count; ++place) {
    worker(place).spawn();
  }
  co_await all_done_.wait();
  if (good_) {
    good_ = co_await disk_.flush();
  }
  co_return good_;
}

kernel::Task<> RandomTester::worker(std::size_t place) {
  const auto buffer = program_.pages().allocate(kBufferPages);
  good_ = good_ && buffer.has_value();
  while (good_ && left_ != 0) {
    --left_;
    if (left_ % kBusyOneIn == 0) {
      machine::spend(program_.settings().busy_us * kNsPerMicrosecond);
    }
    const bool fine = co_await one_request(place, *buffer);
    good_ = good_ && fine;
  }
  if (buffer) {
    program_.pages().free(*buffer, kBufferPages);
  }
  if (--workers_ == 0) {
    all_done_.set();
  }
}

/// A range that no request under way touches; mostly small ones, some large.
std::optional<SectorRange> RandomTester::choose_range() {
  for (std::uint32_t turn = 0; turn < kTries; ++turn) {
    const std::uint64_t limit = random_.below(4) == 0 ? kMaxSectors : 8;
    const std::uint64_t count =
        1 + random_.below(std::min<std::uint64_t>(limit, model_.sector_count()));
    const std::uint64_t first = random_.below(model_.sector_count() - count + 1);
    const SectorRange range{first, static_cast<std::uint32_t>(count)};
    if (model_.is_free(range)) {
      return range;
    }
    machine::sometimes(kOverlapAvoided, true);
  }
  return std::nullopt;
}

kernel::Task<bool> RandomTester::one_request(std::size_t place, machine::Gpn buffer) {
  bool fine = true;
  const bool is_flush = random_.below(kFlushOneIn) == 0;
  const bool is_write = random_.below(2) == 0;
  const std::optional<SectorRange> range = choose_range();
  if (is_flush || !range) {
    fine = co_await disk_.flush();
  } else {
    // Before any task has a chance to choose the same sectors.
    model_.begin(place, *range);
    if (is_write) {
      fine = co_await write(*range, buffer);
    } else {
      fine = co_await read(*range, buffer);
    }
    model_.end(place);
  }
  machine::always(kRequestSucceeds, fine);
  co_return fine;
}

void RandomTester::fill(const SectorRange& range, std::uint32_t version,
                        machine::Gpn buffer) const {
  BlockModel::Sector content;
  for (std::uint32_t index = 0; index < range.count; ++index) {
    model_.fill(range.first + index, version, content);
    machine::write_memory(machine::Gpa(buffer) + index * content.size(), content);
  }
}

bool RandomTester::check(const SectorRange& range, machine::Gpn buffer) const {
  BlockModel::Sector content;
  bool right = true;
  for (std::uint32_t index = 0; index < range.count; ++index) {
    machine::read_memory(machine::Gpa(buffer) + index * content.size(), content);
    const bool sector_right = model_.is_right(range.first + index, content);
    machine::always(kReadsLastWrite, sector_right, range.first + index);
    right = right && sector_right;
  }
  return right;
}

kernel::Task<bool> RandomTester::write(SectorRange range, machine::Gpn buffer) {
  const std::uint32_t version = model_.next_version();
  fill(range, version, buffer);
  const bool arrived = co_await disk_.write(range.first, range.count, buffer);
  if (arrived) {
    model_.written(range, version);
  } else {
    model_.unknown(range);
  }
  co_return arrived;
}

kernel::Task<bool> RandomTester::read(SectorRange range, machine::Gpn buffer) {
  const bool arrived = co_await disk_.read(range.first, range.count, buffer);
  const bool right = arrived && check(range, buffer);
  co_return right;
}

}  // namespace child
