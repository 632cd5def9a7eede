/*
 * send.c -- stanzas that modules send, and what they ask of the worker
 */
#include <stdio.h>

#include "base/clock.h"
#include "worker/account.h"
#include "worker/c2s.h"
#include "worker/conn.h"
#include "worker/deliver.h"
#include "worker/jobs.h"
#include "worker/modules.h"
#include "worker/out.h"
#include "worker/outbox.h"
#include "worker/presence.h"
#include "worker/session.h"
#include "xmpp/traits.h"

struct xml_el *
stanza_parse(struct worker *w, struct arena *arena, struct str bytes)
{
    struct xml_el *el;

    /* What is our own, and was checked when it came in, has grown by our additions. */
    static const struct xml_limits limits = {
        .stanza_size_max = 16 << 20, .tag_size_max = 64 << 10, .elements_max = 1 << 20
    };

    return xml_parse(w->pool, &limits, arena, bytes, NS_CLIENT, &el) == XML_OK ? el
                                                                               : NULL;
}

/* What the tree says of itself; -EINVAL: no stanza that could be sent. */
static int
stanza_of(struct worker *w, const struct xml_el *el, struct stanza *ret)
{
    struct str from = xml_attr(el, "from"), to = xml_attr(el, "to");
    enum presence_type presence;
    enum iq_type iq;

    *ret = (struct stanza){ .kind = stanza_kind(el) };
    if (!to.p || jid_parse(&w->scratch, to, &ret->to) < 0 ||
            (from.p && jid_parse(&w->scratch, from, &ret->from) < 0))
        return -1;
    switch (ret->kind) {
    case STANZA_MESSAGE:
        ret->type = (uint8_t)message_type(el);
        ret->traits = traits_of(el);
        break;
    case STANZA_PRESENCE:
        if (presence_type(el, &presence) < 0)
            return -1;
        ret->type = (uint8_t)presence;
        break;
    case STANZA_IQ:
        if (iq_type(el, &iq) < 0)
            return -1;
        ret->type = (uint8_t)iq;
        break;
    case STANZA_OTHER:
        return -1;
    }
    return 0;
}

/* To one of our services: a step of its module. */
static void
to_service(struct worker *w, const struct service *service, const struct stanza *s,
        struct xml_el *el)
{
    struct job_start start = { .module = service->hm->module,
        .host = service->host,
        .step = service->hm->module->service->step,
        .conn = s->conn,
        .from = s->from,
        .to = s->to };

    job_call_step(w, &start, el);
}

bool
send_has_way(const struct worker *w, struct str domain)
{
    return service_find(w, domain) != NULL;
}

bool
send_elsewhere(struct worker *w, struct stanza *s)
{
    const struct service *service = service_find(w, s->to.domain);
    struct xml_el *el = s->el;

    if (!service)
        return false;
    if (!el)
        el = stanza_parse(w, &w->scratch, s->bytes);
    if (el)
        to_service(w, service, s, el);
    return true;
}

bool
send_anywhere(struct worker *w, struct stanza *s)
{
    if (!conf_host_find(w->proc->conf, s->to.domain))
        return send_elsewhere(w, s);
    if (s->to.local.n)
        deliver(w, s);
    return true;
}

bool
route_el(struct worker *w, const struct xml_el *el)
{
    struct stanza s;
    struct buf bytes = { 0 };
    bool known;

    if (stanza_of(w, el, &s) < 0)
        return false;
    worker_begin(w, NULL);
    s.el = xml_copy(&w->scratch, el);
    if (conf_host_find(w->proc->conf, s.to.domain)) {
        xml_write(&bytes, el, STR(NS_CLIENT));
        s.bytes = buf_str(&bytes);
    }
    known = send_anywhere(w, &s);
    buf_fini(&bytes);
    worker_commit(w);
    return known;
}

void
route_stanza(struct worker *w, struct stanza *s)
{
    worker_begin(w, NULL);
    deliver(w, s);
    worker_commit(w);
}

void
route_to_conn(struct worker *w, uint64_t conn, const struct xml_el *el)
{
    struct stanza s;
    struct buf bytes = { 0 };

    if (stanza_of(w, el, &s) < 0)
        return;
    s.flags = STANZA_FILTERED | STANZA_OURS;
    worker_begin(w, NULL);
    xml_write(&bytes, el, STR(NS_CLIENT));
    s.bytes = buf_str(&bytes);
    if (!deliver_to_conn(w, conn, &s) && s.kind == STANZA_MESSAGE)
        deliver(w, &s);
    buf_fini(&bytes);
    worker_commit(w);
}

void
route_bytes_to_conn(struct worker *w, uint64_t conn, const struct stanza *s)
{
    struct stanza copy = *s;

    worker_begin(w, NULL);
    if (!deliver_to_conn(w, conn, &copy) && copy.kind == STANZA_MESSAGE &&
            copy.hops != DELIVER_ONCE)
        deliver(w, &copy);
    worker_commit(w);
}

void
route_error(
        struct worker *w, const struct stanza *s, enum stanza_error e, const char *text)
{
    worker_begin(w, NULL);
    deliver_error(w, s, e, text);
    worker_commit(w);
}

void
route_to_sessions(struct worker *w, struct str bare, const struct xml_el *el,
        bool (*fits)(const struct route_entry *entry, void *arg), void *arg)
{
    struct stanza s = { .kind = stanza_kind(el),
        .hops = DELIVER_ONCE,
        .flags = STANZA_FILTERED | STANZA_OURS | STANZA_COPY };
    struct buf bytes = { 0 }, text = { 0 }, full = { 0 };
    const struct route_snapshot *snap;
    struct xml_el *copy = xml_copy(&w->scratch, el);
    size_t n = route_sessions(w, bare, 0, &snap);

    xml_set(copy, "to", STR_NULL);
    xml_write(&bytes, copy, STR(NS_CLIENT));
    jid_parse(&w->scratch, bare, &s.to);
    jid_parse(&w->scratch, xml_attr(el, "from"), &s.from);
    worker_begin(w, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct route_entry *e = &snap->entry[i];

        if (!fits(e, arg))
            continue;
        buf_reset(&full, SIZE_MAX);
        buf_addf(&full, "%.*s/%.*s", STR_ARG(bare), STR_ARG(e->resource));
        stanza_add_to(&text, buf_str(&bytes), buf_str(&full));
        s.bytes = buf_str(&text);
        deliver_to_conn(w, e->conn, &s);
    }
    worker_commit(w);
    buf_fini(&bytes);
    buf_fini(&text);
    buf_fini(&full);
}

/* --- Sessions --- */

enum session_place
session_place(const struct conn *c)
{
    return c->state == STREAM_MOVED      ? SESSION_MOVED
           : c->state == STREAM_DETACHED ? SESSION_WAITS
                                         : SESSION_HERE;
}

bool
session_is_restored(const struct conn *c)
{
    return c->state == STREAM_OPEN && c->sm && c->sm->restored;
}

bool
session_is_available(const struct conn *c)
{
    return c->flags & CONN_AVAILABLE;
}

int8_t
session_priority(const struct conn *c)
{
    return c->priority;
}

struct str
session_presence(const struct conn *c)
{
    return (struct str){ c->presence, c->presence_n };
}

struct str
session_address(const struct conn *c, char ret_text[64])
{
    return str_from(conn_address(c, ret_text));
}

uint64_t
session_since_us(const struct conn *c)
{
    return c->since_us;
}

uint16_t
session_flags(const struct conn *c)
{
    return c->route_flags;
}

void
session_flags_changed(struct worker *w, struct conn *c)
{
    struct ipc_route_flags m = { .conn = conn_id(w, c), .bare = conn_bare(c) };

    if (!(c->flags & CONN_BOUND) || c->flags & CONN_SESSION_ENDED)
        return;
    m.flags = conn_route_flags(w, c);
    if (session_account(w, c))
        SET(w, c->account_flags, account_route_flags(session_account(w, c)));
    SET(w, c->presence_serial, c->presence_serial + 1 ? c->presence_serial + 1 : 1);
    m.serial = c->presence_serial;
    outbox_send(w, ipc_addr_of(PROC_ROUTER, 0), IPC_ROUTE_FLAGS, &m);
}

void
session_flags_settle(struct worker *w, struct conn *c)
{
    const struct account *a = session_account(w, c);

    if (a && account_route_flags(a) != c->account_flags)
        session_flags_changed(w, c);
}

void
session_set_flags(struct worker *w, struct conn *c, uint16_t set, uint16_t clear)
{
    uint16_t flags = (uint16_t)((c->route_flags | set) & ~clear),
             changed = flags ^ c->route_flags;

    if (!changed)
        return;
    worker_begin(w, c);
    if ((flags ^ c->route_flags) & ROUTE_CARBONS)
        SET(w, c->steady_s, 0);
    SET(w, c->route_flags, flags);
    if (changed & ~ROUTE_OWN_WORKER)
        session_flags_changed(w, c);
    worker_commit(w);
}

void
session_keep(struct worker *w, struct conn *c, unsigned number, struct str bytes)
{
    struct kept *k = NULL;

    worker_begin(w, c);
    if (bytes.n) {
        k = slot_alloc(w, sizeof *k + bytes.n);
        k->n = (uint32_t)bytes.n;
        memcpy(k->bytes, bytes.p, bytes.n);
    }
    slot_free(w, c->kept[number]);
    SET(w, c->kept[number], k);
    worker_commit(w);
}

struct str
session_kept(const struct conn *c, unsigned number)
{
    const struct kept *k = c->kept[number];

    return k ? (struct str){ k->bytes, k->n } : STR_NULL;
}

void
session_send_bytes(struct worker *w, struct conn *c, struct str bytes)
{
    worker_begin(w, c);
    out_add_stanza(w, c, bytes);
    worker_commit(w);
}

size_t
session_backlog(const struct conn *c)
{
    return (size_t)c->out.bytes + c->wire.bytes;
}

struct conn *
session_walk(struct worker *w, const struct conf_host *host, uint32_t *at)
{
    while (*at < w->slot->conns_used) {
        struct conn *c = &w->conns[(*at)++];

        if (c->flags & CONN_BOUND && !(c->flags & CONN_SESSION_ENDED) &&
                c->state != STREAM_MOVED && (!host || live_of(w, c)->host == host))
            return c;
    }
    return NULL;
}

void
session_say(struct worker *w, struct conn *c, struct xml_el *presence)
{
    worker_begin(w, c);
    presence_broadcast(w, c, presence);
    worker_commit(w);
}

void
session_kill(struct worker *w, struct conn *c, enum stream_error e, const char *text)
{
    worker_begin(w, c);
    stream_fail(w, c, e, text);
    worker_commit(w);
}

/* --- The worker --- */

bool
worker_stops(const struct worker *w)
{
    return w->stopping;
}

uint32_t
worker_now_s(const struct worker *w)
{
    return w->now_s;
}

uint64_t
worker_now_ms(const struct worker *w)
{
    return loop_now_ms(w->loop);
}

uint64_t
worker_uptime_s(const struct worker *w)
{
    return (clock_ms() - w->slot->started_ms) / 1000;
}

uint64_t
worker_stamp_us(struct worker *w)
{
    uint64_t n = w->proc->n_workers, now = clock_wall_us(),
             stamp = now > w->slot->stamp_us ? now : w->slot->stamp_us + 1;

    stamp += (w->proc->slot + n - stamp % n) % n;
    worker_begin(w, NULL);
    SET(w, w->slot->stamp_us, stamp);
    worker_commit(w);
    return stamp;
}

const struct conf_host *
host_of(const struct worker *w, struct str domain)
{
    return conf_host_find(w->proc->conf, domain);
}

const struct conf *
worker_conf(const struct worker *w)
{
    return w->proc->conf;
}

void
worker_count(struct worker *w, enum counter c, uint64_t n)
{
    proc_count(w->proc, c, n);
}
