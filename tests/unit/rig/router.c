/*
 * router.c -- a router process whose workers are mailboxes
 *
 * The frames that the router sends are read at the workers' ends and written
 * down as text, so that a test says what is expected in one line each.
 */
#include "tests/unit/rig/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/router.h"
#include "xmpp/error.h"

enum {
    ZONE_SIZE = 16 << 20
};

ipc_addr
addr_of(unsigned end)
{
    if (end < WORKERS)
        return ipc_addr_of(PROC_WORKER, end);
    return ipc_addr_of(end == WORKERS ? PROC_ADMIN : PROC_MASTER, 0);
}

static void
note_bound(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    static const char *const status[] = { "ok", "conflict", "denied", "full" };
    struct end *e = ctx;
    const struct ipc_route_bound *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: bound %u %s %.*s\n", e->number,
            conn_id_index(m->conn), status[m->status], STR_ARG(m->resource));
}

static void
note_present(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_route_present *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: present %u #%u was %d\n", e->number,
            conn_id_index(m->conn), m->serial, m->was_available);
}

static void
note_sync(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_u64 *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: sync %u\n", e->number, (unsigned)m->value);
}

static void
note_end(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_session_end *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "%u: end %u %s\n", e->number, conn_id_index(m->conn),
            stream_error_name((enum stream_error)m->condition));
}

static void
note_reply(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;
    const struct ipc_reply *m = msg;

    (void)from, (void)fd;
    buf_addf(&e->world->said, "reply %u %s %.*s\n", (unsigned)m->id,
            ipc_status_name((enum ipc_status)m->status), STR_ARG(m->text));
}

static void
note_ready(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;

    (void)from, (void)msg, (void)fd;
    buf_add_c(&e->world->said, "ready\n");
}

static const ipc_handler_fn notes[IPC_TYPES] = {
    [IPC_ROUTE_BOUND] = note_bound,
    [IPC_ROUTE_PRESENT] = note_present,
    [IPC_ROUTE_SYNC] = note_sync,
    [IPC_SESSION_END] = note_end,
    [IPC_PROC_REPLY] = note_reply,
    [IPC_READY] = note_ready,
};

void
router_begin(struct world *w)
{
    w->p.self = NULL;
    w->p.loop = loop_new();
    w->p.post = post_new(w->p.loop, ipc_addr_of(PROC_ROUTER, 0));
    for (unsigned i = 0; i < ENDS; i++) {
        int fd[2];

        assert_int_equal(mailbox_open(fd), 0);
        close_fd(&w->end[i].fd);
        w->end[i].fd = fd[0];
        post_add_peer(w->p.post, addr_of(i), fd[1]);
    }
    assert_int_equal(router_ops.prepare(&w->p), 0);
    assert_int_equal(router_ops.start(&w->p), 0);
}

void
router_dies(struct world *w)
{
    router_ops.finish(&w->p);
    post_free(&w->p.post);
    loop_free(&w->p.loop);
    w->p.starts++;
}

void
world_open(struct world *w)
{
    int rw = -1, ro = -1;

    memset(w, 0, sizeof *w);
    w->p.role = PROC_ROUTER;
    w->p.addr = ipc_addr_of(PROC_ROUTER, 0);
    w->p.n_workers = WORKERS;
    w->p.status = &w->status;
    assert_int_equal(zone_create(ZONE_SIZE, &rw, &ro), 0);
    assert_int_equal(zone_map(&w->p.routes, rw, ZONE_SIZE, 0, true), 0);
    assert_int_equal(zone_map(&w->ro, ro, ZONE_SIZE, 0, false), 0);
    close_fd(&rw);
    close_fd(&ro);
    assert_int_equal(route_open(&w->route, &w->ro), 0);
    for (unsigned i = 0; i < ENDS; i++) {
        w->end[i] = (struct end){ .fd = -1, .world = w, .number = i };
        mailbox_reader_init(&w->end[i].reader, addr_of(i), P_ROUTER, notes, &w->end[i]);
    }
    router_begin(w);
}

void
world_close(struct world *w)
{
    router_dies(w);
    for (unsigned i = 0; i < ENDS; i++) {
        assert_int_equal(w->end[i].reader.n_bad, 0);
        mailbox_reader_fini(&w->end[i].reader);
        close_fd(&w->end[i].fd);
    }
    route_snapshot_fini(&w->snap);
    buf_fini(&w->said);
    zone_unmap(&w->p.routes);
    zone_unmap(&w->ro);
}

const char *
said(struct world *w)
{
    for (int i = 0; i < 50; i++)
        loop_turn_once(w->p.loop, 0);
    post_flush(w->p.post);
    buf_reset(&w->said, 1 << 16);
    for (unsigned i = 0; i < ENDS; i++) {
        while (mailbox_read(&w->end[i].reader, w->end[i].fd) == 1)
            continue;
    }
    return buf_c(&w->said);
}

void
tell(struct world *w, unsigned worker, enum ipc_type type, const void *msg)
{
    int fd = -1;

    router_ops.handlers[type](&w->p, addr_of(worker), msg, &fd);
}

uint64_t
conn(unsigned n)
{
    return conn_id_of(n / 100, n, 1);
}

void
bind_as(struct world *w, const char *bare, struct bind b)
{
    struct ipc_route_bind m = {
        .conn = conn(b.conn),
        .conflict = (uint8_t)b.conflict,
        .resync = b.resync,
        .sessions_max = b.sessions_max,
        .bare = str_from(bare),
        .resource = str_from(b.resource),
        .since_us = b.since_us ? b.since_us : b.conn,
        .remote = STR("[2001:db8::1]:40000"),
        .available = b.presence != NULL,
        .presence = str_from(b.presence),
        .serial = b.serial,
        .flags = ROUTE_ROSTER,
    };

    tell(w, b.conn / 100, IPC_ROUTE_BIND, &m);
}

void
presence(struct world *w, unsigned n, uint32_t serial, bool available, const char *text)
{
    struct ipc_route_presence m = {
        .conn = conn(n),
        .serial = serial,
        .available = available,
        .priority = 3,
        .flags = ROUTE_CARBONS,
        .bare = STR("romeo@example.net"),
        .presence = str_from(text),
    };

    tell(w, n / 100, IPC_ROUTE_PRESENCE, &m);
}

void
unbind(struct world *w, unsigned n)
{
    struct ipc_route_conn m = { .conn = conn(n), .bare = STR("romeo@example.net") };

    tell(w, n / 100, IPC_ROUTE_UNBIND, &m);
}

void
synced(struct world *w, unsigned worker, uint64_t epoch)
{
    tell(w, worker, IPC_ROUTE_SYNCED, &(struct ipc_u64){ .value = epoch });
}

const char *
table(struct world *w)
{
    static char text[512];
    size_t n = 0;

    text[0] = '\0';
    assert_true(route_lookup(&w->route, STR("romeo@example.net"), ROUTE_WANT_PRESENCE,
                        &w->snap) >= 0);
    for (size_t i = 0; i < w->snap.n && n < sizeof text - 64; i++) {
        const struct route_entry *e = &w->snap.entry[i];

        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u/%.*s%s", i ? " " : "",
                conn_id_index(e->conn), STR_ARG(e->resource), e->available ? "+" : "");
    }
    return text;
}
