/*
 * clock.c -- what time it is
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t
clock_read_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

uint64_t
clock_ms(void)
{
    return clock_us() / 1000;
}

uint64_t
clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

void
clock_text(uint64_t wall_us, char ret_text[CLOCK_TEXT_SIZE])
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    size_t n;

    gmtime_r(&s, &tm);
    n = strftime(ret_text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(
            ret_text + n, CLOCK_TEXT_SIZE - n, ".%06uZ", (unsigned)(wall_us % 1000000));
}
