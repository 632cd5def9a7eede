/*
 * roster_change.c -- a change on its way from the home to everybody
 *
 * The job keeps the change as a whole while the database writes it, so that whoever
 * goes on after a death needs nothing else: the contact in memory may be the old one or
 * have been read anew. Written once, it is told once, in the transaction that ends the
 * job. What a stanza causes so happens wholly or, while the database is away, not yet;
 * only a client that waits for an answer is told to try again (sql_query_timeout). If
 * it was written all the same, the next change finds its number taken, and the account
 * is read anew.
 */
#include "base/rand.h"
#include "modules/roster.h"

enum {
    AGAIN_TRIES = 4, /* if others change the same roster */
    NUMBER_TRIES =
            2 /* then our number does not fit those in the database: a new epoch */
};

/* --- Packed --- */

struct head {
    uint64_t n, began_ms, when_ms;
    uint32_t acts;
    uint32_t jid_n, name_n, groups_n, ask_n, epoch_n, stanza_n;
    uint16_t flags;
    uint8_t origin, tries, bits;
};

void
roster_change_pack(struct buf *out, const struct roster_change *ch)
{
    const struct contact *c = &ch->contact;
    struct head h = { .n = ch->n,
        .began_ms = ch->began_ms,
        .when_ms = ch->when_ms,
        .acts = ch->acts,
        .jid_n = (uint32_t)c->jid.n,
        .name_n = (uint32_t)c->name.n,
        .groups_n = (uint32_t)c->groups.n,
        .ask_n = (uint32_t)c->ask.n,
        .epoch_n = (uint32_t)ch->epoch.n,
        .stanza_n = (uint32_t)ch->stanza.n,
        .flags = ch->flags,
        .origin = ch->origin,
        .tries = ch->tries,
        .bits = c->bits };

    buf_add(out, &h, sizeof h);
    buf_add_str(out, c->jid);
    buf_add_str(out, c->name);
    buf_add_str(out, c->groups);
    buf_add_str(out, c->ask);
    buf_add_str(out, ch->epoch);
    buf_add_str(out, ch->stanza);
}

bool
roster_change_unpack(struct str data, struct roster_change *ret)
{
    struct head h;

    if (!str_take_into(&data, &h, sizeof h) || data.n != (uint64_t)h.jid_n + h.name_n +
                                                                 h.groups_n + h.ask_n +
                                                                 h.epoch_n + h.stanza_n)
        return false;
    *ret = (struct roster_change){ .n = h.n,
        .began_ms = h.began_ms,
        .when_ms = h.when_ms,
        .acts = h.acts,
        .flags = h.flags,
        .origin = h.origin,
        .tries = h.tries };
    ret->contact.bits = h.bits;
    return str_take(&data, h.jid_n, &ret->contact.jid) &&
           str_take(&data, h.name_n, &ret->contact.name) &&
           str_take(&data, h.groups_n, &ret->contact.groups) &&
           str_take(&data, h.ask_n, &ret->contact.ask) &&
           str_take(&data, h.epoch_n, &ret->epoch) &&
           str_take(&data, h.stanza_n, &ret->stanza);
}

static void
keep(struct job *j, const struct roster_change *ch)
{
    struct buf packed = { 0 };

    roster_change_pack(&packed, ch);
    job_keep(j, buf_str(&packed));
    buf_fini(&packed);
}

/* --- What follows from it --- */

void
roster_change_take(struct roster_change *ch, const struct subscription_result *r,
        const struct conf_host *host)
{
    static const struct {
        unsigned act, flag;
    } flags[] = {
        { SUBSCRIPTION_WRITE, ROSTER_WRITE },
        { SUBSCRIPTION_PUSH, ROSTER_PUSH },
        { SUBSCRIPTION_SEND_UNAVAILABLE, ROSTER_HIDE },
        { SUBSCRIPTION_SEND_PRESENCE, ROSTER_SHOW },
    };

    ch->acts = r->acts;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (r->acts & flags[i].act)
            ch->flags |= (uint16_t)flags[i].flag;
    }
    /* A contact of ours looks by itself when it hears that it may: roster_note.c. */
    if (ch->flags & ROSTER_SHOW && !host)
        ch->flags |= ROSTER_SHOW_ALL;
    if (subscription_is_nothing(r->now))
        ch->flags |= ROSTER_GONE;
    if (!r->now.listed)
        ch->flags |= ROSTER_REMOVED;
}

bool
roster_send(struct worker *w, struct str from, const struct jid *to,
        enum presence_type type)
{
    struct arena arena;
    struct xml_el *el;
    bool known;

    arena_init(&arena, 512);
    el = xml_el_new(&arena, "presence", NS_CLIENT);
    xml_set_c(el, "type", presence_type_name(type));
    xml_set(el, "from", from);
    xml_set(el, "to", jid_bare_text(&arena, to));
    known = route_el(w, el);
    arena_fini(&arena);
    return known;
}

static void
send_acts(struct job *j, const struct roster_change *ch)
{
    static const struct {
        unsigned act;
        enum presence_type type;
    } sends[] = {
        { SUBSCRIPTION_SEND_SUBSCRIBED, PRESENCE_SUBSCRIBED },
        { SUBSCRIPTION_SEND_UNSUBSCRIBE, PRESENCE_UNSUBSCRIBE },
        { SUBSCRIPTION_SEND_UNSUBSCRIBED, PRESENCE_UNSUBSCRIBED },
    };
    struct jid to = contact_jid(&ch->contact);

    if (ch->acts & SUBSCRIPTION_ROUTE && !route_el(j->w, j->el))
        job_error(j, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND, NULL);
    for (size_t i = 0; i < ARRAY_LEN(sends); i++) {
        if (ch->acts & sends[i].act)
            roster_send(j->w, account_bare(j->account), &to, sends[i].type);
    }
}

static void
tell_workers(struct job *j, struct roster_change *ch)
{
    struct buf packed = { 0 };
    struct event e = { .w = j->w, .host = j->host, .account = j->account };
    struct contact gone = { .jid = ch->contact.jid };

    ch->when_ms = worker_now_ms(j->w);
    roster_change_pack(&packed, ch);
    sessions_notify(j->w, &module, account_bare(j->account), 0, buf_str(&packed));
    buf_fini(&packed);
    if (!(ch->flags & ROSTER_WRITE))
        return;
    e.contact = ch->flags & ROSTER_GONE ? &gone : &ch->contact;
    hook_run(j->w, HOOK_ROSTER_CHANGED, &e);
}

static void
answer(struct job *j, const struct roster_change *ch)
{
    switch ((enum roster_origin)ch->origin) {
    case ROSTER_BY_SET:
        job_reply(j, NULL);
        break;
    case ROSTER_BY_CALL:
        job_call_reply(j, IPC_OK, STR(""));
        break;
    case ROSTER_BY_OUT:
    case ROSTER_BY_IN:
        break;
    }
}

static void
complete(struct job *j, struct roster_change *ch)
{
    answer(j, ch);
    if (ch->flags & ~(ROSTER_GONE | ROSTER_REMOVED))
        tell_workers(j, ch);
    send_acts(j, ch);
}

/* --- Writing --- */

/* The words of a request, for ejabberd. */
static struct str
ask_words(struct job *j, const struct contact *c)
{
    struct xml_el *el = c->ask.n ? stanza_parse(j->w, j->arena, c->ask) : NULL;
    struct str words = xml_child_text(el, "status", NULL);

    return words.p ? words : STR("");
}

/* What there is no column for: roster_part.c. */
static void
extras_write(struct buf *out, const struct contact *c)
{
    struct subscription s = roster_subscription(c);

    buf_add_c(out, "");
    if (s.listed && s.state == SUBSCRIPTION_NONE_IN && !c->name.n && !c->groups.n)
        buf_add_char(out, '+');
    if (c->bits & CONTACT_ASK_IN)
        buf_add_str(out, c->ask);
}

static struct str
text_or_empty(struct str s)
{
    return s.p ? s : STR("");
}

static void
put(struct job *j, const struct roster_change *ch, struct str version)
{
    const struct contact *c = &ch->contact;
    struct sql_value param[10 + ROSTER_GROUPS_MAX];
    struct subscription s = roster_subscription(c);
    struct buf extras = { 0 };
    struct str groups = c->groups, group;
    char kind[2] = "", ask[2] = "";
    size_t n = 0;

    subscription_to_db(s, kind, ask);
    extras_write(&extras, c);
    param[n++] = sql_text(account_jid(j->account).local);
    param[n++] = sql_text(c->jid);
    param[n++] = sql_text(text_or_empty(c->name));
    param[n++] = sql_text(str_from(kind));
    param[n++] = sql_text(str_from(ask));
    param[n++] = sql_text(ask_words(j, c));
    param[n++] = sql_int(s.approved);
    param[n++] = sql_text(buf_str(&extras));
    param[n++] = sql_text(version);
    param[n++] = sql_int((int64_t)ch->n);
    while (n < ARRAY_LEN(param) && contact_group_next(&groups, &group))
        param[n++] = sql_text(group);
    job_sql(j, ROSTER_STEP_CHANGED, SQL_ROSTER_PUT, param, n);
    buf_fini(&extras);
}

static void
del(struct job *j, const struct roster_change *ch, struct str version)
{
    const struct sql_value param[] = { sql_text(account_jid(j->account).local),
        sql_text(ch->contact.jid), sql_text(version), sql_int((int64_t)ch->n) };

    job_sql(j, ROSTER_STEP_CHANGED, SQL_ROSTER_DEL, param, ARRAY_LEN(param));
}

/* Of the contacts as they will be. */
static uint64_t
hash_after(struct job *j, const struct roster_change *ch)
{
    struct contacts *cs = account_contacts(j->account);
    struct contact before;
    uint64_t hash = roster_hash(cs);

    if (contacts_find(cs, ch->contact.jid, &before))
        hash -= roster_hash_one(&before);
    if (!(ch->flags & ROSTER_GONE))
        hash += roster_hash_one(&ch->contact);
    return hash;
}

/* What the job knows from before, if it had to begin again. */
static void
go_on(struct job *j, struct roster_change *ch)
{
    struct roster_change before;

    if (roster_change_unpack(j->data, &before)) {
        ch->tries = before.tries;
        ch->began_ms = before.began_ms;
    } else {
        ch->began_ms = worker_now_ms(j->w);
    }
}

void
roster_change_begin(struct job *j, struct roster_change *ch)
{
    const struct roster *r = account_part(j->account, &module);
    char epoch[ROSTER_EPOCH + 1];
    struct buf version = { 0 };
    bool others;

    memcpy(epoch, r->epoch, sizeof epoch);
    ch->epoch = str_from(epoch);
    ch->n = r->n;
    go_on(j, ch);
    if (!(ch->flags & ROSTER_WRITE)) {
        complete(j, ch);
        return;
    }
    if (r->known && ch->tries < NUMBER_TRIES) {
        ch->n = r->n + 1;
    } else {
        ch->n = 1;
        rand_text(epoch, ROSTER_EPOCH);
        ch->epoch = str_from(epoch);
    }
    roster_version_store(&version, epoch, ch->n, hash_after(j, ch));
    keep(j, ch);
    /* Somebody else has changed it: workers that read it before must read it again. */
    others = !r->known && ch->tries == 0 && account_contacts(j->account)->count > 0;
    if (ch->flags & ROSTER_GONE)
        del(j, ch, buf_str(&version));
    else
        put(j, ch, buf_str(&version));
    buf_fini(&version);
    if (others)
        account_reread(j->w, account_bare(j->account));
}

/* --- The database's answer --- */

static void
give_up(struct job *j, const struct roster_change *ch, const struct sql_result *result)
{
    bool away = result->status == SQL_UNAVAILABLE;

    if (!away) {
        log_error(NULL, "roster of %.*s: the database answers %s",
                STR_ARG(account_bare(j->account)), sql_status_name(result->status));
        account_reread(j->w, account_bare(j->account));
    }
    switch ((enum roster_origin)ch->origin) {
    case ROSTER_BY_CALL:
        job_call_reply(j, away ? IPC_UNAVAILABLE : IPC_FAILED,
                STR("the database did not do it"));
        break;
    case ROSTER_BY_SET:
    case ROSTER_BY_OUT:
        job_error(j,
                away ? STANZA_ERROR_RESOURCE_CONSTRAINT
                     : STANZA_ERROR_INTERNAL_SERVER_ERROR,
                away ? "the database is away" : NULL);
        break;
    case ROSTER_BY_IN:
        break;
    }
}

static unsigned
first_step(const struct roster_change *ch)
{
    switch ((enum roster_origin)ch->origin) {
    case ROSTER_BY_SET:
        return ROSTER_STEP_SET;
    case ROSTER_BY_OUT:
        return ROSTER_STEP_OUT;
    case ROSTER_BY_IN:
        return ROSTER_STEP_IN;
    case ROSTER_BY_CALL:
        break;
    }
    return ch->flags & ROSTER_REMOVED ? ROSTER_STEP_CALL_DELETE : ROSTER_STEP_CALL_ADD;
}

void
roster_changed(struct job *j, const struct sql_result *result)
{
    struct roster_change ch;
    bool waits_for_answer;

    if (!roster_change_unpack(j->data, &ch))
        return;
    waits_for_answer = ch.origin == ROSTER_BY_SET || ch.origin == ROSTER_BY_CALL;
    switch (result->status) {
    case SQL_OK:
        complete(j, &ch);
        return;
    case SQL_UNAVAILABLE:
        if (waits_for_answer)
            break;
        job_retry(j, ROSTER_STEP_CHANGED);
        return;
    case SQL_CONFLICT:
    case SQL_NOT_FOUND:
        if (++ch.tries > AGAIN_TRIES)
            break;
        keep(j, &ch);
        account_reread(j->w, account_bare(j->account));
        job_account(j, first_step(&ch));
        return;
    case SQL_ERROR:
        break;
    }
    give_up(j, &ch, result);
}
