// The 256 entries of the interrupt table: each pushes its vector (and a zero where the processor
// pushes no error code), and the shared path saves the registers and calls
// metal_handle_interrupt(SavedState*), whose changes to the saved state take effect.
  .text

  .macro stub vector
  .balign 16
  .if (\vector == 8) || ((\vector >= 10) && (\vector <= 14)) || (\vector == 17) || (\vector == 21)
  .else
    pushq $0
  .endif
    pushq $\vector
    jmp interrupt_entry
  .endm

  .balign 16
  .globl metal_interrupt_stubs
metal_interrupt_stubs:
  .altmacro
  .set number, 0
  .rept 256
    stub %number
    .set number, number + 1
  .endr
  .noaltmacro

interrupt_entry:
  cld
  pushq %r15
  pushq %r14
  pushq %r13
  pushq %r12
  pushq %r11
  pushq %r10
  pushq %r9
  pushq %r8
  pushq %rbp
  pushq %rdi
  pushq %rsi
  pushq %rbx
  pushq %rdx
  pushq %rcx
  pushq %rax
  movq %rsp, %rdi
  movq %rsp, %rbp
  andq $-16, %rsp
  call metal_handle_interrupt
  movq %rbp, %rsp
  popq %rax
  popq %rcx
  popq %rdx
  popq %rbx
  popq %rsi
  popq %rdi
  popq %rbp
  popq %r8
  popq %r9
  popq %r10
  popq %r11
  popq %r12
  popq %r13
  popq %r14
  popq %r15
  addq $16, %rsp
  iretq

  .section .note.GNU-stack, "", @progbits
