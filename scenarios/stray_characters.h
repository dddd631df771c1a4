// Where a TOML text has what no TOML text may have: a byte beyond ASCII outside of strings and
// comments, or behind a backslash. Looked for before toml++ 3.0 parses, whose test for white space
// is undefined for most of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace scenarios {

/// The line of the first one, from 1 on.
[[nodiscard]] std::optional<std::uint32_t> find_stray_character(std::string_view text);

}  // namespace scenarios
