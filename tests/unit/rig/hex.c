/* hex.c -- test vectors as specifications print them */
#include "tests/unit/rig/hex.h"

#include <stdio.h>

struct str
unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned v;

    for (; *hex; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ' && sscanf(hex, "%2x", &v) == 1)
            out[n++] = (uint8_t)v;
    }
    return (struct str){ (char *)out, n };
}
