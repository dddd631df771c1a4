#include "partitions/child/workloads/loop_path.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

using child::LoopMessage;
using child::LoopPath;

namespace {

struct Setup {
  explicit Setup(std::uint32_t flags) : path(heap, {.id = 65536, .sint = 4, .flags = flags}, 7) {}

  std::vector<std::byte> region = std::vector<std::byte>(1 << 16);
  kernel::Heap heap{region};
  LoopPath path;
};

}  // namespace

TEST_CASE("a message that was begun is taken once, in any order", "[child][loop]") {
  Setup setup(0);
  CHECK_FALSE(setup.path.carries_events());
  CHECK_FALSE(setup.path.take(0, 1));
  setup.path.message_begun(0, 64);
  setup.path.message_begun(7, 1000);
  CHECK(setup.path.take(0, 64));
  CHECK(setup.path.take(0, 1));
  CHECK_FALSE(setup.path.take(0, 64));
  CHECK_FALSE(setup.path.take(0, 65));
  CHECK_FALSE(setup.path.take(1, 1));  // Another sender's.
  CHECK(setup.path.take(7, 1000));
  CHECK(setup.path.take(7, 64));
}

TEST_CASE("what has come is counted with what should not have come", "[child][loop]") {
  Setup setup(0);
  setup.path.message_begun(0, 2);
  CHECK(setup.path.take(0, 2));
  CHECK(setup.path.messages_come() == 1);
  CHECK_FALSE(setup.path.take(0, 2));
  CHECK(setup.path.messages_come() == 2);
}

TEST_CASE("a flag comes at most as often as it is signalled", "[child][loop]") {
  Setup setup(64);
  CHECK(setup.path.carries_events());
  CHECK(setup.path.all_seen());
  CHECK_FALSE(setup.path.see(63));

  Setup other(64);
  other.path.signal_begun(63);
  CHECK_FALSE(other.path.all_seen());
  other.path.signal_begun(63);
  CHECK_FALSE(other.path.see(0));
  CHECK(other.path.see(63));
  // The second signal may set the flag behind the first one's sighting.
  CHECK(other.path.all_seen());
  CHECK(other.path.see(63));
  CHECK_FALSE(other.path.see(63));
}

TEST_CASE("a signal that is begun behind the newest sighting has to be seen", "[child][loop]") {
  Setup setup(2);
  setup.path.signal_begun(1);
  setup.path.signal_begun(1);
  CHECK(setup.path.see(1));
  CHECK(setup.path.all_seen());
  CHECK(setup.path.signals_merged());
  setup.path.signal_begun(1);
  CHECK_FALSE(setup.path.all_seen());
  CHECK(setup.path.see(1));
  CHECK(setup.path.all_seen());
  CHECK(setup.path.see(1));
  CHECK_FALSE(setup.path.signals_merged());
}

TEST_CASE("a message tells its sender and number, and the rest follows from them and its path",
          "[child][loop]") {
  std::size_t least = hv::kMessagePayloadBytes;
  std::size_t most = 0;
  for (std::uint32_t number = 1; number <= child::kMaxLoopMessages; ++number) {
    const LoopMessage message(7, 3, number);
    std::uint32_t names[2];
    std::memcpy(names, message.content().data(), sizeof names);
    CHECK(names[0] == 3);
    CHECK(names[1] == number);
    CHECK(std::ranges::equal(message.content(), LoopMessage(7, 3, number).content()));
    least = std::min(least, message.size);
    most = std::max(most, message.size);
  }
  CHECK(least == 8);
  CHECK(most == hv::kMessagePayloadBytes);
  CHECK_FALSE(std::ranges::equal(LoopMessage(7, 3, 1).bytes, LoopMessage(8, 3, 1).bytes));
}
