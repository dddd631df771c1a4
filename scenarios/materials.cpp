#include "scenarios/materials.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <span>
#include <stdexcept>

namespace scenarios {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kSectorBytes = 512;
/// Content is held in memory.
constexpr std::uint64_t kMaxContentBytes = 4096 * kMiB;

std::expected<sim::Bytes, std::string> read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return std::unexpected(fmt::format("{}: is not a file that can be read", path.string()));
  }
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error || size > kMaxContentBytes) {
    return std::unexpected(
        fmt::format("{}: is larger than {} MiB", path.string(), kMaxContentBytes / kMiB));
  }
  std::ifstream stream(path, std::ios::binary);
  sim::Bytes bytes(size);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream || static_cast<std::uint64_t>(stream.gcount()) != size) {
    return std::unexpected(fmt::format("{}: cannot be read", path.string()));
  }
  return bytes;
}

std::expected<DiskMaterial, std::string> make_material(const DiskDescription& disk,
                                                       sim::Bytes content) {
  DiskMaterial material;
  const std::uint64_t sectors = (content.size() + kSectorBytes - 1) / kSectorBytes;
  material.size_bytes = disk.size_mib != 0 ? disk.size_mib * kMiB : sectors * kSectorBytes;
  if (disk.size_mib == 0) {
    material.padding_bytes = static_cast<std::uint32_t>(material.size_bytes - content.size());
  }
  if (content.size() > material.size_bytes) {
    return std::unexpected(fmt::format("disk \"{}\": its content has {} bytes, but size_mib is {}",
                                       disk.name, content.size(), disk.size_mib));
  }
  if (material.size_bytes == 0) {
    return std::unexpected(fmt::format("disk \"{}\": its content is empty", disk.name));
  }
  if (!content.empty()) {
    material.content = std::make_shared<const sim::Bytes>(std::move(content));
  }
  return material;
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
      throw std::runtime_error("libcrypto offers no SHA-256");
    }
  }
  void add(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
      throw std::runtime_error("libcrypto cannot compute SHA-256");
    }
  }
  [[nodiscard]] std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1) {
      throw std::runtime_error("libcrypto cannot compute SHA-256");
    }
    std::string text;
    for (unsigned int index = 0; index < size; ++index) {
      text += fmt::format("{:02x}", digest[index]);
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::expected<Materials, std::string> make_materials(const Scenario& scenario,
                                                     std::vector<sim::Bytes> contents) {
  if (contents.size() != scenario.disks.size()) {
    return std::unexpected(
        fmt::format("the scenario has {} disks, not {}", scenario.disks.size(), contents.size()));
  }
  Materials materials;
  for (std::size_t index = 0; index < contents.size(); ++index) {
    auto material = make_material(scenario.disks[index], std::move(contents[index]));
    if (!material) {
      return std::unexpected(material.error());
    }
    materials.disks.push_back(std::move(*material));
  }
  return materials;
}

std::expected<Materials, std::string> load_materials(const Scenario& scenario,
                                                     const MaterialOptions& options) {
  const bool has_data_disk = scenario.workload.kind == WorkloadKind::kStorage;
  if (options.data_disk && !has_data_disk) {
    return std::unexpected(fmt::format("--disk: scenario \"{}\" reads no disk", scenario.name));
  }
  std::vector<sim::Bytes> contents;
  for (std::size_t index = 0; index < scenario.disks.size(); ++index) {
    const DiskDescription& disk = scenario.disks[index];
    std::optional<std::filesystem::path> path;
    if (options.data_disk && index == scenario.workload.data_disk) {
      path = options.data_disk;
    } else if (disk.content == DiskContent::kExt4Image) {
      path = options.ext4_image;
    } else if (disk.content == DiskContent::kFile) {
      path = scenario.path.parent_path() / disk.file;
    }
    sim::Bytes bytes;
    if (path) {
      auto read = read_file(*path);
      if (!read) {
        return std::unexpected(read.error());
      }
      bytes = std::move(*read);
    }
    contents.push_back(std::move(bytes));
  }
  return make_materials(scenario, std::move(contents));
}

std::string sha256_of(const DiskMaterial& disk) {
  Sha256 sha256;
  std::uint64_t rest = disk.size_bytes - disk.padding_bytes;
  if (disk.content != nullptr) {
    sha256.add(*disk.content);
    rest -= disk.content->size();
  }
  const std::vector<std::byte> zeros(64 * 1024);
  while (rest != 0) {
    const std::uint64_t bytes = std::min<std::uint64_t>(rest, zeros.size());
    sha256.add(std::span(zeros).first(bytes));
    rest -= bytes;
  }
  return sha256.finish();
}

std::string sha256_of(const sim::Bytes& bytes) {
  Sha256 sha256;
  sha256.add(bytes);
  return sha256.finish();
}

}  // namespace scenarios
