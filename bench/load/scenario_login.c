/*
 * scenario_login.c -- clients that come and go
 *
 * One operation: connect, TLS, SCRAM, bind, roster, presence until one's own comes
 * back, end of the stream. All clients at once, or RATE a second; then the time counts
 * from when it was due. Who comes next is taken from all accounts in wide steps, so
 * that few of those who are there are contacts.
 */
#include "base/clock.h"
#include "bench/load/load.h"

enum {
    STEP = 31
};

static uint64_t n_begun;
static int n_free_at;

static void
log_in(struct client *c, uint64_t due)
{
    uint64_t k = n_begun++ * (uint64_t)load.opt->n_processes +
                 (uint64_t)((load.first - load.opt->first) * load.opt->n_processes /
                            load.opt->n_clients);

    c->account = (int)(k * STEP % (uint64_t)load.opt->n_accounts);
    c->due_us = due;
    client_open(c);
}

static void
begin(void)
{
    for (int i = load.first; !load.opt->rate && i < load.end; i++)
        log_in(load_client(i), clock_us());
}

static void
element(struct client *c, struct str name, struct str el)
{
    if (str_eq_c(name, "presence") && str_eq_c(cut_attr(el, "from"), c->jid))
        client_leave(c);
}

static void
closed(struct client *c)
{
    uint64_t now = clock_us();

    latency_add(&load.result->latency, now - c->due_us);
    if (now < load.until_us)
        load.result->n_ops++;
    if (!load.opt->rate && now < load.until_us)
        log_in(c, now);
}

static uint64_t
tick(uint64_t now)
{
    uint64_t due;
    int n = load.end - load.first;

    if (!load.opt->rate)
        return UINT64_MAX;
    while ((due = load.start_us + n_begun * 1000000 * (uint64_t)load.opt->n_processes /
                                          (uint64_t)load.opt->rate) <= now &&
            due < load.until_us) {
        int tried = 0;

        while (tried++ < n && load.client[n_free_at].state != CLIENT_CLOSED)
            n_free_at = (n_free_at + 1) % n;
        if (tried > n)
            return now + 1000; /* all are busy: their lateness counts */
        log_in(&load.client[n_free_at], due);
    }
    return due;
}

static uint64_t
open_(void)
{
    uint64_t n = 0;

    for (int i = load.first; i < load.end; i++)
        n += load_client(i)->state != CLIENT_CLOSED;
    return n;
}

const struct scenario scenario_login = {
    .begin = begin,
    .element = element,
    .tick = tick,
    .open = open_,
    .closed = closed,
    .late = true,
};
