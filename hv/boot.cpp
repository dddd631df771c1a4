#include "hv/boot.h"

#include <new>

#include "hv/hypervisor.h"
#include "machine/machine.h"

namespace hv {
namespace {

/// At the start of the arena, so that every processor finds it. Memory is undefined before
/// processor 0 comes; a word that happens to hold the mark by then would have to be of its making.
struct BootBlock {
  static constexpr std::uint64_t kReady = 0x5944'4145'5256'4948;
  machine::Shared<std::uint64_t> ready{0};
  Hypervisor* hypervisor = nullptr;
};

constexpr std::size_t align_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}
constexpr std::size_t kHypervisorOffset = align_up(sizeof(BootBlock), alignof(Hypervisor));
constexpr std::size_t kProcessorsOffset =
    align_up(kHypervisorOffset + sizeof(Hypervisor), alignof(LogicalProcessor));

}  // namespace

void boot(const machine::BootInformation& information, std::uint32_t lp) {
  machine::disable_interrupts();
  const std::span<std::byte> arena = machine::arena();
  auto* block = reinterpret_cast<BootBlock*>(arena.data());
  if (lp == 0) {
    INVARIANT(information.logical_processor_count <= kMaxLogicalProcessors);
    block = new (arena.data()) BootBlock;
    INVARIANT(arena.size() > kProcessorsOffset);
    block->hypervisor = new (arena.data() + kHypervisorOffset)
        Hypervisor(information, arena.subspan(kProcessorsOffset));
    LogicalProcessor::install_interrupt_handlers();
    block->ready.store(BootBlock::kReady);
  }
  while (block->ready.load() != BootBlock::kReady) {
    machine::pause();
  }
  Hypervisor& hypervisor = *block->hypervisor;
  hypervisor.processor(lp).run(machine::Spa(hypervisor.vmxon_page(lp)).value());
}

}  // namespace hv
