/*
 * privacy_live.c -- when the list of a session changes, presence follows
 *
 * Contacts that may not see the user any more get unavailable presence, and those that
 * may again what the session said last (XEP-0016, 2.11; XEP-0191, 3.3 and 3.4); so does
 * the session that must not see a contact any more, or may again (XEP-0016, 2.10).
 *
 * Lists are edited a rule at a time, mostly, and contacts are many: only those are
 * judged that a rule is about which is not in both lists at the same place.
 */
#include "modules/privacy.h"

/* One session, and what it is judged by. */
struct shift {
    struct worker *w;
    struct account *a;
    struct conn *c;
    const struct privacy_list *before, *after;
    struct privacy_list *differing; /* denies whom a rule that differs is about */
};

static bool
allows(const struct shift *s, const struct privacy_list *list, const struct jid *jid,
        enum privacy_way way)
{
    return privacy_verdict(s->a, list, jid, way, PRIVACY_NOTIFICATION) ==
           PRIVACY_ALLOWED;
}

/* --- The difference --- */

static bool
same_rule(const struct privacy_item *a, const struct privacy_item *b)
{
    if (a->type != b->type || a->deny != b->deny || a->match != b->match)
        return false;
    switch (a->type) {
    case PRIVACY_ANY:
        return true;
    case PRIVACY_JID:
        return jid_eq(&a->jid, &b->jid);
    case PRIVACY_GROUP:
        return str_eq(a->group, b->group);
    case PRIVACY_SUBSCRIPTION:
        return a->subscription == b->subscription;
    }
    return false;
}

static struct privacy_item *
rules(struct arena *arena, const struct privacy_list *list)
{
    struct privacy_item *items =
            arena_zalloc(arena, (privacy_list_count(list) + 1) * sizeof *items);
    size_t at = 0, n = 0;

    while (privacy_next(list, &at, &items[n]))
        n++;
    return items;
}

/* Those about presence, from `from` to `to`, as rules that deny. */
static size_t
take(const struct privacy_item items[], size_t from, size_t to,
        struct privacy_item *ret)
{
    const unsigned presence =
            PRIVACY_MATCH_ALL | PRIVACY_MATCH_PRESENCE_IN | PRIVACY_MATCH_PRESENCE_OUT;
    size_t n = 0;

    for (size_t i = from; i < to; i++) {
        if (!(items[i].match & presence))
            continue;
        ret[n] = items[i];
        ret[n].deny = true;
        ret[n++].match = PRIVACY_MATCH_ALL;
    }
    return n;
}

/* What is between the rules that both lists begin with and those that both end with. */
static struct privacy_list *
difference(const struct privacy_list *before, const struct privacy_list *after)
{
    struct arena arena;
    struct privacy_item *a, *b, *both;
    struct privacy_list *ret;
    size_t n_a = privacy_list_count(before), n_b = privacy_list_count(after);
    size_t first = 0, n;

    arena_init(&arena, 4096);
    a = rules(&arena, before);
    b = rules(&arena, after);
    both = arena_zalloc(&arena, (n_a + n_b + 1) * sizeof *both);
    while (first < n_a && first < n_b && same_rule(&a[first], &b[first]))
        first++;
    while (n_a > first && n_b > first && same_rule(&a[n_a - 1], &b[n_b - 1])) {
        n_a--;
        n_b--;
    }
    n = take(a, first, n_a, both);
    n += take(b, first, n_b, both + n);
    ret = privacy_list_new(both, n);
    arena_fini(&arena);
    return ret;
}

/* --- Its effects --- */

static void
contact_changes(const struct shift *s, const struct contact *contact)
{
    struct jid jid = contact_jid(contact);
    bool was, is;

    if (allows(s, s->differing, &jid, PRIVACY_OUT))
        return;
    if (contact->bits & CONTACT_MAY_SEE) {
        was = allows(s, s->before, &jid, PRIVACY_OUT);
        is = allows(s, s->after, &jid, PRIVACY_OUT);
        if (was != is)
            session_show(s->w, s->a, s->c, &jid, is);
    }
    if (contact->bits & CONTACT_TO) {
        was = allows(s, s->before, &jid, PRIVACY_IN);
        is = allows(s, s->after, &jid, PRIVACY_IN);
        if (was != is)
            session_see(s->w, s->c, &jid, is);
    }
}

static bool
is_hidden(void *arg, const struct jid *jid)
{
    const struct shift *s = arg;
    struct arena arena;
    struct contact contact;
    bool told;

    if (!allows(s, s->before, jid, PRIVACY_OUT) ||
            allows(s, s->after, jid, PRIVACY_OUT))
        return false;
    arena_init(&arena, 1024);
    told = session_is_available(s->c) &&
           contacts_find(
                   account_contacts(s->a), jid_bare_text(&arena, jid), &contact) &&
           contact.bits & CONTACT_MAY_SEE;
    arena_fini(&arena);
    return !told;
}

void
privacy_live(struct worker *w, struct account *a, struct conn *c,
        const struct privacy_list *before, const struct privacy_list *after)
{
    struct shift s = { w, a, c, before, after, difference(before, after) };
    struct contact contact;
    size_t at = 0;

    if (!s.differing)
        return;
    while (contacts_next(account_contacts(a), &at, &contact))
        contact_changes(&s, &contact);
    session_hide_directed(w, c, is_hidden, &s);
    privacy_list_free(&s.differing);
}
