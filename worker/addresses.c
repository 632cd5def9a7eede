/*
 * addresses.c -- how many connections come from one address
 *
 * Each worker counts its own in its region of a table that all of them read
 * (shm/tally.h). It is derived from the slot: a successor counts anew what its
 * predecessor had, sockets that are still to come included, so that a death neither
 * frees a place nor takes one. Between workers that accept in the same instant one or
 * two more may come in.
 *
 * Behind a balancer (use_proxy_protocol) nothing is counted until the header has said
 * whose connection it is.
 */
#include "worker/addresses.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "shm/tally.h"
#include "worker/conn.h"

struct addresses {
    struct tally tally;
    void *zone;
    unsigned n_regions;
    bool on;
    struct refusals refusals;
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
#define KEY_OF_V4 (UINT64_C(0xffff) << 32) /* ::ffff, where no /64 begins so */

uint64_t
address_key(const uint8_t addr[16])
{
    bool v4 = memcmp(addr, mapped, sizeof mapped) == 0;
    uint64_t key = v4 ? 0xffff : 0;

    for (int i = v4 ? 12 : 0; i < (v4 ? 16 : 8); i++)
        key = key << 8 | addr[i];
    return key ? key : 1; /* ::1 */
}

const char *
address_text(uint64_t key, char ret_text[ADDRESS_TEXT_SIZE])
{
    uint8_t a[16] = { 0 };
    bool v4 = key >> 32 == KEY_OF_V4 >> 32;

    for (int i = 0; i < 8; i++)
        a[i] = (uint8_t)(key >> (56 - 8 * i));
    if (v4) {
        inet_ntop(AF_INET, a + 4, ret_text, ADDRESS_TEXT_SIZE);
        return ret_text;
    }
    if (key == 1)
        a[7] = 0;
    inet_ntop(AF_INET6, a, ret_text, ADDRESS_TEXT_SIZE - 4);
    memcpy(ret_text + strlen(ret_text), "/64", sizeof "/64");
    return ret_text;
}

static bool
is_counted_state(const struct conn *c)
{
    return c->state != STREAM_FREE && c->state != STREAM_CLOSED &&
           c->state != STREAM_DETACHED && c->state != STREAM_MOVED &&
           c->state != STREAM_PROXY;
}

static void
count(struct worker *w, struct conn *c)
{
    tally_add(&w->addresses->tally, address_key(c->addr));
    live_of(w, c)->flags |= LIVE_COUNTED;
}

/* Where the master gave us no table (it was adopted from an older one) we have our own.
 */
static void *
zone_of(struct worker *w)
{
    void *p;

    if (w->proc->addresses.size >= tally_size() && w->proc->slot < TALLY_REGIONS)
        return w->proc->addresses.base;
    log_warning(NULL, "connections by address are counted by this worker alone");
    p = mmap(NULL, tally_size(), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void
addresses_load(struct worker *w)
{
    struct addresses *a = w->addresses;
    uint64_t secret;

    if (!a)
        a = w->addresses = mem_zalloc(sizeof *a);
    a->on = w->proc->conf->c2s_connections_per_ip != CONF_INFINITY;
    if (a->on && !a->zone)
        a->zone = zone_of(w);
    a->on = a->on && a->zone;
    if (!a->on)
        return;
    memcpy(&secret, w->proc->secret, sizeof secret);
    a->n_regions = w->proc->n_workers;
    if (a->zone == w->proc->addresses.base)
        tally_begin(&a->tally, a->zone, w->proc->slot, secret);
    else
        tally_begin(&a->tally, a->zone, 0, secret);
    for (uint32_t i = 0; i < w->slot->conns_used; i++) {
        struct conn *c = &w->conns[i];
        struct live *l = live_of(w, c);

        l->flags &= ~(unsigned)LIVE_COUNTED;
        if (is_counted_state(c) && (l->fd >= 0 || w->recovering) &&
                !(l->flags & LIVE_DEAD))
            count(w, c);
    }
}

void
addresses_leave(struct worker *w, struct conn *c)
{
    struct live *l = live_of(w, c);

    if (!(l->flags & LIVE_COUNTED))
        return;
    l->flags &= ~(unsigned)LIVE_COUNTED;
    if (w->addresses->on)
        tally_remove(&w->addresses->tally, address_key(c->addr));
}

bool
refusal_note(
        struct refusals *r, uint64_t key, uint32_t now_s, struct refusal *ret_before)
{
    struct refusal *p = &r->place[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 56 &
                                  (REFUSALS_PLACES - 1)];

    *ret_before = (struct refusal){ 0 };
    if (p->key == key && now_s - p->told_s < REFUSALS_EVERY_S) {
        p->n++;
        return false;
    }
    *ret_before = *p;
    *p = (struct refusal){ .key = key, .told_s = now_s };
    return true;
}

bool
refusal_next(struct refusals *r, size_t *at, uint32_t now_s, struct refusal *ret)
{
    for (; *at < REFUSALS_PLACES; ++*at) {
        struct refusal *p = &r->place[*at];

        if (p->n == 0 || now_s - p->told_s < REFUSALS_EVERY_S)
            continue;
        *ret = *p;
        p->told_s = now_s;
        p->n = 0;
        return true;
    }
    return false;
}

static void
tell_more(const struct refusal *r)
{
    char text[ADDRESS_TEXT_SIZE];

    log_info(NULL, "refused: %u more connections from %s, which has too many", r->n,
            address_text(r->key, text));
}

void
addresses_tick(struct worker *w)
{
    struct refusal r;
    size_t at = 0;

    while (w->addresses->on && refusal_next(&w->addresses->refusals, &at, w->now_s, &r))
        tell_more(&r);
}

bool
addresses_admit(struct worker *w, struct conn *c)
{
    struct addresses *a = w->addresses;
    uint64_t key = address_key(c->addr), most = w->proc->conf->c2s_connections_per_ip;
    struct refusal before;
    char text[ADDRESS_TEXT_SIZE];

    if (!a->on)
        return true;
    count(w, c);
    if (tally_count(&a->tally, key, a->n_regions) <= most)
        return true;
    proc_count(w->proc, COUNTER_C2S_REFUSED, 1);
    if (refusal_note(&a->refusals, key, w->now_s, &before)) {
        if (before.n > 0)
            tell_more(&before);
        log_info(conn_ctx(w, c), "refused: too many connections from %s",
                address_text(key, text));
    }
    return false;
}
