// The whole way of a block on the real computer: ATA with bus-master DMA in the root, VMBus, SCSI
// in the child. The emulator's disks are not the project's own models, so this also tries the
// driver against a drive that others wrote.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "metal/launch/bochs.h"
#include "metal/launch/temporary_folder.h"
#include "tests/metal/on_bochs.h"

namespace {

constexpr std::size_t kDataBytes = 1 << 20;
constexpr std::size_t kScratchBytes = 4 << 20;

/// Bytes without a pattern that a lost or repeated sector would fit into.
std::vector<std::uint8_t> disk_content() {
  std::vector<std::uint8_t> content(kDataBytes);
  std::uint64_t state = 1;
  for (std::uint8_t& byte : content) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return content;
}

std::string sha256_of(const std::vector<std::uint8_t>& content) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  REQUIRE(EVP_Digest(content.data(), content.size(), digest.data(), &size, EVP_sha256(), nullptr) ==
          1);
  std::string text;
  for (unsigned index = 0; index < size; ++index) {
    text += "0123456789abcdef"[digest.at(index) >> 4];
    text += "0123456789abcdef"[digest.at(index) & 0xF];
  }
  return text;
}

bool contains(const std::vector<std::string>& log, const std::string& line) {
  return std::ranges::find(log, line) != log.end();
}

}  // namespace

TEST_CASE("two children read a real disk whole and verify their writes to another",
          "[metal][bochs][storage]") {
  const metal::TemporaryFolder folder;
  const std::filesystem::path data = folder.path() / "data.img";
  const std::filesystem::path scratch = folder.path() / "scratch.img";
  const std::vector<std::uint8_t> content = disk_content();
  std::ofstream(data, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
  std::ofstream(scratch).close();
  std::filesystem::resize_file(scratch, kScratchBytes);

  const metal::LaunchResult result =
      on_bochs::run({.image = STORAGE_IMAGE, .processors = 2, .disks = {data, scratch}});
  INFO(on_bochs::describe(result));
  CHECK(result.stop_code == 0);
  CHECK(result.violations.empty());
  for (const std::string child : {"[child 1] ", "[child 2] "}) {
    CHECK(contains(result.log, child + "disk 0 sha256 " + sha256_of(content)));
    CHECK(contains(result.log, child + "disk 1: 20 requests verified"));
    CHECK(contains(result.log, child + "done"));
  }
  CHECK(contains(result.log, "[root] all pages returned"));
}
