/*
 * shared_roster_load.c -- the tables of a host are read
 *
 * In pages, into a new content, which takes the place of the old one when it is whole.
 * Changes that are told meanwhile are kept and made then: they name new values, so it
 * does not matter whether what was read had them already.
 *
 * After cache_life_time the tables are read again, as others may write into them: the
 * job sleeps until then.
 */
#include "modules/shared_roster.h"

enum {
    PAGE = 500,
    PARTS_A_TURN = 64, /* of the route table */
    AGAIN_MS = 10 * 1000,
    SLEEP_MAX_MS = 7 * 24 * 60 * 60 * 1000
};

enum phase {
    PHASE_GROUPS,
    PHASE_MEMBERS,
    PHASE_ACCOUNTS,
    PHASE_ONLINE,
    PHASE_DONE /* until they are to be read again */
};

/* Which reading this is, and where it is; then the last key, or two. */
struct head {
    uint64_t process, serial, at;
    uint32_t phase, method, first_n;
};

uint64_t
sr_this_process(struct worker *w)
{
    static uint64_t stamp;

    if (!stamp)
        stamp = worker_stamp_us(w);
    return stamp;
}

static void
keep(struct job *j, const struct head *head, struct str first, struct str second)
{
    struct head h = *head;
    struct buf data = { 0 };

    h.first_n = (uint32_t)first.n;
    buf_add(&data, &h, sizeof h);
    buf_add_str(&data, first);
    buf_add_str(&data, second);
    job_keep(j, buf_str(&data));
    buf_fini(&data);
}

/* NULL: nobody waits for it any more. */
static struct sr_table *
read_head(const struct job *j, struct head *ret, struct str *ret_first,
        struct str *ret_second)
{
    struct sr_table *t = sr_table_of(j->host->name);

    if (j->data.n < sizeof *ret)
        return NULL;
    memcpy(ret, j->data.p, sizeof *ret);
    *ret_first = (struct str){ j->data.p + sizeof *ret, ret->first_n };
    *ret_second = (struct str){ ret_first->p + ret->first_n,
        j->data.n - sizeof *ret - ret->first_n };
    return ret->process == sr_this_process(j->w) && ret->serial == t->serial && t->next
                   ? t
                   : NULL;
}

static void
begin(struct worker *w, const struct module *m, const struct conf_host *host,
        struct sr_table *t)
{
    struct head head = { .process = sr_this_process(w), .serial = ++t->serial };
    struct job_start start = { .module = m,
        .host = host,
        .step = SR_STEP_LOAD,
        .data = { (const char *)&head, sizeof head } };

    t->next = sr_content_new(t);
    job_begin(w, &start);
}

/* --- Its end --- */

static void
failed(struct worker *w, struct sr_table *t)
{
    sr_content_free(&t->next);
    buf_fini(&t->pending);
    t->until_ms = worker_now_ms(w) + AGAIN_MS;
    if (t->state != SR_READY)
        accounts_go_on(w, false);
}

static void
done(struct job *j, struct sr_table *t, struct head *head)
{
    const struct sr_config *cf = j->config;
    uint64_t now = worker_now_ms(j->w);
    struct str pending = buf_str(&t->pending);
    struct sr_change change;
    bool again = t->state == SR_READY;

    sr_content_free(&t->now);
    t->now = t->next;
    t->next = NULL;
    t->state = SR_READY;
    t->until_ms = cf->life_ms < UINT64_MAX - now ? now + cf->life_ms : UINT64_MAX;
    while (sr_change_unpack(&pending, &change))
        sr_change_now(j->w, t, &change);
    buf_fini(&t->pending);
    if (again)
        sr_apply_begin(j->w, j->module, j->host,
                &(struct sr_change){ .what = SR_ALL, .when_ms = t->when_ms });
    t->when_ms = 0;
    if (t->until_ms != UINT64_MAX) {
        head->phase = PHASE_DONE;
        keep(j, head, STR_NULL, STR_NULL);
        job_sleep(j, SR_STEP_LOAD,
                cf->life_ms < SLEEP_MAX_MS ? (uint32_t)cf->life_ms : SLEEP_MAX_MS);
    }
    accounts_go_on(j->w, true);
}

static bool is_ready(
        struct worker *w, const struct module *m, const struct conf_host *host);

/* If nobody is here who would like to know, the next one who comes will ask. */
static void
again(struct job *j, const struct head *head)
{
    const struct sr_table *t = sr_table_of(j->host->name);
    uint32_t at = 0;

    if (head->process == sr_this_process(j->w) && head->serial == t->serial &&
            session_walk(j->w, NULL, &at))
        is_ready(j->w, j->module, j->host);
}

/* --- Pages --- */

void
sr_load(struct job *j, const struct sql_result *result)
{
    struct head head;
    struct str first, second;
    struct sql_value param[3];
    struct sr_table *t = read_head(j, &head, &first, &second);
    const struct route_snapshot *snap;

    (void)result;
    if (!t && j->data.n >= sizeof head && head.phase == PHASE_DONE)
        again(j, &head);
    if (!t)
        return;
    param[0] = sql_text(first.n ? first : STR(""));
    switch ((enum phase)head.phase) {
    case PHASE_GROUPS:
        param[1] = sql_int(PAGE);
        job_sql(j, SR_STEP_LOAD_ROWS, SQL_SR_GROUPS, param, 2);
        return;
    case PHASE_MEMBERS:
        param[1] = sql_text(second.n ? second : STR(""));
        param[2] = sql_int(PAGE);
        job_sql(j, SR_STEP_LOAD_ROWS, SQL_SR_ALL, param, 3);
        return;
    case PHASE_ACCOUNTS:
        param[1] = sql_int(PAGE);
        job_sql_accounts(j, SR_STEP_LOAD_ROWS, j->host->auth_method[head.method],
                SQL_USER_LIST, param, 2);
        return;
    case PHASE_DONE:
        return;
    case PHASE_ONLINE:
        break;
    }
    for (int i = 0; i < PARTS_A_TURN; i++) {
        if (!t->next->has_online || !route_part(j->w, &head.at, &snap)) {
            done(j, t, &head);
            return;
        }
        for (size_t k = 0; k < snap->n; k++) {
            struct str bare = snap->entry[k].bare;

            if (str_ends(bare, j->host->name) &&
                    bare.p[bare.n - j->host->name.n - 1] == '@')
                sr_put_user(t->next, bare)->online = true;
        }
    }
    keep(j, &head, STR_NULL, STR_NULL);
    job_again(j, SR_STEP_LOAD);
}

static void
take_row(struct job *j, struct sr_content *c, enum phase phase,
        const struct sql_value *row)
{
    struct jid jid = { .local = row[0].s, .domain = j->host->name };

    switch (phase) {
    case PHASE_GROUPS:
        sr_put_group(c, row[0].s, row[1].s);
        break;
    case PHASE_MEMBERS:
        sr_put_member(c, row[0].s, row[1].s);
        break;
    case PHASE_ACCOUNTS:
        sr_put_user(c, jid_text(j->arena, &jid))->registered = true;
        break;
    case PHASE_ONLINE:
    case PHASE_DONE:
        break;
    }
}

/* What comes after a phase that is over. */
static void
next_phase(const struct job *j, const struct sr_content *c, struct head *head)
{
    if (head->phase == PHASE_ACCOUNTS && ++head->method < j->host->n_auth_methods)
        return;
    head->phase++;
    if (head->phase == PHASE_ACCOUNTS && !c->has_all)
        head->phase++;
}

void
sr_load_rows(struct job *j, const struct sql_result *result)
{
    struct head head;
    struct str first, second;
    struct sr_table *t = read_head(j, &head, &first, &second);
    const struct sql_value *last;

    if (!t)
        return;
    if (result->status == SQL_UNAVAILABLE) {
        failed(j->w, t);
        return;
    }
    if (result->status != SQL_OK)
        log_error(NULL, "the shared groups of %.*s cannot be read: %s",
                STR_ARG(j->host->name), sql_status_name(result->status));
    for (size_t i = 0; i < result->n_rows; i++)
        take_row(
                j, t->next, (enum phase)head.phase, &result->value[i * result->n_cols]);
    if (result->status == SQL_OK && result->n_rows == PAGE) {
        last = &result->value[(result->n_rows - 1) * result->n_cols];
        keep(j, &head, last[0].s, result->n_cols > 1 ? last[1].s : STR_NULL);
    } else {
        next_phase(j, t->next, &head);
        keep(j, &head, STR_NULL, STR_NULL);
    }
    job_again(j, SR_STEP_LOAD);
}

/* --- What an account needs --- */

static bool
is_ready(struct worker *w, const struct module *m, const struct conf_host *host)
{
    struct sr_table *t = sr_table_of(host->name);
    bool old = t->state == SR_READY && worker_now_ms(w) >= t->until_ms;

    if ((t->state != SR_READY || old) && !t->next)
        begin(w, m, host, t);
    return t->state == SR_READY;
}

bool
sr_is_ready(struct worker *w, const struct module *m, const struct conf_host *host)
{
    struct sr_table *t = sr_table_of(host->name);
    struct map_entry *e;
    bool ready = is_ready(w, m, host);

    for (size_t at = 0; ready && (e = map_next(&t->now->groups, &at));) {
        const struct sr_group *g = e->value;

        for (size_t i = 0; i < g->opts.n_displayed; i++) {
            const struct conf_host *other;
            struct str group, domain;

            if (!sr_foreign(g->opts.displayed[i], &group, &domain))
                continue;
            other = host_of(w, domain);
            if (other && module_config(w, other, m) && !is_ready(w, m, other))
                ready = false;
        }
    }
    return ready;
}
