#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* From the system's generator; never fails, never blocks once the system has booted. */
void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);

/* n characters of [a-z2-7] (5 bits each), terminated: ids, passwords, resources. */
void rand_text(char *ret_text, size_t n);

#endif
