/*
 * scenario_presence.c -- changes of presence, and who hears of them
 *
 * The accounts have contacts (bench/fill: rings, so that each has the same number).
 * Each client sends presence, and again when its own has come back; then the contacts
 * have been told, too. Counted is every presence that comes, one's own included.
 */
#include <string.h>

#include "base/clock.h"
#include "bench/load/load.h"

static void
send_presence(struct client *c)
{
    client_say(c, "<presence><status>number %u</status></presence>", ++c->sent);
    c->due_us = clock_us();
}

static void
begin(void)
{
    load_each(send_presence);
}

static void
element(struct client *c, struct str name, struct str el)
{
    uint64_t now;

    if (!load.running || !str_eq_c(name, "presence") || cut_attr(el, "type").p)
        return;
    now = clock_us();
    if (now < load.until_us)
        load.result->n_ops++;
    if (!str_eq_c(cut_attr(el, "from"), c->jid))
        return;
    c->received++;
    latency_add(&load.result->latency, now - c->due_us);
    if (now < load.until_us)
        send_presence(c);
}

const struct scenario scenario_presence = {
    .begin = begin,
    .element = element,
    .open = load_unanswered,
};
