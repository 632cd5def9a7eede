/*
 * vcard_search.c -- a service that finds users by their vCards (XEP-0055)
 *
 * The fields are those of a data form, and the four that a client without forms knows;
 * the answer is in the form of the question. A value is compared with the whole field,
 * or with its beginning if it ends with *; upper and lower case are the same.
 *
 * Hosts are searched one after the other, each by a job of its own that carries what
 * was found before it.
 */
#include "modules/vcard.h"

#include "xmpp/form.h"

enum {
    MATCHES_MAX = 1000, /* whatever the option says */
    VALUE_MAX = 500,
    USER = VCARD_FIELDS, /* one more field to search by */
    FILTERS
};

/* In the order of ejabberd's rows, forms and answers. */
static const enum vcard_field columns[] = { VCARD_FN, VCARD_FAMILY, VCARD_GIVEN,
    VCARD_MIDDLE, VCARD_NICKNAME, VCARD_BDAY, VCARD_CTRY, VCARD_LOCALITY, VCARD_EMAIL,
    VCARD_ORGNAME, VCARD_ORGUNIT };
/* Those that there were before data forms. */
static const enum vcard_field simple[] = { VCARD_GIVEN, VCARD_FAMILY, VCARD_NICKNAME,
    VCARD_EMAIL };

static size_t
domains(struct arena *arena, const struct conf_host *host, void *config,
        struct str *ret, size_t max)
{
    const struct vcard_config *c = config;

    return c->search ? module_domains(arena, host, c->options, ret, max) : 0;
}

const struct module_service vcard_service = { domains, VCARD_STEP_SERVICE };

/* --- What it is --- */

static void
info(struct job *j)
{
    const struct vcard_config *config = j->config;
    struct xml_el *query = job_result(j, "query", NS_DISCO_INFO);

    if (xml_attr(j->payload, "node").n) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
        return;
    }
    disco_identity(
            query, "directory", "user", conf_module_text(config->options, "name"));
    disco_feature(query, NS_DISCO_INFO);
    disco_feature(query, NS_DISCO_ITEMS);
    disco_feature(query, NS_SEARCH);
    disco_feature(query, NS_VCARD);
    disco_feature(query, NS_PING);
    disco_server_info(query, j->host, "mod_vcard");
    job_send_result(j, query);
}

static void
items(struct job *j)
{
    struct xml_el *query = job_result(j, "query", NS_DISCO_ITEMS);

    if (xml_attr(j->payload, "node").n)
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    else
        job_send_result(j, query);
}

static void
own_vcard(struct job *j)
{
    const struct vcard_config *config = j->config;
    struct xml_el *vcard = job_result(j, "vCard", NS_VCARD);

    xml_add_leaf(vcard, "FN", NULL, conf_module_text(config->options, "name"));
    job_send_result(j, vcard);
}

/* --- The form --- */

static void
form(struct job *j)
{
    const struct vcard_config *config = j->config;
    struct xml_el *query = job_result(j, "query", NS_SEARCH), *x;
    struct buf title = { 0 };

    xml_add_leaf(query, "instructions", NULL,
            STR("Fill in one or more fields to search for users. Add * to the end of a "
                "field to match what begins with it."));
    for (size_t i = 0; i < ARRAY_LEN(simple); i++)
        xml_add(query, vcard_search_var(simple[i]), NULL);
    x = form_add(query, FORM_FORM, NS_SEARCH);
    buf_addf(&title, "%.*s: %.*s", STR_ARG(conf_module_text(config->options, "name")),
            STR_ARG(j->to.domain));
    form_title(x, str_dup(j->arena, buf_str(&title)));
    buf_fini(&title);
    form_instructions(x,
            STR("Fill in one or more fields to search for users. Add * to the end of a "
                "field to match what begins with it."));
    form_add_field(x, FIELD_TEXT_SINGLE, "user", STR("User"));
    for (unsigned i = 0; i < VCARD_FIELDS; i++)
        form_add_field(x, FIELD_TEXT_SINGLE, vcard_search_var((enum vcard_field)i),
                str_from(vcard_label((enum vcard_field)i)));
    job_send_result(j, query);
}

/* --- The question --- */

static struct xml_el *
submitted(const struct job *j)
{
    return xml_child(j->payload, "x", NS_DATA);
}

/* What a field is searched for, as a pattern of LIKE; empty: anything. */
static struct str
pattern(struct arena *arena, struct str value)
{
    struct buf out = { 0 };
    struct str text = str_trim(value), ret;
    bool begins = str_ends(text, STR("*"));

    if (begins)
        text.n--;
    if (text.n > VALUE_MAX)
        return STR("!"); /* nothing is like that */
    text = vcard_fold(arena, text);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '!' || text.p[i] == '%' || text.p[i] == '_')
            buf_add_char(&out, '!');
        buf_add_char(&out, text.p[i]);
    }
    if (begins && text.n)
        buf_add_char(&out, '%');
    ret = out.n ? str_dup(arena, buf_str(&out)) : STR("");
    buf_fini(&out);
    return ret;
}

static struct str
asked(const struct job *j, const struct xml_el *x, const char *var)
{
    struct str value =
            x ? form_value(x, var) : xml_child_text(j->payload, var, NS_SEARCH);

    return value.p ? value : STR("");
}

/* false: nothing was asked for. */
static bool
filters_of(struct job *j, struct str filter[FILTERS])
{
    const struct xml_el *x = submitted(j);
    bool any = false;

    for (unsigned i = 0; i < FILTERS; i++) {
        const char *var = i == USER ? "user" : vcard_search_var((enum vcard_field)i);

        filter[i] = pattern(j->arena, asked(j, x, var));
        any = any || filter[i].n > 0;
    }
    return any;
}

static size_t
limit_of(const struct job *j)
{
    const struct vcard_config *config = j->config;

    return config->matches < MATCHES_MAX ? (size_t)config->matches : MATCHES_MAX;
}

static void
search_host(struct job *j, size_t limit)
{
    struct str filter[FILTERS];
    struct sql_value param[2 + ARRAY_LEN(columns)], *at = param;

    filters_of(j, filter);
    *at++ = sql_text(filter[USER]);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        *at++ = sql_text(filter[columns[i]]);
    *at++ = sql_int((int64_t)limit);
    job_sql(j, VCARD_STEP_FOUND, SQL_VCARD_SEARCH, param, (size_t)(at - param));
}

/* --- The answer --- */

/*
 * What was found so far: records of texts, each behind its length, the first of a
 * record the address; in front the name of the host that asks.
 */
static void
put(struct buf *out, struct str text)
{
    uint32_t n = (uint32_t)text.n;

    buf_add(out, &n, sizeof n);
    buf_add_str(out, text);
}

static bool
take(struct str *rest, struct str *ret)
{
    uint32_t n;

    return str_take_into(rest, &n, sizeof n) && str_take(rest, n, ret);
}

static void
add_forms(struct xml_el *query, struct str rest)
{
    struct xml_el *x = form_add(query, FORM_RESULT, NS_SEARCH),
                  *reported = form_add_reported(x), *item;
    struct str text;

    form_add_field(reported, FIELD_JID_SINGLE, "jid", STR("Jabber ID"));
    for (unsigned i = 0; i < VCARD_FIELDS; i++)
        form_add_field(reported, FIELD_TEXT_SINGLE,
                vcard_search_var((enum vcard_field)i),
                str_from(vcard_label((enum vcard_field)i)));
    while (take(&rest, &text)) {
        item = form_add_item(x);
        form_add_value(item, "jid", text);
        for (size_t i = 0; i < ARRAY_LEN(columns) && take(&rest, &text); i++)
            form_add_value(item, vcard_search_var(columns[i]), text);
    }
}

static bool
is_simple(enum vcard_field field)
{
    for (size_t i = 0; i < ARRAY_LEN(simple); i++) {
        if (simple[i] == field)
            return true;
    }
    return false;
}

static void
add_items(struct xml_el *query, struct str rest)
{
    struct xml_el *item;
    struct str text;

    while (take(&rest, &text)) {
        item = xml_add(query, "item", NULL);
        xml_set(item, "jid", text);
        for (size_t i = 0; i < ARRAY_LEN(columns) && take(&rest, &text); i++) {
            if (is_simple(columns[i]))
                xml_add_leaf(item, vcard_search_var(columns[i]), NULL, text);
        }
    }
}

static void
answer(struct job *j, struct str found)
{
    struct xml_el *query = job_result(j, "query", NS_SEARCH);

    if (submitted(j))
        add_forms(query, found);
    else
        add_items(query, found);
    job_send_result(j, query);
}

/* The host after this one that may be searched, too; NULL: that was the last. */
static const struct conf_host *
next_host(const struct job *j)
{
    const struct vcard_config *config = j->config;
    const struct conf *conf = worker_conf(j->w);
    size_t i = 0;

    if (!config->all_hosts)
        return NULL;
    while (i < conf->n_hosts && &conf->hosts[i] != j->host)
        i++;
    for (i++; i < conf->n_hosts; i++) {
        const struct vcard_config *other =
                module_config(j->w, &conf->hosts[i], j->module);

        if (other && other->all_hosts)
            return &conf->hosts[i];
    }
    return NULL;
}

static size_t
count(struct str rest)
{
    struct str text;
    size_t n = 0;

    while (take(&rest, &text))
        n++;
    return n / (1 + ARRAY_LEN(columns));
}

static void
search_next(struct job *j, const struct conf_host *host, struct str found)
{
    struct job_start start = { .module = j->module,
        .host = host,
        .step = VCARD_STEP_SEARCH,
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .data = found };
    struct buf bytes = { 0 };

    xml_write(&bytes, j->el, STR(NS_CLIENT));
    start.stanza = buf_str(&bytes);
    job_begin(j->w, &start);
    buf_fini(&bytes);
}

void
vcard_search_found(struct job *j, const struct sql_result *result)
{
    size_t cols = 1 + ARRAY_LEN(columns);
    const struct conf_host *next = next_host(j);
    struct buf found = { 0 };

    if (job_failed(j, result))
        return;
    buf_add_str(&found, j->data);
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct sql_value *row = &result->value[i * cols];
        struct jid jid;

        if (jid_make(j->arena, row[0].s, j->host->name, STR_NULL, &jid) < 0)
            continue;
        put(&found, jid_text(j->arena, &jid));
        for (size_t k = 1; k < cols; k++)
            put(&found, row[k].s);
    }
    if (next && count(buf_str(&found)) < limit_of(j))
        search_next(j, next, buf_str(&found));
    else
        answer(j, buf_str(&found));
    buf_fini(&found);
}

void
vcard_search_step(struct job *j, const struct sql_result *result)
{
    size_t limit = limit_of(j), n = count(j->data);

    (void)result;
    search_host(j, n < limit ? limit - n : 1);
}

/* With search_all_hosts the first one that has it is searched first. */
static const struct conf_host *
first_host(const struct job *j)
{
    const struct vcard_config *config = j->config;
    const struct conf *conf = worker_conf(j->w);

    for (size_t i = 0; config->all_hosts && i < conf->n_hosts; i++) {
        const struct vcard_config *other =
                module_config(j->w, &conf->hosts[i], j->module);

        if (other && other->all_hosts)
            return &conf->hosts[i];
    }
    return j->host;
}

static void
search(struct job *j)
{
    const struct vcard_config *config = j->config;
    const struct xml_el *x = submitted(j);
    struct str filter[FILTERS];
    enum form_type type;

    if (x && (form_check(x, &type) < 0 || (type != FORM_SUBMIT && type != FORM_CANCEL)))
        job_error(j, STANZA_ERROR_BAD_REQUEST, NULL);
    else if (x && type == FORM_CANCEL)
        job_reply(j, NULL);
    else if (!filters_of(j, filter) && !config->allow_return_all)
        answer(j, STR_NULL);
    else if (jobs_are_many(j->w))
        job_error(j, STANZA_ERROR_RESOURCE_CONSTRAINT, NULL);
    else
        search_next(j, first_host(j), STR_NULL);
}

/* --- Stanzas --- */

static void
request(struct job *j)
{
    bool get = j->type == IQ_GET;

    if (j->to.local.n || j->to.resource.n)
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
    else if (get && xml_is(j->payload, "query", NS_DISCO_INFO))
        info(j);
    else if (get && xml_is(j->payload, "query", NS_DISCO_ITEMS))
        items(j);
    else if (get && xml_is(j->payload, "query", NS_SEARCH))
        form(j);
    else if (xml_is(j->payload, "query", NS_SEARCH))
        search(j);
    else if (get && xml_is(j->payload, "vCard", NS_VCARD))
        own_vcard(j);
    else if (get && xml_is(j->payload, "ping", NS_PING))
        job_reply(j, NULL);
    else
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

void
vcard_service_step(struct job *j, const struct sql_result *result)
{
    (void)result;
    if (j->kind == STANZA_IQ && (j->type == IQ_GET || j->type == IQ_SET))
        request(j);
    else if (j->kind == STANZA_MESSAGE && j->type != MESSAGE_ERROR)
        job_error(j, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}
