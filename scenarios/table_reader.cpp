#include "scenarios/table_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace scenarios {
namespace {

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

/// How many characters must change to make one of the other.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t substituted = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// Text from a file is shown with nothing that could disturb a terminal.
std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string result;
  for (const char character : text.substr(0, kMost)) {
    const bool plain = character >= ' ' && character <= '~';
    result.push_back(plain ? character : '?');
  }
  return text.size() > kMost ? result + "..." : result;
}

}  // namespace

TableReader::TableReader(const toml::table& table, std::string path, std::string file)
    : table_(table), path_(std::move(path)), file_(std::move(file)) {}

std::vector<std::string> TableReader::keys() const {
  std::vector<std::string> keys;
  for (const auto& [name, node] : table_) {
    keys.emplace_back(name.str());
  }
  return keys;
}

std::string TableReader::path_of(std::string_view key) const {
  const std::string name = printable(key);
  return path_.empty() ? name : key.empty() ? path_ : path_ + "." + name;
}

std::uint32_t TableReader::line_of(std::string_view key) const {
  for (const auto& [name, node] : table_) {
    if (name.str() == key) {
      return name.source().begin.line;
    }
  }
  // The root table begins on no line of its own.
  return std::max<std::uint32_t>(table_.source().begin.line, 1);
}

void TableReader::refuse(std::string_view key, std::string problem) const {
  throw RefusedScenario{{file_, line_of(key), path_of(key), std::move(problem)}};
}

void TableReader::refuse_type(std::string_view key, const toml::node& node,
                              std::string_view wanted) const {
  refuse(key, fmt::format("is {}; expected is {}", type_name(node), wanted));
}

const toml::node* TableReader::find(std::string_view key) {
  known_.push_back(key);
  return table_.get(key);
}

void TableReader::number(std::string_view key, NumberRange range, std::uint64_t& target) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return;
  }
  const std::string wanted =
      fmt::format("a whole number{}{} from {} to {}", range.unit.empty() ? "" : " of ", range.unit,
                  range.least, range.most);
  const auto* const value = node->as_integer();
  if (value == nullptr) {
    refuse_type(key, *node, wanted);
  }
  const std::int64_t number = value->get();
  if (number < 0 || static_cast<std::uint64_t>(number) < range.least ||
      static_cast<std::uint64_t>(number) > range.most) {
    refuse(key, fmt::format("is {}; expected is {}", number, wanted));
  }
  target = static_cast<std::uint64_t>(number);
}

void TableReader::number(std::string_view key, NumberRange range, std::uint32_t& target) {
  std::uint64_t wide = target;
  range.most = std::min<std::uint64_t>(range.most, std::numeric_limits<std::uint32_t>::max());
  number(key, range, wide);
  target = static_cast<std::uint32_t>(wide);
}

void TableReader::boolean(std::string_view key, bool& target) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return;
  }
  const auto* const value = node->as_boolean();
  if (value == nullptr) {
    refuse_type(key, *node, "true or false");
  }
  target = value->get();
}

void TableReader::text(std::string_view key, std::string& target) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return;
  }
  const auto* const value = node->as_string();
  if (value == nullptr) {
    refuse_type(key, *node, "a text in quotes");
  }
  if (value->get().empty()) {
    refuse(key, "is empty; expected is a text");
  }
  target = value->get();
}

void TableReader::texts(std::string_view key, std::vector<std::string>& target) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return;
  }
  constexpr std::string_view kWanted = "an array of texts, like [\"one\", \"two\"]";
  const toml::array* const values = node->as_array();
  if (values == nullptr) {
    refuse_type(key, *node, kWanted);
  }
  target.clear();
  for (const toml::node& element : *values) {
    const auto* const value = element.as_string();
    if (value == nullptr) {
      refuse(key, fmt::format("holds {}; expected is {}", type_name(element), kWanted));
    }
    target.push_back(value->get());
  }
}

void TableReader::duration(std::string_view key, std::uint64_t most_ns, std::uint64_t& target_ns) {
  std::string value;
  if (!has(key)) {
    known_.push_back(key);
    return;
  }
  text(key, value);
  const std::optional<std::uint64_t> ns = parse_duration(value);
  if (!ns) {
    refuse(key, fmt::format("is \"{}\"; expected is a number and its unit (ns, us, ms, s, min), "
                            "like \"90s\"",
                            printable(value)));
  }
  if (*ns == 0 || *ns > most_ns) {
    refuse(key, fmt::format("is \"{}\"; expected is more than 0 and at most {} s", printable(value),
                            most_ns / 1'000'000'000));
  }
  target_ns = *ns;
}

void TableReader::choice(std::string_view key, std::initializer_list<std::string_view> names,
                         std::size_t& target) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return;
  }
  const std::string wanted = fmt::format("one of \"{}\"", fmt::join(names, "\", \""));
  const auto* const value = node->as_string();
  if (value == nullptr) {
    refuse_type(key, *node, wanted);
  }
  const auto* const found = std::ranges::find(names, std::string_view(value->get()));
  if (found == names.end()) {
    refuse(key, fmt::format("is \"{}\"; expected is {}", printable(value->get()), wanted));
  }
  target = static_cast<std::size_t>(found - names.begin());
}

const toml::table* TableReader::table(std::string_view key) {
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return nullptr;
  }
  if (!node->is_table()) {
    refuse_type(key, *node, fmt::format("a table: [{}]", path_of(key)));
  }
  return node->as_table();
}

std::vector<const toml::table*> TableReader::tables(std::string_view key) {
  std::vector<const toml::table*> result;
  const toml::node* const node = find(key);
  if (node == nullptr) {
    return result;
  }
  const std::string wanted = fmt::format("an array of tables: [[{}]]", path_of(key));
  const toml::array* const elements = node->as_array();
  if (elements == nullptr) {
    refuse_type(key, *node, wanted);
  }
  for (const toml::node& element : *elements) {
    if (!element.is_table()) {
      refuse(key, fmt::format("holds {}; expected is {}", type_name(element), wanted));
    }
    result.push_back(element.as_table());
  }
  return result;
}

void TableReader::require(std::string_view key, std::string_view meaning) const {
  if (!has(key)) {
    refuse(key, fmt::format("is missing; expected is {}", meaning));
  }
}

void TableReader::forbid(std::string_view key, std::string_view reason) const {
  if (has(key)) {
    refuse(key, std::string(reason));
  }
}

void TableReader::finish() const {
  for (const auto& [name, node] : table_) {
    const std::string_view key = name.str();
    if (std::ranges::find(known_, key) != known_.end()) {
      continue;
    }
    std::string problem =
        fmt::format("is not known; keys of this table are {}", fmt::join(known_, ", "));
    const auto closest = std::ranges::min_element(
        known_, {}, [&](std::string_view known) { return distance(known, key.substr(0, 64)); });
    if (closest != known_.end() && distance(*closest, key.substr(0, 64)) <= 3) {
      problem = fmt::format("is not known; is {} meant?", *closest);
    }
    refuse(key, problem);
  }
}

}  // namespace scenarios
