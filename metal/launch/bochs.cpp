#include "metal/launch/bochs.h"

#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "metal/launch/child_process.h"
#include "metal/launch/serial_log.h"
#include "metal/launch/temporary_folder.h"

namespace metal {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollInterval{10};
constexpr std::size_t kEmulatorLines = 20;
constexpr const char* kConfigurationFile = "bochsrc";
constexpr const char* kDebuggerFile = "debugger";
constexpr const char* kSerialFile = "com1";
constexpr const char* kOutputFile = "output";

/// The clock follows the executed instructions alone, so that a run repeats exactly.
void write_configuration(const LaunchOptions& options, const fs::path& file) {
  std::ofstream stream(file);
  stream << "display_library: term\n"
         << "megs: " << options.memory_mib << '\n'
         << "cpu: model=" << options.cpu_model << ", count=" << options.processors
         << ", ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1\n"
         << "romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot\n"
         << "vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest\n"
         << "pci: enabled=1, chipset=i440fx\n"
         << "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
         << "ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15\n"
         << "ata1-master: type=cdrom, path=\"" << fs::absolute(options.image).string()
         << "\", status=inserted\n";
  const char* const drives[] = {"ata0-master", "ata0-slave"};
  for (std::size_t index = 0; index < options.disks.size(); ++index) {
    stream << drives[index] << ": type=disk, mode=flat, path=\""
           << fs::absolute(options.disks[index]).string() << "\"\n";
  }
  stream << "boot: cdrom\n"
         << "clock: sync=none, time0=946684800\n"
         << "com1: enabled=1, mode=file, dev=" << kSerialFile << '\n'
         << "mouse: enabled=0\n"
         << "panic: action=fatal\n"
         << "sound: driver=dummy\n"
         << "plugin_ctrl: speaker=0, biosdev=1\n";
}

void check_options(const LaunchOptions& options) {
  if (!fs::exists(options.image)) {
    throw std::runtime_error("there is no image " + options.image.string());
  }
  if (options.cpu_model.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") !=
      std::string::npos) {
    throw std::runtime_error("there is no processor model '" + options.cpu_model + "'");
  }
  if (options.disks.size() > 2) {
    throw std::runtime_error("Bochs is given at most two disks");
  }
  for (const fs::path& disk : options.disks) {
    if (!fs::exists(disk)) {
      throw std::runtime_error("there is no disk image " + disk.string());
    }
  }
}

/// Passes on what has been added to a file since the last call.
class FileFollower {
 public:
  explicit FileFollower(fs::path file) : file_(std::move(file)) {}

  void pass_to(SerialLog& log) {
    std::ifstream stream(file_, std::ios::binary);
    if (!stream.seekg(position_)) {
      return;
    }
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    position_ += static_cast<std::streamoff>(bytes.size());
    log.append(bytes);
  }

 private:
  fs::path file_;
  std::streamoff position_ = 0;
};

std::vector<std::string> last_lines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    std::erase_if(line, [](char character) { return character < ' '; });
    lines.push_back(std::move(line));
    if (lines.size() > kEmulatorLines) {
      lines.erase(lines.begin());
    }
  }
  return lines;
}

/// Whether it ended before the limit.
bool wait_for_end(ChildProcess& process, FileFollower& serial, SerialLog& log,
                  Clock::time_point end) {
  while (!process.has_ended()) {
    serial.pass_to(log);
    if (Clock::now() >= end) {
      process.kill();
      return false;
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

/// Bochs marks the disk images that it uses, and leaves the marks behind when it is killed: the
/// next run would refuse the images.
void remove_locks(const LaunchOptions& options) {
  for (const fs::path& disk : options.disks) {
    std::error_code ignored;
    fs::remove(disk.string() + ".lock", ignored);
  }
}

LaunchResult launch(const LaunchOptions& options) {
  check_options(options);
  const Clock::time_point begin = Clock::now();
  const TemporaryFolder folder;
  write_configuration(options, folder.path() / kConfigurationFile);
  // The debugger starts the run, and quits when the program breaks into it (machine::stop).
  std::ofstream(folder.path() / kDebuggerFile) << "c\nq\n";
  ChildProcess process(
      {.arguments = {"bochs", "-q", "-f", kConfigurationFile, "-rc", kDebuggerFile},
       .folder = folder.path(),
       .output = folder.path() / kOutputFile});
  FileFollower serial(folder.path() / kSerialFile);
  SerialLog log(options.on_line);
  const bool ended = wait_for_end(process, serial, log, begin + options.limit);
  if (!ended) {
    remove_locks(options);
  }
  serial.pass_to(log);
  log.finish();

  LaunchResult result;
  result.wall_time = Clock::now() - begin;
  result.log = log.guest_lines();
  result.reports = log.reports();
  result.violations = log.violations();
  if (log.stop_code().has_value()) {
    result.end = LaunchEnd::kStopped;
    result.stop_code = *log.stop_code();
  } else {
    result.end = ended ? LaunchEnd::kEmulatorEnded : LaunchEnd::kHung;
    result.emulator_messages = last_lines(folder.path() / kOutputFile);
  }
  return result;
}

}  // namespace

LaunchResult run_bochs(const LaunchOptions& options) noexcept {
  try {
    return launch(options);
  } catch (const std::exception& problem) {
    LaunchResult result;
    result.error = problem.what();
    return result;
  }
}

std::optional<fs::path> find_image(std::string_view name) noexcept {
  try {
    const fs::path program = fs::read_symlink("/proc/self/exe");
    fs::path image = program.parent_path() / "metal" / (std::string(name) + ".iso");
    if (fs::exists(image)) {
      return image;
    }
  } catch (const std::exception&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace metal
