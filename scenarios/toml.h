// toml++ as this folder uses it: errors as results, not exceptions.
#pragma once

#define TOML_EXCEPTIONS 0
#include <toml++/impl/preprocessor.h>
// Version 3.3 promises the compiler that a table's header begins with a key ("[" then "$" breaks
// the promise, and what follows is undefined), and looks for the key right after. So no promises.
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expression) static_cast<void>(0)
#include <toml++/toml.h>
