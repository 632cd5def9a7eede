/*
 * jid.c -- any bytes as an address: what is accepted is valid, and stays the same
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "xmpp/jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool ok, const char *what, struct str s)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %.*s\n", what, STR_ARG(s));
    abort();
}

static void
check_jid(struct arena *arena, struct str in)
{
    struct jid jid, again;
    struct str text, ascii;

    if (jid_parse(arena, in, &jid) < 0)
        return;
    check(jid.domain.n > 0, "no domain", in);
    check(jid.local.n <= JID_PART_MAX && jid.domain.n <= JID_PART_MAX &&
                    jid.resource.n <= JID_PART_MAX,
            "too long", in);
    for (size_t i = 0; i < jid.local.n; i++)
        check(!strchr("\"&'/:<>@ ", jid.local.p[i]), "bad local part", in);
    for (size_t i = 0; i < jid.domain.n; i++)
        check(!strchr("/@ <&'\"", jid.domain.p[i]), "bad domain", in);
    for (size_t i = 0; i < jid.resource.n; i++)
        check((unsigned char)jid.resource.p[i] >= ' ', "bad resource", in);
    text = jid_text(arena, &jid);
    check(str_is_utf8(text), "not UTF-8", text);
    check(jid_parse(arena, text, &again) == 0, "refused the second time", text);
    check(jid_eq(&jid, &again), "differs the second time", text);
    check(jid_domain_ascii(arena, jid.domain, &ascii) == 0, "not for DNS", text);
    for (size_t i = 0; i < ascii.n; i++)
        check((unsigned char)ascii.p[i] < 0x80, "not ASCII", text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str out, again;
    struct arena arena;
    char *copy = malloc(size);
    struct str in = { copy, size };

    if (!copy && size > 0)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    arena_init(&arena, 4096);
    check_jid(&arena, in);
    if (jid_saslprep(&arena, in, JID_QUERY, &out) == 0) {
        check(jid_saslprep(&arena, out, JID_QUERY, &again) == 0 && str_eq(out, again),
                "password differs the second time", out);
        if (jid_saslprep(&arena, in, JID_STORED, &again) == 0)
            check(str_eq(out, again), "password differs when stored", out);
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
