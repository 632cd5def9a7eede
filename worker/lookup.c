/*
 * lookup.c -- who is where, as this worker asks the route table
 */
#include "router/route.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/deliver.h"

enum {
    LOOKUPS_MAX = 100
};

static struct route_table *
table_of(struct worker *w)
{
    static struct route_table table;

    if (!table.base)
        route_open(&table, &w->proc->routes);
    return &table;
}

static size_t
lookup(struct worker *w, struct str bare, unsigned want, struct route_snapshot *snap)
{
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        int n = route_lookup(table_of(w), bare, want, snap);

        if (n >= 0)
            return (size_t)n;
    }
    snap->n = 0;
    return 0;
}

size_t
deliver_lookup(struct worker *w, struct str bare, unsigned want)
{
    w->n_lookups++;
    return lookup(w, bare, want, w->snapshot);
}

int
deliver_find(struct worker *w, struct str bare, struct str resource,
        struct route_hit *ret_hit)
{
    return route_lookup_full(table_of(w), bare, resource, ret_hit);
}

size_t
route_sessions(struct worker *w, struct str bare, unsigned want,
        const struct route_snapshot **ret)
{
    *ret = w->module_snapshot;
    return lookup(w, bare, want, w->module_snapshot);
}

bool
route_part(struct worker *w, uint64_t *at, const struct route_snapshot **ret)
{
    *ret = w->module_snapshot;
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        int n = route_walk(table_of(w), at, 0, w->module_snapshot);

        if (n >= 0)
            return n > 0;
    }
    w->module_snapshot->n = 0;
    return false;
}

/* Who carries the flags: none, one, or several; remembered in the account. */
static void
holders_find(struct worker *w, struct account *a, uint16_t flags)
{
    struct holders *h = &a->holders;
    const struct route_snapshot *snap;
    size_t n;

    *h = (struct holders){ .stamp = route_stamp(table_of(w), account_bare(a)),
        .flags = flags };
    n = route_sessions(w, account_bare(a), 0, &snap);
    for (size_t i = 0; i < n && h->n < 2; i++) {
        if (!(snap->entry[i].flags & flags))
            continue;
        h->n++;
        h->conn = snap->entry[i].conn;
    }
}

bool
account_flag_elsewhere(
        struct worker *w, struct account *a, const struct conn *c, uint16_t flags)
{
    struct holders *h = &a->holders;

    if (h->flags != flags || !route_unchanged(table_of(w), &h->stamp))
        holders_find(w, a, flags);
    return h->n > 1 || (h->n == 1 && h->conn != conn_id(w, c));
}

bool
route_count_sessions(struct worker *w, uint64_t *at, size_t most, struct str host,
        uint64_t *ret_host, uint64_t *ret_all)
{
    struct route_snapshot *snap = w->module_snapshot;
    size_t seen = 0;
    int n;

    while (seen < most) {
        n = route_walk(table_of(w), at, 0, snap);
        if (n == 0)
            return true;
        if (n < 0)
            return false; /* the router is at it: in another turn */
        for (size_t i = 0; i < snap->n; i++) {
            struct str bare = snap->entry[i].bare, domain = bare;

            for (size_t k = 0; k < bare.n; k++) {
                if (bare.p[k] == '@')
                    domain = (struct str){ bare.p + k + 1, bare.n - k - 1 };
            }
            *ret_host += str_eq(domain, host);
        }
        *ret_all += snap->n;
        seen += snap->n;
    }
    return false;
}
