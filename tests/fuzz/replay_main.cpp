// Gives each file of a corpus to a target, in builds without a fuzzer: what was found once is tried
// by every test run.
//   fuzz_TARGET FOLDER...
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_input.h"

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int argument = 1; argument < argc; ++argument) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[argument])) {
      files.push_back(entry.path());
    }
  }
  if (files.empty()) {
    std::fputs("error: no input; usage: fuzz_TARGET FOLDER...\n", stderr);
    return 2;
  }
  std::ranges::sort(files);
  for (const std::filesystem::path& path : files) {
    // If it ends the program, its name is the last line.
    std::fprintf(stderr, "%s\n", path.c_str());
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    static_cast<void>(
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  }
  std::printf("%zu inputs\n", files.size());
  return 0;
}
