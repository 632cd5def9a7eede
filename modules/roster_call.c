/*
 * roster_call.c -- administrators look at rosters and change them
 *
 * Arguments are the user and the host, prepared, then as the comments say. What is
 * changed takes effect as if the user had done it, on clients that are online as well;
 * the contact's own roster is another account's, and not changed.
 */
#include "modules/roster.h"

const struct module_call roster_calls[] = {
    { "roster_get", true, ROSTER_STEP_CALL_GET },
    { "roster_count", true, ROSTER_STEP_CALL_COUNT },
    { "roster_add", true, ROSTER_STEP_CALL_ADD },
    { "roster_delete", true, ROSTER_STEP_CALL_DELETE },
    { 0 },
};

enum {
    ARG_JID = 2,
    ARG_NICK,
    ARG_SUBSCRIPTION,
    ARG_GROUPS /* and all that follow */
};

static bool
is_there(struct job *j)
{
    if (!account_exists(j->account))
        job_call_reply(j, IPC_NOT_FOUND, STR("no such account"));
    return account_exists(j->account);
}

static const char *
pending_name(const struct contact *c)
{
    static const char *const names[] = { "none", "out", "in", "both" };

    return names[(c->bits & CONTACT_ASK_OUT ? 1 : 0) +
                 (c->bits & CONTACT_ASK_IN ? 2 : 0)];
}

/*
 * Answers with jid, nick, subscription, pending, number of groups, and these, of each
 * contact.
 */
void
roster_call_get(struct job *j, const struct sql_result *result)
{
    struct contacts *cs = account_contacts(j->account);
    size_t n = 0, at = 0, most = 0;
    struct contact c;
    struct str *cells;

    (void)result;
    if (!is_there(j))
        return;
    while (contacts_next(cs, &at, &c))
        most += 5 + c.groups.n / sizeof(uint16_t);
    cells = arena_alloc(j->arena, (most + 1) * sizeof *cells);
    for (at = 0; contacts_next(cs, &at, &c);) {
        struct str groups = c.groups, group;
        char *number = arena_alloc_unaligned(j->arena, 8);
        size_t n_groups = 0, first;

        cells[n++] = c.jid;
        cells[n++] = c.name.n ? c.name : STR("");
        cells[n++] = str_from(
                subscription_kind_name(subscription_kind(roster_subscription(&c))));
        cells[n++] = str_from(pending_name(&c));
        first = n++;
        for (; contact_group_next(&groups, &group); n_groups++)
            cells[n++] = group;
        cells[first] = (struct str){ number, (size_t)sprintf(number, "%zu", n_groups) };
    }
    job_call_reply_list(j, cells, n);
}

void
roster_call_count(struct job *j, const struct sql_result *result)
{
    char text[24];

    (void)result;
    if (!is_there(j))
        return;
    snprintf(text, sizeof text, "%zu",
            roster_count(
                    account_contacts(j->account), CONTACT_LISTED | CONTACT_SHARED));
    job_call_reply(j, IPC_OK, str_from(text));
}

/* What the administrator grants or takes is shown at once. */
static void
granted(struct job *j, struct roster_change *ch, unsigned before, unsigned now)
{
    struct jid jid = contact_jid(&ch->contact);

    if (now & ~before & SUBSCRIPTION_KIND_FROM)
        ch->flags |= ROSTER_SHOW | ROSTER_SHOW_ALL;
    if (before & ~now & SUBSCRIPTION_KIND_FROM)
        ch->flags |= ROSTER_HIDE;
    if (now & ~before & SUBSCRIPTION_KIND_TO && host_of(j->w, jid.domain))
        ch->flags |= ROSTER_PROBE;
}

/* The contact's address; false: answered, it cannot be one. */
static bool
contact_arg(struct job *j, struct str *ret_jid)
{
    struct jid jid, own = account_jid(j->account);

    if (jid_parse(j->arena, job_arg(j, ARG_JID), &jid) < 0 || jid_eq_bare(&jid, &own)) {
        job_call_reply(j, IPC_INVALID, STR("not an address of a contact"));
        return false;
    }
    *ret_jid = jid_text(j->arena, &jid);
    return true;
}

static bool
groups_arg(struct job *j, struct buf *groups)
{
    size_t n = job_n_args(j);

    if (n > ARG_GROUPS + ROSTER_GROUPS_MAX)
        return false;
    for (size_t i = ARG_GROUPS; i < n; i++) {
        struct str name = job_arg(j, i);
        struct contact so_far = { .groups = buf_str(groups) };

        if (name.n > ROSTER_GROUP_MAX)
            return false;
        if (name.n > 0 && !contact_in_group(&so_far, name))
            contact_group_add(groups, name);
    }
    return true;
}

/* jid, nick, subscription, groups … */
static void
add(struct job *j, struct buf *groups)
{
    struct roster_change ch = { .flags = ROSTER_WRITE | ROSTER_PUSH,
        .origin = ROSTER_BY_CALL };
    struct str nick = job_arg(j, ARG_NICK), jid;
    enum subscription_kind kind;
    struct subscription before, now;

    if (!is_there(j) || !contact_arg(j, &jid))
        return;
    if (subscription_kind_from(job_arg(j, ARG_SUBSCRIPTION), &kind) < 0 ||
            nick.n > ROSTER_NAME_MAX || !groups_arg(j, groups)) {
        job_call_reply(j, IPC_INVALID,
                STR("a subscription is none, from, to or both; names have a limit"));
        return;
    }
    contacts_find(account_contacts(j->account), jid, &ch.contact);
    if (ch.contact.bits & CONTACT_SHARED) {
        job_call_reply(j, IPC_DENIED, STR("the contact is a shared group's"));
        return;
    }
    before = roster_subscription(&ch.contact);
    subscription_from_db("NTFB"[kind], 'N', before.approved, true, &now);
    ch.contact.jid = jid;
    ch.contact.name = nick;
    ch.contact.groups = buf_str(groups);
    ch.contact.bits = roster_bits(now, 0);
    granted(j, &ch, subscription_kind(before), kind);
    roster_change_begin(j, &ch);
}

void
roster_call_add(struct job *j, const struct sql_result *result)
{
    struct buf groups = { 0 };

    (void)result;
    add(j, &groups);
    buf_fini(&groups);
}

/* jid */
void
roster_call_delete(struct job *j, const struct sql_result *result)
{
    struct contact c;
    struct str jid;

    (void)result;
    if (!is_there(j) || !contact_arg(j, &jid))
        return;
    if (!contacts_find(account_contacts(j->account), jid, &c))
        job_call_reply(j, IPC_NOT_FOUND, STR("no such contact"));
    else if (c.bits & CONTACT_SHARED)
        job_call_reply(j, IPC_DENIED, STR("the contact is a shared group's"));
    else
        roster_remove(j, &c, ROSTER_BY_CALL);
}
