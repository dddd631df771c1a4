// Where a virtual processor starts: 64-bit mode, interrupts disabled, the image's page tables, and
// RSP at the end of this processor's own stack. The descriptor tables are whatever the loader chose.
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA 0x10

  .text
  .globl metal_guest_entry
metal_guest_entry:
  leaq metal_guest_start(%rip), %rbx
  jmp 1f

  .globl metal_guest_processor_entry
metal_guest_processor_entry:
  leaq metal_guest_start_processor(%rip), %rbx
1:
  cld
  lgdt descriptor_table_pointer(%rip)
  movl $SELECTOR_DATA, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movq %rsp, %rdi
  pushq $SELECTOR_CODE64
  leaq 2f(%rip), %rax
  pushq %rax
  lretq
2:
  xorl %ebp, %ebp
  call *%rbx
  ud2

  .section .rodata
  .balign 8
descriptor_table:
  .quad 0
  .quad 0x00AF9B000000FFFF
  .quad 0x00CF93000000FFFF
descriptor_table_end:
descriptor_table_pointer:
  .short descriptor_table_end - descriptor_table - 1
  .quad descriptor_table

  .section .note.GNU-stack, "", @progbits
