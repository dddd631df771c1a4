// Streams to services of the root: what is sent comes back; nobody listens; the child closes with
// data under way; the root does. And a service of the child's, which the root calls.
#include <algorithm>

#include "machine/testing.h"
#include "partitions/child/program.h"
#include "partitions/child/streams/stream_socket.h"
#include "partitions/child/workloads/workload.h"
#include "partitions/kernel/random.h"

namespace child {

namespace {

constexpr std::uint32_t kWorkers = 3;
constexpr std::uint32_t kManners = 4;
constexpr std::uint32_t kFirstPort = 1024;
constexpr std::uint32_t kNobodysPort = 99;
constexpr std::uint32_t kWord = 8;
/// More than one ring holds, and less than two: whoever does not listen may send so much.
constexpr std::size_t kMostUnheard = 12'000;
constexpr std::size_t kPacketOverhead = 32;

constexpr machine::Site kEchoRight("child.stream.what_comes_back_is_what_was_sent");
constexpr machine::Site kEndsInOrder("child.stream.ends_when_both_have_ended_it");
constexpr machine::Site kNobodyTakes("child.stream.nobody_takes_what_nobody_listens_to");
constexpr machine::Site kTaken("child.stream.a_service_takes_its_stream");
constexpr machine::Site kServed("child.stream.call_served");
constexpr machine::Site kEndedWhileSending("child.stream.ended_by_the_root_while_it_was_used");

class StreamTester {
 public:
  explicit StreamTester(Program& program)
      : program_(program),
        bus_(program, bus_options(program.settings())),
        left_(program.settings().connections),
        calls_left_(program.settings().calls) {}

  kernel::Task<bool> run() {
    const bool connected = co_await bus_.connect();
    if (!connected) {
      co_return false;
    }
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
      work(worker).spawn();
    }
    take_calls().spawn();
    co_await all_done_.wait();
    co_await bus_.disconnect();
    report();
    co_return good_;
  }

 private:
  using Data = std::array<std::byte, StreamSocket::kMostBytes>;

  kernel::Task<> work(std::uint32_t worker) {
    kernel::Random random(program_.settings().seed + worker);
    while (good_ && left_ != 0) {
      const std::uint32_t number = left_--;
      auto* const socket =
          program_.heap().create<StreamSocket>(program_, bus_, kFirstPort + number);
      const bool used = co_await use(*socket, number % kManners, random);
      good_ = good_ && used;
      co_await socket->close();
      program_.heap().destroy(socket);
    }
    one_more_finished();
  }

  void one_more_finished() {
    if (++finished_ == kWorkers + 1) {
      all_done_.set();
    }
  }

  /// Until as many have been served as the root says that it will make.
  kernel::Task<> take_calls() {
    bus_.listen_for_offers(something_);
    while (calls_left_ != 0) {
      OfferedDevice* const call = find_call();
      if (call == nullptr) {
        co_await something_.wait();
        continue;
      }
      call->taken = true;
      serve(*call).spawn();
    }
    bus_.stop_listening(something_);
    one_more_finished();
  }

  OfferedDevice* find_call() {
    const vmbus::Guid service = vmbus::guid_of_port(vmbus::kChildEchoPort);
    const auto devices = bus_.devices();
    const auto call = std::ranges::find_if(devices, [&](const OfferedDevice& device) {
      return device.is_call && device.type == service && !device.taken && !device.rescinded;
    });
    return call != devices.end() ? &*call : nullptr;
  }

  /// Sends back what comes, the end as well.
  kernel::Task<> serve(OfferedDevice& call) {
    auto* const socket = program_.heap().create<StreamSocket>(program_, bus_, call);
    auto* const data = program_.heap().create<Data>();
    const bool opened = co_await socket->accept();
    std::optional<std::size_t> came = opened ? 1 : 0;
    while (opened && came && *came != 0) {
      came = co_await socket->receive(*data);
      const bool sent = came && co_await socket->send(std::span(*data).first(*came));
      came = sent ? came : std::nullopt;
    }
    co_await socket->close();
    program_.heap().destroy(data);
    program_.heap().destroy(socket);
    if (opened) {
      machine::sometimes(kServed, true);
      ++calls_served_;
      --calls_left_;
      something_.give();
    }
  }

  kernel::Task<bool> use(StreamSocket& socket, std::uint32_t manner, kernel::Random& random) {
    const std::uint32_t port = manner == 1   ? kNobodysPort
                               : manner == 3 ? vmbus::kShortEchoPort
                                             : vmbus::kEchoPort;
    const bool taken = co_await socket.connect(port);
    machine::always(manner == 1 ? kNobodyTakes : kTaken, taken == (manner != 1), manner);
    if (taken != (manner != 1)) {
      co_return false;
    }
    ++streams_[manner];
    auto* const data = program_.heap().create<std::array<Data, 2>>();
    bool good = true;
    if (manner == 0) {
      good = co_await talk(socket, *data, random);
    } else if (manner == 2) {
      good = co_await chatter(socket, (*data)[0], random);
    } else if (manner == 3) {
      good = co_await be_cut_off(socket, *data, random);
    }
    program_.heap().destroy(data);
    co_return good;
  }

  std::size_t fill(Data& data, kernel::Random& random) {
    const std::size_t size = kWord * (1 + random.below(data.size() / kWord));
    for (std::size_t at = 0; at < size; at += kWord) {
      const std::uint64_t word = random.next();
      __builtin_memcpy(&data[at], &word, sizeof(word));
    }
    return size;
  }

  kernel::Task<bool> exchange(StreamSocket& socket, std::array<Data, 2>& data, std::size_t size) {
    const bool sent = co_await socket.send(std::span(data[0]).first(size));
    if (!sent) {
      co_return false;
    }
    const std::optional<std::size_t> came = co_await socket.receive(data[1]);
    const bool right = came == size && __builtin_memcmp(data[0].data(), data[1].data(), size) == 0;
    // What was under way when the root ended it is lost.
    machine::always(kEchoRight, right || socket.ended_by_root(), size);
    co_return right;
  }

  /// To the end, and the other end ends it, too.
  kernel::Task<bool> talk(StreamSocket& socket, std::array<Data, 2>& data, kernel::Random& random) {
    bool good = true;
    for (std::uint32_t turn = 0; good && turn < program_.settings().messages; ++turn) {
      good = co_await exchange(socket, data, fill(data[0], random));
    }
    if (good) {
      good = co_await socket.send({});
    }
    if (good) {
      const std::optional<std::size_t> came = co_await socket.receive(data[1]);
      good = came == std::size_t{0};
      machine::always(kEndsInOrder, good);
    }
    co_return good;
  }

  /// Sends and does not listen, and closes with much of it under way.
  kernel::Task<bool> chatter(StreamSocket& socket, Data& data, kernel::Random& random) {
    bool good = true;
    std::size_t total = 0;
    for (std::uint32_t turn = 0; good && turn < program_.settings().messages; ++turn) {
      const std::size_t size = fill(data, random);
      total += size + kPacketOverhead;
      if (total > kMostUnheard) {
        break;
      }
      good = co_await socket.send(std::span(data).first(size));
    }
    co_return good;
  }

  /// The other end answers once, and ends it while we go on.
  kernel::Task<bool> be_cut_off(StreamSocket& socket, std::array<Data, 2>& data,
                                kernel::Random& random) {
    const bool good = co_await exchange(socket, data, fill(data[0], random));
    bool sent = good;
    while (sent) {
      sent = co_await socket.send(std::span(data[0]).first(kWord));
    }
    machine::sometimes(kEndedWhileSending, socket.ended_by_root());
    // The answer may be lost with the channel.
    co_return good || socket.ended_by_root();
  }

  void report() {
    kernel::TextLine text;
    text << "streams: " << streams_[0] << " talked to their end, " << streams_[1]
         << " were refused, " << streams_[2] << " closed early, " << streams_[3] << " cut off, "
         << calls_served_ << " served";
    program_.console().line(text.view());
  }

  Program& program_;
  BusDriver bus_;
  std::uint32_t left_;
  std::uint32_t calls_left_;
  std::uint32_t calls_served_ = 0;
  kernel::Notice something_;
  std::array<std::uint32_t, kManners> streams_{};
  std::uint32_t finished_ = 0;
  bool good_ = true;
  kernel::Event all_done_;
};

}  // namespace

kernel::Task<bool> stream(Program& program) {
  auto* tester = program.heap().create<StreamTester>(program);
  const bool good = co_await tester->run();
  program.heap().destroy(tester);
  co_return good;
}

}  // namespace child
