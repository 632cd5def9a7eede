/*
 * mod_stats.c -- numbers for administrators (XEP-0039)
 *
 * Who may ask is said by the access rule `configure`, as for other administration. The
 * sessions of one host are counted by a walk through the route table, some of it a
 * turn; what has been counted is kept with the job.
 */
#include "worker/module.h"

#include <stdio.h>

#define NS_STATS "http://jabber.org/protocol/stats"

enum {
    STEP_ASKED,
    STEP_WALK,
    STEP_TOTAL
};

enum {
    STATS_MAX = 50,      /* in one request */
    WALK_SESSIONS = 5000 /* a turn */
};

struct counted {
    uint64_t at, host, all, registered;
    bool done;
};

static const struct {
    const char *name, *units;
    size_t value; /* in struct counted */
} stats[] = {
    { "users/online", "users", offsetof(struct counted, host) },
    { "users/total", "users", offsetof(struct counted, registered) },
    { "users/all-hosts/online", "users", offsetof(struct counted, all) },
};

static void
list(struct job *j)
{
    struct xml_el *query = job_result(j, "query", NS_STATS);

    for (size_t i = 0; i < ARRAY_LEN(stats); i++)
        xml_set_c(xml_add(query, "stat", NULL), "name", stats[i].name);
    job_send_result(j, query);
}

static void
walk(struct job *j, struct counted *c)
{
    c->done = route_count_sessions(
            j->w, &c->at, WALK_SESSIONS, j->host->name, &c->host, &c->all);
    job_keep(j, (struct str){ (const char *)c, sizeof *c });
    if (c->done)
        job_sql(j, STEP_TOTAL, SQL_USER_COUNT, NULL, 0);
    else
        job_again(j, STEP_WALK);
}

static void
asked(struct job *j, const struct sql_result *result)
{
    struct conf_subject asker = { j->from.local, j->from.domain, j->from.resource,
        NULL };
    struct counted c = { 0 };
    size_t n = 0;

    (void)result;
    if (!conf_access(j->host, STR("configure"), &asker)) {
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
        return;
    }
    xml_for(stat, j->payload, "stat", NS_STATS) n++;
    if (n == 0)
        list(j);
    else if (n > STATS_MAX)
        job_error(j, STANZA_ERROR_NOT_ACCEPTABLE, "too many at once");
    else
        walk(j, &c);
}

static void
walk_on(struct job *j, const struct sql_result *result)
{
    struct counted c;

    (void)result;
    memcpy(&c, j->data.p, sizeof c);
    walk(j, &c);
}

static void
add(struct job *j, struct xml_el *query, struct str name, const struct counted *c)
{
    struct xml_el *stat = xml_add(query, "stat", NULL);
    char text[24];
    uint64_t value;

    xml_set(stat, "name", str_dup(j->arena, name));
    for (size_t i = 0; i < ARRAY_LEN(stats); i++) {
        if (!str_eq_c(name, stats[i].name))
            continue;
        memcpy(&value, (const char *)c + stats[i].value, sizeof value);
        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        xml_set_c(stat, "units", stats[i].units);
        xml_set(stat, "value", str_dup(j->arena, str_from(text)));
        return;
    }
    xml_set_c(xml_add_leaf(stat, "error", NULL, STR("Not Found")), "code", "404");
}

static void
total(struct job *j, const struct sql_result *result)
{
    struct counted c;
    struct xml_el *query;

    if (job_failed(j, result))
        return;
    memcpy(&c, j->data.p, sizeof c);
    c.registered = result->n_rows ? (uint64_t)result->value[0].i : 0;
    query = job_result(j, "query", NS_STATS);
    xml_for(stat, j->payload, "stat", NS_STATS)
            add(j, query, xml_attr(stat, "name"), &c);
    job_send_result(j, query);
}

static const job_fn steps[] = {
    [STEP_ASKED] = asked,
    [STEP_WALK] = walk_on,
    [STEP_TOTAL] = total,
};

static const struct module_iq iqs[] = {
    { NS_STATS, "query", IQ_SERVER, IQ_GETS, IQ_PARALLEL, STEP_ASKED },
    { 0 },
};

static const char *const features[] = { NS_STATS, NULL };

const struct module module = {
    .abi = MODULE_ABI,
    .name = "mod_stats",
    .doc = "Statistics for administrators (XEP-0039)",
    .features = features,
    .iqs = iqs,
    .steps = steps,
    .n_steps = ARRAY_LEN(steps),
};
