/*
 * erlterm.c -- any bytes as an Erlang term: what is read is written so that it reads
 * the same
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "xmpp/erlterm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok, const char *what, struct str s)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %.*s\n", what, STR_ARG(s));
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = { 0 }, twice = { 0 };
    struct arena arena;
    struct erlterm *term, *again;
    char *copy = malloc(size);
    struct str in = { copy, size };

    if (!copy && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    arena_init(&arena, 4096);
    if (erlterm_parse(&arena, in, &term) == 0) {
        erlterm_write(&once, term);
        check(str_is_utf8(buf_str(&once)), "not UTF-8", buf_str(&once));
        check(erlterm_parse(&arena, buf_str(&once), &again) == 0, "refused",
                buf_str(&once));
        erlterm_write(&twice, again);
        check(str_eq(buf_str(&once), buf_str(&twice)), "differs", buf_str(&once));
    }
    arena_fini(&arena);
    buf_fini(&once);
    buf_fini(&twice);
    free(copy);
    return 0;
}
