/*
 * register_password.c -- how hard a password is to guess, as ejabberd estimates it
 *
 * As if each character had been chosen at random from all of the kinds of characters
 * that are there. No words are known here: it keeps out what is short.
 */
#include "modules/register.h"

enum {
    FRACTION = 1024, /* one bit */
    ONE = 1 << 30
};

/* In 1/1024; k > 0. */
static uint64_t
log2_of(uint64_t k)
{
    uint64_t x = k * ONE, n = 0;

    for (; x >= 2 * (uint64_t)ONE; x >>= 1)
        n += FRACTION;
    for (uint64_t bit = FRACTION / 2; bit > 0; bit >>= 1) {
        x = x * x / ONE;
        if (x >= 2 * (uint64_t)ONE) {
            x >>= 1;
            n += bit;
        }
    }
    return n;
}

enum kind {
    LOWER,
    UPPER,
    DIGIT,
    SIGN,
    OTHER,
    KINDS
};

static enum kind
kind_of(unsigned char c)
{
    if (c >= 'a' && c <= 'z')
        return LOWER;
    if (c >= 'A' && c <= 'Z')
        return UPPER;
    if (c >= '0' && c <= '9')
        return DIGIT;
    return c > ' ' && c < 0x7f ? SIGN : OTHER;
}

bool
register_is_strong(struct str password, uint64_t bits)
{
    static const uint8_t size[KINDS] = {
        [LOWER] = 26, [UPPER] = 26, [DIGIT] = 9, [SIGN] = 33, [OTHER] = 128
    };
    bool seen[KINDS] = { false };
    uint64_t choices = 0;

    for (size_t i = 0; i < password.n; i++) {
        enum kind kind = kind_of((unsigned char)password.p[i]);

        choices += seen[kind] ? 0 : size[kind];
        seen[kind] = true;
    }
    if (bits == 0 || password.n == 0)
        return bits == 0;
    return bits <= password.n * log2_of(choices) / FRACTION;
}
