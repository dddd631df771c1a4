// Strict reading of one table of a TOML file: every key is asked for, every other is refused.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/scenario.h"
#include "scenarios/toml.h"

namespace scenarios {

/// Thrown inside the loader only.
struct RefusedScenario {
  ScenarioError error;
};

struct NumberRange {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  std::string_view unit;
};

class TableReader {
 public:
  /// `path` names the table in messages; empty for the file's root.
  TableReader(const toml::table& table, std::string path, std::string file);

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  /// The names in the table, in their order.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// The value of an optional key, left as it is when the key is absent.
  void number(std::string_view key, NumberRange range, std::uint32_t& target);
  void number(std::string_view key, NumberRange range, std::uint64_t& target);
  void boolean(std::string_view key, bool& target);
  void text(std::string_view key, std::string& target);
  void texts(std::string_view key, std::vector<std::string>& target);
  void duration(std::string_view key, std::uint64_t most_ns, std::uint64_t& target_ns);
  /// One of the names: its index.
  void choice(std::string_view key, std::initializer_list<std::string_view> names,
              std::size_t& target);
  /// A table or, for an absent one, nothing.
  [[nodiscard]] const toml::table* table(std::string_view key);
  [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key);

  /// Refuses the file if the key is absent.
  void require(std::string_view key, std::string_view meaning) const;
  /// Refuses a key that exists but means nothing here.
  void forbid(std::string_view key, std::string_view reason) const;
  /// Refuses what nobody asked for. Called last.
  void finish() const;

  [[nodiscard]] std::string path_of(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, std::string problem) const;

 private:
  [[nodiscard]] const toml::node* find(std::string_view key);
  [[nodiscard]] std::uint32_t line_of(std::string_view key) const;
  [[noreturn]] void refuse_type(std::string_view key, const toml::node& node,
                                std::string_view wanted) const;

  const toml::table& table_;
  std::string path_;
  std::string file_;
  std::vector<std::string_view> known_;
};

}  // namespace scenarios
