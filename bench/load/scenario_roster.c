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
    for (int i = load.first; i < load.end; i++)
        ask(load_client(i));
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

static uint64_t
open_(void)
{
    uint64_t n = 0;

    for (int i = load.first; i < load.end; i++)
        n += load_client(i)->received < load_client(i)->sent;
    return n;
}

const struct scenario scenario_roster = {
    .begin = begin,
    .element = element,
    .open = open_,
};
