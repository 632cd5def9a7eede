/*
 * mod_private.c -- private XML storage (XEP-0049)
 *
 * One row per account and namespace, as ejabberd has them; several elements of one
 * namespace are one after the other in their row. Sets of one account are done one
 * after the other in its home, so that counting before storing is enough for a limit.
 *
 * Reserved namespaces are refused: among them are rows that are the server's own
 * (jabber:ejabberd:banned).
 */
#include "worker/module.h"

enum {
    STEP_GET,
    STEP_GOT,
    STEP_SET,
    STEP_COUNTED,
    STEP_STORED,
    STEP_FORBIDDEN,
    STEP_COMMAND_GET,
    STEP_COMMAND_GOT,
    STEP_COMMAND_SET,
    STEP_COMMAND_STORED
};

enum {
    ROWS_MAX = 100,       /* namespaces in one set */
    NAMESPACE_SIZE = 1000 /* what an index takes everywhere */
};

struct private_config {
    uint64_t size_max, namespaces_max;
};

/* What a set says. */
struct private_rows {
    struct str ns[ROWS_MAX], data[ROWS_MAX];
    size_t n;
};

static bool
is_reserved(struct str ns)
{
    return str_starts(ns, STR("jabber:")) ||
           str_starts(ns, STR("http://jabber.org/")) || str_eq(ns, STR(NS_VCARD));
}

static bool
may_be_kept(const struct xml_el *el)
{
    return el->ns.n > 0 && el->ns.n <= NAMESPACE_SIZE && !is_reserved(el->ns);
}

/* --- Get --- */

static void
get_row(struct job *j, unsigned step, struct str user, struct str ns)
{
    struct sql_value param[] = { sql_text(user), sql_text(ns) };

    job_sql(j, step, SQL_PRIVATE_GET, param, ARRAY_LEN(param));
}

static void
get(struct job *j, const struct sql_result *result)
{
    const struct xml_el *el = xml_child(j->payload, NULL, NULL);

    (void)result;
    if (!el || xml_next(el, NULL, NULL))
        job_error(j, STANZA_ERROR_BAD_REQUEST, "one element says what is wanted");
    else if (!may_be_kept(el))
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "that namespace is not for this");
    else
        get_row(j, STEP_GOT, j->to.local, el->ns);
}

/* The elements of a row as children of query. false: the row is damaged. */
static bool
add_data(struct job *j, struct xml_el *query, struct str data)
{
    struct buf text = { 0 };
    struct xml_el *row, *child;

    buf_add_c(&text, "<query>");
    buf_add_str(&text, data);
    buf_add_c(&text, "</query>");
    row = stanza_parse(j->w, j->arena, buf_str(&text));
    buf_fini(&text);
    if (!row)
        log_error(NULL, "private storage of %.*s: what is stored is no XML",
                STR_ARG(j->to.local));
    while (row && (child = row->first)) {
        xml_unlink(child);
        xml_add_el(query, child);
    }
    return row != NULL;
}

static void
got(struct job *j, const struct sql_result *result)
{
    struct xml_el *query;

    if (job_failed(j, result))
        return;
    query = job_result(j, "query", NS_PRIVATE);
    if (result->n_rows == 0)
        xml_add_el(query, xml_copy(j->arena, xml_child(j->payload, NULL, NULL)));
    else if (!add_data(j, query, result->value[0].s)) {
        job_error(j, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
        return;
    }
    job_send_result(j, query);
}

/* --- Set --- */

static size_t
row_of(struct private_rows *rows, struct str ns)
{
    size_t i = 0;

    while (i < rows->n && !str_eq(rows->ns[i], ns))
        i++;
    return i;
}

/* NULL, or what is wrong. */
static const char *
rows_read(struct arena *arena, const struct xml_el *query, struct private_rows *rows)
{
    rows->n = 0;
    xml_for(el, query, NULL, NULL)
    {
        size_t i = row_of(rows, el->ns);
        struct buf data = { 0 };

        if (!may_be_kept(el))
            return "that namespace is not for this";
        if (i == ROWS_MAX)
            return "too many namespaces at once";
        if (i == rows->n)
            rows->data[rows->n++] = STR_NULL;
        buf_add_str(&data, rows->data[i]);
        xml_write(&data, el, STR_NULL);
        rows->ns[i] = el->ns;
        rows->data[i] = str_dup(arena, buf_str(&data));
        buf_fini(&data);
    }
    return NULL;
}

static void
store(struct job *j, unsigned step, struct str user, const struct private_rows *rows)
{
    struct sql_value param[1 + 2 * ROWS_MAX], *at = param;

    *at++ = sql_text(user);
    for (size_t i = 0; i < rows->n; i++) {
        *at++ = sql_text(rows->ns[i]);
        *at++ = sql_text(rows->data[i]);
    }
    job_sql(j, step, SQL_PRIVATE_SET, param, (size_t)(at - param));
}

static void
set(struct job *j, const struct sql_result *result)
{
    const struct private_config *config = j->config;
    struct private_rows *rows = arena_new(j->arena, struct private_rows);
    struct sql_value param[1 + ROWS_MAX];
    const char *wrong = rows_read(j->arena, j->payload, rows);

    (void)result;
    if (wrong) {
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, wrong);
    } else if (rows->n == 0) {
        job_error(j, STANZA_ERROR_BAD_REQUEST, "there is nothing to store");
    } else if (config->size_max == CONF_INFINITY &&
               config->namespaces_max == CONF_INFINITY) {
        store(j, STEP_STORED, j->to.local, rows);
    } else {
        param[0] = sql_text(j->to.local);
        for (size_t i = 0; i < rows->n; i++)
            param[1 + i] = sql_text(rows->ns[i]);
        job_sql(j, STEP_COUNTED, SQL_PRIVATE_STAT, param, 1 + rows->n);
    }
}

static void
counted(struct job *j, const struct sql_result *result)
{
    const struct private_config *config = j->config;
    struct private_rows *rows = arena_new(j->arena, struct private_rows);
    int64_t namespaces = 0, size = 0;

    if (job_failed(j, result))
        return;
    rows_read(j->arena, j->payload, rows);
    for (size_t i = 0; i < result->n_rows; i++) {
        namespaces += result->value[2 * i].i;
        size += result->value[2 * i + 1].i;
    }
    for (size_t i = 0; i < rows->n; i++)
        size += (int64_t)rows->data[i].n;
    namespaces += (int64_t)rows->n;
    if ((uint64_t)namespaces > config->namespaces_max ||
            (uint64_t)size > config->size_max)
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT,
                "there is no more room for private data");
    else
        store(j, STEP_STORED, j->to.local, rows);
}

static void
stored(struct job *j, const struct sql_result *result)
{
    if (!job_failed(j, result))
        job_reply(j, NULL);
}

static void
forbidden(struct job *j, const struct sql_result *result)
{
    (void)result;
    job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
}

/* --- Commands: user, host, element, ns; user, host, element --- */

static void
command_get(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (account_exists(j->account))
        get_row(j, STEP_COMMAND_GOT, job_arg(j, 0), job_arg(j, 3));
    else
        job_call_reply(j, IPC_NOT_FOUND, STR("unknown_user"));
}

static void
command_got(struct job *j, const struct sql_result *result)
{
    struct buf text = { 0 };
    struct xml_el *el;

    if (job_failed(j, result))
        return;
    if (result->n_rows) {
        job_call_reply(j, IPC_OK, result->value[0].s);
        return;
    }
    el = xml_el_new_str(j->arena, job_arg(j, 2), job_arg(j, 3));
    xml_write(&text, el, STR_NULL);
    job_call_reply(j, IPC_OK, buf_str(&text));
    buf_fini(&text);
}

static void
command_set(struct job *j, const struct sql_result *result)
{
    struct private_rows *rows = arena_new(j->arena, struct private_rows);
    struct xml_el *query = xml_el_new(j->arena, "query", NS_PRIVATE),
                  *el = stanza_parse(j->w, j->arena, job_arg(j, 2));

    (void)result;
    if (el)
        xml_add_el(query, el);
    if (!account_exists(j->account))
        job_call_reply(j, IPC_NOT_FOUND, STR("unknown_user"));
    else if (!el)
        job_call_reply(j, IPC_INVALID, STR("the element is no XML"));
    else if (rows_read(j->arena, query, rows))
        job_call_reply(j, IPC_INVALID,
                STR("the element needs a namespace that is not reserved"));
    else
        store(j, STEP_COMMAND_STORED, job_arg(j, 0), rows);
}

static void
command_stored(struct job *j, const struct sql_result *result)
{
    if (!job_failed(j, result))
        job_call_reply(j, IPC_OK, STR_NULL);
}

/* --- The module --- */

static void *
configure(const struct conf_host *host, const struct conf_module *options)
{
    struct private_config *config = mem_zalloc(sizeof *config);

    (void)host;
    config->size_max = conf_module_number(options, "max_size");
    config->namespaces_max = conf_module_number(options, "max_namespaces");
    return config;
}

static const job_fn steps[] = {
    [STEP_GET] = get,
    [STEP_GOT] = got,
    [STEP_SET] = set,
    [STEP_COUNTED] = counted,
    [STEP_STORED] = stored,
    [STEP_FORBIDDEN] = forbidden,
    [STEP_COMMAND_GET] = command_get,
    [STEP_COMMAND_GOT] = command_got,
    [STEP_COMMAND_SET] = command_set,
    [STEP_COMMAND_STORED] = command_stored,
};

static const struct module_iq iqs[] = {
    { NS_PRIVATE, "query", IQ_OWN, IQ_GETS, IQ_HOME, STEP_GET },
    { NS_PRIVATE, "query", IQ_OWN, IQ_SETS, IQ_HOME, STEP_SET },
    { NS_PRIVATE, "query", IQ_OTHERS, IQ_BOTH, IQ_NO_QUEUE, STEP_FORBIDDEN },
    { 0 },
};

static const struct module_call calls[] = {
    { "private_get", true, STEP_COMMAND_GET },
    { "private_set", true, STEP_COMMAND_SET },
    { 0 },
};

static const char *const features[] = { NS_PRIVATE, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_private",
    .doc = "Private XML storage (XEP-0049)",
    .features = features,
    .account_features = features,
    .configure = configure,
    .unconfigure = mem_free_p,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
    .calls = calls,
};
