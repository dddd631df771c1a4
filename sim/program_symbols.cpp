#include "sim/program_symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace sim {

namespace {

struct Function {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
  std::uint32_t name = 0;  // place in the string table
};

/// The functions of /proc/self/exe, local ones included, which dladdr() does not know. Empty if the
/// program was stripped.
class SymbolTable {
 public:
  static const SymbolTable& instance() {
    static const SymbolTable table;
    return table;
  }

  /// Null if no function covers the offset.
  [[nodiscard]] const Function* find(std::uint64_t offset) const {
    const auto after = std::ranges::upper_bound(functions_, offset, {}, &Function::begin);
    if (after == functions_.begin() || offset - std::prev(after)->begin >= std::prev(after)->size) {
      return nullptr;
    }
    return &*std::prev(after);
  }
  [[nodiscard]] const char* name_of(const Function& function) const {
    return &names_[function.name];
  }

 private:
  SymbolTable() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    Elf64_Ehdr header{};
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    std::vector<Elf64_Shdr> sections(file ? header.e_shnum : 0);
    read(file, header.e_shoff, std::span(sections));
    for (const Elf64_Shdr& section : sections) {
      if (file && section.sh_type == SHT_SYMTAB && section.sh_link < sections.size()) {
        read_functions(file, section, sections[section.sh_link]);
      }
    }
    std::ranges::sort(functions_, {}, &Function::begin);
  }

  template <typename Element>
  static void read(std::ifstream& file, std::uint64_t offset, std::span<Element> elements) {
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(elements.data()),
              static_cast<std::streamsize>(elements.size_bytes()));
  }

  void read_functions(std::ifstream& file, const Elf64_Shdr& table, const Elf64_Shdr& strings) {
    std::vector<Elf64_Sym> symbols(table.sh_size / sizeof(Elf64_Sym));
    read(file, table.sh_offset, std::span(symbols));
    names_.resize(strings.sh_size + 1);
    read(file, strings.sh_offset, std::span(names_).first(strings.sh_size));
    for (const Elf64_Sym& symbol : symbols) {
      if (file && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size != 0 &&
          symbol.st_name < strings.sh_size) {
        functions_.push_back({symbol.st_value, symbol.st_size, symbol.st_name});
      }
    }
  }

  std::vector<Function> functions_;  // by begin
  std::vector<char> names_;
};

std::string readable(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

}  // namespace

std::string describe_place(std::uintptr_t address) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(address), &info) == 0 || info.dli_fname == nullptr) {
    return fmt::format("{:#x}", address);
  }
  Dl_info own{};
  const auto here = reinterpret_cast<std::uintptr_t>(&describe_place);
  const std::uint64_t offset = address - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  if (dladdr(reinterpret_cast<const void*>(here), &own) != 0 && own.dli_fbase == info.dli_fbase) {
    const SymbolTable& symbols = SymbolTable::instance();
    if (const Function* const function = symbols.find(offset)) {
      return fmt::format("{}+{:#x}", readable(symbols.name_of(*function)),
                         offset - function->begin);
    }
  }
  const std::string_view file = info.dli_fname;
  return fmt::format("{}+{:#x}", file.substr(file.rfind('/') + 1), offset);
}

}  // namespace sim
