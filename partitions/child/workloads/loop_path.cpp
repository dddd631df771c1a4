#include "partitions/child/workloads/loop_path.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "partitions/kernel/random.h"

namespace child {

LoopMessage::LoopMessage(std::uint64_t connection_seed, std::uint32_t sender,
                         std::uint32_t number) {
  const std::array<std::uint32_t, 2> names{sender, number};
  kernel::Random random(connection_seed ^ (std::uint64_t{number} << 8 | sender));
  size = sizeof names + random.below(bytes.size() - sizeof names + 1);
  std::memcpy(bytes.data(), names.data(), sizeof names);
  for (std::byte& byte : std::span(bytes).first(size).subspan(sizeof names)) {
    byte = static_cast<std::byte>(random.next());
  }
}

LoopPath::LoopPath(kernel::Heap& heap, const kernel::LoopConnection& connection, std::uint64_t seed)
    : connection_(connection), seed_(seed) {
  if (carries_events()) {
    auto* const first = static_cast<Flag*>(heap.allocate(connection.flags * sizeof(Flag)));
    std::uninitialized_value_construct_n(first, connection.flags);
    flags_ = {first, connection.flags};
  }
}

bool LoopPath::take(std::uint32_t sender, std::uint32_t number) {
  Sender& from = senders_[sender];
  if (number > from.begun.load()) {
    return false;
  }
  const std::uint64_t bit = std::uint64_t{1} << (number % kNumbersPerWord);
  const std::uint64_t before = from.come[number / kNumbersPerWord].fetch_or(bit);
  come_.fetch_add(1);
  return (before & bit) == 0;
}

bool LoopPath::see(std::uint32_t flag) {
  Flag& state = flags_[flag];
  const std::uint32_t sightings = state.sightings.fetch_add(1) + 1;
  const std::uint32_t begun = state.begun.load();
  // The flag may be another one on each VP, and two VPs see theirs at the same time.
  std::uint32_t newest = state.begun_when_seen.load();
  while (newest < begun && !state.begun_when_seen.compare_exchange(newest, begun)) {
    newest = state.begun_when_seen.load();
  }
  return sightings <= begun;
}

bool LoopPath::all_seen() const {
  return std::ranges::all_of(flags_, [](const Flag& flag) {
    const std::uint32_t seen = flag.begun_when_seen.load();
    return seen == flag.begun.load();
  });
}

bool LoopPath::signals_merged() const {
  return std::ranges::any_of(flags_, [](const Flag& flag) {
    const std::uint32_t sightings = flag.sightings.load();
    return sightings < flag.begun.load();
  });
}

}  // namespace child
