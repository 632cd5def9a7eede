/*
 * scenario_open.c -- messages at times that do not depend on the server
 *
 * Message k is due k / RATE seconds after the beginning. Its latency counts from then,
 * even when it was sent later because the generator or the server was busy: otherwise a
 * server that stops for a second would have one slow message instead of RATE.
 */
#include "bench/load/load.h"

#include "bench/load/pair.h"

static uint64_t n_sent, n_received;

static uint64_t
due_us(uint64_t k)
{
    return load.start_us +
           k * 1000000 * (uint64_t)load.opt->n_processes / (uint64_t)load.opt->rate;
}

static uint64_t
tick(uint64_t now)
{
    uint64_t due;

    while ((due = due_us(n_sent)) <= now && due < load.until_us) {
        int n = load.end - load.first;

        pair_send(load_client(load.first + (int)(n_sent % (uint64_t)n)), due);
        n_sent++;
    }
    return due;
}

static void
element(struct client *c, struct str name, struct str el)
{
    uint64_t now;

    n_received += pair_measure(c, name, el, &now);
}

static uint64_t
open_(void)
{
    return n_sent - n_received;
}

const struct scenario scenario_open = {
    .element = element,
    .tick = tick,
    .open = open_,
};
