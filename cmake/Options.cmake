# Compiler options that every target of the project shares.
add_library(chronovisor_options INTERFACE)
target_compile_options(chronovisor_options INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Werror -fno-strict-aliasing -fno-omit-frame-pointer)
target_compile_definitions(chronovisor_options INTERFACE _GLIBCXX_ASSERTIONS)
if(CHRONOVISOR_SANITIZE)
  # Not vptr: it needs the RTTI that the code above the seam does without.
  target_compile_options(chronovisor_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all)
  target_link_options(chronovisor_options INTERFACE -fsanitize=address,undefined)
endif()
if(CHRONOVISOR_FUZZ)
  target_compile_options(chronovisor_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Above the seam: no exceptions and no RTTI, on either machine.
add_library(chronovisor_above_the_seam INTERFACE)
target_link_libraries(chronovisor_above_the_seam INTERFACE chronovisor_options)
target_compile_options(chronovisor_above_the_seam INTERFACE -fno-exceptions -fno-rtti)
if(CHRONOVISOR_WATCH)
  # The calls that this inserts are answered by sim/watch/, not by the sanitizer's run-time.
  target_compile_options(chronovisor_above_the_seam INTERFACE -fsanitize=thread)
endif()

# The same code for the real computer.
add_library(chronovisor_freestanding INTERFACE)
target_compile_options(chronovisor_freestanding INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Werror -fno-strict-aliasing -fno-omit-frame-pointer
  -ffreestanding -mno-red-zone -mgeneral-regs-only -fno-exceptions -fno-rtti -fno-pic
  -fno-stack-protector -fno-threadsafe-statics -fno-asynchronous-unwind-tables -mcmodel=small
  -ffunction-sections -fdata-sections -O2)
target_compile_definitions(chronovisor_freestanding INTERFACE _GLIBCXX_ASSERTIONS)
