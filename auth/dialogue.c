/*
 * dialogue.c -- the SASL dialogues of this process
 *
 * A dialogue belongs to a connection and is somewhere: with the client (CLIENT), at the
 * database (SQL), in the queue of slow work (WORK), or its answer is ready and waits
 * because somebody is guessing (HELD). One timer limits its life and, when HELD, the
 * wait. A dialogue is freed together with the sending of its last answer.
 *
 * Guessing: a wrong password is held against the address and the account. Nothing is
 * verified for an address that owes more than the longest wait. An account alone is
 * never refused, or anybody could lock its owner out; there the answers only come
 * slower.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/sasl.h"
#include "base/killpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/proc.h"

enum dialogue_place {
    AT_CLIENT,
    AT_SQL,
    AT_WORK,
    AT_HELD
};

enum {
    DIALOGUE_MAGIC = 0x6469616c,
    REMOTE_MAX = 63
};

struct dialogue {
    uint32_t magic;
    enum dialogue_place place;
    uint64_t conn;
    ipc_addr worker;
    struct auth *auth;
    struct sasl *sasl;
    struct query query;
    struct work work;
    struct loop_timer timer;
    struct list age;           /* in auth.by_age */
    struct creds *creds;       /* at WORK */
    uint64_t address, account; /* keys of the limits */
    enum sasl_status held;
    struct buf host;
    char remote[REMOTE_MAX + 1];
};

static struct str
conn_key(const uint64_t *conn)
{
    return (struct str){ (const char *)conn, sizeof *conn };
}

static void
result_send(struct auth *auth, ipc_addr worker, uint64_t conn, enum sasl_error failure,
        const char *text)
{
    struct ipc_auth_result m = { .conn = conn,
        .status = IPC_AUTH_FAILURE,
        .failure = (uint8_t)failure,
        .text = str_from(text) };

    proc_send(auth->proc, worker, IPC_AUTH_RESULT, &m);
}

static void
dialogue_free(struct dialogue *d)
{
    struct auth *auth = d->auth;

    assert(d->magic == DIALOGUE_MAGIC);
    loop_timer_cancel(auth->proc->loop, &d->timer);
    query_cancel(&d->query);
    work_cancel(&auth->work, &d->work);
    creds_free(&d->creds);
    sasl_free(&d->sasl);
    list_del(&d->age);
    map_del(&auth->dialogues, conn_key(&d->conn));
    buf_fini(&d->host);
    mem_wipe(d, sizeof *d);
    mem_free_p(d);
}

static void
dialogue_log(struct dialogue *d, enum sasl_status status)
{
    struct buf jid = { 0 };
    struct str user = sasl_user(d->sasl);
    struct log_ctx ctx = {
        .conn = d->conn, .host = buf_str(&d->host), .remote = str_from(d->remote)
    };

    if (user.n)
        buf_addf(&jid, "%.*s@%.*s", STR_ARG(user), STR_ARG(ctx.host));
    ctx.jid = buf_str(&jid);
    if (status == SASL_SUCCESS)
        log_debug(&ctx, "authenticated by %s", mech_name(sasl_mech(d->sasl)));
    else
        log_info(&ctx, "authentication by %s failed: %s", mech_name(sasl_mech(d->sasl)),
                sasl_reason(d->sasl));
    buf_fini(&jid);
}

/* Sends the last answer, which the worker counts, and frees the dialogue. */
static void
dialogue_finish(struct dialogue *d, enum sasl_status status)
{
    struct ipc_auth_result m = { .conn = d->conn };
    struct auth *auth = d->auth;

    dialogue_log(d, status);
    if (status == SASL_SUCCESS) {
        m.status = IPC_AUTH_SUCCESS;
        m.data = sasl_data(d->sasl);
        m.user = sasl_user(d->sasl);
    } else {
        m.status = IPC_AUTH_FAILURE;
        m.failure = (uint8_t)sasl_failure(d->sasl);
    }
    killpoint(AUTH_DECIDED);
    proc_send(auth->proc, d->worker, IPC_AUTH_RESULT, &m);
    dialogue_free(d);
}

/* Ends it for a reason of our own. */
static void
dialogue_drop(struct dialogue *d, const char *text)
{
    result_send(d->auth, d->worker, d->conn, SASL_ERROR_TEMPORARY_AUTH_FAILURE, text);
    dialogue_free(d);
}

/* May a password be verified now? Else the dialogue is gone. */
static bool
dialogue_may_try(struct dialogue *d)
{
    uint64_t now_ms = loop_now_ms(d->auth->proc->loop);
    struct log_ctx ctx = {
        .conn = d->conn, .host = buf_str(&d->host), .remote = str_from(d->remote)
    };

    if (!limit_is_over(d->auth->addresses, d->address, now_ms))
        return true;
    log_info(&ctx, "authentication refused: this address has failed too often");
    proc_count(d->auth->proc, COUNTER_AUTH_REFUSED, 1);
    dialogue_drop(d, "too many failed attempts from this address; try again later");
    return false;
}

static void
dialogue_on_decision(struct dialogue *d, enum sasl_status status)
{
    struct auth *auth = d->auth;
    struct loop *loop = auth->proc->loop;
    uint64_t now_ms = loop_now_ms(loop), wait_ms, account_ms;

    if (sasl_was_guess(d->sasl)) {
        limit_on_failure(auth->addresses, d->address, now_ms);
        limit_on_failure(auth->accounts, d->account, now_ms);
    }
    wait_ms = limit_delay_ms(auth->addresses, d->address, now_ms);
    account_ms = limit_delay_ms(auth->accounts, d->account, now_ms);
    if (wait_ms < account_ms)
        wait_ms = account_ms;
    if (wait_ms == 0) {
        dialogue_finish(d, status);
        return;
    }
    proc_count(auth->proc, COUNTER_AUTH_DELAYED, 1);
    d->held = status;
    d->place = AT_HELD;
    loop_timer_set(loop, &d->timer, wait_ms);
}

/* The host may have gone with a reload; then nobody knows its accounts. */
static void
dialogue_ask(struct dialogue *d)
{
    struct auth *auth = d->auth;
    const struct auth_host *host = auth_find_host(auth, buf_str(&d->host));
    struct query_target target;

    if (!host) {
        dialogue_drop(d, "this host is not served any more");
        return;
    }
    target = host->target;
    target.host = buf_str(&d->host);
    target.user = sasl_user(d->sasl);
    d->place = AT_SQL;
    d->account = limit_key(auth->accounts, target.host, target.user);
    d->query.timeout_ms = auth->sql_timeout_ms;
    query_start(&d->query, auth->sql, SQL_USER_GET, &target, NULL, 0);
}

static void
dialogue_on_status(struct dialogue *d, enum sasl_status status, bool decided)
{
    struct ipc_auth_result m = { .conn = d->conn, .status = IPC_AUTH_CHALLENGE };

    switch (status) {
    case SASL_CHALLENGE:
        d->place = AT_CLIENT;
        m.data = sasl_data(d->sasl);
        killpoint(AUTH_CHALLENGE);
        proc_send(d->auth->proc, d->worker, IPC_AUTH_RESULT, &m);
        break;
    case SASL_WANT_CREDS:
        dialogue_ask(d);
        break;
    case SASL_SUCCESS:
    case SASL_FAILURE:
        if (decided)
            dialogue_on_decision(d, status);
        else
            dialogue_finish(d, status);
        break;
    }
}

static void
dialogue_use_creds(struct dialogue *d)
{
    bool deciding = sasl_is_deciding(d->sasl);
    enum sasl_status status;

    if (deciding && !dialogue_may_try(d))
        return;
    status = sasl_set_creds(d->sasl, d->creds);
    creds_free(&d->creds);
    dialogue_on_status(d, status, deciding);
}

static void
on_work(struct work *work)
{
    dialogue_use_creds(container_of(work, struct dialogue, work));
}

static void
on_answer(struct query *query, enum ipc_status status)
{
    struct dialogue *d = container_of(query, struct dialogue, query);

    if (status != IPC_OK) {
        dialogue_on_status(d, sasl_set_creds(d->sasl, NULL), false);
        return;
    }
    d->creds = query_take_creds(query);
    if (!sasl_is_costly(d->sasl)) {
        dialogue_use_creds(d);
        return;
    }
    d->place = AT_WORK;
    if (work_add(&d->auth->work, &d->work) < 0) {
        proc_count(d->auth->proc, COUNTER_AUTH_REFUSED, 1);
        dialogue_drop(d, "too many are logging in at the moment; try again later");
    }
}

static void
on_timer(struct loop_timer *timer)
{
    struct dialogue *d = container_of(timer, struct dialogue, timer);

    if (d->place == AT_HELD)
        dialogue_finish(d, d->held);
    else
        dialogue_drop(d, "this took too long");
}

static void
dialogue_new(struct auth *auth, ipc_addr from, const struct ipc_auth_step *m,
        const struct auth_host *host)
{
    struct str offered[SASL_OFFERED_MAX + 1], name;
    struct ipc_list list = m->offered;
    struct sasl_start start = { .secret = auth->secret,
        .policy = &host->policy,
        .host = m->host,
        .mechanism = m->mechanism,
        .tls = m->tls,
        .cb_data = { [AUTH_CB_EXPORTER] = m->cb_exporter,
                [AUTH_CB_UNIQUE] = m->cb_unique,
                [AUTH_CB_ENDPOINT] = m->cb_endpoint },
        .offered = offered };
    struct dialogue *d = mem_zalloc(sizeof *d);

    while (start.n_offered <= SASL_OFFERED_MAX && ipc_list_next(&list, &name))
        offered[start.n_offered++] = name;
    d->magic = DIALOGUE_MAGIC;
    d->auth = auth;
    d->conn = m->conn;
    d->worker = from;
    d->address = limit_key_of_address(auth->addresses, m->remote);
    if (!host->hide_remote)
        snprintf(d->remote, sizeof d->remote, "%.*s", STR_ARG(m->remote));
    buf_add_str(&d->host, m->host);
    d->sasl = sasl_new(&start);
    d->query.on_answer = on_answer;
    d->timer.fn = on_timer;
    work_init(&d->work, on_work);
    list_add(&auth->by_age, &d->age);
    map_set(&auth->dialogues, conn_key(&d->conn), d);
    loop_timer_set(auth->proc->loop, &d->timer, auth->lifetime_ms);
    killpoint(AUTH_STEP);
}

static struct dialogue *
dialogue_find(struct auth *auth, uint64_t conn)
{
    return map_get(&auth->dialogues, conn_key(&conn));
}

static void
dialogue_on_initial(struct auth *auth, ipc_addr from, const struct ipc_auth_step *m)
{
    const struct auth_host *host = auth_find_host(auth, m->host);
    struct dialogue *d = dialogue_find(auth, m->conn);

    if (d)
        dialogue_free(d);
    if (!host) {
        result_send(auth, from, m->conn, SASL_ERROR_TEMPORARY_AUTH_FAILURE,
                "this host is not served");
        return;
    }
    if (auth->dialogues.n >= AUTH_DIALOGUES_MAX) {
        proc_count(auth->proc, COUNTER_AUTH_REFUSED, 1);
        dialogue_drop(list_entry(auth->by_age.next, struct dialogue, age),
                "too many are logging in at the moment; try again later");
    }
    dialogue_new(auth, from, m, host);
}

void
dialogue_on_step(struct auth *auth, ipc_addr from, const struct ipc_auth_step *m)
{
    struct dialogue *d;
    bool deciding;

    if (m->initial)
        dialogue_on_initial(auth, from, m);
    d = dialogue_find(auth, m->conn);
    if (!d || d->worker != from) {
        if (!m->initial)
            result_send(auth, from, m->conn, SASL_ERROR_TEMPORARY_AUTH_FAILURE,
                    "the dialogue was lost; try again");
        return;
    }
    if (d->place != AT_CLIENT) {
        dialogue_drop(d, "message out of turn");
        return;
    }
    deciding = sasl_is_deciding(d->sasl);
    if (deciding && !dialogue_may_try(d))
        return;
    dialogue_on_status(
            d, sasl_step(d->sasl, !m->initial || m->has_data, m->data), deciding);
}

void
dialogue_on_abort(struct auth *auth, ipc_addr from, uint64_t conn)
{
    struct dialogue *d = dialogue_find(auth, conn);

    if (d && d->worker == from)
        dialogue_free(d);
}

void
dialogues_end(struct auth *auth)
{
    list_for_safe(pos, &auth->by_age) dialogue_drop(
            list_entry(pos, struct dialogue, age), "the service is stopping");
}
