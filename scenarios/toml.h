// toml++ as this folder uses it: errors as results, not exceptions.
#pragma once

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>
