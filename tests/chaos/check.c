/*
 * check.c -- the books: what came, what did not, what came twice or in the wrong order
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/chaos/crowd.h"

/* --- Messages --- */

static struct bucket *
bucket_at(uint64_t us)
{
    size_t i = (size_t)((us - crowd.started_us) / BUCKET_US);

    if (i >= crowd.n_buckets) {
        size_t n = i * 2 + 1024;

        crowd.bucket = mem_realloc(crowd.bucket, n * sizeof *crowd.bucket);
        memset(crowd.bucket + crowd.n_buckets, 0,
                (n - crowd.n_buckets) * sizeof *crowd.bucket);
        crowd.n_buckets = n;
    }
    return &crowd.bucket[i];
}

/* Delays are those of clients whose connections stay: others are away for a while. */
static void
note_time(struct talk *t, bool stay, uint64_t sent_us, uint64_t now)
{
    struct bucket *b = bucket_at(now);
    uint32_t gap = t->heard_us ? (uint32_t)(now - t->heard_us) : 0;

    b->n++;
    if (stay && now - sent_us > b->latency_us)
        b->latency_us = (uint32_t)(now - sent_us);
    if (t->interval_us == PROBE_US && gap > b->gap_us)
        b->gap_us = gap;
    t->heard_us = now;
}

static void
missing_add(struct talk *t, uint32_t number)
{
    if (t->n_missing == t->missing_size) {
        t->missing_size = t->missing_size ? t->missing_size * 2 : 16;
        t->missing = mem_realloc(t->missing, t->missing_size * sizeof *t->missing);
    }
    t->missing[t->n_missing++] = number;
}

static bool
missing_take(struct talk *t, uint32_t number)
{
    for (size_t i = 0; i < t->n_missing; i++) {
        if (t->missing[i] != number)
            continue;
        t->missing[i] = t->missing[--t->n_missing];
        return true;
    }
    return false;
}

static void
count(struct person *p, struct person *sender, struct talk *t, uint32_t number)
{
    int from = sender->client.index;

    if (number > t->sent) {
        violation(p, "number", "%u from %d, who is at %u", number, from, t->sent);
    } else if (number == t->last + 1) {
        t->last = number;
    } else if (number > t->last) {
        violation(p, "gap", "%u after %u from %d", number, t->last, from);
        while (++t->last < number)
            missing_add(t, t->last);
    } else if (missing_take(t, number)) {
        violation(p, "late", "%u after %u from %d", number, t->last, from);
        crowd.books.late++;
    } else {
        violation(p, "repeated", "%u after %u from %d", number, t->last, from);
        crowd.books.repeated++;
    }
}

void
check_message(struct person *p, const char *el, size_t n)
{
    const char *body = memmem(el, n, "<body>", 6);
    unsigned talk = 0, number = 0;
    unsigned long long us = 0;
    struct person *sender;

    if (!body || sscanf(body + 6, "%u %u %llu", &talk, &number, &us) != 3 ||
            talk >= (unsigned)crowd_all() * TALKS)
        return;
    sender = &crowd.person[talk / TALKS];
    if (strcmp(stanza_attr(el, n, "type"), "error") == 0) {
        violation(p, "bounced", "%.*s", (int)n, el);
        crowd.books.bounced++;
        return;
    }
    if (sender->talk[talk % TALKS].to != p->client.index)
        violation(p, "wrong", "%.*s", (int)n, el);
    note_time(&sender->talk[talk % TALKS], sender->kind == STAYS && p->kind == STAYS,
            us, clock_us());
    count(p, sender, &sender->talk[talk % TALKS], number);
}

/* --- Presence --- */

static struct seen *
seen_find(struct person *p, const char *jid)
{
    for (size_t i = 0; i < p->n_seen; i++) {
        if (strcmp(p->seen[i].jid, jid) == 0)
            return &p->seen[i];
    }
    return NULL;
}

void
check_presence(struct person *p, const char *from, bool available, uint32_t number)
{
    struct seen *s = seen_find(p, from);

    if (!available) {
        if (s)
            *s = p->seen[--p->n_seen];
        return;
    }
    if (!s) {
        if (p->n_seen == p->seen_size) {
            p->seen_size = p->seen_size ? p->seen_size * 2 : 8;
            p->seen = mem_realloc(p->seen, p->seen_size * sizeof *p->seen);
        }
        s = &p->seen[p->n_seen++];
        snprintf(s->jid, sizeof s->jid, "%s", from);
    } else if (number < s->number) {
        violation(p, "presence back", "%s: %u after %u", from, number, s->number);
        crowd.books.presence_back++;
    }
    s->number = number;
}

static bool
sees_right(struct person *p, const struct person *other, char *ret_why, size_t size)
{
    size_t n = strlen(other->client.user);
    const struct seen *right = NULL;

    for (size_t i = 0; i < p->n_seen; i++) {
        const struct seen *s = &p->seen[i];
        const char *slash = strchr(s->jid, '/');

        if (strncmp(s->jid, other->client.user, n) != 0 || s->jid[n] != '@' || !slash)
            continue;
        if (!other->is_online || strcmp(slash + 1, other->client.resource) != 0 ||
                s->number != other->presence) {
            snprintf(ret_why, size, "sees %s with %u; it is %s/%s with %u", s->jid,
                    s->number, other->is_online ? "here" : "away",
                    other->client.resource, other->presence);
            return false;
        }
        right = s;
    }
    if (!right && other->is_online) {
        snprintf(ret_why, size, "does not see %s/%s", other->client.user,
                other->client.resource);
        return false;
    }
    return true;
}

/* Whom a visitor visits sees it, too. */
static unsigned
presence_wrong(bool tell)
{
    unsigned n = 0;
    char why[200];

    for (int i = 0; i < crowd_all(); i++) {
        struct person *p = &crowd.person[i];

        for (int k = 0; k < p->n_contacts; k++) {
            struct person *other = &crowd.person[p->contact[k]];

            if (p->is_online && !sees_right(p, other, why, sizeof why)) {
                n++;
                if (tell)
                    violation(p, "presence wrong", "%s", why);
            }
            if (p->kind == VISITS && other->is_online &&
                    !sees_right(other, p, why, sizeof why)) {
                n++;
                if (tell)
                    violation(other, "presence wrong", "%s", why);
            }
        }
    }
    return n;
}

/* --- Settling --- */

static bool
is_back(const struct person *p)
{
    return p->is_online ||
           (p->kind == VISITS && p->client.fd < 0 && !crowd.to_visitors);
}

bool
check_is_quiet(void)
{
    for (int i = 0; i < crowd_all(); i++) {
        const struct person *p = &crowd.person[i];

        if (!is_back(p) || p->name_answered != p->name_set ||
                p->name_pushed != p->name_set)
            return false;
        for (int k = 0; k < p->n_talks; k++) {
            if (p->talk[k].last != p->talk[k].sent || p->talk[k].n_missing)
                return false;
        }
    }
    return presence_wrong(false) == 0;
}

static void
talk_settle(struct person *p, struct talk *t)
{
    for (uint32_t i = t->last + 1; i <= t->sent; i++)
        missing_add(t, i);
    for (size_t i = 0; i < t->n_missing; i++) {
        bool acked = t->missing[i] <= t->acked;

        violation(p, acked ? "acknowledged and lost" : "lost", "%u to %d",
                t->missing[i], t->to);
        crowd.books.lost++;
        crowd.books.acked_lost += acked;
    }
    t->n_missing = 0;
    t->last = t->sent;
}

void
check_settled(void)
{
    for (int i = 0; i < crowd_all(); i++) {
        struct person *p = &crowd.person[i];

        if (!is_back(p)) {
            violation(p, "never online", "state %d", (int)p->client.state);
            crowd.books.never_online++;
        }
        if (p->name_answered != p->name_set || p->name_pushed != p->name_set) {
            violation(p, "roster wrong", "set %u, answered %u, pushed %u", p->name_set,
                    p->name_answered, p->name_pushed);
            crowd.books.roster_wrong++;
            p->name_answered = p->name_pushed = p->name_set;
        }
        for (int k = 0; k < p->n_talks; k++)
            talk_settle(p, &p->talk[k]);
    }
    crowd.books.presence_wrong += presence_wrong(true);
}

void
check_print(const char *event)
{
    const struct books *b = &crowd.books;
    int n_online = 0;

    for (int i = 0; i < crowd_all(); i++)
        n_online += crowd.person[i].is_online;
#define NUMBER(name) ",\"" #name "\":%llu"
#define VALUE(name)  (unsigned long long)b->name
    printf("{\"event\":\"%s\",\"online\":%d,\"started_us\":%llu" NUMBER(messages)
                    NUMBER(presences) NUMBER(names) NUMBER(logins) NUMBER(
                            resumed) NUMBER(connections_lost) NUMBER(sessions_lost)
                            NUMBER(logins_failed) NUMBER(lost) NUMBER(repeated) NUMBER(
                                    late) NUMBER(bounced) NUMBER(acked_lost)
                                    NUMBER(presence_wrong) NUMBER(presence_back)
                                            NUMBER(roster_wrong) NUMBER(push_repeated)
                                                    NUMBER(never_online) "}\n",
            event, n_online, (unsigned long long)crowd.started_us, VALUE(messages),
            VALUE(presences), VALUE(names), VALUE(logins), VALUE(resumed),
            VALUE(connections_lost), VALUE(sessions_lost), VALUE(logins_failed),
            VALUE(lost), VALUE(repeated), VALUE(late), VALUE(bounced),
            VALUE(acked_lost), VALUE(presence_wrong), VALUE(presence_back),
            VALUE(roster_wrong), VALUE(push_repeated), VALUE(never_online));
    fflush(stdout);
}

/* Lines: microseconds of the clock, gap, latency; and what the archives must have. */
void
check_write(const char *path)
{
    FILE *f = fopen(path, "w");

    if (!f)
        return;
    for (size_t i = 0; i < crowd.n_buckets; i++) {
        const struct bucket *b = &crowd.bucket[i];

        if (b->n)
            fprintf(f, "t %llu %u %u\n",
                    (unsigned long long)(crowd.started_us + i * BUCKET_US), b->gap_us,
                    b->latency_us);
    }
    for (int i = 0; i < crowd_all(); i++) {
        const struct person *p = &crowd.person[i];

        for (int k = 0; k < p->n_talks; k++)
            fprintf(f, "m %d %s %s %d %d %u\n", i * TALKS + k, p->client.user,
                    crowd.person[p->talk[k].to].client.user, p->wants_archive,
                    crowd.person[p->talk[k].to].wants_archive, p->talk[k].sent);
    }
    fclose(f);
}
