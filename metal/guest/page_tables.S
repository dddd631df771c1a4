// The identity page tables that an image starts on: the low 4 GiB in pages of 2 MiB. Which memory is
// there, and of what type, is for the EPT to say.
#define PRESENT_WRITABLE 3
#define LARGE_PRESENT_WRITABLE 0x83

  .section .page_tables, "aw"
  .balign 4096
  .globl metal_page_tables
metal_page_tables:
  .quad page_directory_pointers + PRESENT_WRITABLE
  .fill 511, 8, 0
page_directory_pointers:
  .quad page_directories + PRESENT_WRITABLE
  .quad page_directories + 0x1000 + PRESENT_WRITABLE
  .quad page_directories + 0x2000 + PRESENT_WRITABLE
  .quad page_directories + 0x3000 + PRESENT_WRITABLE
  .fill 508, 8, 0
page_directories:
  .set large_page, 0
  .rept 2048
  .quad large_page + LARGE_PRESENT_WRITABLE
  .set large_page, large_page + 0x200000
  .endr

  .section .note.GNU-stack, "", @progbits
