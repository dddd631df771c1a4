#include "scenarios/recording.h"

#include <fmt/format.h>
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <stdexcept>

namespace scenarios {
namespace {

constexpr std::string_view kMagic = "CHRONREC";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 40;
constexpr int kCompressionLevel = 3;
/// More than any recording needs; what claims to be larger is refused before memory is taken.
constexpr std::uint64_t kMaxUnpackedBytes = std::uint64_t{16} << 30;

void put_word(std::span<std::byte> bytes, std::uint64_t value) {
  for (std::size_t index = 0; index < 8; ++index) {
    bytes[index] = static_cast<std::byte>(value >> (8 * index));
  }
}

std::uint64_t get_word(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t index = 8; index-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[index]);
  }
  return value;
}

/// What comes before the disks' content, and after it.
void serialize_head(const Recording& recording, ByteWriter& writer) {
  writer.text(recording.build);
  writer.text(recording.scenario_path);
  writer.text(recording.scenario_text);
  writer.number(recording.seed);
  writer.number(recording.until_ns ? 1 : 0);
  writer.number(recording.until_ns.value_or(0));
  writer.number(recording.disks.size());
}

void serialize_tail(const Recording& recording, ByteWriter& writer) {
  writer.number(recording.log.kinds.size());
  for (const DecisionKind& kind : recording.log.kinds) {
    writer.text(kind.name);
    writer.number(kind.domain);
  }
  writer.number(recording.log.decision_count);
  writer.bytes(recording.log.decisions);
  writer.number(recording.log.hashes.size());
  for (const StateHash& hash : recording.log.hashes) {
    writer.number(hash.operation);
    writer.word(hash.hash);
  }
  writer.number(static_cast<std::uint64_t>(recording.outcome));
  writer.word(recording.trace_hash);
  writer.number(recording.events);
  writer.number(recording.virtual_ns);
}

/// A zstd frame of pieces that lie apart: disks are large, and most recordings are never written.
class Compressor {
 public:
  explicit Compressor(sim::Bytes& to) : to_(to), context_(ZSTD_createCCtx(), &ZSTD_freeCCtx) {
    check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kCompressionLevel));
  }

  void add_all(std::span<const std::span<const std::byte>> pieces) {
    std::uint64_t total = 0;
    for (const std::span<const std::byte> piece : pieces) {
      total += piece.size();
    }
    check(ZSTD_CCtx_setPledgedSrcSize(context_.get(), total));
    for (const std::span<const std::byte> piece : pieces) {
      ZSTD_inBuffer input{piece.data(), piece.size(), 0};
      while (input.pos < input.size) {
        step(input, ZSTD_e_continue);
      }
    }
    ZSTD_inBuffer nothing{nullptr, 0, 0};
    while (step(nothing, ZSTD_e_end) != 0) {
    }
  }

 private:
  static std::size_t check(std::size_t result) {
    if (ZSTD_isError(result) != 0) {
      throw std::runtime_error("zstd cannot compress the recording");
    }
    return result;
  }
  std::size_t step(ZSTD_inBuffer& input, ZSTD_EndDirective directive) {
    ZSTD_outBuffer output{chunk_.data(), chunk_.size(), 0};
    const std::size_t left =
        check(ZSTD_compressStream2(context_.get(), &output, &input, directive));
    const auto made = std::span(chunk_).first(output.pos);
    to_.insert(to_.end(), made.begin(), made.end());
    return left;
  }

  sim::Bytes& to_;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  sim::Bytes chunk_ = sim::Bytes(ZSTD_CStreamOutSize());
};

/// Checks that replaying can rely on: each decision names a kind.
void check_decisions(const DecisionLog& log) {
  ByteReader reader(log.decisions);
  for (std::uint64_t index = 0; index < log.decision_count; ++index) {
    if (reader.number() >= log.kinds.size()) {
      throw BadBytes("a decision of no known name");
    }
    static_cast<void>(reader.number());
    static_cast<void>(reader.number());
  }
  if (!reader.at_end()) {
    throw BadBytes("more decisions than counted");
  }
}

DecisionLog read_log(ByteReader& reader) {
  DecisionLog log;
  for (std::uint64_t left = reader.count(); left != 0; --left) {
    DecisionKind kind;
    kind.name = reader.text();
    kind.domain = static_cast<std::uint32_t>(reader.number());
    log.kinds.push_back(std::move(kind));
  }
  log.decision_count = reader.number();
  const std::span<const std::byte> decisions = reader.bytes();
  log.decisions.assign(decisions.begin(), decisions.end());
  check_decisions(log);
  for (std::uint64_t left = reader.count(); left != 0; --left) {
    StateHash hash;
    hash.operation = reader.number();
    hash.hash = reader.word();
    log.hashes.push_back(hash);
  }
  return log;
}

Recording deserialize(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  Recording recording;
  recording.build = reader.text();
  recording.scenario_path = reader.text();
  recording.scenario_text = reader.text();
  recording.seed = reader.number();
  const bool has_until = reader.number() != 0;
  const std::uint64_t until_ns = reader.number();
  if (has_until) {
    recording.until_ns = until_ns;
  }
  for (std::uint64_t left = reader.count(); left != 0; --left) {
    const std::span<const std::byte> disk = reader.bytes();
    recording.disks.push_back(
        disk.empty() ? nullptr : std::make_shared<const sim::Bytes>(disk.begin(), disk.end()));
  }
  recording.log = read_log(reader);
  const std::uint64_t outcome = reader.number();
  if (outcome > static_cast<std::uint64_t>(sim::Outcome::kHarnessError)) {
    throw BadBytes("an unknown outcome");
  }
  recording.outcome = static_cast<sim::Outcome>(outcome);
  recording.trace_hash = reader.word();
  recording.events = reader.number();
  recording.virtual_ns = reader.number();
  if (!reader.at_end()) {
    throw BadBytes("something follows the end");
  }
  return recording;
}

std::expected<sim::Bytes, std::string> decompress(std::span<const std::byte> packed,
                                                  std::uint64_t unpacked_bytes) {
  const unsigned long long told = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (unpacked_bytes > kMaxUnpackedBytes || told != unpacked_bytes) {
    return std::unexpected("is damaged: its sizes contradict each other");
  }
  sim::Bytes unpacked(unpacked_bytes);
  const std::size_t size =
      ZSTD_decompress(unpacked.data(), unpacked.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) != 0 || size != unpacked_bytes) {
    return std::unexpected("is damaged: it cannot be unpacked");
  }
  return unpacked;
}

}  // namespace

Recording make_recording(const RunRequest& request, const RunReport& report, DecisionLog log) {
  Recording recording;
  recording.build = build_identity();
  recording.scenario_path = request.scenario.path.filename().string();
  recording.scenario_text = request.scenario.text;
  recording.seed = request.seed;
  recording.until_ns = request.until_ns;
  for (const DiskMaterial& disk : request.materials.disks) {
    recording.disks.push_back(disk.content);
  }
  recording.log = std::move(log);
  recording.outcome = report.result.outcome;
  recording.trace_hash = report.result.trace_hash;
  recording.events = report.result.events;
  recording.virtual_ns = report.result.virtual_ns;
  return recording;
}

sim::Bytes pack(const Recording& recording) {
  // Each piece but the last is followed by the size of the next disk's content.
  std::vector<ByteWriter> writers(1 + recording.disks.size());
  std::vector<std::span<const std::byte>> pieces;
  serialize_head(recording, writers.front());
  for (std::size_t index = 0; index < recording.disks.size(); ++index) {
    const auto& disk = recording.disks[index];
    writers[index].number(disk != nullptr ? disk->size() : 0);
    pieces.emplace_back(writers[index].written());
    if (disk != nullptr) {
      pieces.emplace_back(*disk);
    }
  }
  serialize_tail(recording, writers.back());
  pieces.emplace_back(writers.back().written());
  std::uint64_t unpacked_bytes = 0;
  for (const std::span<const std::byte> piece : pieces) {
    unpacked_bytes += piece.size();
  }
  sim::Bytes file(kHeaderBytes);
  Compressor(file).add_all(pieces);
  const std::size_t size = file.size() - kHeaderBytes;
  const std::span<std::byte> header = std::span(file).first(kHeaderBytes);
  std::ranges::copy(std::as_bytes(std::span(kMagic)), header.begin());
  put_word(header.subspan(8), kVersion);
  put_word(header.subspan(16), size);
  put_word(header.subspan(24), unpacked_bytes);
  put_word(header.subspan(32), XXH3_64bits(file.data() + kHeaderBytes, size));
  return file;
}

std::expected<Recording, std::string> unpack(std::span<const std::byte> bytes) {
  if (bytes.size() < kMagic.size() ||
      !std::ranges::equal(bytes.first(kMagic.size()), std::as_bytes(std::span(kMagic)))) {
    return std::unexpected("is no recording of Chronovisor");
  }
  if (bytes.size() < kHeaderBytes) {
    return std::unexpected("is cut off within its header");
  }
  const std::uint64_t version = get_word(bytes.subspan(8));
  if (version != kVersion) {
    return std::unexpected(
        fmt::format("has version {} of the format; this program reads {}", version, kVersion));
  }
  const std::span<const std::byte> packed = bytes.subspan(kHeaderBytes);
  const std::uint64_t size = get_word(bytes.subspan(16));
  if (packed.size() < size) {
    return std::unexpected(
        fmt::format("is cut off: {} of {} bytes are there", bytes.size(), kHeaderBytes + size));
  }
  if (packed.size() > size) {
    return std::unexpected("is damaged: something follows its end");
  }
  if (XXH3_64bits(packed.data(), packed.size()) != get_word(bytes.subspan(32))) {
    return std::unexpected("is damaged: its checksum does not fit");
  }
  const auto unpacked = decompress(packed, get_word(bytes.subspan(24)));
  if (!unpacked) {
    return std::unexpected(unpacked.error());
  }
  try {
    return deserialize(*unpacked);
  } catch (const BadBytes& bad) {
    return std::unexpected(fmt::format("is damaged: {}", bad.what()));
  }
}

std::expected<void, std::string> write_recording(const Recording& recording,
                                                 const std::filesystem::path& path) {
  const sim::Bytes bytes = pack(recording);
  std::filesystem::path partial = path;
  partial += ".partial";
  {
    std::ofstream stream(partial, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    stream.close();
    if (!stream) {
      return std::unexpected(fmt::format("{}: cannot be written", path.string()));
    }
  }
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  if (error) {
    return std::unexpected(fmt::format("{}: {}", path.string(), error.message()));
  }
  return {};
}

std::expected<Recording, std::string> read_recording(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return std::unexpected(fmt::format("{}: is not a file that can be read", path.string()));
  }
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error || size > kMaxUnpackedBytes) {
    return std::unexpected(fmt::format("{}: is too large for a recording", path.string()));
  }
  sim::Bytes bytes(size);
  std::ifstream stream(path, std::ios::binary);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream) {
    return std::unexpected(fmt::format("{}: cannot be read", path.string()));
  }
  auto recording = unpack(bytes);
  if (!recording) {
    return std::unexpected(fmt::format("{}: {}", path.string(), recording.error()));
  }
  return recording;
}

const std::string& build_identity() {
  static const std::string identity = [] {
    std::error_code error;
    const std::filesystem::path path("/proc/self/exe");
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    std::string bytes(error ? 0 : size, '\0');
    std::ifstream(path, std::ios::binary)
        .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return fmt::format("chronovisor {:016x}", XXH3_64bits(bytes.data(), bytes.size()));
  }();
  return identity;
}

}  // namespace scenarios
