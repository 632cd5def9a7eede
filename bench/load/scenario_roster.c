/*
 * scenario_roster.c -- the whole roster, asked for again and again
 */
#include "base/clock.h"
#include "bench/load/load.h"

static void
ask(struct client *c)
{
    client_say(c, "<iq type='get' id='q%u'><query xmlns='jabber:iq:roster'/></iq>",
            ++c->sent);
    c->due_us = clock_us();
}

static void
begin(void)
{
    load_each(ask);
}

static void
element(struct client *c, struct str name, struct str el)
{
    struct str id = cut_attr(el, "id");
    uint64_t now;

    if (!str_eq_c(name, "iq") || id.n == 0 || *id.p != 'q')
        return;
    now = clock_us();
    c->received++;
    latency_add(&load.result->latency, now - c->due_us);
    if (now < load.until_us) {
        load.result->n_ops++;
        ask(c);
    }
}

const struct scenario scenario_roster = {
    .begin = begin,
    .element = element,
    .open = load_unanswered,
};
