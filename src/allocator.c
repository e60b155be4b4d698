/* Keeps glibc's allocator from hoarding: docs/decisions.md, "The system's allocator, told not to hoard". Runs before main. */

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>

__attribute__((constructor)) static void snapwarden_tune_allocator(void)
{
    /* One heap for all threads: each further one keeps what its thread once needed. */
    mallopt(M_ARENA_MAX, 1);
    /* What is large is mapped, and given back when it is freed. Without this the bound grows with the largest block that was ever freed. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    /* The end of the heap is given back as soon as so much of it is free. */
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}
#endif
