/*
 * person.c -- what one of the crowd says and hears
 *
 * Persons are paced by the clock, not by answers, so that a disturbance shows as a gap
 * and a delay. What is said while there is no connection waits for the next one, if the
 * session does (XEP-0198); others say nothing then.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/chaos/crowd.h"

enum {
    PRESENCE_US = 8 * 1000000, /* each, on the average, between two of a kind */
    ROSTER_US = 12 * 1000000,
    MOVE_US = 8 * 1000000,
    VISIT_US = 1500 * 1000,
    DEAF_US = 100 * 1000, /* so that something is there to be sent again */
    RETRY_US = 50 * 1000
};

#define NS_ROSTER "jabber:iq:roster"
#define NS_MAM    "urn:xmpp:mam:2"

static uint64_t
about(uint64_t us)
{
    return us / 2 + some((uint32_t)us);
}

static uint64_t
soon(uint64_t us)
{
    return about((uint64_t)((double)us / crowd.pace));
}

/* --- Who is who --- */

static void
talk_init(struct person *p, int to, bool bare)
{
    struct talk *t = &p->talk[p->n_talks++];

    *t = (struct talk){ .to = to, .to_bare = bare };
    t->interval_us = (uint64_t)(2.0 * crowd.n / crowd.rate * 1e6);
    if (p->client.index < PROBES && !bare)
        t->interval_us = PROBE_US;
}

static void
contact_init(struct person *p, int to, bool bare)
{
    talk_init(p, to, bare);
    p->contact[p->n_contacts++] = to;
}

static int
visited_by(int visitor)
{
    return visitor * 7 % crowd.n;
}

void
person_init(struct person *p, int i)
{
    struct client *c = &p->client;

    *p = (struct person){ .client = { .site = &crowd.site, .fd = -1, .index = i } };
    sm_forget(p);
    c->state = CLIENT_CLOSED;
    snprintf(c->resource, sizeof c->resource, "r%d", i);
    if (i >= crowd.n) {
        int v = i - crowd.n;

        snprintf(c->user, sizeof c->user, "visitor%d", v);
        c->tls = v % 3 == 0   ? CLIENT_PLAIN
                 : v % 3 == 1 ? CLIENT_STARTTLS
                              : CLIENT_DIRECT;
        p->kind = VISITS;
        /* What it has not acknowledged goes back, and comes again. */
        p->wants_sm = v % 2 == 0 && !crowd.to_visitors;
        contact_init(p, visited_by(v), true);
        return;
    }
    snprintf(c->user, sizeof c->user, "bench%d", i);
    c->tls = i * (long)crowd.n_tls / crowd.n == (i + 1) * (long)crowd.n_tls / crowd.n
                     ? CLIENT_PLAIN
             : i % 2 ? CLIENT_STARTTLS
                     : CLIENT_DIRECT;
    p->wants_sm = i % 4 == 1 || i % 4 == 2;
    p->kind = i >= PROBES && i % 8 == 1 ? MOVES : STAYS;
    p->wants_archive = i % 8 == 2 || i % 8 == 3;
    contact_init(p, i ^ 1, false);
    contact_init(p, (i + crowd.n / 2) % crowd.n, true);
    for (int v = 0; v < crowd.n_visitors && crowd.to_visitors && p->n_talks < TALKS;
            v++) {
        if (visited_by(v) == i)
            talk_init(p, crowd.n + v, true);
    }
}

static void
add_jid(struct buf *out, int i, bool bare)
{
    const struct client *c = &crowd.person[i].client;

    buf_addf(out, "%s@%s", c->user, crowd.site.domain);
    if (!bare)
        buf_addf(out, "/%s", c->resource);
}

/* --- Saying --- */

void
person_flush(struct person *p)
{
    if (p->client.fd >= 0 && p->client.state == CLIENT_ONLINE)
        client_flush(&p->client);
}

void
person_say(struct person *p, const char *text, int talk, uint32_t number)
{
    if (p->is_online)
        buf_add_c(&p->client.out, text);
    sm_sent(p, text, talk, number);
}

static void
say_presence(struct person *p)
{
    char text[160];

    snprintf(text, sizeof text, "<presence><status>%u</status></presence>",
            ++p->presence);
    person_say(p, text, -1, 0);
    crowd.books.presences++;
}

static void
subscribe(struct person *p, const char *to, const char *type)
{
    char text[200];

    snprintf(text, sizeof text, "<presence type='%s' to='%s'/>", type, to);
    person_say(p, text, -1, 0);
}

static void
say_name(struct person *p)
{
    char text[300];

    snprintf(text, sizeof text,
            "<iq type='set' id='n%u'><query xmlns='" NS_ROSTER
            "'><item jid='note@%s' name='%u'/></query></iq>",
            p->name_set + 1, crowd.site.domain, p->name_set + 1);
    p->name_set++;
    person_say(p, text, -1, 0);
    crowd.books.names++;
}

static void
say_message(struct person *p, int k, uint64_t now)
{
    struct talk *t = &p->talk[k];
    struct buf b = { 0 };

    buf_add_c(&b, "<message type='chat' to='");
    add_jid(&b, t->to, t->to_bare);
    buf_addf(&b,
            "'><body>%d %u %llu The quick brown fox jumps over the lazy "
            "dog.</body></message>",
            p->client.index * TALKS + k, ++t->sent, (unsigned long long)now);
    person_say(p, buf_c(&b), k, t->sent);
    crowd.books.messages++;
    buf_fini(&b);
}

/* --- Coming and going --- */

void
person_come(struct person *p)
{
    struct client *c = &p->client;

    p->retry_us = 0;
    p->was_online = p->is_leaving = p->is_expected = p->is_deaf = false;
    if (p->kind == VISITS) {
        snprintf(c->resource, sizeof c->resource, "v%u", ++p->n_visits);
        sm_forget(p);
    }
    sm_prepare_resume(p);
    if (client_open(c, c->tls == CLIENT_DIRECT ? crowd.port_tls : crowd.port) < 0)
        p->retry_us = clock_us() + RETRY_US;
}

void
person_on_online(struct client *c)
{
    struct person *p = container_of(c, struct person, client);
    struct buf to = { 0 };

    crowd.books.logins++;
    p->is_online = p->was_online = true;
    p->n_seen = 0;
    if (p->wants_sm)
        sm_enable(p);
    if (p->wants_archive)
        person_say(p,
                "<iq type='set' id='p'><prefs xmlns='" NS_MAM
                "' default='always'><always/><never/></prefs></iq>",
                -1, 0);
    /* Asked for: pushes come from now on. */
    person_say(p, "<iq type='get' id='g'><query xmlns='" NS_ROSTER "'/></iq>", -1, 0);
    say_presence(p);
    for (int i = 0; i < p->n_contacts; i++) {
        buf_reset(&to, 200);
        add_jid(&to, p->contact[i], true);
        if (!p->subscribed[i])
            subscribe(p, buf_c(&to), "subscribe");
    }
    buf_fini(&to);
    p->leave_us = clock_us() + soon(p->kind == VISITS ? VISIT_US : MOVE_US);
}

void
person_on_lost(struct client *c, const char *why)
{
    struct person *p = container_of(c, struct person, client);

    p->is_online = false;
    p->retry_us = clock_us() + RETRY_US;
    if (p->is_leaving || p->is_expected)
        return;
    if (!p->was_online) {
        crowd.books.logins_failed++;
        return;
    }
    crowd.books.connections_lost++;
    violation(p, "connection lost", "%s: %.200s", why, buf_c(&c->in));
    p->was_online = false;
}

static void
leave(struct person *p, uint64_t now)
{
    if (p->kind == VISITS) {
        p->is_leaving = true;
        p->is_online = false;
        buf_add_c(&p->client.out, "</stream:stream>");
        client_flush(&p->client);
    } else { /* as if the network had gone */
        p->is_online = p->was_online = false;
        client_close(&p->client);
        p->retry_us = now + 1;
        p->leave_us = now + soon(MOVE_US);
    }
}

void
person_turn(struct person *p, uint64_t now)
{
    bool may_wait = p->kind != VISITS && p->sm_on && p->sm_id[0];

    if (crowd.leaving)
        return;
    if (p->retry_us && now >= p->retry_us &&
            (crowd.going || p->kind != VISITS || crowd.to_visitors)) {
        client_close(&p->client);
        person_come(p);
        return;
    }
    if (p->is_deaf && p->is_online && now >= p->leave_us)
        leave(p, now);
    if (!crowd.going || !(p->is_online || may_wait))
        return;
    for (int k = 0; k < p->n_talks; k++) {
        struct talk *t = &p->talk[k];

        if (now < t->next_us ||
                (t->sent - t->last >= WINDOW && now - t->heard_us < STALLED_US))
            continue;
        if (crowd.person[t->to].client.jid.n == 0)
            continue;
        t->next_us = t->interval_us == PROBE_US ? now + PROBE_US
                                                : now + about(t->interval_us);
        say_message(p, k, now);
    }
    if (now >= p->presence_us) {
        if (p->presence_us)
            say_presence(p);
        p->presence_us = now + soon(PRESENCE_US);
    }
    if (p->kind != VISITS && now >= p->roster_us && p->name_answered == p->name_set) {
        if (p->roster_us)
            say_name(p);
        p->roster_us = now + soon(ROSTER_US);
    }
    person_flush(p);
    if (p->kind == STAYS || !p->is_online || now < p->leave_us)
        return;
    if (p->kind == MOVES && !p->is_deaf) {
        p->is_deaf = true;
        p->leave_us = now + DEAF_US;
    } else {
        leave(p, now);
    }
}

/* --- Hearing --- */

static void
on_presence(struct person *p, const char *el, size_t n)
{
    const char *from = stanza_attr(el, n, "from"), *type = stanza_attr(el, n, "type");
    const char *status = memmem(el, n, "<status>", 8);

    if (strcmp(type, "subscribe") == 0) {
        subscribe(p, from, "subscribed");
        if (p->client.index < crowd.n && strncmp(from, "visitor", 7) == 0)
            subscribe(p, from, "subscribe");
    } else if (strcmp(type, "subscribed") == 0) {
        struct buf jid = { 0 };

        for (int i = 0; i < p->n_contacts; i++) {
            buf_reset(&jid, 200);
            add_jid(&jid, p->contact[i], true);
            if (strcmp(buf_c(&jid), from) == 0)
                p->subscribed[i] = true;
        }
        buf_fini(&jid);
    } else if (!*type || strcmp(type, "unavailable") == 0) {
        check_presence(
                p, from, !*type, status ? (uint32_t)strtoul(status + 8, NULL, 10) : 0);
    }
}

/* A push of the entry that it changes; others are about subscriptions. */
static void
on_push(struct person *p, const char *el, size_t n)
{
    const char *item = memmem(el, n, "<item ", 6);
    char text[160];
    uint32_t number;

    snprintf(
            text, sizeof text, "<iq type='result' id='%s'/>", stanza_attr(el, n, "id"));
    person_say(p, text, -1, 0);
    if (!item ||
            strncmp(stanza_attr(item, (size_t)(el + n - item), "jid"), "note@", 5) != 0)
        return;
    number = (uint32_t)strtoul(
            stanza_attr(item, (size_t)(el + n - item), "name"), NULL, 10);
    if (number <= p->name_pushed) {
        violation(p, "push repeated", "%u after %u", number, p->name_pushed);
        crowd.books.push_repeated++;
    }
    p->name_pushed = number;
}

static void
on_iq(struct person *p, const char *el, size_t n)
{
    const char *type = stanza_attr(el, n, "type"), *id = stanza_attr(el, n, "id");

    if (strcmp(type, "set") == 0) {
        on_push(p, el, n);
    } else if (*id == 'n') {
        uint32_t number = (uint32_t)strtoul(id + 1, NULL, 10);

        if (strcmp(type, "result") != 0 || number != p->name_answered + 1) {
            violation(p, "answer", "%.*s", (int)n, el);
            crowd.books.roster_wrong++;
        }
        p->name_answered = number;
    }
}

static void
on_element(struct person *p, const char *el, size_t n)
{
    bool message = strncmp(el, "<message", 8) == 0;
    bool presence = strncmp(el, "<presence", 9) == 0, iq = strncmp(el, "<iq", 3) == 0;

    if (message || presence || iq)
        p->sm_in++;
    if (message)
        check_message(p, el, n);
    else if (presence)
        on_presence(p, el, n);
    else if (iq)
        on_iq(p, el, n);
    else if (strncmp(el, "<stream:error", 13) == 0)
        violation(p, "stream error", "%.*s", (int)n, el);
    else
        sm_on_nonza(p, el, n);
}

void
person_on_text(struct client *c)
{
    struct person *p = container_of(c, struct person, client);
    size_t at = 0, n;

    if (p->is_deaf)
        buf_reset(&c->in, SIZE_MAX);
    while (at < c->in.n && c->state == CLIENT_ONLINE) {
        if (c->in.p[at] != '<') { /* white space that keeps the connection alive */
            at++;
            continue;
        }
        if (strncmp(c->in.p + at, "</stream:stream>", 16) == 0) {
            at = c->in.n;
            break;
        }
        n = stanza_end(c->in.p + at, c->in.n - at);
        if (n == 0)
            break;
        on_element(p, c->in.p + at, n);
        at += n;
    }
    buf_drop(&c->in, at);
}
