#include "hv/hypercall/call_context.h"

#include "hv/hypervisor.h"
#include "machine/machine.h"

namespace hv {

bool CallContext::fetch_header() {
  INVARIANT(elements_offset() <= header_.size());
  const std::span<std::byte> whole = std::span(header_).first(elements_offset());
  return whole.empty() || caller.read_memory(input_gpa, whole);
}

void CallContext::fetch_xmm() {
  machine::XmmRegisters xmm;
  machine::read_xmm(xmm);
  std::memcpy(header_.data() + kFastInputBytes, xmm.quadwords.data(), sizeof(xmm.quadwords));
}

void CallContext::put_registers(std::uint64_t& rdx, std::uint64_t& r8) const {
  std::memcpy(&rdx, header_.data(), sizeof(rdx));
  std::memcpy(&r8, header_.data() + sizeof(rdx), sizeof(r8));
  machine::XmmRegisters xmm;
  std::memcpy(xmm.quadwords.data(), header_.data() + kFastInputBytes, sizeof(xmm.quadwords));
  machine::write_xmm(xmm);
}

std::uint64_t CallContext::variable_qword(std::uint32_t index) const {
  INVARIANT(index < variable_qword_count());
  std::uint64_t value = 0;
  std::memcpy(&value, header_.data() + description.header_size_bytes + index * sizeof(value),
              sizeof(value));
  return value;
}

bool CallContext::fetch_bytes(std::size_t offset, std::span<std::byte> to) {
  if (call.fast) {
    INVARIANT(offset + to.size() <= call.input_size_bytes);
    std::memcpy(to.data(), header_.data() + offset, to.size());
    return true;
  }
  INVARIANT(offset + to.size() <= call.input_size_bytes);
  return caller.read_memory(input_gpa + offset, to);
}

Status CallContext::put_bytes(std::size_t offset, std::span<const std::byte> from) {
  INVARIANT(offset + from.size() <= call.output_size_bytes);
  if (call.fast) {
    const auto begin = call_arithmetic::fast_output_offset<std::uint64_t>(call.input_size_bytes);
    std::memcpy(header_.data() + begin + offset, from.data(), from.size());
    return Status::kSuccess;
  }
  // The page was writable when the call began; a guest that takes it away meanwhile gets this.
  return caller.write_memory(output_gpa + offset, from) ? Status::kSuccess
                                                        : Status::kInvalidAlignment;
}

}  // namespace hv
