// From GRUB (Multiboot2: 32-bit protected mode, no paging) to C++ in 64-bit mode, and the same way
// for the other processors, from their start-up IPI in real mode.
#include "metal/hypervisor/layout.h"

// --- Multiboot2 header (Multiboot2 3.1) ----------------------------------------------------------
  .section .multiboot, "a"
  .balign 8
header_begin:
  .long 0xE85250D6
  .long 0
  .long header_end - header_begin
  .long -(0xE85250D6 + (header_end - header_begin))
  // Modules start on page boundaries.
  .short 6, 0
  .long 8
  // End.
  .short 0, 0
  .long 8
header_end:

// --- First processor -----------------------------------------------------------------------------
  .section .text.boot, "ax"
  .code32
  .globl metal_boot_entry
metal_boot_entry:
  cli
  cld
  movl $boot_stack_end, %esp
  movl %eax, boot_magic
  movl %ebx, boot_information
  movl $0x80000000, %eax
  cpuid
  cmpl $0x80000001, %eax
  jb no_long_mode
  movl $0x80000001, %eax
  cpuid
  testl $(1 << 29), %edx
  jz no_long_mode
  call build_page_tables
  call enter_long_mode
  ljmp $SELECTOR_CODE64, $first_processor_64

// Identity tables for the low 4 GiB, 2 MiB a page; memory types come from the MTRRs.
build_page_tables:
  movl $page_directories + 3, %eax
  movl $page_directory_pointers, %edi
  movl $4, %ecx
1:
  movl %eax, (%edi)
  addl $4096, %eax
  addl $8, %edi
  loop 1b
  movl $page_directory_pointers + 3, page_map
  movl $page_directories, %edi
  movl $0x83, %eax
  movl $2048, %ecx
1:
  movl %eax, (%edi)
  movl $0, 4(%edi)
  addl $0x200000, %eax
  addl $8, %edi
  loop 1b
  ret

// 32-bit mode with paging off to 32-bit compatibility mode with the page tables above. The caller
// then jumps to a 64-bit code segment.
enter_long_mode:
  lgdt boot_gdt_pointer
  movl %cr4, %eax
  orl $(1 << 5), %eax            // PAE
  movl %eax, %cr4
  movl $page_map, %eax
  movl %eax, %cr3
  movl $0xC0000080, %ecx         // IA32_EFER
  rdmsr
  orl $((1 << 8) | (1 << 11)), %eax  // LME, NXE
  wrmsr
  movl %cr0, %eax
  andl $~((1 << 29) | (1 << 30)), %eax  // caches on: an INIT leaves CD and NW set
  orl $((1 << 31) | (1 << 16) | (1 << 5) | 1), %eax  // PG, WP, NE, PE
  movl %eax, %cr0
  ret

// Without C++: COM1 to 115200 8N1, a line, and the end.
no_long_mode:
  movl $0x3FB, %edx
  movb $0x80, %al
  outb %al, %dx
  movl $0x3F8, %edx
  movb $1, %al
  outb %al, %dx
  incl %edx
  movb $0, %al
  outb %al, %dx
  movl $0x3FB, %edx
  movb $3, %al
  outb %al, %dx
  movl $no_long_mode_text, %esi
1:
  lodsb
  testb %al, %al
  jz 2f
  movb %al, %ah
  movl $0x3FD, %edx
3:
  inb %dx, %al
  testb $0x20, %al
  jz 3b
  movb %ah, %al
  movl $0x3F8, %edx
  outb %al, %dx
  jmp 1b
2:
  movl $0x3FD, %edx
  inb %dx, %al
  testb $0x40, %al
  jz 2b
  // As machine::stop() does.
  movb $'D', %al
  movl $0x8900, %edx
  outb %al, %dx
3:
  hlt
  jmp 3b

  .code64
first_processor_64:
  movl $SELECTOR_DATA, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movl $boot_stack_end, %esp
  movl boot_magic, %edi
  movl boot_information, %esi
  xorl %ebp, %ebp
  call metal_boot
1:
  hlt
  jmp 1b

// --- Other processors ----------------------------------------------------------------------------
// Copied to TRAMPOLINE_ADDRESS. The start-up IPI begins it in real mode with CS there.
  .section .rodata.trampoline, "a"
  .code16
  .globl metal_trampoline_begin, metal_trampoline_end
metal_trampoline_begin:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  lgdtl TRAMPOLINE_ADDRESS + (trampoline_gdt_pointer - metal_trampoline_begin)
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $SELECTOR_CODE32, $other_processor_32
  .balign 4
trampoline_gdt_pointer:
  .short boot_gdt_end - boot_gdt - 1
  .long boot_gdt
metal_trampoline_end:

  .section .text.boot, "ax"
  .code32
other_processor_32:
  movl $SELECTOR_DATA, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  movl metal_starting_stack, %esp
  call enter_long_mode
  ljmp $SELECTOR_CODE64, $other_processor_64

  .code64
other_processor_64:
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movq metal_starting_stack, %rsp
  xorl %ebp, %ebp
  call metal_start_processor
1:
  hlt
  jmp 1b

// --- Data ----------------------------------------------------------------------------------------
  .section .rodata.boot, "a"
no_long_mode_text:
  .ascii "chronovisor: this processor has no 64-bit mode\r\n"
  .asciz "chronovisor: stopped with code 2\r\n"
  .balign 8
boot_gdt:
  .quad 0
  .quad DESCRIPTOR_CODE64
  .quad DESCRIPTOR_DATA
  .quad DESCRIPTOR_CODE32
boot_gdt_end:
boot_gdt_pointer:
  .short boot_gdt_end - boot_gdt - 1
  .long boot_gdt

  .section .bss.boot, "aw", @nobits
  .balign 4096
page_map:
  .skip 4096
page_directory_pointers:
  .skip 4096
page_directories:
  .skip 4 * 4096
boot_stack:
  .skip 32768
boot_stack_end:
boot_magic:
  .skip 4
boot_information:
  .skip 4
  // The stack of the processor that is being started; one starts at a time.
  .globl metal_starting_stack
metal_starting_stack:
  .skip 8

  .section .note.GNU-stack, "", @progbits
