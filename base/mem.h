#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/*
 * Heap memory that does not fail: when there is none left the process leaves its last
 * words and aborts, and its successor carries on (STYLE.md, section 5).
 */
void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);

/* Frees *p and sets it to NULL. */
#define mem_free(pp) (mem_free_p(*(pp)), *(pp) = NULL, (void)0)
void mem_free_p(void *p);

/* Gives what the heap has free back to the system; a millisecond per some megabytes. */
void mem_trim(void);

/* Overwrites secrets in a way that no compiler leaves out. */
void mem_wipe(void *p, size_t size);

/* Closes *fd when it is not -1 and sets it to -1; errno is kept. */
void close_fd(int *fd);

/* Hands an owned descriptor on: returns *fd and sets it to -1. */
int take_fd(int *fd);

#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
