// Runs the program as a user would and looks at exit codes, files and JSON.
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace {

struct Output {
  int code = -1;
  std::string text;
};

Output call_as(const std::string& program, const std::string& arguments) {
  const std::string command = program + " " + arguments + " 2>&1";
  Output output;
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  std::size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0) {
    output.text.append(buffer.data(), size);
  }
  const int status = ::pclose(pipe);
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

Output call(const std::string& arguments) { return call_as(CHRONOVISOR_PROGRAM, arguments); }

std::string scenario(const std::string& name) {
  return std::string(CHRONOVISOR_SCENARIOS) + "/" + name + ".toml";
}

/// A folder of the test's own, the current one for as long as it lives.
struct Folder {
  std::filesystem::path path;
  std::filesystem::path before = std::filesystem::current_path();

  Folder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "chronovisor-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    std::filesystem::current_path(path);
  }
  ~Folder() {
    std::filesystem::current_path(before);
    std::filesystem::remove_all(path);
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
  /// hello with a virtual time that cannot be enough.
  std::string hopeless() const {
    std::ifstream stream(scenario("hello"));
    std::string text((std::istreambuf_iterator<char>(stream)), {});
    const std::size_t place = text.find("\"60s\"");
    REQUIRE(place != std::string::npos);
    return write("hopeless.toml", text.replace(place, 5, "\"3ms\""));
  }
};

nlohmann::json json_of(const Output& output) {
  INFO(output.text);
  const auto json = nlohmann::json::parse(output.text, nullptr, false);
  REQUIRE(json.is_object());
  return json;
}

}  // namespace

TEST_CASE("a scenario that holds passes with exit code 0", "[command_line]") {
  const Folder folder;
  const Output output = call("run " + scenario("hello"));
  INFO(output.text);
  REQUIRE(output.code == 0);
  REQUIRE(output.text.contains("hello, seed 1: pass"));
  REQUIRE(output.text.contains("trace hash"));
  REQUIRE(std::filesystem::is_empty(folder.path));
}

TEST_CASE("JSON has every field with its type", "[command_line]") {
  const Folder folder;
  const auto json = json_of(call("run " + scenario("hello") + " --seed 5 --json"));
  REQUIRE(json.at("scenario") == "hello");
  REQUIRE(json.at("seed") == 5);
  REQUIRE(json.at("result") == "pass");
  const std::string hash = json.at("trace_hash");
  REQUIRE(hash.size() == 16);
  REQUIRE(hash.find_first_not_of("0123456789abcdef") == std::string::npos);
  for (const char* key : {"events", "vm_exits", "virtual_ns", "wall_ns"}) {
    INFO(key);
    REQUIRE(json.at(key).is_number_unsigned());
    REQUIRE(json.at(key) > 0);
  }
  REQUIRE(json.at("violations") == nlohmann::json::array());
  REQUIRE(json.at("sometimes").is_object());
  REQUIRE(json.at("log").is_array());
  REQUIRE_FALSE(json.at("log").empty());
}

TEST_CASE("the same seed gives the same hash, alone or among others", "[command_line]") {
  const Folder folder;
  const auto first = json_of(call("run " + scenario("hello") + " --seed 3 --json"));
  const auto again = json_of(call("run " + scenario("hello") + " --seed 3 --json"));
  REQUIRE(first.at("trace_hash") == again.at("trace_hash"));
  const auto one_job = json_of(call("run " + scenario("hello") + " --seeds 1..8 --json"));
  const auto jobs = json_of(call("run " + scenario("hello") + " --seeds 1..8 --jobs 4 --json"));
  REQUIRE(one_job.at("runs").size() == 8);
  for (std::size_t index = 0; index < 8; ++index) {
    const auto& run = one_job.at("runs")[index];
    REQUIRE(run.at("seed") == index + 1);
    REQUIRE(run.at("trace_hash") == jobs.at("runs")[index].at("trace_hash"));
  }
  REQUIRE(one_job.at("runs")[2].at("trace_hash") == first.at("trace_hash"));
  REQUIRE(one_job.at("runs")[1].at("trace_hash") != first.at("trace_hash"));
}

TEST_CASE("a violated property is exit code 1 and leaves a recording that replays",
          "[command_line]") {
  const Folder folder;
  const Output output = call("run " + folder.hopeless());
  INFO(output.text);
  REQUIRE(output.code == 1);
  REQUIRE(output.text.contains("VIOLATED: the run ends within its virtual time"));
  const std::string command = "replay hello-seed-1.chrono";
  REQUIRE(output.text.contains(command));
  REQUIRE(std::filesystem::exists("hello-seed-1.chrono"));
  std::filesystem::remove("hopeless.toml");  // the recording needs no other file
  const Output replay = call(command);
  INFO(replay.text);
  REQUIRE(replay.code == 1);
  REQUIRE(replay.text.contains("the replay went as recorded"));
}

TEST_CASE("JSON tells violations", "[command_line]") {
  const Folder folder;
  const Output output = call("run " + folder.hopeless() + " --json");
  REQUIRE(output.code == 1);
  const auto json = json_of(output);
  REQUIRE(json.at("result") == "fail");
  REQUIRE(json.at("violations").size() == 1);
  const auto& violation = json.at("violations")[0];
  REQUIRE(violation.at("property").is_string());
  REQUIRE(violation.at("virtual_ns").is_number_unsigned());
  REQUIRE(violation.at("event").is_number_unsigned());
  REQUIRE(violation.at("message").is_string());
}

TEST_CASE("--until ends a run without failing it", "[command_line]") {
  const Folder folder;
  const auto json = json_of(call("run " + scenario("hello") + " --until 3ms --json"));
  REQUIRE(json.at("result") == "pass");
  REQUIRE(json.at("virtual_ns") <= 4'000'000);
}

TEST_CASE("a recording replays to the same hash", "[command_line]") {
  const Folder folder;
  const auto run = json_of(call("run " + scenario("hello") + " --seed 9 --record r.chrono --json"));
  REQUIRE(run.at("recording") == "r.chrono");
  const Output output = call("replay r.chrono --json");
  REQUIRE(output.code == 0);
  const auto replay = json_of(output);
  REQUIRE(replay.at("trace_hash") == run.at("trace_hash"));
  REQUIRE(replay.at("log") == run.at("log"));
  REQUIRE(replay.at("seed") == 9);
}

TEST_CASE("several seeds record into files of their own", "[command_line]") {
  const Folder folder;
  REQUIRE(call("run " + scenario("hello") + " --seeds 1..2 --record r.chrono").code == 0);
  REQUIRE(std::filesystem::exists("r-1.chrono"));
  REQUIRE(std::filesystem::exists("r-2.chrono"));
}

TEST_CASE("damaged and foreign recordings are bad input", "[command_line]") {
  const Folder folder;
  REQUIRE(call("run " + scenario("hello") + " --record whole.chrono").code == 0);
  std::ifstream stream("whole.chrono", std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  folder.write("cut.chrono", bytes.substr(0, bytes.size() / 2));
  std::string turned = bytes;
  turned[turned.size() / 2] = static_cast<char>(turned[turned.size() / 2] ^ 1);
  folder.write("turned.chrono", turned);
  folder.write("foreign.chrono", "\x89PNG\r\n and so on");
  folder.write("empty.chrono", "");
  for (const char* name : {"cut", "turned", "foreign", "empty", "missing"}) {
    const Output output = call(std::string("replay ") + name + ".chrono");
    INFO(output.text);
    REQUIRE(output.code == 2);
    REQUIRE(output.text.starts_with("error: "));
    REQUIRE(output.text.contains(name));
  }
}

TEST_CASE("a trace is JSON with tracks", "[command_line]") {
  const Folder folder;
  REQUIRE(call("run " + scenario("hello") + " --trace t.json").code == 0);
  std::ifstream stream("t.json");
  const auto trace = nlohmann::json::parse(stream, nullptr, false);
  REQUIRE(trace.is_object());
  REQUIRE(trace.at("traceEvents").size() > 10);
}

TEST_CASE("bad usage is exit code 2 and says what is wrong", "[command_line]") {
  const Folder folder;
  folder.write("bad.toml", "name = \"x\"\nmachine = 3\n");
  const std::string hello = scenario("hello");
  const std::array<std::pair<std::string, std::string>, 27> cases{{
      {"", "subcommand"},
      {"frobnicate", ""},
      {"run", "SCENARIO"},
      {"run no-such-scenario", "no-such-scenario"},
      {"run bad.toml", "bad.toml:2: machine is a whole number"},
      {"run " + hello + " --seed x", "--seed"},
      {"run " + hello + " --seed -1", "--seed"},
      {"run " + hello + " --seed 18446744073709551616", "is no seed"},
      {"run " + hello + " --seed ''", "is no seed"},
      {"run " + hello + " --seeds 5..1", "--seeds"},
      {"run " + hello + " --seed 1 --seeds 1..2", "--seed"},
      {"run " + hello + " --jobs 0", "--jobs"},
      {"run " + hello + " --until soon", "--until"},
      {"run " + hello + " --disk /dev/null", "--disk"},
      {"run " + hello + " --trace t.json --seeds 1..2", "--trace"},
      {"run " + hello + " --record /no/such/folder/r", "--record"},
      {"run " + hello + " --record .", "it is a folder"},
      {"run " + hello + " --record /dev/null", "no plain file"},
      {"run " + hello + " --record ''", "--record"},
      {"run " + hello + " --trace .", "it is a folder"},
      {"run " + hello + " --until 1h", "--until"},
      {"run .", "is a folder"},
      {"run /dev/zero", "no scenario"},
      {"run ''", "SCENARIO"},
      {"run " + hello + " --frobnicate", "--frobnicate"},
      {"replay", "FILE"},
      {"metal run no-such-image", "no-such-image"},
  }};
  for (const auto& [arguments, says] : cases) {
    const Output output = call(arguments);
    INFO(arguments << ": " << output.text);
    CHECK(output.code == 2);
    CHECK(output.text.contains(says));
  }
}

TEST_CASE("help tells the exit codes", "[command_line]") {
  for (const char* arguments : {"--help", "run --help", "replay --help", "selfcheck --help"}) {
    const Output output = call(arguments);
    REQUIRE(output.code == 0);
    REQUIRE(output.text.contains("0 pass, 1 a property was violated, 2 bad input or usage"));
  }
}

TEST_CASE("list shows every scenario", "[command_line]") {
  const Folder folder;
  std::filesystem::create_directory("scenarios");
  for (const char* name : {"hello", "storage", "idle", "many-children"}) {
    std::filesystem::copy_file(scenario(name),
                               std::filesystem::path("scenarios") / (std::string(name) + ".toml"));
  }
  const Output output = call("list");
  REQUIRE(output.code == 0);
  for (const char* name : {"hello", "storage", "idle", "many-children"}) {
    REQUIRE(output.text.contains(name));
  }
  REQUIRE(call("run hello").code == 0);  // by its name
}

TEST_CASE("perturbed twins have the same hash", "[command_line]") {
  const Output output = call("selfcheck " + scenario("hello"));
  INFO(output.text);
  REQUIRE(output.code == 0);
  REQUIRE_FALSE(output.text.contains("DIFFERENT"));
  REQUIRE(call("selfcheck no-such-scenario").code == 2);
}

TEST_CASE("the summary tells what a run did", "[command_line]") {
  const Folder folder;
  const Output output = call("run " + scenario("storage"));
  INFO(output.text);
  REQUIRE(output.code == 0);
  for (const char* line :
       {"virtual time", "wall time", "events", "VM exits", "vmcall", "hypercalls", "PostMessage",
        "VMBus messages", "VMBus signals", "KiB, ", "disks read", "disks written", "properties",
        "child.storage.read_returns_last_write", "root.every_page_returned", "goals",
        "trace hash"}) {
    INFO(line);
    CHECK(output.text.contains(line));
  }
}

TEST_CASE("any file can be the disk, and the digest is the file's own", "[command_line]") {
  const Folder folder;
  folder.write("odd", "hello, odd world");
  const Output output = call("run " + scenario("storage") + " --disk odd");
  INFO(output.text);
  REQUIRE(output.code == 0);
  // printf 'hello, odd world' | sha256sum
  REQUIRE(output.text.contains(
      "[child 1] disk 0 sha256 cdfaee80d7d497b9e25b20b76e1230c9c5db2e92fee409a56327c6fd887016b9"));
  folder.write("empty", "");
  REQUIRE(call("run " + scenario("storage") + " --disk empty").code == 2);
}

TEST_CASE("a failing run that cannot be recorded has failed all the same", "[command_line]") {
  const Folder folder;
  // A folder that is not empty is in the recording's place.
  std::filesystem::create_directories("hello-seed-1.chrono/in-the-way");
  const Output output = call("run " + folder.hopeless());
  INFO(output.text);
  REQUIRE(output.code == 1);
  REQUIRE(output.text.contains("VIOLATED"));
  REQUIRE(output.text.contains("no recording: "));
}

TEST_CASE("a trace that cannot be written is told after the summary", "[command_line]") {
  const Folder folder;
  const Output output = call("run " + scenario("hello") + " --trace /dev/full");
  INFO(output.text);
  REQUIRE(output.code == 3);
  REQUIRE(output.text.contains("trace hash"));
  REQUIRE(output.text.contains("--trace: /dev/full cannot be written"));
}

TEST_CASE("without scenarios to be found, list and selfcheck say so", "[command_line]") {
  const Folder folder;
  std::filesystem::copy_file(CHRONOVISOR_PROGRAM, "chronovisor");
  for (const char* command : {"list", "selfcheck"}) {
    const Output output = call_as("./chronovisor", command);
    INFO(output.text);
    REQUIRE(output.code == 2);
    REQUIRE(output.text.contains("no scenario is in the folder scenarios/"));
  }
}
