/*
 * cmd_session.c -- commands about sessions: read out of the route table
 *
 * A session is ended by its worker. The answer does not wait for that: as in ejabberd
 * it says how many were told to end.
 */
#include <errno.h>
#include <stdio.h>

#include "admin/admin.h"
#include "admin/sessions.h"
#include "admin/stats.h"
#include "base/clock.h"
#include "base/mem.h"
#include "xmpp/error.h"
#include "xmpp/jid.h"

enum {
    INFO_CELLS = 10
};

static void
session_jid(struct buf *out, const struct session *s)
{
    jid_write(out, &(struct jid){ s->local, s->domain, s->resource });
}

static void
emit_jid(struct request *rq, const struct session *s)
{
    struct buf jid = { 0 };
    struct str cell;

    session_jid(&jid, s);
    cell = buf_str(&jid);
    result_row(&rq->result, &cell);
    buf_fini(&jid);
}

/* jid first: connected_users_info shows it, user_sessions_info does not. */
static void
session_info(struct request *rq, const struct session *s, bool with_jid)
{
    uint64_t now = clock_wall_us();
    char priority[8], uptime[24];
    struct str cell[INFO_CELLS], port;
    struct buf jid = { 0 };

    session_jid(&jid, s);
    cell[0] = buf_str(&jid);
    cell[1] = s->flags & ROUTE_TLS ? STR("c2s_tls") : STR("c2s");
    sessions_remote(s->remote, &cell[2], &port);
    cell[3] = port.n ? port : STR("0");
    snprintf(priority, sizeof priority, "%d", s->available ? s->priority : -1);
    cell[4] = str_from(priority);
    cell[5] = str_from(admin_node(rq->admin));
    snprintf(uptime, sizeof uptime, "%llu",
            (unsigned long long)(now > s->since_us ? (now - s->since_us) / 1000000
                                                   : 0));
    cell[6] = str_from(uptime);
    cell[7] = s->show;
    cell[8] = s->resource;
    cell[9] = s->status;
    result_row(&rq->result, with_jid ? cell : cell + 1);
    buf_fini(&jid);
}

static void
emit_info(struct request *rq, const struct session *s)
{
    session_info(rq, s, true);
}

void
cmd_connected_users(struct request *rq)
{
    sessions_walk(rq, STR_NULL, false, emit_jid);
}

void
cmd_connected_users_info(struct request *rq)
{
    sessions_walk(rq, STR_NULL, true, emit_info);
}

void
cmd_connected_users_vhost(struct request *rq)
{
    const struct conf_host *host = request_host(rq, rq->arg[0]);

    if (host)
        sessions_walk(rq, str_dup(&rq->arena, host->name), false, emit_jid);
    else
        result_end(&rq->result);
}

void
cmd_connected_users_number(struct request *rq)
{
    stats_online(rq, STR_NULL);
}

/*
 * The sessions of the account that the first two arguments name: how many; -EAGAIN when
 * the command is called again by itself.
 */
static int
sessions_named(struct request *rq, bool presence, struct session **ret_sessions)
{
    struct str bare;
    int n = 0;

    if (request_bare(rq, rq->arg[0], rq->arg[1], &bare))
        n = sessions_of(rq, bare, presence, ret_sessions);
    rq->more = n == -EAGAIN ? command_handler(rq->command->id) : NULL;
    return n;
}

void
cmd_user_resources(struct request *rq)
{
    struct session *s = NULL;
    int n = sessions_named(rq, false, &s);

    if (n == -EAGAIN)
        return;
    for (int i = 0; i < n; i++)
        result_row(&rq->result, &s[i].resource);
    result_end(&rq->result);
}

void
cmd_user_sessions_info(struct request *rq)
{
    struct session *s = NULL;
    int n = sessions_named(rq, true, &s);

    if (n == -EAGAIN)
        return;
    for (int i = 0; i < n; i++)
        session_info(rq, &s[i], false);
    result_end(&rq->result);
}

void
cmd_num_resources(struct request *rq)
{
    struct session *s = NULL;
    int n = sessions_named(rq, false, &s);

    if (n != -EAGAIN)
        result_number(&rq->result, (uint64_t)n);
}

void
cmd_resource_num(struct request *rq)
{
    struct session *s = NULL;
    int n = sessions_named(rq, false, &s);
    int64_t num = 0;

    if (n == -EAGAIN)
        return;
    if (str_to_i64(rq->arg[2], &num) < 0 || num < 1 || num > n) {
        result_error(&rq->result, "bad_argument", 0, "Wrong resource number: %.*s",
                STR_ARG(rq->arg[2]));
        return;
    }
    result_row(&rq->result, &s[num - 1].resource);
    result_end(&rq->result);
}

void
cmd_get_presence(struct request *rq)
{
    struct session *s = NULL, *best = NULL;
    struct session nobody = { .show = STR("unavailable"), .status = STR("") };
    int n = sessions_named(rq, true, &s);
    struct buf jid = { 0 };
    struct str cell[3], bare;

    if (n == -EAGAIN)
        return;
    for (int i = 0; i < n; i++)
        if (s[i].available && (!best || s[i].priority > best->priority))
            best = &s[i];
    if (best)
        session_jid(&jid, best);
    else if (request_bare(rq, rq->arg[0], rq->arg[1], &bare))
        buf_add_str(&jid, bare);
    else
        buf_addf(&jid, "%.*s@%.*s", STR_ARG(rq->arg[0]), STR_ARG(rq->arg[1]));
    if (!best)
        best = &nobody;
    cell[0] = buf_str(&jid);
    cell[1] = best->show;
    cell[2] = best->status;
    result_row(&rq->result, cell);
    result_end(&rq->result);
    buf_fini(&jid);
}

void
cmd_kick_user(struct request *rq)
{
    struct buf text = { 0 };
    struct str bare;
    int n = 0;

    if (request_bare(rq, rq->arg[0], rq->arg[1], &bare))
        n = sessions_end(rq, bare, STR_NULL, STREAM_ERROR_POLICY_VIOLATION,
                STR("has been kicked"));
    rq->more = n == -EAGAIN ? cmd_kick_user : NULL;
    if (n == -EAGAIN)
        return;
    if (rq->command->shape == SHAPE_SCALAR) {
        result_number(&rq->result, (uint64_t)n);
        return;
    }
    buf_addf(&text, "Kicked sessions: %d", n);
    result_text(&rq->result, buf_str(&text));
    buf_fini(&text);
}

void
cmd_kick_session(struct request *rq)
{
    struct str bare, resource;
    int n = 0;

    if (request_bare(rq, rq->arg[0], rq->arg[1], &bare) &&
            jid_prep_resource(&rq->arena, rq->arg[2], &resource) == 0)
        n = sessions_end(rq, bare, resource, STREAM_ERROR_CONFLICT, rq->arg[3]);
    rq->more = n == -EAGAIN ? cmd_kick_session : NULL;
    if (n != -EAGAIN)
        result_ok(&rq->result);
}

void
stats_online(struct request *rq, struct str host)
{
    struct route_stats stats = { 0 };

    if (host.p) {
        sessions_count(rq, host);
        return;
    }
    if (admin_routes(rq->admin))
        route_stats(admin_routes(rq->admin), &stats);
    result_number(&rq->result, stats.sessions);
}
