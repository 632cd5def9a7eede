/*
 * db.c -- one database: connecting, ready, away
 *
 * Connecting ends when the tables have been looked at (schema.c) and the statements are
 * prepared. A database that does not answer is away: it is tried again after a second,
 * then after twice as long each time, up to sql_start_interval. Requests wait
 * meanwhile, each to the end of its own time (group.c). The log hears of it once when
 * it goes, once when it is back, and when the reason changes.
 */
#include "sql/db.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    BACK_OFF_FIRST_MS = 1000,
    CARE_MS = 1000,
    EXPIRE_MS = 60 * 1000,
    UNUSABLE_LOGGED = 3, /* a missing table makes many */
};

static void db_connect(struct sql_db *db);

struct loop *
sql_db_loop(struct sql_db *db)
{
    return db->loop;
}

const struct sql_settings *
sql_db_settings(const struct sql_db *db)
{
    return &db->settings;
}

const char *
sql_db_name(const struct sql_db *db)
{
    return db->name;
}

struct arena *
sql_db_group_arena(struct sql_db *db)
{
    return &db->group_arena;
}

bool
sql_db_has(const struct sql_db *db, const struct sql_conn *conn)
{
    return db->conn == conn;
}

enum sql_state
sql_db_state(const struct sql_db *db)
{
    return db->state;
}

const char *
sql_db_why_away(const struct sql_db *db)
{
    return db->why;
}

void
sql_db_stats(const struct sql_db *db, struct sql_stats *ret_stats)
{
    *ret_stats = db->stats;
    ret_stats->waiting = (size_t)(db->stats.requests - db->stats.answered);
}

static void
db_disconnect(struct sql_db *db)
{
    sql_schema_free(&db->schema);
    if (db->conn)
        db->engine->close(&db->conn);
    sql_layout_fini(&db->layout);
    arena_reset(&db->conn_arena);
    loop_timer_cancel(db->loop, &db->step);
    loop_timer_cancel(db->loop, &db->care);
}

void
sql_db_on_lost(struct sql_db *db, const char *why)
{
    char text[sizeof db->why];

    /* libpq says it in several lines. Copied: it may be the connection's. */
    snprintf(text, sizeof text, "%s", why && *why ? why : "unknown reason");
    text[strcspn(text, "\n")] = '\0';
    if (!*db->why)
        log_error(NULL, "database %s is away: %s", db->name, text);
    else if (strcmp(text, db->why) != 0)
        log_info(NULL, "database %s is still away: %s", db->name, text);
    memcpy(db->why, text, sizeof text);
    if (db->state == SQL_READY)
        db->stats.lost++;
    db_disconnect(db);
    db->state = SQL_AWAY;
    sql_group_return(db);
    loop_timer_set(db->loop, &db->step, db->back_off_ms);
    db->back_off_ms *= 2;
    if (db->back_off_ms > db->settings.start_interval_ms)
        db->back_off_ms = db->settings.start_interval_ms;
}

/* Whatever was to happen next did not in its time. */
static void
on_step(struct loop_timer *timer)
{
    struct sql_db *db = container_of(timer, struct sql_db, step);

    if (db->state == SQL_AWAY)
        db_connect(db);
    else
        sql_db_on_lost(db, "does not answer in time");
}

void
sql_db_on_back(struct sql_db *db, void (*fn)(void *arg), void *arg)
{
    db->on_back = fn;
    db->on_back_arg = arg;
}

static void
care_done(void *arg, const struct sql_result *result)
{
    (void)arg;
    (void)result;
}

static void
care_request(struct sql_db *db, enum sql_op op, const struct sql_value *param, size_t n)
{
    sql_request(
            db, &(struct sql_call){
                        .op = op, .param = param, .n_params = n, .done = care_done });
}

static void
on_care(struct loop_timer *timer)
{
    struct sql_db *db = container_of(timer, struct sql_db, care);
    uint64_t now = loop_now_ms(db->loop), ms;
    struct sql_write_id before = { { 0 } };
    struct sql_value param =
            sql_text((struct str){ (char *)before.b, sizeof before.b });

    if (db->cared_ms + EXPIRE_MS <= now && db->stmts.has_write_ids &&
            db->settings.update_schema) {
        /* Twice the time, for clocks of requesters that differ from ours. */
        ms = clock_wall_us() / 1000 - 2 * SQL_REPEAT_MAX_MS;
        for (int i = 5; i >= 0; i--, ms >>= 8)
            before.b[i] = (unsigned char)ms;
        db->cared_ms = now;
        care_request(db, SQL_WRITE_ID_EXPIRE, &param, 1);
    }
    if (db->settings.keepalive_interval_ms &&
            db->pinged_ms + db->settings.keepalive_interval_ms <= now) {
        db->pinged_ms = now;
        care_request(db, SQL_PING, NULL, 0);
    }
    loop_timer_set(db->loop, &db->care, CARE_MS);
}

void
sql_db_on_unusable(struct sql_db *db, enum sql_op op, const char *why)
{
    if (db->n_unusable && db->unusable_op == op)
        return;
    db->unusable_op = op;
    if (++db->n_unusable <= UNUSABLE_LOGGED)
        log_error(NULL, "database %s: %s will not work: %.*s", db->name,
                sql_op_def(op)->name, (int)strcspn(why, "\n"), why);
}

void
sql_db_on_prepared(struct sql_db *db)
{
    if (db->n_unusable > UNUSABLE_LOGGED)
        log_error(NULL, "database %s: %u operations in all will not work", db->name,
                db->n_unusable);
    db->state = SQL_READY;
    db->back_off_ms = BACK_OFF_FIRST_MS;
    loop_timer_cancel(db->loop, &db->step);
    loop_timer_set(db->loop, &db->care, CARE_MS);
    db->pinged_ms = loop_now_ms(db->loop);
    if (*db->why) {
        log_notice(NULL, "database %s is back", db->name);
        if (db->on_back)
            db->on_back(db->on_back_arg);
    } else {
        log_info(NULL, "database %s (%s) is ready", db->name, db->engine->name);
    }
    db->why[0] = '\0';
    sql_group_kick(db);
}

static void
on_limit(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_db *db = arg;

    (void)rows;
    if (error)
        sql_db_on_lost(db, error);
    else
        db->engine->prepare(db->conn, &db->stmts);
}

static void
db_compile(struct sql_db *db)
{
    struct sql_dialect dialect = { .engine = db->settings.type,
        .multihost = db->settings.multihost,
        .layout = &db->layout };

    memset(&db->stmts, 0, sizeof db->stmts);
    db->n_unusable = 0;
    db->stmts.has_write_ids = sql_layout_has(&db->layout, "stanzad_write", "id");
    for (enum sql_op op = 0; op < SQL_OPS; op++) {
        const struct sql_op_def *def = sql_op_def(op);

        for (size_t i = 0; i < def->n_steps; i++)
            sql_text_compile(&db->conn_arena, def->step[i].text, &dialect, def,
                    &db->stmts.stmt[op][i]);
    }
}

static void
on_schema(void *arg, const char *error)
{
    struct sql_db *db = arg;
    char why[200];

    if (error) {
        snprintf(why, sizeof why, "schema: %s", error);
        sql_db_on_lost(db, why);
        return;
    }
    sql_schema_free(&db->schema);
    db_compile(db);
    if (!db->stmts.has_write_ids)
        log_warning(NULL,
                "database %s has no table stanzad_write: after a crash a change"
                " may be done twice",
                db->name);
    db->engine->limit(db->conn, db->settings.query_timeout_ms, on_limit, db);
}

static void
on_schema_limit(void *arg, const char *error, const struct sql_result *rows)
{
    struct sql_db *db = arg;

    (void)rows;
    if (error) {
        sql_db_on_lost(db, error);
        return;
    }
    loop_timer_set(db->loop, &db->step,
            db->settings.schema_timeout_ms + db->settings.connect_timeout_ms);
    db->layout.arena = &db->conn_arena;
    db->schema = sql_schema_new(
            db->engine, db->conn, &db->settings, db->name, &db->layout, on_schema, db);
    sql_schema_start(db->schema);
}

void
sql_db_on_open(struct sql_db *db)
{
    db->engine->limit(db->conn, db->settings.schema_timeout_ms, on_schema_limit, db);
}

static void
db_connect(struct sql_db *db)
{
    db->state = SQL_CONNECTING;
    loop_timer_set(db->loop, &db->step, db->settings.connect_timeout_ms);
    db->conn = db->engine->open(db);
    db->engine->start(db->conn);
}

static void
settings_copy(struct sql_db *db, const struct sql_settings *from)
{
    struct sql_settings *to = &db->settings;

    *to = *from;
    to->database = str_dup(&db->arena, from->database);
    to->server = str_dup(&db->arena, from->server);
    to->username = str_dup(&db->arena, from->username);
    to->password = str_dup(&db->arena, from->password);
    to->ssl_cafile = str_dup(&db->arena, from->ssl_cafile);
    to->ssl_certfile = str_dup(&db->arena, from->ssl_certfile);
    if (to->start_interval_ms < BACK_OFF_FIRST_MS)
        to->start_interval_ms = BACK_OFF_FIRST_MS;
}

struct sql_db *
sql_db_open(struct loop *loop, const struct sql_settings *settings, const char *name)
{
    static const struct sql_engine *const engine[] = {
        [SQL_ENGINE_SQLITE] = &sql_engine_sqlite,
        [SQL_ENGINE_PGSQL] = &sql_engine_pgsql,
    };
    struct sql_db *db = mem_zalloc(sizeof *db);

    db->loop = loop;
    arena_init(&db->arena, 1024);
    arena_init(&db->conn_arena, 32768);
    db->engine = engine[settings->type];
    db->name = str_dup_c(&db->arena, str_from(name));
    settings_copy(db, settings);
    db->back_off_ms = BACK_OFF_FIRST_MS;
    db->step.fn = on_step;
    db->care.fn = on_care;
    sql_group_init(db);
    loop_timer_set(loop, &db->step, 0); /* state SQL_AWAY: connects */
    return db;
}

int
sql_request(struct sql_db *db, const struct sql_call *call)
{
    struct sql_req *req;
    int r;

    r = sql_req_new(call, &req);
    if (r < 0)
        return r;
    if (sql_queue_is_full(&db->queue, &db->later, req->size)) {
        sql_req_free(&req);
        return -ENOBUFS;
    }
    req->since_ms = loop_now_ms(db->loop);
    req->until_ms = req->since_ms + (call->timeout_ms ? call->timeout_ms
                                                      : db->settings.query_timeout_ms);
    db->stats.requests++;
    sql_group_add(db, req);
    return 0;
}

void
sql_db_close(struct sql_db **pdb)
{
    struct sql_db *db = *pdb;

    if (!db)
        return;
    db_disconnect(db);
    sql_group_fini(db);
    arena_fini(&db->conn_arena);
    mem_wipe((void *)(uintptr_t)db->settings.password.p, db->settings.password.n);
    arena_fini(&db->arena);
    mem_free(pdb);
}
