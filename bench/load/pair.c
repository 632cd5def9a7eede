/*
 * pair.c -- messages of two partners
 */
#include "bench/load/pair.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/load/load.h"

enum {
    SM_ASK = 5 /* messages between two <r/> of a client */
};

struct client *
pair_partner(struct client *c)
{
    return load_client(c->index ^ 1);
}

void
pair_send(struct client *c, uint64_t us)
{
    client_say(c,
            "<message to='%s' type='chat' id='m%u'><body>%llu #%u The quick brown fox "
            "jumps over the lazy dog.</body></message>%s",
            pair_partner(c)->jid, c->sent + 1, (unsigned long long)us, c->sent + 1,
            load.opt->sm && c->sent % SM_ASK == 0 ? "<r xmlns='urn:xmpp:sm:3'/>" : "");
    c->sent++;
}

bool
pair_receive(struct client *c, struct str name, struct str element,
        struct pair_message *ret_message)
{
    struct str body;
    const char *number;
    uint32_t n;

    if (!str_eq_c(name, "message") || !(body = cut_child(element, "body")).p)
        return false;
    ret_message->sent_us = strtoull(body.p, NULL, 10);
    number = strchr(body.p, '#');
    n = number ? (uint32_t)strtoul(number + 1, NULL, 10) : 0;
    if (n <= c->received)
        load.result->n_repeated++;
    else
        load.result->n_lost += n - c->received - 1;
    if (n > c->received)
        c->received = n;
    c->last_us = clock_us();
    return true;
}

bool
pair_measure(
        struct client *c, struct str name, struct str element, uint64_t *ret_now_us)
{
    struct pair_message m;

    if (!pair_receive(c, name, element, &m))
        return false;
    *ret_now_us = clock_us();
    latency_add(&load.result->latency, *ret_now_us - m.sent_us);
    if (*ret_now_us < load.until_us)
        load.result->n_ops++;
    return true;
}
