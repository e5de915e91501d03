// AllocationCount: how often this process asked for memory. Linked into a program it takes the place of the C library's calls, for every
// library that the program uses, and counts; memory still comes from the C library.
#pragma once
#include <stdint.h>

// Calls of malloc, calloc, realloc and their kin so far, all threads together.
uint64_t allocation_count(void);
