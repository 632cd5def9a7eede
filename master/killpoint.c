/*
 * killpoint.c -- dying where it hurts, for tests
 */
#include "master/killpoint.h"

#if defined(STANZAD_KILLPOINTS)
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

void
killpoint(const char *name)
{
    static uint64_t passed;
    const char *wanted = getenv("STANZAD_KILLPOINT"), *at;
    uint64_t n = 1;

    at = wanted ? strrchr(wanted, '@') : NULL;
    if (!at || strlen(name) != (size_t)(at - wanted) ||
            strncmp(wanted, name, strlen(name)) != 0 ||
            str_to_u64(str_from(at + 1), &n) < 0 || ++passed < n)
        return;
    kill(getpid(), SIGKILL);
}

uint64_t
killpoint_layout(void)
{
    const char *text = getenv("STANZAD_LAYOUT");
    uint64_t n;

    return text && str_to_u64(str_from(text), &n) == 0 ? n : 0;
}

bool
killpoint_no_pidfd(void)
{
    return getenv("STANZAD_NO_PIDFD") != NULL;
}
#endif
