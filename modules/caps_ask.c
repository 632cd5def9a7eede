/*
 * caps_ask.c -- finding out what a client can do (XEP-0115, 5.4)
 *
 * Presence says what to look for: in the cache, in the database, and only then the
 * client itself is asked. Jobs for one key run one after the other, so of a thousand
 * clients that come with the same new version, one is asked, and the others find the
 * answer. What does not match its hash is used for that client alone.
 *
 * The question is on the heap (session_ask): the job looks every second whether it
 * still is, so that a successor of this process asks again. A session has one question
 * at a time, whatever it announces.
 */
#include "modules/caps.h"

#include <stdio.h>
#include <string.h>

enum {
    ASK_MS = 30 * 1000,
    LOOK_MS = 1000,
    ASKED_MANY = 1000,
    NODE_SIZE = 1000,
    VER_SIZE = 200,
    HASH_SIZE = 50
};

/* A question to a session that is under way: one at a time. */
struct asked {
    char conn[20]; /* its id, the key in config.asked */
    uint64_t until_ms;
};

/* --- Keys --- */

static bool
is_plain(struct str s, size_t size)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ')
            return false;
    }
    return s.n <= size;
}

/* What a presence announces; false: nothing that could be found out. */
static bool
key_of(struct arena *arena, const struct xml_el *presence, struct str *ret_key)
{
    struct buf key = { 0 };
    struct caps caps;

    if (caps_find(presence, &caps) < 0 || !is_plain(caps.hash, HASH_SIZE) ||
            !is_plain(caps.node, NODE_SIZE) || !is_plain(caps.ver, VER_SIZE))
        return false;
    buf_addf(&key, "%.*s\n%.*s\n%.*s", STR_ARG(caps.hash), STR_ARG(caps.node),
            STR_ARG(caps.ver));
    *ret_key = str_dup(arena, buf_str(&key));
    buf_fini(&key);
    return true;
}

static struct caps
caps_of_key(struct str key)
{
    struct caps caps = { .ver = STR_NULL };

    str_cut(&key, '\n', &caps.hash);
    str_cut(&key, '\n', &caps.node);
    caps.ver = key;
    if (caps.hash.n == 0)
        caps.hash = STR_NULL;
    return caps;
}

/* The queue in which jobs for a key wait for each other. */
static struct str
queue_of(struct arena *arena, const struct conf_host *host, struct str key)
{
    struct buf queue = { 0 };
    struct str ret;

    buf_addf(&queue, " caps %.*s %.*s", STR_ARG(host->name), STR_ARG(key));
    ret = str_dup(arena, buf_str(&queue));
    buf_fini(&queue);
    return ret;
}

static bool
presence_key(struct worker *w, struct arena *arena, const struct conn *c,
        struct str *ret_key)
{
    struct str bytes = session_presence(c);
    const struct xml_el *el;

    if (!session_is_available(c) ||
            !memmem(bytes.p, bytes.n, NS_CAPS, sizeof NS_CAPS - 1))
        return false;
    el = stanza_parse(w, arena, bytes);
    return el && key_of(arena, el, ret_key);
}

/* --- What is known --- */

static void
tell(struct worker *w, const struct conf_host *host, struct conn *c,
        enum session_caps state, struct client_caps *caps)
{
    struct event e = { .w = w, .host = host, .c = c, .account = session_account(w, c) };

    session_set_caps(w, c, state, caps);
    log_debug(conn_ctx(w, c), "capabilities %s",
            state == SESSION_CAPS_KNOWN ? "known" : "forgotten");
    hook_run(w, HOOK_CAPS, &e);
}

/* Does this session still wait for this key? (A successor does not know of waiting.) */
static struct conn *
waiting(struct job *j)
{
    struct conn *c = conn_find(j->w, j->conn);
    const struct client_caps *caps;
    struct str key;

    return c && session_caps(j->w, c, &caps) != SESSION_CAPS_KNOWN &&
                           presence_key(j->w, j->arena, c, &key) && str_eq(key, j->data)
                   ? c
                   : NULL;
}

static void
begin(struct event *e, struct conn *c, struct arena *arena, struct str key)
{
    struct client_caps *pending = client_caps_new(key, NULL, 0);
    struct job_start start = { .module = e->module,
        .host = e->host,
        .step = CAPS_STEP_FIND,
        .key = queue_of(arena, e->host, key),
        .conn = conn_id(e->w, c),
        .data = key };

    session_set_caps(e->w, c, SESSION_CAPS_PENDING, pending);
    client_caps_unref(&pending);
    job_begin(e->w, &start);
}

void
caps_examine(struct event *e, struct conn *c)
{
    const struct client_caps *before;
    enum session_caps state = session_caps(e->w, c, &before);
    struct client_caps *caps;
    struct arena arena;
    struct str key;

    arena_init(&arena, 4096);
    if (!presence_key(e->w, &arena, c, &key)) {
        if (state != SESSION_CAPS_NONE)
            tell(e->w, e->host, c, SESSION_CAPS_NONE, NULL);
    } else if (!before || !str_eq(client_caps_key(before), key)) {
        caps = caps_cache_get(e->config, e->w, key);
        if (caps)
            tell(e->w, e->host, c, SESSION_CAPS_KNOWN, caps);
        else if (jobs_are_many(e->w))
            tell(e->w, e->host, c, SESSION_CAPS_NONE, NULL);
        else
            begin(e, c, &arena, key);
    }
    arena_fini(&arena);
}

/* --- Asking --- */

static void
asked_name(uint64_t conn, char ret[20])
{
    snprintf(ret, 20, "%llx", (unsigned long long)conn);
}

/* Sessions that have gone elsewhere leave theirs behind. */
static void
asked_sweep(struct caps_config *config, uint64_t now_ms)
{
    struct map_entry *e;
    size_t at = 0;

    while (config->asked.n > ASKED_MANY && (e = map_next(&config->asked, &at))) {
        struct asked *a = e->value;

        if (now_ms < a->until_ms)
            continue;
        map_del(&config->asked, e->key);
        mem_free_p(a);
        at = 0;
    }
}

static void
asked_add(struct job *j)
{
    struct caps_config *config = j->config;
    struct asked *a = mem_zalloc(sizeof *a);

    asked_sweep(config, worker_now_ms(j->w));
    asked_name(j->conn, a->conn);
    a->until_ms = worker_now_ms(j->w) + ASK_MS + ASK_MS / 2;
    mem_free_p(map_set(&config->asked, str_from(a->conn), a));
}

void
caps_asked_forget(struct caps_config *config, uint64_t conn)
{
    char name[20];

    asked_name(conn, name);
    mem_free_p(map_del(&config->asked, str_from(name)));
}

static bool
is_asked(struct job *j)
{
    struct caps_config *config = j->config;
    const struct asked *a;
    char name[20];

    asked_name(j->conn, name);
    a = map_get(&config->asked, str_from(name));
    if (a && worker_now_ms(j->w) < a->until_ms)
        return true;
    if (a)
        caps_asked_forget(config, j->conn);
    return false;
}

void
caps_ask_fini(struct caps_config *config)
{
    struct map_entry *e;
    size_t at = 0;

    while ((e = map_next(&config->asked, &at)))
        mem_free_p(e->value);
    map_fini(&config->asked);
}

static void
ask(struct job *j, struct conn *c)
{
    struct caps caps = caps_of_key(j->data);
    struct xml_el *iq = xml_el_new(j->arena, "iq", NS_CLIENT), *query;
    struct buf node = { 0 };

    job_sleep(j, CAPS_STEP_WAITED, LOOK_MS);
    if (is_asked(j))
        return; /* for what it announced before; then again */
    asked_add(j);
    xml_set_c(iq, "type", "get");
    query = xml_add(iq, "query", NS_DISCO_INFO);
    if (caps.hash.n) { /* the old format means parts of what it can do by a node */
        buf_addf(&node, "%.*s#%.*s", STR_ARG(caps.node), STR_ARG(caps.ver));
        xml_set(query, "node", str_dup(j->arena, buf_str(&node)));
        buf_fini(&node);
    }
    session_ask(j->w, j->module, c, iq, CAPS_STEP_ANSWERED, j->data, ASK_MS);
}

static void
find(struct job *j, const struct sql_result *result)
{
    struct caps caps = caps_of_key(j->data);
    struct sql_value param[] = { sql_text(caps.node), sql_text(caps.ver) };
    struct conn *c = waiting(j);
    struct client_caps *known;

    (void)result;
    if (!c)
        return;
    known = caps_cache_get(j->config, j->w, j->data);
    if (known)
        tell(j->w, j->host, c, SESSION_CAPS_KNOWN, known);
    else if (caps.hash.n)
        job_sql(j, CAPS_STEP_FOUND, SQL_CAPS_GET, param, ARRAY_LEN(param));
    else
        ask(j, c);
}

/* ejabberd notes that it asked in vain by a number in place of features. */
static bool
is_note(const struct sql_result *result)
{
    uint64_t number;

    return result->n_rows == 1 && str_to_u64(result->value[0].s, &number) == 0;
}

static void
found(struct job *j, const struct sql_result *result)
{
    struct conn *c = waiting(j);
    struct client_caps *known;
    struct str *feature;

    if (!c)
        return;
    if (result->status != SQL_OK || result->n_rows == 0 || is_note(result)) {
        ask(j, c);
        return;
    }
    feature = arena_alloc(j->arena, result->n_rows * sizeof *feature);
    for (size_t i = 0; i < result->n_rows; i++)
        feature[i] = result->value[i].s;
    known = client_caps_new(j->data, feature, result->n_rows);
    caps_cache_put(j->config, j->w, known);
    tell(j->w, j->host, c, SESSION_CAPS_KNOWN, known);
    client_caps_unref(&known);
}

static void
waited(struct job *j, const struct sql_result *result)
{
    struct conn *c = waiting(j);

    (void)result;
    if (c)
        ask(j, c);
}

/* --- The answer --- */

/* Its features, as they are; n of them, or none if they are too many. */
static size_t
features_of(struct arena *arena, const struct xml_el *info, struct str **ret)
{
    struct str *feature = arena_alloc(arena, CAPS_FEATURES_MAX * sizeof *feature);
    size_t n = 0, size = 0;

    *ret = feature;
    xml_for(el, info, "feature", NS_DISCO_INFO)
    {
        struct str var = xml_attr(el, "var");

        if (var.n == 0)
            continue;
        size += var.n;
        if (n == CAPS_FEATURES_MAX || size > CAPS_TEXT_MAX)
            return 0;
        feature[n++] = var;
    }
    return n;
}

/* For all who announce the same: the database of the host has it, too. */
static void
keep(struct job *j, const struct caps *caps, struct client_caps *known)
{
    struct job_start start = {
        .module = j->module, .host = j->host, .step = JOB_WRITTEN
    };
    struct sql_value *param =
            arena_alloc(j->arena, (2 + CAPS_FEATURES_MAX) * sizeof *param);
    size_t at = 0, n = 2;
    struct str feature;

    caps_cache_put(j->config, j->w, known);
    param[0] = sql_text(caps->node);
    param[1] = sql_text(caps->ver);
    while (client_caps_next(known, &at, &feature))
        param[n++] = sql_text(feature);
    if (n > 2 && !jobs_are_many(j->w))
        job_write(j->w, &start, SQL_CAPS_SET, param, n);
}

/* It has not answered, as session_ask() says in its name. */
static bool
is_late(const struct job *j)
{
    return j->type == IQ_ERROR &&
           stanza_error_of(j->el) == STANZA_ERROR_REMOTE_SERVER_TIMEOUT;
}

static void
answered(struct job *j, const struct sql_result *result)
{
    struct caps caps = caps_of_key(j->data);
    bool is_info = j->type == IQ_RESULT && xml_is(j->payload, "query", NS_DISCO_INFO);
    struct str *feature = NULL, queue = queue_of(j->arena, j->host, j->data);
    size_t n = is_info ? features_of(j->arena, j->payload, &feature) : 0;
    struct client_caps *known = client_caps_new(j->data, feature, n);
    struct conn *c = waiting(j);

    (void)result;
    caps_asked_forget(j->config, j->conn);
    if (n > 0 && caps_verify(j->arena, &caps, j->payload) == 0)
        keep(j, &caps, known);
    else
        log_debug(NULL, "capabilities of %.*s are used for it alone",
                STR_ARG(jid_text(j->arena, &j->from)));
    if (c && is_late(j)) /* so that its next presence leads to a question, too */
        tell(j->w, j->host, c, SESSION_CAPS_NONE, NULL);
    else if (c)
        tell(j->w, j->host, c, SESSION_CAPS_KNOWN, known);
    client_caps_unref(&known);
    if (jobs_queued(j->w, queue) > 0)
        job_tell(j->w, queue, j->data);
}

const job_fn caps_steps[CAPS_STEPS] = {
    [CAPS_STEP_FIND] = find,
    [CAPS_STEP_FOUND] = found,
    [CAPS_STEP_WAITED] = waited,
    [CAPS_STEP_ANSWERED] = answered,
};
