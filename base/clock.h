#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Milliseconds of a clock that never jumps and is the same in all processes of a host.
 */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* Microseconds since 1970 (UTC). */
uint64_t clock_wall_us(void);

/* XEP-0082 date and time, UTC, with microseconds: 2026-11-23T22:26:01.123456Z */
#define CLOCK_TEXT_SIZE 32
void clock_text(uint64_t wall_us, char ret_text[CLOCK_TEXT_SIZE]);

#endif
