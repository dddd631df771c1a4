// A ring in guest pages: every access goes where the page list says.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/seam_record.h"
#include "vmbus/ring.h"

using namespace vmbus;
using machine::Gpn;
using seam_record::Access;
using seam_record::AccessKind;

namespace {

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t index = 0; index < size; ++index) {
    bytes[index] = static_cast<std::byte>(index * 7 + index / 256);
  }
  return bytes;
}

}  // namespace

TEST_CASE("the control words lie in the first page at their published offsets",
          "[vmbus][ring][memory]") {
  seam_record::clear();
  const std::vector<Gpn> pages = {Gpn(9), Gpn(4)};
  GpaPagesMemory memory(pages);
  CHECK(memory.data_size() == 4096);
  memory.store_u32(RingWord::kWriteIndex, 1);
  memory.store_u32(RingWord::kReadIndex, 2);
  memory.store_u32(RingWord::kInterruptMask, 3);
  memory.store_u32(RingWord::kPendingSendSize, 4);
  memory.store_u32(RingWord::kFeatureBits, 5);
  const std::uint64_t page = 9 * 4096;
  CHECK(seam_record::record().accesses == std::vector<Access>{{AccessKind::kStore, page, 1},
                                                              {AccessKind::kStore, page + 4, 2},
                                                              {AccessKind::kStore, page + 8, 3},
                                                              {AccessKind::kStore, page + 12, 4},
                                                              {AccessKind::kStore, page + 64, 5}});
  CHECK(memory.load_u32(RingWord::kPendingSendSize) == 4);
}

TEST_CASE("a copy is split where pages do not lie one behind the other", "[vmbus][ring][memory]") {
  seam_record::clear();
  // Data pages 20, 21, 5, 6: one seam between the second and the third.
  const std::vector<Gpn> pages = {Gpn(3), Gpn(20), Gpn(21), Gpn(5), Gpn(6)};
  GpaPagesMemory memory(pages);
  const auto bytes = pattern(4 * 4096);
  memory.copy_in(0, bytes);
  CHECK(seam_record::record().accesses ==
        std::vector<Access>{{AccessKind::kWrite, 20 * 4096, 8192},
                            {AccessKind::kWrite, 5 * 4096, 8192}});
  std::vector<std::byte> out(5000);
  memory.copy_out(8000, out);
  CHECK(std::equal(out.begin(), out.end(), bytes.begin() + 8000));
}

TEST_CASE("neighbouring pages are copied in one piece", "[vmbus][ring][memory]") {
  seam_record::clear();
  const std::vector<Gpn> pages = {Gpn(30), Gpn(31), Gpn(32), Gpn(33)};
  GpaPagesMemory memory(pages);
  memory.copy_in(100, pattern(9000));
  CHECK(seam_record::record().accesses ==
        std::vector<Access>{{AccessKind::kWrite, 31 * 4096 + 100, 9000}});
}

TEST_CASE("every split of every copy over scattered pages is right", "[vmbus][ring][memory]") {
  const std::vector<Gpn> pages = {Gpn(8), Gpn(40), Gpn(10), Gpn(11), Gpn(39)};
  GpaPagesMemory memory(pages);
  const auto bytes = pattern(4 * 4096);
  for (const std::uint32_t offset : {0u, 8u, 4088u, 4096u, 4104u, 8184u, 12280u, 12288u}) {
    for (const std::uint32_t size : {1u, 8u, 16u, 24u, 4096u, 4104u}) {
      if (offset + size > bytes.size()) {
        continue;
      }
      CAPTURE(offset, size);
      seam_record::clear();
      memory.copy_in(offset, std::span(bytes).first(size));
      std::vector<std::byte> out(size);
      memory.copy_out(offset, out);
      CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
      std::uint64_t written = 0;
      for (const Access& access : seam_record::record().accesses) {
        written += access.kind == AccessKind::kWrite ? access.value_or_size : 0;
      }
      CHECK(written == size);
    }
  }
}

TEST_CASE("a ring over scattered guest pages carries packets around its end",
          "[vmbus][ring][memory]") {
  seam_record::clear();
  const std::vector<Gpn> pages = {Gpn(50), Gpn(60), Gpn(55)};
  RingWriter<GpaPagesMemory> writer{GpaPagesMemory(pages)};
  RingReader<GpaPagesMemory> reader{GpaPagesMemory(pages)};
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto payload = pattern(100 + round * 7 % 900);
    OutgoingPacket packet;
    packet.transaction_id = round;
    packet.payload = payload;
    REQUIRE(writer.write(packet) == RingStatus::kDone);
    REQUIRE(writer.publish() == PublishResult::kSignal);
    PacketView view;
    std::vector<std::byte> out(2048);
    REQUIRE(reader.read(view, out) == RingStatus::kDone);
    REQUIRE(view.transaction_id == round);
    REQUIRE(std::equal(payload.begin(), payload.end(), out.begin()));
    REQUIRE(reader.publish() == PublishResult::kNoSignal);
  }
}

TEST_CASE("a fence of the ring is a fence of the machine", "[vmbus][ring][memory]") {
  seam_record::clear();
  const std::vector<Gpn> pages = {Gpn(50), Gpn(51)};
  GpaPagesMemory(pages).fence();
  CHECK(seam_record::record().accesses == std::vector<Access>{{AccessKind::kFence, 0, 0}});
}
