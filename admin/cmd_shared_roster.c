/*
 * cmd_shared_roster.c -- commands about groups
 *
 * What is asked is read from the database here, in pages; changes are
 * mod_shared_roster's business, in the home of the host.
 */
#include "admin/admin.h"
#include "admin/call.h"
#include "base/mem.h"
#include "xmpp/erlterm.h"
#include "xmpp/jid.h"

enum {
    PAGE = 500,
    DISPLAYED_MAX = 1000
};

static const char module_name[] = "mod_shared_roster";

static const struct conf_host *
host_with_module(struct request *rq, struct str text)
{
    const struct conf_host *host = request_host(rq, text);

    if (!host)
        result_error(&rq->result, NULL, 0, "\"Unknown virtual host\"");
    else if (!conf_module_find(host, str_from(module_name)))
        result_error(&rq->result, "not_found", 0, "%s is not loaded", module_name);
    else
        return host;
    return NULL;
}

/* --- Changes --- */

/* more: what belongs to the change, behind host and group. */
static void
change(struct request *rq, struct str host_text, const char *what, struct str group,
        const struct str *more, size_t n)
{
    const struct conf_host *host = host_with_module(rq, host_text);
    struct str *arg = arena_alloc(&rq->arena, (n + 3) * sizeof *arg);

    if (!host)
        return;
    arg[0] = host->name;
    arg[1] = str_from(what);
    arg[2] = group;
    for (size_t i = 0; i < n; i++)
        arg[3 + i] = more[i];
    call_host_home(rq, "srg_change", arg, 3 + n, call_done);
}

/* The first version of the API has one text, its names apart by the two letters \n. */
static size_t
displayed_split(struct request *rq, struct str text, struct str *ret)
{
    size_t n = 0;

    while (text.n && n < DISPLAYED_MAX) {
        size_t i = 0, skip = 1;

        if (rq->command->since > 0) {
            while (i < text.n && text.p[i] != ',')
                i++;
        } else {
            while (i < text.n &&
                    !(i + 1 < text.n && text.p[i] == '\\' && text.p[i + 1] == 'n'))
                i++;
            skip = 2;
        }
        if (i > 0)
            ret[n++] = (struct str){ text.p, i };
        skip = i + skip < text.n ? i + skip : text.n;
        text = (struct str){ text.p + skip, text.n - skip };
    }
    return n;
}

void
cmd_srg_create(struct request *rq)
{
    struct str *more = arena_alloc(&rq->arena, (DISPLAYED_MAX + 2) * sizeof *more);
    size_t n = displayed_split(rq, rq->arg[4], more + 2);

    more[0] = rq->arg[2];
    more[1] = rq->arg[3];
    change(rq, rq->arg[1], "create", rq->arg[0], more, n + 2);
}

void
cmd_srg_add(struct request *rq)
{
    struct str more[] = { STR(""), STR("") };

    change(rq, rq->arg[1], "add", rq->arg[0], more, 2);
}

void
cmd_srg_delete(struct request *rq)
{
    change(rq, rq->arg[1], "delete", rq->arg[0], NULL, 0);
}

void
cmd_srg_set_info(struct request *rq)
{
    change(rq, rq->arg[1], "set_info", rq->arg[0], rq->arg + 2, 2);
}

void
cmd_srg_add_displayed(struct request *rq)
{
    change(rq, rq->arg[1], "add_displayed", rq->arg[0], rq->arg + 2, 1);
}

void
cmd_srg_del_displayed(struct request *rq)
{
    change(rq, rq->arg[1], "del_displayed", rq->arg[0], rq->arg + 2, 1);
}

void
cmd_srg_user_add(struct request *rq)
{
    change(rq, rq->arg[3], "user_add", rq->arg[2], rq->arg, 2);
}

void
cmd_srg_user_del(struct request *rq)
{
    change(rq, rq->arg[3], "user_del", rq->arg[2], rq->arg, 2);
}

/* --- Lists, a page at a time --- */

struct list_of {
    struct str host;  /* as long as the request: it may be reloaded meanwhile */
    struct str group; /* its members; p == NULL: the groups */
    struct buf after;
};

static void
list_fini(void *arg)
{
    struct list_of *list = arg;

    buf_fini(&list->after);
}

static void list_ask(struct request *rq);

static void
on_page(struct request *rq, const struct sql_result *page)
{
    struct list_of *list = rq->state;

    if (page->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return;
    }
    for (size_t i = 0; i < page->n_rows; i++)
        result_row(&rq->result, &page->value[i * page->n_cols].s);
    if (page->n_rows < PAGE) {
        result_end(&rq->result);
        return;
    }
    buf_reset(&list->after, 1024);
    buf_add_str(&list->after, page->value[(page->n_rows - 1) * page->n_cols].s);
    rq->more = list_ask;
}

static void
list_ask(struct request *rq)
{
    struct list_of *list = rq->state;
    struct sql_value param[3];
    size_t n = 0;

    rq->more = NULL;
    if (list->group.p)
        param[n++] = sql_text(list->group);
    param[n++] = sql_text(buf_str(&list->after));
    param[n++] = sql_int(PAGE);
    call_sql_module(rq, list->host, module_name,
            list->group.p ? SQL_SR_MEMBERS : SQL_SR_GROUPS, param, n, on_page);
}

static void
list_begin(struct request *rq, struct str host_text, struct str group)
{
    const struct conf_host *host = host_with_module(rq, host_text);
    struct list_of *list;

    if (!host)
        return;
    list = arena_new(&rq->arena, struct list_of);
    arena_on_end(&rq->arena, list_fini, list);
    buf_add_c(&list->after, "");
    list->host = str_dup(&rq->arena, host->name);
    list->group = group;
    rq->state = list;
    list_ask(rq);
}

void
cmd_srg_list(struct request *rq)
{
    list_begin(rq, rq->arg[0], STR_NULL);
}

void
cmd_srg_get_members(struct request *rq)
{
    list_begin(rq, rq->arg[1], rq->arg[0]);
}

/* --- Options --- */

static void
ask_opts(struct request *rq, call_sql_fn fn)
{
    const struct conf_host *host = host_with_module(rq, rq->arg[1]);
    struct sql_value param = sql_text(rq->arg[0]);

    if (host)
        call_sql_module(rq, host->name, module_name, SQL_SR_GROUP_GET, &param, 1, fn);
}

/* The list of options; NULL: the result is an error. No such group: an empty one. */
static struct erlterm *
opts_of(struct request *rq, const struct sql_result *result)
{
    struct erlterm *list;

    if (result->status != SQL_OK) {
        result_error(&rq->result, "unavailable", 0, "the database does not answer");
        return NULL;
    }
    if (result->n_rows == 0 ||
            erlterm_parse(&rq->arena, str_dup(&rq->arena, result->value[0].s), &list) <
                    0 ||
            list->type != ERLTERM_LIST)
        return erlterm_list(&rq->arena);
    return list;
}

/* A text; of a list its texts, one behind the other. */
static void
value_write(struct request *rq, struct buf *out, const struct erlterm *value)
{
    struct str text;

    if (value->type == ERLTERM_LIST && value->n > 0 &&
            value->first->type != ERLTERM_INTEGER) {
        for (const struct erlterm *t = value->first; t; t = t->next)
            value_write(rq, out, t);
    } else if (erlterm_text(&rq->arena, value, &text) == 0) {
        buf_add_str(out, text);
    }
}

static void
on_info(struct request *rq, const struct sql_result *result)
{
    struct erlterm *list = opts_of(rq, result);

    if (!list)
        return;
    for (const struct erlterm *t = list->first; t; t = t->next) {
        struct str cell[2];
        struct buf value = { 0 };

        if (!erlterm_is_tuple(t, NULL, 2) ||
                erlterm_text(&rq->arena, erlterm_nth(t, 0), &cell[0]) < 0)
            continue;
        buf_add_c(&value, "");
        value_write(rq, &value, erlterm_nth(t, 1));
        cell[1] = buf_str(&value);
        result_row(&rq->result, cell);
        buf_fini(&value);
    }
    result_end(&rq->result);
}

void
cmd_srg_get_info(struct request *rq)
{
    ask_opts(rq, on_info);
}

static void
on_displayed(struct request *rq, const struct sql_result *result)
{
    struct erlterm *list = opts_of(rq, result), *names;
    struct str name;

    if (!list)
        return;
    names = erlterm_prop(list, "displayed_groups");
    for (const struct erlterm *t = names && names->type == ERLTERM_LIST ? names->first
                                                                        : NULL;
            t; t = t->next) {
        if (erlterm_text(&rq->arena, t, &name) == 0)
            result_row(&rq->result, &name);
    }
    result_end(&rq->result);
}

void
cmd_srg_get_displayed(struct request *rq)
{
    ask_opts(rq, on_displayed);
}
