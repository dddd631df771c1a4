// What lies in the pages of open channels, and in the monitor pages: a child puts there what the
// root takes, or a root what the child takes. Whoever has written a word, it is the same word: here
// one task of a child writes for both, beside other tasks that use a disk and streams as they
// should, and messages come that no root sent.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "hv/tlfs/msr.h"
#include "machine/machine.h"
#include "partitions/child/bus/bus_driver.h"
#include "partitions/child/bus/bus_processor.h"
#include "partitions/child/root_link.h"
#include "partitions/child/storage/storage_client.h"
#include "partitions/child/streams/stream_socket.h"
#include "partitions/kernel/interrupts.h"
#include "partitions/kernel/kernel.h"
#include "partitions/kernel/posting.h"
#include "partitions/kernel/root_services.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/partitions/world_fixture.h"
#include "vmbus/protocol/monitor_page.h"
#include "vmbus/ring_memory.h"
#include "vmbus/storage/requests.h"

namespace {

using machine::Gpa;
using machine::Gpn;
namespace storage = vmbus::storage;

constexpr std::size_t kDiskRingPages = child::StorageChannel::kLeastRingPages;
constexpr std::size_t kStreamRingPages = child::StreamSocket::kRingPages;
constexpr std::size_t kMostBody = 1536;
constexpr std::size_t kMessageWords = 24;
constexpr std::uint32_t kFirstGpadl = 0xE1E10;
constexpr std::uint32_t kFirstPort = 1024;
constexpr Gpa kNowhere{0x7000'0000'0000};
constexpr std::uint64_t kBetweenUses100ns = 300;
constexpr std::uint64_t kRunNs = 500'000'000;

/// The computer runs in this process: its guest finds its input here.
fuzz::FuzzInput* current_input = nullptr;

struct Ring {
  Gpa control;
  std::uint32_t data_bytes = 0;

  [[nodiscard]] Gpa word(vmbus::RingWord which) const {
    return control + static_cast<std::uint32_t>(which);
  }
  [[nodiscard]] Gpa data(std::uint32_t offset) const {
    return control + machine::kPageSize + offset;
  }
};

Ring ring_at(Gpn first, std::size_t pages) {
  return {Gpa(first), static_cast<std::uint32_t>((pages - 1) * machine::kPageSize)};
}

/// Both rings of a channel, the child's outgoing one first.
struct Rings {
  Ring to_root;
  Ring to_child;
};

Rings rings_at(Gpn first, std::size_t pages_of_one) {
  return {ring_at(first, pages_of_one), ring_at(first + pages_of_one, pages_of_one)};
}

/// What the child hears with.
struct Ears final : private child::SignalForwarder {
  Ears(child::BusDriver& its_bus, kernel::Processor& processor)
      : bus(its_bus), relay(processor, *this, child::BusDriver::kMaxDevices + 1) {}

  child::BusDriver& bus;
  child::BusProcessor relay;
  child::RootLink link;

 private:
  /// That no channel is signalled which never was open is said of honest roots.
  void signal_came(std::uint32_t flag, std::uint32_t) override {
    if (flag <= 1) {
      bus.event_flag_set(flag);
    }
  }
};

class Lies {
 public:
  Lies(fuzz::FuzzInput& input, Gpn monitor_pages, Ears& ears)
      : input_(input), monitor_pages_(monitor_pages), ears_(ears), side_(input.below(3)) {
    if (input.below(4) == 3) {
      crash_message_ = {.address = any_word(), .size = any_word()};
    }
  }

  void use_disk(const Rings& rings) { disk_ = rings; }
  void use_stream(const Rings& rings) { stream_ = rings; }

  /// Tells one; returns how long the next one waits, in 100 ns.
  std::uint64_t tell();
  /// Ends the child with a message of its own, in some inputs.
  void crash_if_it_may();

 private:
  [[nodiscard]] bool to_root() { return side_ == 2 ? input_.below(2) == 0 : side_ == 0; }
  [[nodiscard]] std::uint32_t any_word();
  void put(const Ring& ring, vmbus::PacketDescriptor descriptor, std::span<const std::byte> body);
  void put_stream_packet(const Ring& ring);
  void put_request(const Ring& ring);
  void put_completion(const Ring& ring);
  void set_control_word();
  void set_word();
  void signal();
  void set_triggers();
  void send_message();
  void send_offer();
  void say_to_child(std::span<const std::byte> bytes);

  fuzz::FuzzInput& input_;
  Gpn monitor_pages_;
  Ears& ears_;
  std::uint32_t side_;
  Rings disk_;
  Rings stream_;
  struct CrashMessage {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
  };
  std::optional<CrashMessage> crash_message_;
};

std::uint64_t Lies::tell() {
  const bool for_root = to_root();
  const Ring& disk = for_root ? disk_.to_root : disk_.to_child;
  switch (input_.below(10)) {
    case 0:
    case 1:
      put_stream_packet(for_root ? stream_.to_root : stream_.to_child);
      break;
    case 2:
    case 3:
      for_root ? put_request(disk) : put_completion(disk);
      break;
    case 4:
      set_control_word();
      break;
    case 5:
      set_word();
      break;
    case 6:
      for_root ? set_triggers() : signal();
      break;
    case 7:
      for_root ? signal() : send_offer();
      break;
    case 8:
      send_message();
      break;
    default:
      return std::uint64_t{10} * input_.take<std::uint8_t>();
  }
  return 1;
}

std::uint32_t Lies::any_word() {
  switch (input_.below(6)) {
    case 0:
      return 0;
    case 1:
      return ~0u;
    case 2:
      return input_.below(16);
    case 3:
      return kFirstGpadl + input_.below(8);
    case 4:
      return 8 * input_.take<std::uint16_t>();
    default:
      return input_.take<std::uint32_t>();
  }
}

// --- Rings ---------------------------------------------------------------------------------------

void Lies::put(const Ring& ring, vmbus::PacketDescriptor descriptor,
               std::span<const std::byte> body) {
  if (ring.data_bytes == 0) {
    return;
  }
  constexpr std::size_t kHead = sizeof(vmbus::PacketDescriptor);
  std::array<std::byte, kHead + kMostBody + vmbus::kPacketTrailerSize> bytes{};
  const std::size_t size = kHead + (body.size() + 7) / 8 * 8;
  descriptor.length8 = static_cast<std::uint16_t>(size / 8);
  if (input_.below(16) == 15) {
    descriptor.payload_offset8 = input_.take<std::uint16_t>();
    descriptor.length8 = static_cast<std::uint16_t>(any_word());
    descriptor.type = static_cast<vmbus::PacketType>(input_.below(16));
    descriptor.flags = static_cast<std::uint16_t>(any_word());
  }
  const vmbus::DescriptorWords words = vmbus::descriptor_words(descriptor);
  vmbus::copy_bytes(bytes, vmbus::bytes_of(words));
  vmbus::copy_bytes(std::span(bytes).subspan(kHead), body);
  const std::uint32_t index = machine::load_u32(ring.word(vmbus::RingWord::kWriteIndex));
  std::uint32_t at = index % ring.data_bytes / 8 * 8;
  std::span<const std::byte> left = std::span(bytes).first(size + vmbus::kPacketTrailerSize);
  while (!left.empty()) {
    const std::size_t part = std::min<std::size_t>(left.size(), ring.data_bytes - at);
    machine::write_memory(ring.data(at), left.first(part));
    left = left.subspan(part);
    at = static_cast<std::uint32_t>((at + part) % ring.data_bytes);
  }
  machine::store_u32(ring.word(vmbus::RingWord::kWriteIndex), at);
}

void Lies::put_stream_packet(const Ring& ring) {
  std::array<std::byte, kMostBody> body{};
  const std::uint32_t size = 8 * input_.below(kMostBody / 8 - 1);
  vmbus::StreamHeader header{vmbus::kStreamData, size};
  if (input_.below(4) == 3) {
    header = {any_word(), any_word()};
  }
  vmbus::copy_bytes(body, vmbus::bytes_of(header));
  vmbus::PacketDescriptor descriptor;
  descriptor.payload_offset8 = sizeof(vmbus::PacketDescriptor) / 8;
  put(ring, descriptor, std::span(body).first(sizeof(header) + size));
}

storage::StoragePacket packet_of(const storage::Srb& srb) {
  storage::StoragePacket packet;
  packet.operation = storage::Operation::kExecuteSrb;
  packet.flags = storage::kPacketWantsCompletion;
  storage::put_srb(packet, srb);
  return packet;
}

/// Inquiries, capacities, reads and writes, most of them of a few sectors, and what else there is.
void Lies::put_request(const Ring& ring) {
  constexpr std::uint8_t kOpcodes[] = {0x00, 0x12, 0x25, 0x28, 0x2A, 0x35, 0x88, 0x8A, 0x9E, 0xA0};
  const std::uint32_t sectors = input_.below(16);
  storage::Srb srb;
  srb.cdb_length = static_cast<std::uint8_t>(input_.below(4) == 3 ? input_.below(20) : 16);
  srb.lun = static_cast<std::uint8_t>(input_.below(8) == 7 ? any_word() : 0);
  srb.direction = storage::DataDirection{static_cast<std::uint8_t>(input_.below(4))};
  srb.transfer_length = input_.below(4) == 3 ? any_word() : sectors * 512;
  srb.cdb_or_sense[0] = kOpcodes[input_.below(std::size(kOpcodes))];
  srb.cdb_or_sense[5] = input_.take<std::uint8_t>();
  srb.cdb_or_sense[8] = srb.cdb_or_sense[13] = static_cast<std::uint8_t>(sectors);
  storage::StoragePacket packet = packet_of(srb);
  if (input_.below(8) == 7) {
    packet.operation = storage::Operation{input_.below(16)};
  }
  std::array<std::uint64_t, 2 + 16> header_words{};
  const std::uint32_t offset = input_.below(4) == 3 ? input_.below(4096) : 0;
  std::uint32_t length = std::min<std::uint32_t>(srb.transfer_length, 8 * 4096);
  length = input_.below(8) == 7 ? input_.below(8 * 4096) : length;
  std::array<Gpn, 16> pages{};
  for (std::size_t index = 0; index < pages.size(); ++index) {
    pages[index] = input_.below(4) == 3 ? Gpn(any_word()) : monitor_pages_;
  }
  const std::uint64_t count = (offset + std::uint64_t{length} + 4095) / 4096;
  const auto header =
      storage::gpa_direct_header(header_words, offset, length, std::span(pages).first(count));
  std::array<std::byte, sizeof(header_words) + sizeof(packet)> body{};
  vmbus::copy_bytes(body, header);
  vmbus::copy_bytes(std::span(body).subspan(header.size()), vmbus::bytes_of(packet));
  vmbus::PacketDescriptor descriptor;
  descriptor.type = vmbus::PacketType::kDataUsingGpaDirect;
  descriptor.flags = vmbus::kPacketCompletionRequested;
  descriptor.payload_offset8 =
      static_cast<std::uint16_t>((sizeof(vmbus::PacketDescriptor) + header.size()) / 8);
  // The disk's honest driver goes on if it does not wonder whose answer comes.
  descriptor.transaction_id = storage::kInitializationTransaction;
  put(ring, descriptor, std::span(body).first(header.size() + sizeof(packet)));
}

void Lies::put_completion(const Ring& ring) {
  storage::Srb srb;
  srb.srb_status = static_cast<std::uint8_t>(input_.below(2) == 0 ? 1 : any_word());
  srb.scsi_status = static_cast<std::uint8_t>(input_.below(2) == 0 ? 0 : any_word());
  srb.transfer_length = any_word();
  srb.sense_length = static_cast<std::uint8_t>(input_.below(4) == 3 ? any_word() : 18);
  srb.cdb_or_sense[0] = 0x70;
  srb.cdb_or_sense[2] = input_.take<std::uint8_t>();
  storage::StoragePacket packet = packet_of(srb);
  packet.operation = storage::Operation{input_.below(4) == 3 ? input_.below(16) : 1};
  packet.status = storage::NtStatus{input_.below(4) == 3 ? any_word() : 0};
  vmbus::PacketDescriptor descriptor;
  descriptor.type = vmbus::PacketType::kCompletion;
  descriptor.payload_offset8 = sizeof(vmbus::PacketDescriptor) / 8;
  descriptor.transaction_id =
      input_.below(2) == 0 ? storage::kInitializationTransaction : input_.below(66);
  const std::size_t size = input_.below(8) == 7 ? input_.below(sizeof(packet)) : sizeof(packet);
  put(ring, descriptor, vmbus::bytes_of(packet).first(size));
}

/// Of either ring: each end writes one index and takes the other.
void Lies::set_control_word() {
  constexpr vmbus::RingWord kWords[] = {
      vmbus::RingWord::kWriteIndex, vmbus::RingWord::kReadIndex, vmbus::RingWord::kInterruptMask,
      vmbus::RingWord::kPendingSendSize, vmbus::RingWord::kFeatureBits};
  const Ring* const rings[] = {&disk_.to_root, &disk_.to_child, &stream_.to_root,
                               &stream_.to_child};
  const Ring& ring = *rings[input_.below(4)];
  const vmbus::RingWord word = kWords[input_.below(5)];
  if (ring.data_bytes == 0) {
    return;
  }
  const std::uint32_t value = any_word();
  machine::store_u32(ring.word(word), input_.below(4) == 3 ? value : value % ring.data_bytes);
}

void Lies::set_word() {
  const Ring* const rings[] = {&disk_.to_root, &disk_.to_child, &stream_.to_root,
                               &stream_.to_child};
  const Ring& ring = *rings[input_.below(4)];
  if (ring.data_bytes != 0) {
    const std::uint32_t at = input_.below(ring.data_bytes / 8) * 8;
    machine::store_u32(ring.data(at) + 4 * input_.below(2), any_word());
  }
}

// --- Signals and messages ------------------------------------------------------------------------

void Lies::signal() {
  if (!to_root()) {
    ears_.relay.event_flag_set(input_.below(child::BusDriver::kMaxDevices + 1));
    return;
  }
  const std::uint32_t connection =
      input_.below(4) == 3 ? any_word()
                           : vmbus::signal_connection(vmbus::ChannelId(input_.below(6)));
  const auto flag = static_cast<std::uint16_t>(input_.below(4) == 3 ? any_word() : 0);
  static_cast<void>(kernel::signal_event(hv::ConnectionId(connection), flag));
}

/// Bits of the page in which a child signals, or any word of either page.
void Lies::set_triggers() {
  const Gpa pages(monitor_pages_);
  if (input_.below(4) == 3) {
    machine::store_u32(pages + 4 * input_.below(2 * machine::kPageSize / 4), any_word());
    return;
  }
  const vmbus::MonitorTrigger trigger(static_cast<std::uint8_t>(input_.below(128)));
  const std::uint32_t bits = input_.below(2) == 0 ? trigger.bit() : any_word();
  machine::fetch_or_u32(pages + machine::kPageSize + trigger.pending_offset(), bits);
}

void Lies::send_message() {
  std::array<std::uint32_t, kMessageWords> words{};
  words[0] = input_.below(vmbus::kMessageTypeCount);
  const std::size_t count = 2 + input_.below(kMessageWords - 1);
  for (std::size_t index = 2; index < count; ++index) {
    words[index] = any_word();
  }
  const bool moves_pages =
      words[0] == static_cast<std::uint32_t>(vmbus::MessageType::kModifyConnection);
  if (moves_pages && input_.below(4) != 3) {
    // Other pages, or the same the other way round.
    const std::uint64_t first = Gpa(monitor_pages_).value();
    const std::uint64_t step = machine::kPageSize * input_.below(2);
    words[2] = static_cast<std::uint32_t>(first + machine::kPageSize - step);
    words[4] = static_cast<std::uint32_t>(first + step);
    words[3] = words[5] = 0;
  }
  const auto bytes = std::as_bytes(std::span(words)).first(4 * count);
  if (to_root()) {
    static_cast<void>(
        kernel::try_post(kernel::make_message(hv::ConnectionId(vmbus::kMessageConnectionVersion5),
                                              hv::MessageType{vmbus::kVmbusMessageType}, bytes)));
  } else {
    say_to_child(bytes);
  }
}

void Lies::send_offer() {
  vmbus::OfferChannel offer;
  offer.header.type = vmbus::MessageType::kOfferChannel;
  offer.interface_type =
      input_.below(2) == 0 ? vmbus::kScsiInterface : vmbus::guid_of_port(vmbus::kEchoPort);
  offer.interface_instance = vmbus::guid_of_port(kFirstPort + input_.below(8));
  offer.subchannel_index = static_cast<std::uint16_t>(input_.below(4));
  offer.channel_id = input_.below(8) == 7 ? any_word() : input_.below(20);
  offer.monitor_id = input_.take<std::uint8_t>();
  offer.monitor_allocated = static_cast<std::uint8_t>(input_.below(4));
  offer.connection_id = any_word();
  say_to_child(vmbus::bytes_of(offer));
}

void Lies::say_to_child(std::span<const std::byte> bytes) {
  hv::Message message{};
  const bool greets = input_.below(8) == 7;
  message.header.type = greets ? kernel::kHello : hv::MessageType{vmbus::kVmbusMessageType};
  message.header.payload_size =
      input_.below(8) == 7 ? input_.take<std::uint8_t>() : static_cast<std::uint8_t>(bytes.size());
  vmbus::copy_bytes(std::span(message.payload), bytes);
  ears_.link.message_arrived(message);
  ears_.bus.message_arrived(message);
}

void Lies::crash_if_it_may() {
  if (crash_message_) {
    constexpr std::uint32_t kAddress = hv::kMsrCrashP0 + 3;
    machine::write_msr(kAddress, crash_message_->address);
    machine::write_msr(kAddress + 1, crash_message_->size);
    machine::write_msr(hv::kMsrCrashCtl, hv::kCrashNotify | hv::kCrashMessage);
    static_cast<void>(machine::load_u8(kNowhere));
  }
}

// --- The child -----------------------------------------------------------------------------------

class ChannelUser final : public kernel::Kernel {
 public:
  explicit ChannelUser(std::span<std::byte> heap)
      : Kernel(heap, kernel::OverlayPages::kOwn),
        monitor_pages_(next_pages(2)),
        bus_(*this, {.number = 1, .newest_version = vmbus::Version::kCopper, .monitored = true}),
        ears_(bus_, processor(0)),
        lies_(*current_input, monitor_pages_, ears_) {}

  kernel::Task<> run() {
    kernel::install_interrupt_handlers();
    const bool connected = co_await bus_.connect();
    if (connected && !bus_.devices().empty()) {
      co_await use_disk();
    } else if (connected) {
      use_streams().spawn();
    }
    while (!current_input->empty()) {
      co_await kernel::sleep_for(lies_.tell());
    }
    lies_.crash_if_it_may();
    say_done();
  }

 private:
  /// Where the next pages will be that somebody takes in a row: the lowest that are free.
  [[nodiscard]] Gpn next_pages(std::size_t count) {
    const Gpn first = *pages().allocate(count);
    pages().free(first, count);
    return first;
  }

  kernel::Task<> use_disk() {
    data_ = *pages().allocate(1);
    const Rings rings = rings_at(next_pages(2 * kDiskRingPages), kDiskRingPages);
    disk_ = heap().create<child::StorageClient>(*this, bus_, bus_.devices()[0],
                                                child::StorageOptions{});
    const bool works = co_await disk_->start();
    if (works) {
      lies_.use_disk(rings);
      read_disk().spawn();
    }
  }

  kernel::Task<> read_disk() {
    bool works = true;
    while (works) {
      works = co_await disk_->read(0, 8, data_);
      co_await kernel::sleep_for(kBetweenUses100ns);
    }
  }

  kernel::Task<> use_streams() {
    for (std::uint32_t port = kFirstPort; !current_input->empty(); ++port) {
      stream_ = heap().create<child::StreamSocket>(*this, bus_, port);
      const Rings rings = rings_at(next_pages(2 * kStreamRingPages), kStreamRingPages);
      bool works =
          co_await stream_->connect(port % 4 == 3 ? vmbus::kShortEchoPort : vmbus::kEchoPort);
      if (works) {
        lies_.use_stream(rings);
      }
      while (works) {
        works = co_await stream_->send(std::span(buffer_).first(64));
        const auto came = works ? co_await stream_->receive(buffer_) : std::nullopt;
        works = works && came && *came != 0;
        co_await kernel::sleep_for(kBetweenUses100ns);
      }
      lies_.use_stream({});
      co_await stream_->close();
      heap().destroy(stream_);
    }
  }

  static void say_done() {
    const auto verdict = kernel::Verdict::kPassed;
    const auto done = kernel::make_message(kernel::kConsoleConnection, kernel::kDone,
                                           std::as_bytes(std::span(&verdict, 1)));
    while (kernel::try_post(done) == hv::Status::kInsufficientBuffers) {
      machine::spend(10'000);
    }
  }

  Gpn monitor_pages_;
  child::BusDriver bus_;
  Ears ears_;
  Lies lies_;
  Gpn data_;
  child::StorageClient* disk_ = nullptr;
  child::StreamSocket* stream_ = nullptr;
  std::array<std::byte, child::StreamSocket::kMostBytes> buffer_{};
};

void boot_user() {
  auto& kernel = kernel::build_in_arena<ChannelUser>();
  kernel.run().spawn();
  kernel.processor(0).executor().run();
}

/// Children of the one kind have a disk, those of the other streams.
sim::WorldConfiguration world(const std::string& workload) {
  sim::WorldConfiguration world = partitions_test::computer(
      "children=1\nmonitor_latency_us=100\ndata_disk=0\nworkload=" + workload + "\n",
      partitions_test::child_program(boot_user));
  world.disks.push_back({.model = "d", .serial = "s", .size_bytes = 1 << 20, .content = nullptr});
  world.limits.virtual_ns = kRunNs;
  return world;
}

/// What is said of a child and a root that do not lie: it ends the run, and nothing was broken.
bool is_of_an_honest_world(const std::string& property) {
  return property == "root.every_child_passed" ||
         property == "child.storage.completion_is_of_a_request" ||
         property == "child.storage.request_is_answered_once" ||
         property == "child.bus.signal_comes_to_a_target_of_the_channel";
}

/// The root powers off with every page back, or the child has lied to itself until it said nothing
/// more.
bool is_good_end(const sim::RunResult& result) {
  if (result.violations.size() == 1) {
    return is_of_an_honest_world(result.violations[0].property);
  }
  return result.violations.empty() &&
         (result.outcome == sim::Outcome::kTimeLimit || result.stop_code == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  current_input = &input;
  sim::SeededDecider decider(1);
  sim::World computer(world(input.below(2) == 0 ? "plug" : "stream"), decider);
  const sim::RunResult result = computer.run();
  current_input = nullptr;
  if (!is_good_end(result)) {
    std::fprintf(stderr, "%s %s\n", std::string(sim::name_of(result.outcome)).c_str(),
                 result.error.c_str());
    for (const auto& violation : result.violations) {
      std::fprintf(stderr, "%s %s\n", violation.property.c_str(), violation.message.c_str());
    }
    std::abort();
  }
  return 0;
}
