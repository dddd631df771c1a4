#include "sim/fiber.h"

#include <sys/mman.h>
#include <valgrind/memcheck.h>

#include <new>

namespace sim {

namespace {

constexpr std::size_t kPage = 4096;

/// Frames that were left without unwinding would stay forbidden, for whatever comes to their place.
void forget_frames([[maybe_unused]] const Stack& stack) {
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(stack.bottom, stack.size_bytes);
#endif
}

/// Where a new fiber begins: nobody has called it.
[[gnu::naked]] void start() {
  asm(".cfi_undefined rip\n\t"
      "popq %rax\n\t"
      "popq %rdi\n\t"
      "xorl %ebp, %ebp\n\t"
      "call *%rax\n\t"
      "ud2");
}

}  // namespace

StackPool::~StackPool() {
  for (const Stack& stack : all_) {
    forget_frames(stack);
    munmap(stack.bottom - kPage, stack.size_bytes + kPage);
  }
}

Stack StackPool::take(std::size_t size_bytes) {
  const std::size_t rounded = (size_bytes + kPage - 1) / kPage * kPage;
  std::vector<Stack>& free = free_[rounded];
  if (!free.empty()) {
    const Stack stack = free.back();
    free.pop_back();
    // Or valgrind takes what an abandoned fiber had popped for memory that nobody may touch.
    static_cast<void>(VALGRIND_MAKE_MEM_UNDEFINED(stack.bottom, stack.size_bytes));
    return stack;
  }
  void* const region = mmap(nullptr, rounded + kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (region == MAP_FAILED || mprotect(region, kPage, PROT_NONE) != 0) {
    throw std::bad_alloc();
  }
  const Stack stack{static_cast<std::byte*>(region) + kPage, rounded};
  // Or valgrind takes a switch between two of them for one large frame.
  static_cast<void>(VALGRIND_STACK_REGISTER(stack.bottom, stack.bottom + stack.size_bytes));
  all_.push_back(stack);
  return stack;
}

void StackPool::give_back(Stack stack) {
  forget_frames(stack);
  free_[stack.size_bytes].push_back(stack);
}

Fiber::Fiber(Stack stack, std::size_t unused_bytes, FiberEntry entry, void* argument)
    : stack_(stack), entry_(entry), argument_(argument) {
  // What start() takes off the stack; it leaves the stack aligned.
  auto* const top = reinterpret_cast<void**>(stack.bottom + stack.size_bytes - unused_bytes);
  top[-1] = nullptr;
  top[-2] = nullptr;
  top[-3] = this;
  top[-4] = reinterpret_cast<void*>(&Fiber::begin);
  place_.stack_pointer = static_cast<void*>(top - 4);
  place_.address = reinterpret_cast<void*>(&start);
}

void Fiber::begin(Fiber* self) {
#ifdef CHRONOVISOR_ADDRESS_SANITIZER
  const void* bottom = nullptr;
  std::size_t size_bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size_bytes);
  if (self->left_->stack_.bottom == nullptr) {
    self->left_->stack_ = {static_cast<std::byte*>(const_cast<void*>(bottom)), size_bytes};
  }
#endif
  self->entry_(self->argument_);
  __builtin_trap();
}

}  // namespace sim
