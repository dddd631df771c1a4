#include "partitions/kernel/outbox.h"

#include <catch2/catch.hpp>
#include <vector>

#include "hv/tlfs/hypercall_communication.h"
#include "machine/guest.h"
#include "partitions/kernel/posting.h"
#include "tests/kernel/kernel_fixture.h"

namespace {

/// An outbox whose receiver takes everything until it is full.
struct Post {
  Post() {
    host_seam::computer().on_hypercall = [this](const host_seam::Hypercall& call) {
      hv::PostMessageInput message;
      machine::read_memory(machine::Gpa(call.input),
                           std::as_writable_bytes(std::span(&message, 1)));
      if (status == hv::Status::kSuccess) {
        arrived.push_back(std::to_integer<int>(message.payload[0]));
      }
      return std::uint64_t{static_cast<std::uint16_t>(status)};
    };
  }
  void append(int number) {
    const std::byte payload{static_cast<std::uint8_t>(number)};
    outbox.append(
        kernel::make_message(hv::ConnectionId(1), hv::MessageType{1}, std::span(&payload, 1)));
  }
  static void refuse(void* context, const hv::PostMessageInput&, hv::Status) {
    ++static_cast<Post*>(context)->refused;
  }

  kernel_test::Booted booted;
  hv::Status status = hv::Status::kSuccess;
  std::vector<int> arrived;
  int refused = 0;
  kernel::Outbox outbox{booted.kernel().heap(), &Post::refuse, this};
};

using Numbers = std::vector<int>;

}  // namespace

TEST_CASE("messages arrive in the order in which they were appended", "[kernel][outbox]") {
  Post post;
  for (const int number : {1, 2, 3}) {
    post.append(number);
  }
  CHECK(post.arrived.empty());  // A task sends them.
  post.booted.run();
  CHECK(post.arrived == Numbers{1, 2, 3});
}

TEST_CASE("what is appended while messages are held waits, what was there before does not",
          "[kernel][outbox]") {
  Post post;
  post.append(1);
  post.append(2);
  post.outbox.hold(true);
  post.append(3);
  post.outbox.hold(true);  // Once more changes nothing.
  post.booted.run();
  CHECK(post.arrived == Numbers{1, 2});
  post.append(4);
  post.booted.run();
  CHECK(post.arrived == Numbers{1, 2});
  post.outbox.hold(false);
  post.append(5);
  post.booted.run();
  CHECK(post.arrived == Numbers{1, 2, 3, 4, 5});
}

TEST_CASE("an outbox that is held can be closed, and drops what waits", "[kernel][outbox]") {
  Post post;
  const std::size_t blocks = post.booted.kernel().heap().blocks_in_use();
  post.outbox.hold(true);
  post.append(1);
  post.booted.run();
  post.outbox.close();
  CHECK(post.outbox.ended().is_set());
  CHECK(post.arrived.empty());
  CHECK(post.booted.kernel().heap().blocks_in_use() == blocks);
}

TEST_CASE("what a receiver refuses, and what is too much, is dropped and told",
          "[kernel][outbox]") {
  Post post;
  post.status = hv::Status::kInvalidConnectionId;
  post.append(1);
  post.booted.run();
  CHECK(post.refused == 1);
  post.outbox.hold(true);
  for (std::uint32_t number = 0; number <= kernel::Outbox::kMost; ++number) {
    post.append(2);
  }
  CHECK(post.refused == 2);
}

TEST_CASE("what is dropped is not sent, and what comes after it is", "[kernel][outbox]") {
  Post post;
  const std::size_t blocks = post.booted.kernel().heap().blocks_in_use();
  post.append(1);
  post.outbox.hold(true);
  post.append(2);
  post.outbox.drop();
  post.outbox.hold(false);
  post.booted.run();
  CHECK(post.arrived.empty());
  CHECK(post.refused == 0);
  CHECK(post.booted.kernel().heap().blocks_in_use() == blocks);
  post.append(3);
  post.booted.run();
  CHECK(post.arrived == Numbers{3});
}
