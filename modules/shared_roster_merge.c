/*
 * shared_roster_merge.c -- what groups do to the contacts of one account
 *
 * Who is in a group that one of the account's groups shows, is a contact with
 * subscription both, under the labels of these groups; an own item of the roster keeps
 * its name and its groups beside them (as in ejabberd). What the item is without the
 * groups is kept in the account's part, until no group shows it any more.
 *
 * To see a contact, its presence has to be sent: so whoever is shown has the other side
 * among its contacts with CONTACT_SEES, which is in no roster. Each side looks after
 * what is seen of it: it tells the other side the presence of its own sessions, and
 * that they have gone, when this begins and ends.
 */
#include "modules/shared_roster.h"

/* What the account has beside its contacts. */
struct part {
    struct contacts own; /* as they are without groups: those that are SHARED now */
    bool merged;         /* its clients may have seen it */
    uint64_t merged_ms;
};

struct label {
    struct label *next;
    struct str text;
};

/* What the groups say of one address. */
struct pair {
    struct str bare;
    bool shown;           /* to the account */
    bool sees;            /* the account */
    struct label *labels; /* the last one first */
};

/* A contact that is another one than before. */
struct changed {
    struct changed *next;
    struct str jid;
    uint8_t before;
};

/* All or one of the pairs of an account. */
struct pairs {
    struct arena arena;
    struct map map;
    struct sr_content *content;
    struct str own;
    const struct conf_host *host;
    struct sr_group *group; /* under way */
    struct str only;        /* p == NULL: all */
};

void *
sr_part_load(struct account *a, void *config, const struct sql_result *rows)
{
    (void)a;
    (void)config;
    (void)rows;
    return mem_zalloc(sizeof(struct part));
}

void
sr_part_free(void *arg)
{
    struct part *part = arg;

    contacts_fini(&part->own);
    mem_free_p(part);
}

uint64_t
sr_merged_ms(const struct module *m, const struct account *a)
{
    const struct part *part = account_part(a, m);

    return part ? part->merged_ms : 0;
}

/* --- What the groups say --- */

static struct pair *
pair_of(struct pairs *p, struct str bare)
{
    struct pair *pair = map_get(&p->map, bare);

    if (pair)
        return pair;
    pair = arena_new(&p->arena, struct pair);
    pair->bare = str_dup(&p->arena, bare);
    map_set(&p->map, pair->bare, pair);
    return pair;
}

static void
shown_member(void *arg, struct str bare)
{
    struct pairs *p = arg;
    struct str text = p->group->opts.label.n ? p->group->opts.label : p->group->name;
    struct pair *pair;
    struct label *label;

    if (str_eq(bare, p->own))
        return;
    pair = pair_of(p, bare);
    pair->shown = true;
    for (label = pair->labels; label; label = label->next) {
        if (str_eq(label->text, text))
            return;
    }
    label = arena_new(&p->arena, struct label);
    *label = (struct label){ pair->labels, text };
    pair->labels = label;
}

static void
seeing_member(void *arg, struct str bare)
{
    struct pairs *p = arg;
    struct str user, domain;

    /* The groups of its own host count for it. */
    if (!str_eq(bare, p->own) && sr_foreign(bare, &user, &domain) &&
            str_eq_c(domain, p->group->content->table->host))
        pair_of(p, bare)->sees = true;
}

static void
each_member(struct pairs *p, struct sr_group *g, void (*fn)(void *arg, struct str bare))
{
    p->group = g;
    if (!p->only.p)
        sr_each_member(g, fn, p);
    else if (sr_is_member(g, p->only))
        fn(p, p->only);
}

static void
each_group(void *arg, struct sr_group *g)
{
    struct pairs *p = arg;

    for (size_t i = 0; i < g->n_shows; i++)
        each_member(p, g->shows[i], shown_member);
    for (size_t i = 0; i < g->n_shown_by; i++)
        each_member(p, g->shown_by[i], seeing_member);
}

/*
 * A group of this host may show one of another host: who is in that one only by the
 * tables there is seen all the same.
 */
static void
each_elsewhere(struct pairs *p)
{
    struct sr_table *t;

    for (size_t at = 0; sr_table_next(&at, &t);) {
        const struct sr_user *u =
                t->now && t->now != p->content ? sr_find_user(t->now, p->own) : NULL;

        for (size_t i = 0; u && i < u->n_groups; i++) {
            struct sr_group *g = u->groups[i];

            for (size_t k = 0; g->exists && k < g->n_shown_by; k++)
                each_member(p, g->shown_by[k], seeing_member);
        }
    }
}

static void
pairs_make(struct worker *w, const struct module *m, struct account *a, struct str only,
        struct pairs *ret)
{
    struct sr_table *t = sr_table_of(account_host(a)->name);

    *ret = (struct pairs){
        .content = t->now, .own = account_bare(a), .host = account_host(a), .only = only
    };
    arena_init(&ret->arena, 4096);
    sr_link(w, m);
    if (!t->now || !account_exists(a))
        return;
    sr_each_group(t->now, sr_find_user(t->now, ret->own), each_group, ret);
    each_elsewhere(ret);
}

static void
pairs_fini(struct pairs *p)
{
    map_fini(&p->map);
    arena_fini(&p->arena);
}

/* --- One contact --- */

/* As it is without groups; bits 0: it is none. */
static struct contact
own_of(const struct part *part, const struct contact *now)
{
    struct contact own = *now;

    if (now->bits & CONTACT_SHARED) {
        own = (struct contact){ 0 };
        contacts_find(&part->own, now->jid, &own);
    }
    own.jid = now->jid;
    own.bits &= (uint8_t)~CONTACT_SEES;
    return own;
}

static void
add_labels(struct buf *groups, const struct label *label)
{
    struct contact so_far;

    if (!label)
        return;
    add_labels(groups, label->next);
    so_far = (struct contact){ .groups = buf_str(groups) };
    if (!contact_in_group(&so_far, label->text))
        contact_group_add(groups, label->text);
}

/* The groups are in the buffer. */
static struct contact
merged(const struct contact *own, const struct pair *pair, struct buf *groups)
{
    struct contact c = *own;

    buf_reset(groups, 4096);
    if (pair && pair->sees)
        c.bits |= CONTACT_SEES;
    if (!pair || !pair->shown)
        return c;
    buf_add_str(groups, own->groups);
    add_labels(groups, pair->labels);
    c.groups = buf_str(groups);
    c.bits |= CONTACT_SHARED | CONTACT_TO | CONTACT_FROM;
    c.bits &= (uint8_t) ~(CONTACT_ASK_OUT | CONTACT_ASK_IN);
    c.ask = STR_NULL;
    return c;
}

/* What it is without groups is kept while it cannot be seen in the contact. */
static void
keep_own(struct part *part, const struct contact *own, const struct contact *now)
{
    if (now->bits & CONTACT_SHARED && own->bits)
        contacts_put(&part->own, own);
    else
        contacts_del(&part->own, own->jid);
}

static bool
is_same(const struct contact *a, const struct contact *b)
{
    return a->bits == b->bits && str_eq(a->name, b->name) &&
           str_eq(a->groups, b->groups);
}

static bool
is_shown(uint8_t bits)
{
    return bits & (CONTACT_LISTED | CONTACT_SHARED);
}

/* What follows from a change that has been made. */
static void
tell(struct worker *w, struct account *a, struct str jid, uint8_t before, bool told,
        uint64_t when_ms)
{
    struct contact now = { 0 };
    struct event e = { .w = w, .host = account_host(a), .account = a, .contact = &now };
    struct jid address;

    contacts_find(account_contacts(a), jid, &now);
    now.jid = jid;
    address = contact_jid(&now);
    if (told || is_shown(before) || is_shown(now.bits))
        hook_run(w, HOOK_CONTACT_CHANGED, &e);
    if (told)
        before = now.bits & CONTACT_MAY_SEE ? 0 : CONTACT_MAY_SEE;
    if (now.bits & ~before & CONTACT_TO && host_of(w, address.domain))
        presence_probe(w, a, &address);
    if (before & CONTACT_MAY_SEE && !(now.bits & CONTACT_MAY_SEE))
        presence_show(w, a, &address, false, 0);
    if (now.bits & CONTACT_MAY_SEE && !(before & CONTACT_MAY_SEE))
        presence_show(w, a, &address, true, now.bits & CONTACT_SEES ? when_ms : 0);
}

void
sr_merge_one(struct worker *w, const struct module *m, struct account *a,
        struct str bare, bool told, uint64_t when_ms)
{
    struct part *part = account_part(a, m);
    struct contacts *cs = account_contacts(a);
    struct contact before = { .jid = bare }, own, now;
    struct buf groups = { 0 };
    struct pairs p;
    uint8_t bits;

    if (!part || str_eq(bare, account_bare(a)))
        return;
    pairs_make(w, m, a, bare, &p);
    contacts_find(cs, bare, &before);
    before.jid = bare;
    bits = before.bits;
    own = own_of(part, &before);
    now = merged(&own, map_get(&p.map, bare), &groups);
    if (told || !is_same(&before, &now)) {
        struct contacts changed = { 0 };

        contacts_append(
                &changed, &now); /* own may be a view of what is about to move */
        keep_own(part, &own, &now);
        contacts_find(&changed, bare, &now);
        if (now.bits)
            contacts_put(cs, &now);
        else
            contacts_del(cs, bare);
        contacts_fini(&changed);
        tell(w, a, bare, bits, told, when_ms);
    }
    pairs_fini(&p);
    buf_fini(&groups);
}

/* --- All of them --- */

static struct changed *
note(struct pairs *p, struct changed *list, const struct contact *before)
{
    struct changed *c = arena_new(&p->arena, struct changed);

    *c = (struct changed){ list, str_dup(&p->arena, before->jid), before->bits };
    return c;
}

void
sr_merge(struct worker *w, const struct module *m, struct account *a, uint64_t when_ms)
{
    struct part *part = account_part(a, m);
    struct contacts *cs = account_contacts(a), next = { 0 }, own_next = { 0 };
    struct changed *list = NULL;
    struct contact before, own, now;
    struct buf groups = { 0 };
    struct map_entry *entry;
    struct pairs p;
    size_t at = 0;

    if (!part)
        return;
    pairs_make(w, m, a, STR_NULL, &p);
    while (contacts_next(cs, &at, &before)) {
        struct pair *pair = map_del(&p.map, before.jid);

        own = own_of(part, &before);
        now = merged(&own, pair, &groups);
        if (now.bits)
            contacts_append(&next, &now);
        if (now.bits & CONTACT_SHARED && own.bits)
            contacts_append(&own_next, &own);
        if (!is_same(&before, &now))
            list = note(&p, list, &before);
    }
    for (at = 0; (entry = map_next(&p.map, &at));) {
        own = (struct contact){ .jid = entry->key };
        now = merged(&own, entry->value, &groups);
        contacts_append(&next, &now);
        list = note(&p, list, &own);
    }
    contacts_fini(cs);
    contacts_fini(&part->own);
    *cs = next;
    part->own = own_next;
    contacts_trim(cs);
    for (; part->merged && list; list = list->next)
        tell(w, a, list->jid, list->before, false, when_ms);
    if (!part->merged)
        part->merged_ms = worker_now_ms(w);
    part->merged = true;
    pairs_fini(&p);
    buf_fini(&groups);
}
