/*
 * process.c -- the sql process
 *
 * Frames in, sql_request, frames out. It keeps nothing that must outlive it: whoever
 * asked keeps the question, and a successor says SQL_RESTARTED so that it is asked
 * again. Hosts with equal settings share a connection.
 */
#include "sql/process.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>

#include "base/mem.h"
#include "sql/wire.h"

enum {
    REPLY_BYTES = 48 << 10, /* then another frame is begun */
    STOP_WAIT_MS = 5000,
    SWEEP_MS = 1000,
};

/* One database and the settings it was opened with, which are in p->conf. */
struct place {
    struct list node;
    struct sql_process *process;
    const struct conf_sql *conf; /* NULL: no host has it any more; closed when idle */
    struct sql_db *db;
    char name[128];
};

struct sql_process {
    struct proc *p;
    struct list places;
    size_t n_waiting; /* questions that were not answered yet */
    struct loop_timer sweep, stop_timer;
    struct loop_turn turn;
    uint64_t commits_before; /* of connections that are closed */
    bool stopping;
};

struct waiting {
    struct sql_process *process;
    ipc_addr from;
    uint64_t id;
};

static void
settings_of(const struct conf_sql *c, struct sql_settings *ret)
{
    *ret = (struct sql_settings){
        .type = c->type == CONF_SQL_PGSQL ? SQL_ENGINE_PGSQL : SQL_ENGINE_SQLITE,
        .database = c->database,
        .server = c->server,
        .username = c->username,
        .password = c->password,
        .port = c->port,
        .ssl = c->ssl || c->ssl_verify,
        .ssl_verify = c->ssl_verify,
        .ssl_cafile = c->ssl_cafile,
        .ssl_certfile = c->ssl_certfile,
        .connect_timeout_ms = c->connect_timeout_ms,
        .query_timeout_ms = c->query_timeout_ms,
        .start_interval_ms = c->start_interval_ms,
        .keepalive_interval_ms = c->keepalive_interval_ms,
        .schema_timeout_ms = c->update_schema_timeout_ms,
        .multihost = c->multihost,
        .update_schema = c->update_schema,
        .no_prepared_statements = !c->prepared_statements,
    };
}

static struct place *
place_find(struct sql_process *process, const struct conf_sql *conf)
{
    list_for(node, &process->places)
    {
        struct place *place = list_entry(node, struct place, node);

        if (place->conf && conf_sql_eq(place->conf, conf))
            return place;
    }
    return NULL;
}

/* Where a database file is, seen from the directory that may have become our root. */
static struct str
path_inside(const struct proc *p, struct str path)
{
    struct str root = p->sandbox.chroot_dir;

    if (!p->has_root || !str_starts(path, root) || path.n == root.n ||
            path.p[root.n] != '/')
        return path;
    return (struct str){ path.p + root.n, path.n - root.n };
}

/*
 * ejabberd before 25.03 cannot bear the column users.type; it is added to a table of
 * its kind only for a host whose configuration asks for what needs it.
 */
static bool
wants_password_types(const struct conf *conf, const struct conf_sql *db)
{
    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i];

        for (size_t k = 0; host->wants_password_types && k < host->n_auth_methods;
                k++) {
            if (conf_sql_eq(conf_host_auth_db(host, k), db))
                return true;
        }
    }
    return false;
}

/* What was refused while it was away need not wait for its next try. */
static void
on_back(void *arg)
{
    struct sql_process *process = arg;

    for (unsigned slot = 0; slot < process->p->n_workers; slot++)
        proc_send(process->p, ipc_addr_of(PROC_WORKER, slot), IPC_SQL_BACK,
                &(struct ipc_nothing){ 0 });
}

/* The connection for these settings, opened if need be; NULL: no engine for them. */
static struct place *
place_get(struct sql_process *process, const struct conf_sql *conf)
{
    struct place *place = place_find(process, conf);
    struct sql_settings settings;

    if (place)
        return place;
    if (conf->type != CONF_SQL_PGSQL && conf->type != CONF_SQL_SQLITE)
        return NULL;
    place = mem_zalloc(sizeof *place);
    place->process = process;
    place->conf = conf;
    if (conf->type == CONF_SQL_PGSQL)
        snprintf(place->name, sizeof place->name, "%.*s@%.*s", STR_ARG(conf->database),
                STR_ARG(conf->server));
    else
        snprintf(place->name, sizeof place->name, "%.*s", STR_ARG(conf->database));
    settings_of(conf, &settings);
    settings.password_types = wants_password_types(process->p->conf, conf);
    settings.database = path_inside(process->p, settings.database);
    place->db = sql_db_open(process->p->loop, &settings, place->name);
    sql_db_on_back(place->db, on_back, process);
    list_add(&process->places, &place->node);
    return place;
}

static void
place_close(struct place *place)
{
    struct sql_stats stats;

    sql_db_stats(place->db, &stats);
    place->process->commits_before += stats.commits;
    list_del(&place->node);
    sql_db_close(&place->db);
    mem_free_p(place);
}

/* Opens what will be asked first; the rest is opened when it is asked. */
static void
places_open(struct sql_process *process)
{
    const struct conf *conf = process->p->conf;

    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i];

        place_get(process, conf_host_db(host, host->default_db));
        for (size_t k = 0; k < host->n_auth_methods; k++)
            place_get(process, conf_host_auth_db(host, k));
    }
}

static void
reply_plain(struct sql_process *process, ipc_addr to, uint64_t id,
        enum ipc_status status, const char *text)
{
    struct ipc_sql_reply reply = {
        .id = id, .status = (uint8_t)status, .text = str_from(text)
    };

    proc_send(process->p, to, IPC_SQL_REPLY, &reply);
}

static void
reply_result(struct sql_process *process, ipc_addr to, uint64_t id,
        const struct sql_result *result)
{
    struct ipc_sql_reply reply = { .id = id,
        .status = (uint8_t)sql_wire_status(result->status),
        .repeated = result->repeated,
        .changed = result->changed };
    struct buf rows = { 0 };

    for (size_t i = 0; i < result->n_rows; i++, reply.n_rows++) {
        if (rows.n >= REPLY_BYTES) {
            reply.more = 1;
            reply.rows = buf_str(&rows);
            proc_send(process->p, to, IPC_SQL_REPLY, &reply);
            buf_reset(&rows, REPLY_BYTES * 2);
            reply.n_rows = 0;
        }
        sql_wire_row_put(&rows, &result->value[i * result->n_cols], result->n_cols);
    }
    reply.more = 0;
    reply.rows = buf_str(&rows);
    proc_send(process->p, to, IPC_SQL_REPLY, &reply);
    /* Credentials go through here. */
    if (rows.p)
        mem_wipe(rows.p, rows.n);
    buf_fini(&rows);
}

static void
process_end(struct sql_process *process)
{
    loop_timer_cancel(process->p->loop, &process->stop_timer);
    while (!list_empty(&process->places))
        place_close(list_entry(process->places.next, struct place, node));
    proc_stopped(process->p, 0);
}

static void
on_stop_timer(struct loop_timer *timer)
{
    process_end(container_of(timer, struct sql_process, stop_timer));
}

static void
on_done(void *arg, const struct sql_result *result)
{
    struct waiting *w = arg;
    struct sql_process *process = w->process;

    reply_result(process, w->from, w->id, result);
    if (result->status == SQL_UNAVAILABLE || result->status == SQL_ERROR)
        proc_count(process->p, COUNTER_SQL_FAILED, 1);
    mem_free_p(w);
    process->n_waiting--;
    if (process->stopping && process->n_waiting == 0)
        loop_timer_set(process->p->loop, &process->stop_timer, 0);
}

/* The database that is meant: NULL with *ret_why when there is none. */
static struct place *
request_place(struct sql_process *process, const struct ipc_sql_request *msg,
        const char **ret_why)
{
    const struct conf_host *host = conf_host_find(process->p->conf, msg->host);
    enum conf_db db;
    struct place *place;

    if (!host) {
        *ret_why = "no such host";
        return NULL;
    }
    db = host->default_db;
    if (msg->db == SQL_WHICH_EMBEDDED)
        db = CONF_DB_MNESIA;
    else if (msg->db == SQL_WHICH_SQL)
        db = CONF_DB_SQL;
    place = place_get(process, conf_host_db(host, db));
    if (!place)
        *ret_why = "no engine for this sql_type";
    return place;
}

static void
on_sql_request(void *ctx, ipc_addr from, const void *m, int *fd)
{
    struct proc *p = ctx;
    struct sql_process *process = p->self;
    const struct ipc_sql_request *msg = m;
    const struct sql_op_def *def = sql_op_def((enum sql_op)msg->op);
    const char *why = "no such operation";
    struct place *place = NULL;
    struct sql_call call = { .op = (enum sql_op)msg->op, .host = msg->host };
    struct sql_value *param = NULL;
    struct waiting *w;
    struct arena arena;
    int r = -EINVAL;

    (void)fd;
    arena_init(&arena, 4096);
    proc_count(p, COUNTER_SQL_REQUESTS, 1);
    w = mem_alloc(sizeof *w);
    *w = (struct waiting){ .process = process, .from = from, .id = msg->id };
    if (def && sql_wire_params(&arena, def, msg->params, &param) < 0)
        why = "the parameters do not fit the operation";
    else if (def)
        place = request_place(process, msg, &why);
    if (place) {
        call.param = param;
        call.n_params = msg->params.n;
        call.done = on_done;
        call.arg = w;
        sql_wire_id_get(msg->write_id_hi, msg->write_id_lo, &call.id);
        r = sql_request(place->db, &call);
        why = r == -ENOBUFS  ? "too many requests wait for the database"
              : r == -ESTALE ? "the write id is too old"
                             : "the request is not valid";
    }
    if (r == 0) {
        process->n_waiting++;
    } else {
        proc_count(p, COUNTER_SQL_FAILED, 1);
        mem_free_p(w);
        reply_plain(process, from, msg->id,
                r == -ENOBUFS ? IPC_UNAVAILABLE : IPC_INVALID, why);
    }
    arena_fini(&arena);
}

/* "databases": one line each, for the administrator. */
static void
on_proc_call(void *ctx, ipc_addr from, const void *m, int *fd)
{
    static const char *const state[] = {
        [SQL_AWAY] = "away",
        [SQL_CONNECTING] = "connecting",
        [SQL_READY] = "ready",
    };
    struct proc *p = ctx;
    struct sql_process *process = p->self;
    const struct ipc_call *msg = m;
    struct buf out = { 0 };

    (void)fd;
    if (!str_eq_c(msg->name, "databases")) {
        proc_reply(p, from, IPC_PROC_REPLY, msg->id, IPC_INVALID,
                STR("this process does not know that question"));
        return;
    }
    list_for(node, &process->places)
    {
        struct place *place = list_entry(node, struct place, node);
        struct sql_stats s;

        sql_db_stats(place->db, &s);
        buf_addf(&out, "%s %s requests=%llu waiting=%zu commits=%llu lost=%llu%s%s\n",
                place->name, state[sql_db_state(place->db)],
                (unsigned long long)s.requests, s.waiting,
                (unsigned long long)s.commits, (unsigned long long)s.lost,
                *sql_db_why_away(place->db) ? " " : "", sql_db_why_away(place->db));
    }
    proc_reply(p, from, IPC_PROC_REPLY, msg->id, IPC_OK, buf_str(&out));
    buf_fini(&out);
}

/* Closes connections that no host has any more, once they are idle. */
static void
on_sweep(struct loop_timer *timer)
{
    struct sql_process *process = container_of(timer, struct sql_process, sweep);
    bool again = false;

    list_for_safe(node, &process->places)
    {
        struct place *place = list_entry(node, struct place, node);
        struct sql_stats s;

        sql_db_stats(place->db, &s);
        if (place->conf)
            continue;
        if (s.waiting == 0)
            place_close(place);
        else
            again = true;
    }
    if (again)
        loop_timer_set(process->p->loop, timer, SWEEP_MS);
}

/* Settings of a host in the new configuration that are equal to these; NULL: none. */
static const struct conf_sql *
conf_sql_again(const struct conf *conf, const struct conf_sql *sql)
{
    for (size_t i = 0; i < conf->n_hosts; i++) {
        const struct conf_host *host = &conf->hosts[i];

        for (int db = CONF_DB_MNESIA; db <= CONF_DB_SQL; db++) {
            const struct conf_sql *other = conf_host_db(host, (enum conf_db)db);

            if (conf_sql_eq(sql, other))
                return other;
        }
    }
    return NULL;
}

static void
process_reload(struct proc *p)
{
    struct sql_process *process = p->self;

    list_for(node, &process->places)
    {
        struct place *place = list_entry(node, struct place, node);

        if (place->conf)
            place->conf = conf_sql_again(p->conf, place->conf);
    }
    places_open(process);
    loop_timer_set(p->loop, &process->sweep, 0);
}

static void
on_turn_end(void *arg)
{
    struct sql_process *process = arg;
    uint64_t commits = process->commits_before;

    list_for(node, &process->places)
    {
        struct sql_stats s;

        sql_db_stats(list_entry(node, struct place, node)->db, &s);
        commits += s.commits;
    }
    process->p->status->counter[COUNTER_SQL_COMMITS] = commits;
}

/* The system's resolver reads its files and plug-ins now; later it could not. */
static int
process_prepare(struct proc *p)
{
    struct addrinfo *list = NULL;

    (void)p;
    if (getaddrinfo("localhost", NULL, NULL, &list) == 0)
        freeaddrinfo(list);
    return 0;
}

static int
process_start(struct proc *p)
{
    static const enum proc_role askers[] = { PROC_AUTH, PROC_WORKER, PROC_ADMIN };
    struct sql_process *process = mem_zalloc(sizeof *process);

    p->self = process;
    process->p = p;
    list_init(&process->places);
    process->sweep.fn = on_sweep;
    process->stop_timer.fn = on_stop_timer;
    process->turn = (struct loop_turn){ .fn = on_turn_end, .arg = process };
    loop_on_turn_end(p->loop, &process->turn);
    places_open(process);
    for (size_t i = 0; p->starts > 0 && i < ARRAY_LEN(askers); i++) {
        for (unsigned slot = 0; slot < IPC_SLOTS_MAX; slot++) {
            ipc_addr to = ipc_addr_of(askers[i], slot);

            if (post_has_peer(p->post, to))
                proc_send(p, to, IPC_SQL_RESTARTED, &(struct ipc_nothing){ 0 });
        }
    }
    proc_ready(p);
    return 0;
}

static void
process_stop(struct proc *p)
{
    struct sql_process *process = p->self;

    process->stopping = true;
    loop_timer_set(
            p->loop, &process->stop_timer, process->n_waiting ? STOP_WAIT_MS : 0);
}

static void
process_finish(struct proc *p)
{
    struct sql_process *process = p->self;

    if (!process)
        return;
    list_del(&process->turn.node);
    loop_timer_cancel(p->loop, &process->sweep);
    loop_timer_cancel(p->loop, &process->stop_timer);
    while (!list_empty(&process->places))
        place_close(list_entry(process->places.next, struct place, node));
    mem_free_p(process);
    p->self = NULL;
}

static const ipc_handler_fn handlers[IPC_TYPES] = {
    [IPC_SQL_REQUEST] = on_sql_request,
    [IPC_PROC_CALL] = on_proc_call,
};

const struct proc_role_ops sql_ops = {
    .role = PROC_SQL,
    .prepare = process_prepare,
    .start = process_start,
    .reload = process_reload,
    .stop = process_stop,
    .finish = process_finish,
    .handlers = handlers,
};
