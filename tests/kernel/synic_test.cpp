#include "partitions/kernel/synic.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "hv/tlfs/msr.h"
#include "machine/guest.h"
#include "tests/kernel/kernel_fixture.h"

namespace {

constexpr std::uint32_t kSint = 3;

struct Recorder final : kernel::SintReceiver {
  void message_arrived(const hv::Message& message) override {
    messages.push_back(message);
    slots_were_free = slots_were_free && machine::load_u32(slot()) == 0;
  }
  [[nodiscard]] std::uint32_t event_flag_limit() const override { return flag_limit; }
  void event_flag_set(std::uint32_t flag) override { flags.push_back(flag); }

  static machine::Gpa slot() {
    const hv::OverlayPageRegister page(host_seam::computer().msrs[hv::kMsrSimp]);
    return machine::Gpa(page.page()) + kSint * hv::kMessageSlotBytes;
  }
  static machine::Gpa flag_area() {
    const hv::OverlayPageRegister page(host_seam::computer().msrs[hv::kMsrSiefp]);
    return machine::Gpa(page.page()) + kSint * hv::kEventFlagsAreaBytes;
  }

  std::vector<hv::Message> messages;
  std::vector<std::uint32_t> flags;
  std::uint32_t flag_limit = 0;
  bool slots_were_free = true;
};

void put_message(std::uint32_t type, std::uint8_t flags) {
  hv::Message message;
  message.header.type = static_cast<hv::MessageType>(type);
  message.header.payload_size = 1;
  message.header.flags = flags;
  message.header.origination = 77;
  message.payload[0] = std::byte{static_cast<std::uint8_t>(type)};
  machine::write_memory(Recorder::slot(), std::as_bytes(std::span(&message, 1)));
}

std::size_t eom_writes() {
  return static_cast<std::size_t>(
      std::ranges::count(host_seam::computer().msr_writes, hv::kMsrEom, &host_seam::MsrWrite::msr));
}

}  // namespace

TEST_CASE("a message is handed on after its slot was freed", "[kernel][synic]") {
  kernel_test::Booted booted;
  Recorder recorder;
  booted.processor().synic().attach(kSint, recorder);
  put_message(5, 0);
  booted.processor().synic().interrupted();
  CHECK(recorder.messages.empty());
  booted.run();
  REQUIRE(recorder.messages.size() == 1);
  CHECK(recorder.messages[0].header.origination == 77);
  CHECK(recorder.messages[0].payload[0] == std::byte{5});
  CHECK(recorder.slots_were_free);
  CHECK(eom_writes() == 0);
}

TEST_CASE("a message that others wait behind ends with EOM", "[kernel][synic]") {
  kernel_test::Booted booted;
  Recorder recorder;
  booted.processor().synic().attach(kSint, recorder);
  put_message(5, hv::MessageHeader::kMessagePending);
  booted.processor().synic().interrupted();
  booted.run();
  CHECK(recorder.messages.size() == 1);
  CHECK(eom_writes() == 1);
}

TEST_CASE("a pending bit that appears while the message is taken is not missed",
          "[kernel][synic]") {
  kernel_test::Booted booted;
  Recorder recorder;
  booted.processor().synic().attach(kSint, recorder);
  put_message(5, 0);
  host_seam::computer().before_exchange = [] {
    machine::store_u8(Recorder::slot() + 5, hv::MessageHeader::kMessagePending);
  };
  booted.processor().synic().interrupted();
  booted.run();
  CHECK(eom_writes() == 1);
}

TEST_CASE("event flags are told one by one and cleared", "[kernel][synic]") {
  kernel_test::Booted booted;
  Recorder recorder;
  recorder.flag_limit = 256;
  booted.processor().synic().attach(kSint, recorder);
  machine::store_u64(Recorder::flag_area(), 0x8000000000000002);
  machine::store_u64(Recorder::flag_area() + 24, 1);
  booted.processor().synic().interrupted();
  booted.run();
  CHECK(recorder.flags == std::vector<std::uint32_t>{1, 63, 192});
  CHECK(machine::load_u64(Recorder::flag_area()) == 0);
  CHECK(machine::load_u64(Recorder::flag_area() + 24) == 0);
}

TEST_CASE("only the words of event flags that can be set are looked at", "[kernel][synic]") {
  kernel_test::Booted booted;
  Recorder recorder;
  booted.processor().synic().attach(kSint, recorder);
  const auto scan_with_limit = [&](std::uint32_t limit) {
    recorder.flags.clear();
    recorder.flag_limit = limit;
    for (std::uint32_t byte = 0; byte < hv::kEventFlagsAreaBytes; byte += 8) {
      machine::store_u64(Recorder::flag_area() + byte, 1);
    }
    booted.processor().synic().interrupted();
    booted.run();
    return recorder.flags;
  };
  CHECK(scan_with_limit(0).empty());
  CHECK(scan_with_limit(1) == std::vector<std::uint32_t>{0});
  CHECK(scan_with_limit(64) == std::vector<std::uint32_t>{0});
  // The limit is asked for each time.
  CHECK(scan_with_limit(65) == std::vector<std::uint32_t>{0, 64});
  CHECK(scan_with_limit(hv::kEventFlagsPerSint).size() == hv::kEventFlagsPerSint / 64);
}
