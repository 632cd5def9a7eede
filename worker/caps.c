/*
 * caps.c -- what the clients of this worker can do (XEP-0115)
 *
 * Derived data, on the heap: a successor finds it out again by the presence in the
 * slot. Thousands of sessions share one list, so each costs a pointer.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/conn.h"
#include "worker/module.h"

struct client_caps {
    uint32_t refs;
    size_t n;
    struct str key;
    struct str feature[]; /* sorted; the texts are behind them */
};

static int
cmp_features(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str
put(char **at, struct str s)
{
    struct str copy = { *at, s.n };

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

struct client_caps *
client_caps_new(struct str key, const struct str *feature, size_t n)
{
    size_t size = key.n;
    struct client_caps *caps;
    char *at;

    for (size_t i = 0; i < n; i++)
        size += feature[i].n;
    caps = mem_alloc(sizeof *caps + n * sizeof *feature + size);
    *caps = (struct client_caps){ .refs = 1 };
    if (n)
        memcpy(caps->feature, feature, n * sizeof *feature);
    qsort(caps->feature, n, sizeof *feature, cmp_features);
    at = (char *)&caps->feature[n];
    caps->key = put(&at, key);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(caps->feature[i], caps->feature[caps->n - 1]))
            continue;
        caps->feature[caps->n++] = put(&at, caps->feature[i]);
    }
    return caps;
}

struct client_caps *
client_caps_ref(struct client_caps *caps)
{
    if (caps)
        caps->refs++;
    return caps;
}

void
client_caps_unref(struct client_caps **caps)
{
    if (*caps && --(*caps)->refs == 0)
        mem_free_p(*caps);
    *caps = NULL;
}

struct str
client_caps_key(const struct client_caps *caps)
{
    return caps->key;
}

bool
client_caps_has(const struct client_caps *caps, struct str feature)
{
    return bsearch(&feature, caps->feature, caps->n, sizeof feature, cmp_features) !=
           NULL;
}

bool
client_caps_next(const struct client_caps *caps, size_t *at, struct str *ret_feature)
{
    if (*at >= caps->n)
        return false;
    *ret_feature = caps->feature[(*at)++];
    return true;
}

enum session_caps
session_caps(
        const struct worker *w, const struct conn *c, const struct client_caps **ret)
{
    const struct live *l = live_of(w, c);

    *ret = l->caps;
    return (enum session_caps)l->caps_state;
}

void
session_set_caps(struct worker *w, struct conn *c, enum session_caps state,
        struct client_caps *caps)
{
    struct live *l = live_of(w, c);
    struct client_caps *before = l->caps;

    l->caps = state == SESSION_CAPS_NONE ? NULL : client_caps_ref(caps);
    l->caps_state = (uint8_t)state;
    client_caps_unref(&before);
}
