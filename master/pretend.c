/*
 * pretend.c -- a master of another version, or on another system, for tests
 */
#include "master/pretend.h"

#if defined(STANZAD_KILLPOINTS)
#include <stdlib.h>

#include "base/str.h"

uint64_t
pretend_layout(void)
{
    const char *text = getenv("STANZAD_LAYOUT");
    uint64_t n;

    return text && str_to_u64(str_from(text), &n) == 0 ? n : 0;
}

bool
pretend_no_pidfd(void)
{
    return getenv("STANZAD_NO_PIDFD") != NULL;
}
#endif
