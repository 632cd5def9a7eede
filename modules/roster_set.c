/*
 * roster_set.c -- a client changes its roster (RFC 6121, 2.1.5, 2.3 to 2.5)
 */
#include "modules/roster.h"

bool
roster_may_change(const struct roster_config *config, struct jid who)
{
    struct conf_subject subject = { who.local, who.domain, who.resource, NULL };

    return conf_access_allows(config->host, &config->access, &subject);
}

/* What is wrong in itself need not trouble the home. */
void
roster_set_begin(struct job *j)
{
    struct home_call call = { .module = &module,
        .step = ROSTER_STEP_SET,
        .bare = jid_bare_text(j->arena, &j->from),
        .conn = j->conn,
        .from = j->from,
        .to = j->to,
        .el = j->el };
    struct buf groups = { 0 };
    struct contact item;
    enum stanza_error error;

    if (!roster_may_change(j->config, j->from))
        job_error(j, STANZA_ERROR_FORBIDDEN, NULL);
    else if (roster_item_read(j->arena, j->payload, j->from, &groups, &item, &error) <
             0)
        job_error(j, error, NULL);
    else
        home_call(j->w, &call);
    buf_fini(&groups);
}

void
roster_remove(struct job *j, const struct contact *before, uint8_t origin)
{
    struct roster_change ch = { .origin = origin, .contact = *before };
    struct subscription_result r = subscription_remove(roster_subscription(before));
    struct jid jid = contact_jid(before);

    ch.contact.bits = 0;
    roster_change_take(&ch, &r, host_of(j->w, jid.domain));
    roster_change_begin(j, &ch);
}

/* A new item, or another name and other groups of one that is there. */
static void
update(struct job *j, const struct contact *before, const struct contact *item)
{
    const struct roster_config *config = j->config;
    struct roster_change ch = { .flags = ROSTER_PUSH, .origin = ROSTER_BY_SET };
    bool is_new = !roster_is_shown(before);

    if (is_new && roster_count(account_contacts(j->account), CONTACT_LISTED) >=
                          config->max_items) {
        job_error(j, STANZA_ERROR_NOT_ALLOWED, "the roster is full");
        return;
    }
    ch.contact = *before;
    ch.contact.jid = item->jid;
    ch.contact.name = item->name;
    ch.contact.groups = item->groups;
    ch.contact.bits |= CONTACT_LISTED;
    if (is_new || !str_eq(before->name, item->name) ||
            !str_eq(before->groups, item->groups))
        ch.flags |= ROSTER_WRITE;
    roster_change_begin(j, &ch);
}

void
roster_set(struct job *j, const struct sql_result *result)
{
    struct buf groups = { 0 };
    struct contact item, before = { 0 };
    enum stanza_error error;
    int r = roster_item_read(j->arena, j->payload, j->from, &groups, &item, &error);

    (void)result;
    if (r < 0) {
        job_error(j, error, NULL);
    } else if (!account_exists(j->account)) {
        job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    } else {
        contacts_find(account_contacts(j->account), item.jid, &before);
        if (before.bits & CONTACT_SHARED)
            job_error(j, STANZA_ERROR_NOT_ALLOWED, "the contact is a shared group's");
        else if (r == 0)
            update(j, &before, &item);
        else if (roster_is_shown(&before))
            roster_remove(j, &before, ROSTER_BY_SET);
        else
            job_error(j, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    }
    buf_fini(&groups);
}
