// What a child sees of the root's end of its bus, message by message.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "tests/partitions/raw_bus.h"
#include "tests/partitions/world_fixture.h"
#include "vmbus/protocol/version.h"
#include "vmbus/ring.h"
#include "vmbus/ring_memory.h"
#include "vmbus/storage/storage_protocol.h"
#include "vmbus/stream/stream_protocol.h"

using partitions_test::RawBus;
using vmbus::MessageType;
using Types = std::vector<MessageType>;

namespace {

constexpr std::uint32_t kIron = static_cast<std::uint32_t>(vmbus::Version::kIron);
constexpr std::uint32_t kCopper = static_cast<std::uint32_t>(vmbus::Version::kCopper);

/// What the child of the running test does.
std::function<void(RawBus&)> script;

void play() {
  static_cast<void>(kernel::build_in_arena<partitions_test::BareKernel>());
  RawBus bus;
  script(bus);
  partitions_test::say_done();
  partitions_test::sleep_for_ever();
}

/// Two disks are offered to the child, as channels 1 and 2; or no device, but services to call.
void run_child(std::function<void(RawBus&)> child,
               const std::string& workload = "workload=storage\nscratch_mib=1\n",
               std::uint64_t root_arena_bytes = 8 * partitions_test::kMib) {
  script = std::move(child);
  auto configuration = partitions_test::computer("children=1\nchild_processors=2\n" + workload,
                                                 partitions_test::child_program(play));
  configuration.guests[0].arena_bytes = root_arena_bytes;
  configuration.disks.push_back({"data", "1", 65'536, nullptr, 0});
  configuration.disks.push_back({"scratch", "2", 4 << 20, nullptr, 64});
  sim::SeededDecider decider(1);
  sim::World world(std::move(configuration), decider);
  const sim::RunResult result = world.run();
  script = nullptr;
  const auto lines = partitions_test::lines_of(result);
  CHECK(std::ranges::count(lines, "[root] all pages returned") == 1);
  CHECK(result.violations.empty());
}

/// Connected, and told of what there is.
void connect(RawBus& bus, std::uint32_t version = kIron) {
  bus.contact(version);
  static_cast<void>(bus.take());
  bus.say_bare(MessageType::kRequestOffers);
  static_cast<void>(bus.take_types());
}

/// The first page of the ring of channel 1; both directions have the same length.
constexpr std::uint64_t kRing = 0x400;
constexpr std::uint32_t kRingGpadl = 7;
constexpr std::uint32_t kRingPages = 4;

void lend_ring(RawBus& bus) {
  machine::fill_memory(machine::Gpa(machine::Gpn(kRing)), 2 * kRingPages * machine::kPageSize, 0);
  bus.lend(1, kRingGpadl, 2 * kRingPages, kRing);
}

std::uint32_t status_of_open(RawBus& bus, std::uint32_t target_vp) {
  lend_ring(bus);
  static_cast<void>(bus.take());
  vmbus::OpenChannel open;
  open.channel_id = 1;
  open.open_id = 1;
  open.ring_gpadl_id = kRingGpadl;
  open.target_vp = target_vp;
  open.downstream_page_offset = kRingPages;
  bus.say(open);
  return bus.take().value_or(RawBus::Arrived{}).as<vmbus::OpenChannelResult>().status;
}

std::uint32_t status_of_move(RawBus& bus, std::uint32_t target_vp) {
  vmbus::ModifyChannel modify;
  modify.channel_id = 1;
  modify.target_vp = target_vp;
  bus.say(modify);
  return bus.take().value_or(RawBus::Arrived{}).as<vmbus::ModifyChannelResponse>().status;
}

/// The rings of channel 1, without any bit that says what their user can do.
class Rings {
 public:
  /// A request that any disk answers.
  [[nodiscard]] bool put_request(bool wants_completion = true) {
    vmbus::storage::StoragePacket packet;
    packet.operation = vmbus::storage::Operation::kBeginInitialization;
    vmbus::OutgoingPacket out;
    out.completion_requested = wants_completion;
    out.payload = vmbus::bytes_of(packet);
    const bool written = outgoing_.write(out) == vmbus::RingStatus::kDone;
    static_cast<void>(outgoing_.publish());
    return written;
  }
  static void signal() {
    static_cast<void>(
        kernel::signal_event(hv::ConnectionId(vmbus::signal_connection(vmbus::ChannelId(1))), 0));
  }
  /// Takes all that is there, and tells nobody of the room.
  [[nodiscard]] std::uint32_t take_all() {
    std::uint32_t count = 0;
    vmbus::PacketView view;
    while (incoming_.peek(view) == vmbus::RingStatus::kDone) {
      incoming_.consume();
      ++count;
    }
    static_cast<void>(incoming_.publish());
    return count;
  }

 private:
  static std::span<const machine::Gpn> pages(std::size_t first) {
    static constexpr std::array<machine::Gpn, 2 * kRingPages> kPages = [] {
      std::array<machine::Gpn, 2 * kRingPages> result;
      for (std::size_t at = 0; at < result.size(); ++at) {
        result[at] = machine::Gpn(kRing + at);
      }
      return result;
    }();
    return std::span(kPages).subspan(first, kRingPages);
  }

  vmbus::RingWriter<vmbus::GpaPagesMemory> outgoing_{vmbus::GpaPagesMemory(pages(0))};
  vmbus::RingReader<vmbus::GpaPagesMemory> incoming_{vmbus::GpaPagesMemory(pages(kRingPages))};
};

/// Whether the disk of channel 1 answers a request, and says so by the channel's flag.
bool answers_with_signal(const RawBus& bus, Rings& rings) {
  static_cast<void>(bus.take_flag(1));
  static_cast<void>(rings.put_request());
  Rings::signal();
  bus.wait();
  const bool signalled = bus.take_flag(1);
  return rings.take_all() == 1 && signalled;
}

}  // namespace

TEST_CASE("the next kernel gets no message that was for the one before",
          "[partitions][vmbus][by_hand]") {
  Types crashed;
  Types unloaded;
  run_child([&](RawBus& bus) {
    bus.contact(kIron);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kRequestOffers);
    bus.wait();
    // One offer lies in the slot; the other and the end of the offers wait behind it.
    bus.contact(kIron);
    bus.wait();
    crashed = bus.take_types();
    bus.say_bare(MessageType::kRequestOffers);
    bus.wait();
    bus.say_bare(MessageType::kUnload);
    bus.wait();
    unloaded = bus.take_types();
  });
  CHECK(crashed == Types{MessageType::kOfferChannel, MessageType::kVersionResponse});
  CHECK(unloaded == Types{MessageType::kOfferChannel, MessageType::kUnloadResponse});
}

TEST_CASE("a child that pauses gets nothing until it goes on, and nothing more if it leaves",
          "[partitions][vmbus][by_hand]") {
  Types paused;
  Types resumed;
  Types left;
  run_child([&](RawBus& bus) {
    bus.contact(kCopper, 0, vmbus::kFeaturePauseResume);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kPause);
    bus.say_bare(MessageType::kRequestOffers);
    paused = bus.take_types();
    bus.say_bare(MessageType::kResume);
    resumed = bus.take_types();
    bus.contact(kCopper, 0, vmbus::kFeaturePauseResume);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kPause);
    bus.say_bare(MessageType::kRequestOffers);
    bus.say_bare(MessageType::kUnload);
    left = bus.take_types();
  });
  CHECK(paused == Types{MessageType::kPauseResponse});
  CHECK(resumed == Types{MessageType::kOfferChannel, MessageType::kOfferChannel,
                         MessageType::kAllOffersDelivered});
  CHECK((left == Types{MessageType::kUnloadResponse} ||
         left == Types{MessageType::kPauseResponse, MessageType::kUnloadResponse}));
}

TEST_CASE("whoever makes contact from a processor that is not there is refused, and heard again",
          "[partitions][vmbus][by_hand]") {
  const std::uint32_t vp = GENERATE(2u, 0xFFFFFFFFu);
  std::vector<std::uint8_t> welcome;
  run_child([&](RawBus& bus) {
    for (const std::uint32_t from : {vp, vp, 0u}) {
      bus.contact(kIron, from);
      const auto answer = bus.take().value_or(RawBus::Arrived{});
      welcome.push_back(answer.type == MessageType::kVersionResponse
                            ? answer.as<vmbus::VersionResponse>().version_supported
                            : std::uint8_t{2});
    }
  });
  CHECK(welcome == std::vector<std::uint8_t>{0, 0, 1});
}

TEST_CASE("answers about a reserved channel neither take the place of other messages nor lose any",
          "[partitions][vmbus][by_hand][reserved]") {
  constexpr std::array<std::uint32_t, 6> kSintsOfAnswers = {5, 6, 7, 8, 9, 10};
  Types others;
  Types answers;
  run_child([&](RawBus& bus) {
    for (const std::uint32_t sint : kSintsOfAnswers) {
      RawBus::use_sint(sint);
    }
    bus.contact(kIron);
    static_cast<void>(bus.take());
    bus.say_bare(MessageType::kRequestOffers);
    lend_ring(bus);
    bus.wait();
    // None of these four has been taken when the answers come.
    for (std::size_t turn = 0; turn < kSintsOfAnswers.size(); turn += 2) {
      vmbus::OpenReservedChannel open;
      open.channel_id = 1;
      open.target_sint = kSintsOfAnswers[turn];
      open.ring_gpadl_id = kRingGpadl;
      open.downstream_page_offset = kRingPages;
      bus.say(open);
      bus.wait();
      vmbus::CloseReservedChannel close;
      close.channel_id = 1;
      close.target_sint = kSintsOfAnswers[turn + 1];
      bus.say(close);
      bus.wait();
    }
    others = bus.take_types();
    for (const std::uint32_t sint : kSintsOfAnswers) {
      answers.push_back(bus.take(sint).value_or(RawBus::Arrived{}).type);
    }
  });
  CHECK(others == Types{MessageType::kOfferChannel, MessageType::kOfferChannel,
                        MessageType::kAllOffersDelivered, MessageType::kGpadlCreated});
  CHECK(answers == Types{MessageType::kOpenChannelResult, MessageType::kCloseReservedResponse,
                         MessageType::kOpenChannelResult, MessageType::kCloseReservedResponse,
                         MessageType::kOpenChannelResult, MessageType::kCloseReservedResponse});
}

TEST_CASE("a channel that cannot be moved is signalled where it was, one that is moved at once",
          "[partitions][vmbus][by_hand]") {
  std::uint32_t opened = 1;
  std::uint32_t moved_nowhere = 0;
  std::uint32_t moved = 1;
  bool signalled_by_move = false;
  bool works_after_refusal = false;
  bool works_after_move = false;
  run_child([&](RawBus& bus) {
    connect(bus);
    opened = status_of_open(bus, 0);
    moved_nowhere = status_of_move(bus, 2);
    Rings rings;
    works_after_refusal = answers_with_signal(bus, rings);
    static_cast<void>(bus.take_flag(1));
    moved = status_of_move(bus, 0);
    signalled_by_move = bus.take_flag(1);
    works_after_move = answers_with_signal(bus, rings);
  });
  CHECK(opened == vmbus::kStatusSuccess);
  CHECK(moved_nowhere == vmbus::kStatusUnsuccessful);
  CHECK(works_after_refusal);
  CHECK(moved == vmbus::kStatusSuccess);
  CHECK(signalled_by_move);
  CHECK(works_after_move);
}

TEST_CASE("pages that a child has not cannot be lent", "[partitions][vmbus][by_hand]") {
  std::vector<std::uint32_t> statuses;
  run_child([&](RawBus& bus) {
    connect(bus);
    // 16 MiB are its own.
    for (const std::uint64_t first : {0xFFEull, 0xFFFull, 0x1000ull, ~0ull - 1}) {
      bus.lend(1, 100, 2, first);
      statuses.push_back(bus.take().value_or(RawBus::Arrived{}).as<vmbus::GpadlCreated>().status);
      vmbus::GpadlTeardown teardown;
      teardown.channel_id = 1;
      teardown.gpadl_id = 100;
      bus.say(teardown);
      static_cast<void>(bus.take());
    }
  });
  constexpr std::uint32_t kBad = vmbus::kStatusUnsuccessful;
  CHECK(statuses == std::vector<std::uint32_t>{vmbus::kStatusSuccess, kBad, kBad, kBad});
}

TEST_CASE("only what is the id of a port calls a service", "[partitions][vmbus][by_hand]") {
  Types answers;
  run_child(
      [&](RawBus& bus) {
        connect(bus);
        vmbus::TlConnectRequest request;
        request.endpoint = vmbus::guid_of_port(77);
        request.service = vmbus::guid_of_port(vmbus::kEchoPort);
        request.service.data2 ^= 1;
        bus.say(request);
        answers = bus.take_types();
        request.service = vmbus::guid_of_port(vmbus::kEchoPort);
        bus.say(request);
        std::ranges::copy(bus.take_types(), std::back_inserter(answers));
      },
      "workload=stream\n");
  CHECK(answers == Types{MessageType::kTlConnectResult, MessageType::kOfferChannel});
}

TEST_CASE("a request that wants no completion gets none", "[partitions][vmbus][by_hand]") {
  std::uint32_t unwanted = 1;
  bool works = false;
  run_child([&](RawBus& bus) {
    connect(bus);
    static_cast<void>(status_of_open(bus, 0));
    Rings rings;
    static_cast<void>(rings.put_request(false));
    Rings::signal();
    bus.wait();
    unwanted = rings.take_all();
    works = answers_with_signal(bus, rings);
  });
  CHECK(unwanted == 0);
  CHECK(works);
}

TEST_CASE("a child that does not say when it has made room is looked at again",
          "[partitions][vmbus][by_hand]") {
  std::uint32_t asked = 0;
  std::uint32_t first = 0;
  std::uint32_t in_all = 0;
  run_child([&](RawBus& bus) {
    connect(bus);
    static_cast<void>(status_of_open(bus, 0));
    Rings rings;
    // More than the ring to the child has room for.
    for (int turn = 0; turn < 4; ++turn) {
      while (rings.put_request()) {
        ++asked;
      }
      Rings::signal();
      bus.wait();
    }
    for (int turn = 0; turn < 8; ++turn) {
      const std::uint32_t came = rings.take_all();
      first = turn == 0 ? came : first;
      in_all += came;
      bus.wait();
    }
  });
  CHECK(first < asked);
  CHECK(in_all == asked);
}

TEST_CASE("the longest lists of pages that there are can be lent", "[partitions][vmbus][by_hand]") {
  std::vector<std::uint32_t> statuses;
  run_child([&](RawBus& bus) {
    connect(bus);
    std::uint32_t id = 1;
    for (const std::size_t pages : {4096u, 8190u, 4097u, 4000u}) {
      bus.lend(1, id++, pages, 0x10, true);
      statuses.push_back(bus.take().value_or(RawBus::Arrived{}).as<vmbus::GpadlCreated>().status);
    }
  });
  // There is a bound to what is kept for one child.
  CHECK(statuses == std::vector<std::uint32_t>{vmbus::kStatusSuccess, vmbus::kStatusSuccess,
                                               vmbus::kStatusUnsuccessful, vmbus::kStatusSuccess});
}

TEST_CASE("a child for whose wishes the root has no memory is refused them, and harms nobody",
          "[partitions][vmbus][by_hand]") {
  constexpr std::uint32_t kStreams = 24;
  std::uint32_t opened = 0;
  std::uint32_t refused = 0;
  run_child(
      [&](RawBus& bus) {
        connect(bus);
        for (std::uint32_t number = 0; number < kStreams; ++number) {
          vmbus::TlConnectRequest request;
          request.endpoint = vmbus::guid_of_port(100 + number);
          request.service = vmbus::guid_of_port(vmbus::kEchoPort);
          bus.say(request);
          const auto answer = bus.take().value_or(RawBus::Arrived{});
          if (answer.type != MessageType::kOfferChannel) {
            ++refused;
            continue;
          }
          const std::uint32_t channel = answer.as<vmbus::OfferChannel>().channel_id;
          machine::fill_memory(machine::Gpa(machine::Gpn(kRing + 4 * number)),
                               4 * machine::kPageSize, 0);
          bus.lend(channel, 1 + number, 4, kRing + 4 * number);
          const auto lent = bus.take().value_or(RawBus::Arrived{});
          vmbus::OpenChannel open;
          open.channel_id = channel;
          open.ring_gpadl_id = 1 + number;
          open.downstream_page_offset = 2;
          bus.say(open);
          const auto result = bus.take().value_or(RawBus::Arrived{});
          const bool good = lent.as<vmbus::GpadlCreated>().status == vmbus::kStatusSuccess &&
                            result.type == MessageType::kOpenChannelResult &&
                            result.as<vmbus::OpenChannelResult>().status == vmbus::kStatusSuccess;
          opened += good ? 1 : 0;
          refused += good ? 0 : 1;
        }
      },
      "workload=stream\n", 512 * 1024);
  CHECK(opened > 0);
  CHECK(refused > 0);
  CHECK(opened + refused == kStreams);
}
