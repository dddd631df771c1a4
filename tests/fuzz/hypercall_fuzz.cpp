// What a child may ask of the hypervisor: the fuzzer's bytes are its lies (partitions/child/lies/).
// The hypervisor and the root must outlive them, and get every page of the child back.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "machine/machine.h"
#include "partitions/child/lies/liar.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/hv/child_maker.h"
#include "tests/hv/test_kernel.h"

namespace {

using namespace test_kernel;
using child_maker::Child;
using hv::CallCode;
using hv::HypercallControl;
using hv::Status;

constexpr std::size_t kPages = 4;
constexpr machine::Gpa kPagesBase{0x50'0000};
constexpr std::uint32_t kConnections = 4;
constexpr std::uint32_t kSint = 2;
constexpr std::uint64_t kPatienceNs = 20'000'000;
constexpr std::uint64_t kLookAgainNs = 20'000;

class BytesAsLies final : public child::LieSource {
 public:
  explicit BytesAsLies(fuzz::FuzzInput& input) : input_(input) {}
  /// Small numbers take few bytes, so that a short input tells much.
  [[nodiscard]] std::uint64_t next() override {
    const auto first = input_.take<std::uint8_t>();
    return first < 0xF0 ? first : input_.take<std::uint64_t>();
  }

 private:
  fuzz::FuzzInput& input_;
};

/// The computer runs in this process: its guests find their input here.
struct Run {
  fuzz::FuzzInput* input = nullptr;
  bool over = false;
};
Run current;

void child_that_lies() {
  begin();
  child::Liar::expect_any_interrupt();
  std::array<machine::Gpn, kPages> pages;
  for (std::size_t page = 0; page < kPages; ++page) {
    pages[page] = kPagesBase.page() + page;
  }
  BytesAsLies lies(*current.input);
  child::Liar liar(lies, kHypercallPage, pages);
  machine::enable_interrupts();
  while (!current.input->empty()) {
    liar.lie();
    machine::spend(1'000);
  }
  current.over = true;
  machine::disable_interrupts();
  for (;;) {
    machine::sti_hlt();
  }
}

/// Half of its connections are for messages, half for events.
void connect(const Child& child) {
  for (std::uint32_t number = 1; number <= kConnections; ++number) {
    const bool messages = number % 2 == 0;
    hv::CreatePortInput port;
    port.port_partition = hv::kPartitionIdSelf;
    port.port = hv::PortId{number};
    port.connection_partition = child.id;
    port.info = messages ? hv::PortInfo::message(kSint, hv::VpIndex{0})
                         : hv::PortInfo::event(kSint, hv::VpIndex{0}, 0, 16);
    GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
    hv::ConnectPortInput connection;
    connection.connection_partition = child.id;
    connection.connection = hv::ConnectionId{number};
    connection.port_partition = hv::kPartitionIdSelf;
    connection.port = hv::PortId{number};
    connection.info.type = port.info.type;
    GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
                Status::kSuccess);
  }
}

/// The last page of its lies is also a monitor page, and says what is signalled through the others.
void connect_monitor(const Child& child) {
  constexpr machine::Gpa kRootsPlace{0x40'8000};
  constexpr std::uint32_t kNumber = kConnections + 1;
  hv::CreatePortInput port;
  port.port_partition = hv::kPartitionIdSelf;
  port.port = hv::PortId{kNumber};
  port.connection_partition = child.id;
  port.info.type = hv::PortType::kMonitor;
  port.info.sint = static_cast<std::uint32_t>(kRootsPlace.value());
  GUEST_CHECK(call(HypercallControl(CallCode::kCreatePort), port).status() == Status::kSuccess);
  hv::ConnectPortInput connection;
  connection.connection_partition = child.id;
  connection.connection = hv::ConnectionId{kNumber};
  connection.port_partition = hv::kPartitionIdSelf;
  connection.port = hv::PortId{kNumber};
  connection.info.type = hv::PortType::kMonitor;
  connection.info.gpa = kPagesBase.value() + (kPages - 1) * machine::kPageSize;
  GUEST_CHECK(call(HypercallControl(CallCode::kConnectPort), connection).status() ==
              Status::kSuccess);
  machine::store_u32(kRootsPlace, hv::kMonitorAllGroups);
}

void root_that_looks_on() {
  begin();
  const Child child = child_maker::make("child");
  connect(child);
  connect_monitor(child);
  child_maker::start(child, 0);
  for (std::uint64_t waited = 0; !current.over && waited < kPatienceNs; waited += kLookAgainNs) {
    machine::spend(kLookAgainNs);
    machine::pause();
  }
  child_maker::destroy(child);
  end(0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::FuzzInput input(data, size);
  current = {&input, false};
  const sim::RunResult result = run(world_with_child(root_that_looks_on, child_that_lies));
  current = {};
  if (!result.passed()) {
    std::fprintf(stderr, "%s\n", describe(result).c_str());
    std::abort();
  }
  return 0;
}
