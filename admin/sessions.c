/*
 * sessions.c -- sessions out of the route table, sorted, and their ending
 *
 * The table is read without locks, so that a walk shows each session that is there all
 * the time, and perhaps some that come or go meanwhile. It is done in slices, a few
 * batches per turn of the loop, so that other commands are answered in between.
 */
#include "admin/sessions.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "base/mem.h"
#include "xml/parser.h"
#include "xmpp/ns.h"

enum {
    BATCHES_A_TURN = 64
};

struct walk {
    struct str host; /* p == NULL: all */
    bool presence;
    session_fn emit; /* NULL: count */
    uint64_t at, count;
    struct route_snapshot snap;
    struct arena arena; /* of the sessions since the last part */
    struct session *session;
    size_t n, size;
};

static int
session_cmp(const void *pa, const void *pb)
{
    const struct session *a = pa, *b = pb;
    int d = str_cmp(a->local, b->local);

    if (d == 0)
        d = str_cmp(a->domain, b->domain);
    return d != 0 ? d : str_cmp(a->resource, b->resource);
}

static void
session_copy(struct request *rq, struct arena *arena, const struct route_entry *e,
        bool presence, struct session *ret)
{
    struct str domain = str_dup(arena, e->bare), local = STR_NULL;

    if (domain.n > 0 && memchr(domain.p, '@', domain.n))
        str_cut(&domain, '@', &local);
    *ret = (struct session){ .conn = e->conn,
        .since_us = e->since_us,
        .local = local,
        .domain = domain,
        .resource = str_dup(arena, e->resource),
        .remote = str_dup(arena, e->remote),
        .priority = e->priority,
        .available = e->available,
        .flags = e->flags };
    if (presence)
        sessions_presence(rq->admin->xml, arena, e->presence, e->available, &ret->show,
                &ret->status);
}

void
sessions_presence(struct xml_pool *xml, struct arena *arena, struct str presence,
        bool available, struct str *ret_show, struct str *ret_status)
{
    struct xml_el *el = NULL;
    struct str show, status;

    *ret_show = available ? STR("available") : STR("unavailable");
    *ret_status = STR("");
    if (presence.n == 0 ||
            xml_parse(xml, NULL, arena, presence, NS_CLIENT, &el) != XML_OK)
        return;
    show = xml_child_text(el, "show", NULL);
    status = xml_child_text(el, "status", NULL);
    if (available && show.n > 0)
        *ret_show = show;
    if (status.n > 0)
        *ret_status = status;
}

void
sessions_remote(struct str remote, struct str *ret_ip, struct str *ret_port)
{
    size_t colon = remote.n;

    while (colon > 0 && remote.p[colon - 1] != ':' && remote.p[colon - 1] != ']')
        colon--;
    *ret_ip = remote;
    *ret_port = STR_NULL;
    if (colon > 0 && remote.p[colon - 1] == ':') {
        *ret_port = (struct str){ remote.p + colon, remote.n - colon };
        *ret_ip = (struct str){ remote.p, colon - 1 };
    }
    if (str_starts(*ret_ip, STR("[")) && str_ends(*ret_ip, STR("]")))
        *ret_ip = (struct str){ ret_ip->p + 1, ret_ip->n - 2 };
}

static void
walk_fini(void *arg)
{
    struct walk *w = arg;

    route_snapshot_fini(&w->snap);
    arena_fini(&w->arena);
    mem_free(&w->session);
}

static void
walk_collect(struct request *rq, struct walk *w)
{
    for (size_t i = 0; i < w->snap.n; i++) {
        struct session s;

        session_copy(rq, &w->arena, &w->snap.entry[i], w->presence, &s);
        if (w->host.p && !str_eq(s.domain, w->host))
            continue;
        w->count++;
        if (!w->emit)
            continue;
        if (w->n == w->size) {
            w->size = w->size ? w->size * 2 : 64;
            w->session = mem_realloc(w->session, w->size * sizeof *w->session);
        }
        w->session[w->n++] = s;
    }
}

static void
walk_emit(struct request *rq, struct walk *w)
{
    if (w->n > 0)
        qsort(w->session, w->n, sizeof *w->session, session_cmp);
    for (size_t i = 0; i < w->n; i++)
        w->emit(rq, &w->session[i]);
    w->n = 0;
    arena_reset(&w->arena);
}

static void
walk_on(struct request *rq)
{
    struct walk *w = rq->state;
    unsigned want = w->presence ? ROUTE_WANT_PRESENCE : 0;

    for (int i = 0; i < BATCHES_A_TURN; i++) {
        int n = route_walk(&rq->admin->routes, &w->at, want, &w->snap);

        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            walk_emit(rq, w);
            if (w->emit)
                result_end(&rq->result);
            else
                result_number(&rq->result, w->count);
            return;
        }
        walk_collect(rq, w);
        if (!w->emit)
            arena_reset(&w->arena);
        if (w->n >= SESSIONS_SORTED) {
            walk_emit(rq, w);
            return;
        }
    }
}

void
sessions_walk(struct request *rq, struct str host, bool presence, session_fn emit)
{
    struct walk *w;

    if (!admin_routes(rq->admin)) {
        result_error(&rq->result, "unavailable", 0, "the route table is not there");
        return;
    }
    w = arena_new(&rq->arena, struct walk);
    w->host = host;
    w->presence = presence;
    w->emit = emit;
    arena_init(&w->arena, 64 * 1024);
    arena_on_end(&rq->arena, walk_fini, w);
    rq->state = w;
    rq->more = walk_on;
    loop_again(rq->p->loop);
}

void
sessions_count(struct request *rq, struct str host)
{
    sessions_walk(rq, host, false, NULL);
}

int
sessions_of(struct request *rq, struct str bare, bool presence,
        struct session **ret_sessions)
{
    struct route_snapshot snap = { 0 };
    int n = 0;

    if (admin_routes(rq->admin))
        n = route_lookup(
                &rq->admin->routes, bare, presence ? ROUTE_WANT_PRESENCE : 0, &snap);
    if (n > 0) {
        *ret_sessions = arena_zalloc(&rq->arena, (size_t)n * sizeof **ret_sessions);
        for (int i = 0; i < n; i++)
            session_copy(rq, &rq->arena, &snap.entry[i], presence, &(*ret_sessions)[i]);
        qsort(*ret_sessions, (size_t)n, sizeof **ret_sessions, session_cmp);
    }
    route_snapshot_fini(&snap);
    return n;
}

int
sessions_end(struct request *rq, struct str bare, struct str resource,
        enum stream_error condition, struct str text)
{
    struct session *s = NULL;
    int n = sessions_of(rq, bare, false, &s), n_ended = 0;

    for (int i = 0; i < n; i++) {
        struct ipc_session_end msg = {
            .conn = s[i].conn, .condition = (uint8_t)condition, .text = text
        };

        if (resource.p && !str_eq(resource, s[i].resource))
            continue;
        proc_send(rq->p, ipc_addr_of(PROC_WORKER, conn_id_slot(s[i].conn)),
                IPC_SESSION_END, &msg);
        n_ended++;
    }
    return n < 0 ? n : n_ended;
}
