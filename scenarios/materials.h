// Every external byte that a run reads: the disks' content, read once and shared by all worlds.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/world.h"

namespace scenarios {

struct DiskMaterial {
  /// Null for a disk of zeros.
  std::shared_ptr<const sim::Bytes> content;
  std::uint64_t size_bytes = 0;
  /// Zeros that fill the last sector behind the content of a disk that is as large as its content:
  /// no part of its digest, which is that of the file.
  std::uint32_t padding_bytes = 0;
};

struct Materials {
  /// In the order of Scenario::disks.
  std::vector<DiskMaterial> disks;
};

struct MaterialOptions {
  /// Takes the place of the data disk's content (`--disk`).
  std::optional<std::filesystem::path> data_disk;
  /// The ext4 image that the build made.
  std::filesystem::path ext4_image;
};

/// Reads the files. The error is one line for people.
[[nodiscard]] std::expected<Materials, std::string> load_materials(const Scenario& scenario,
                                                                   const MaterialOptions& options);

/// The same from contents that a recording holds: one for each disk, empty for a disk of zeros.
[[nodiscard]] std::expected<Materials, std::string> make_materials(
    const Scenario& scenario, std::vector<sim::Bytes> contents);

/// SHA-256 of a whole disk, the zeros behind its content included but for the padding, in
/// lower-case hexadecimal. By OpenSSL: the guests compute their own.
[[nodiscard]] std::string sha256_of(const DiskMaterial& disk);
[[nodiscard]] std::string sha256_of(const sim::Bytes& bytes);

}  // namespace scenarios
