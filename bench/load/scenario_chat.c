/*
 * scenario_chat.c -- pairs that answer each other, one message under way in each
 *
 * With RATE an answer waits, so that all together send about so many a second.
 */
#include "base/clock.h"
#include "bench/load/load.h"
#include "bench/load/pair.h"

/* Between two messages of a pair. */
static uint64_t
pause_us(void)
{
    return (uint64_t)(load.opt->n_clients / 2) * 1000000 / (uint64_t)load.opt->rate;
}

static void
begin(void)
{
    for (int i = load.first; i + 1 < load.end; i += 2)
        pair_send(load_client(i), clock_us());
}

static void
element(struct client *c, struct str name, struct str el)
{
    uint64_t now;

    if (!pair_measure(c, name, el, &now))
        return;
    if (load.opt->rate)
        c->due_us = now + pause_us();
    else if (now < load.until_us)
        pair_send(c, now);
}

/* Answers whose time has come. */
static uint64_t
tick(uint64_t now)
{
    if (!load.opt->rate)
        return UINT64_MAX;
    for (int i = load.first; i < load.end && now < load.until_us; i++) {
        struct client *c = load_client(i);

        if (c->due_us == 0 || c->due_us > now)
            continue;
        c->due_us = 0;
        pair_send(c, now);
    }
    return now + 1000;
}

/* Pairs whose one message has not come: it is under way, or lost. */
static uint64_t
open_(void)
{
    uint64_t n = 0;

    for (int i = load.first; i + 1 < load.end; i += 2) {
        const struct client *a = load_client(i), *b = load_client(i + 1);

        if (a->last_us < load.until_us && b->last_us < load.until_us && !a->due_us &&
                !b->due_us)
            n++;
    }
    return n;
}

const struct scenario scenario_chat = {
    .begin = begin,
    .element = element,
    .tick = tick,
    .open = open_,
};
