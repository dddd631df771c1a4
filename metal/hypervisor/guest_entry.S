// machine::enter_guest(EntryKind kind, GuestRegisters& registers): the entry that returns.
//
// The caller's registers go on the stack, HOST_RSP is set to that stack, and the exit comes back to
// metal_guest_exit (HOST_RIP, see host_state.cpp) with RSP as it was.
#define HOST_RSP 0x6C14
// Offsets in machine::GuestRegisters; host_state.cpp checks them.
#define GUEST_RAX 0
#define GUEST_RCX 8
#define GUEST_RDX 16
#define GUEST_RBX 24
#define GUEST_RBP 32
#define GUEST_RSI 40
#define GUEST_RDI 48
#define GUEST_R8 56
#define GUEST_R9 64
#define GUEST_R10 72
#define GUEST_R11 80
#define GUEST_R12 88
#define GUEST_R13 96
#define GUEST_R14 104
#define GUEST_R15 112
#define GUEST_CR2 120

  .text
  .balign 16
  .globl _ZN7machine11enter_guestENS_9EntryKindERNS_14GuestRegistersE
_ZN7machine11enter_guestENS_9EntryKindERNS_14GuestRegistersE:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushq %rsi
  movl $HOST_RSP, %eax
  vmwrite %rsp, %rax
  jbe entry_refused
  movq GUEST_CR2(%rsi), %rax
  movq %rax, %cr2
  testb %dil, %dil
  movq GUEST_RAX(%rsi), %rax
  movq GUEST_RCX(%rsi), %rcx
  movq GUEST_RDX(%rsi), %rdx
  movq GUEST_RBX(%rsi), %rbx
  movq GUEST_RBP(%rsi), %rbp
  movq GUEST_RDI(%rsi), %rdi
  movq GUEST_R8(%rsi), %r8
  movq GUEST_R9(%rsi), %r9
  movq GUEST_R10(%rsi), %r10
  movq GUEST_R11(%rsi), %r11
  movq GUEST_R12(%rsi), %r12
  movq GUEST_R13(%rsi), %r13
  movq GUEST_R14(%rsi), %r14
  movq GUEST_R15(%rsi), %r15
  movq GUEST_RSI(%rsi), %rsi
  jnz 1f
  vmlaunch
  jmp entry_refused
1:
  vmresume
entry_refused:
  // No guest ran: CF or ZF says how it failed (SDM vol. 3 30.2).
  setz %al
  adcb %al, %al
  popq %rsi
  jmp restore_caller

  .globl metal_guest_exit
metal_guest_exit:
  xchgq %rsi, (%rsp)
  movq %rax, GUEST_RAX(%rsi)
  movq %rcx, GUEST_RCX(%rsi)
  movq %rdx, GUEST_RDX(%rsi)
  movq %rbx, GUEST_RBX(%rsi)
  movq %rbp, GUEST_RBP(%rsi)
  movq %rdi, GUEST_RDI(%rsi)
  movq %r8, GUEST_R8(%rsi)
  movq %r9, GUEST_R9(%rsi)
  movq %r10, GUEST_R10(%rsi)
  movq %r11, GUEST_R11(%rsi)
  movq %r12, GUEST_R12(%rsi)
  movq %r13, GUEST_R13(%rsi)
  movq %r14, GUEST_R14(%rsi)
  movq %r15, GUEST_R15(%rsi)
  popq GUEST_RSI(%rsi)
  movq %cr2, %rax
  movq %rax, GUEST_CR2(%rsi)
  xorl %eax, %eax
restore_caller:
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret

  .section .note.GNU-stack, "", @progbits
