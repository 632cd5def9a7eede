/*
 * scenario_idle.c -- sessions that say nothing, and then perhaps show that they are
 * there
 *
 * With -c, when the time of silence is over, every client sends one message to its
 * partner and waits for the partner's; not all at once.
 */
#include "base/clock.h"
#include "bench/load/load.h"
#include "bench/load/pair.h"

enum {
    CHECK_TOGETHER = 500
};

static int next; /* to be checked; before that, nobody */
static uint64_t n_waiting, n_done;

static void
begin(void)
{
    next = load.end;
}

static void
check_more(void)
{
    uint64_t together = CHECK_TOGETHER / (uint64_t)load.opt->n_processes + 1;

    while (next < load.end && n_waiting < together) {
        n_waiting++;
        pair_send(load_client(next++), clock_us());
    }
}

static void
element(struct client *c, struct str name, struct str el)
{
    struct pair_message m;

    if (!pair_receive(c, name, el, &m))
        return;
    n_waiting--;
    n_done++;
    check_more();
}

static void
end(void)
{
    if (!load.opt->check)
        return;
    next = load.first;
    check_more();
}

static uint64_t
open_(void)
{
    return load.opt->check ? (uint64_t)(load.end - load.first) - n_done : 0;
}

const struct scenario scenario_idle = {
    .begin = begin,
    .element = element,
    .end = end,
    .open = open_,
};
