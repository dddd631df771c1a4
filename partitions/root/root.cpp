#include "partitions/root/root.h"

#include "partitions/root/program.h"

namespace root {

void boot() {
  auto& program = kernel::build_in_arena<Program>();
  program.start();
  program.processor(0).executor().run();
}

void boot_processor() {
  auto& program = kernel::find_in_arena<Program>();
  program.enter_processor().executor().run();
}

}  // namespace root
