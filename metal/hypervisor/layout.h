// Where things are in the hypervisor's program, for C++ and for the assembler alike.
#pragma once

// The page below 1 MiB that processors start in; its number is the vector of the start-up IPI.
#define TRAMPOLINE_ADDRESS 0x8000

// The descriptor table (SDM vol. 3 3.4.5); each processor has a copy with its own TSS.
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_CODE32 0x18
#define SELECTOR_TSS 0x20
#define DESCRIPTOR_CODE64 0x00AF9B000000FFFF
#define DESCRIPTOR_DATA 0x00CF93000000FFFF
#define DESCRIPTOR_CODE32 0x00CF9B000000FFFF
