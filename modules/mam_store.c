/*
 * mam_store.c -- messages on their way into archives
 *
 * A message is archived where its way leads by anyway: the sender's copy in the
 * sender's worker, when it has been routed; the recipient's before it is given to
 * resources, in the sender's worker or, if the account's home has to decide, there.
 * Nobody waits: the row is a job in the slot (job_write), part of the same transaction
 * as the message's delivery, so that a kill loses neither of them, or both to be done
 * again.
 *
 * The row's id is made here, and the recipient is told it at once (XEP-0359) in the
 * bytes that go to his clients and into offline storage; the sender's other clients
 * hear of the sender's id in their carbons.
 */
#include "modules/mam.h"

#include "xmpp/stanza_id.h"
#include "xmpp/traits.h"
#include "xmpp/xmlpack.h"

enum {
    ROW_BYTES_MAX = 3 << 20, /* a request to the database has 4 MiB at the most */
    ID_SIZE = 21
};

/* A message for one archive. */
struct row {
    const struct jid *owner, *peer;
    const struct xml_el *el;
    struct str bytes; /* without an id of this archive */
};

static bool
is_archivable(const struct stanza *s)
{
    return s->kind == STANZA_MESSAGE && s->from.domain.n &&
           traits_archivable(s->traits, (enum message_type)s->type);
}

/* As ejabberd takes it: XEP-0359's, or else the message's own. */
static struct str
origin_of(const struct xml_el *el)
{
    struct str id = origin_id_get(el);

    if (!id.p)
        id = xml_attr(el, "id");
    return id.p ? id : STR("");
}

/* With its namespace said, so that it stands for itself. */
static void
write_xml(struct buf *out, struct str bytes)
{
    static const struct str open = { "<message", 8 };

    buf_add_c(out, MAM_XML_START);
    buf_add(out, bytes.p + open.n, bytes.n - open.n);
}

static void
write_packed(struct buf *out, const struct event *e, const struct row *row)
{
    const struct mam_config *config = e->config;

    if (!config->compress ||
            !xmlpack_write(out, row->el, jid_bare_text(e->arena, row->owner),
                    jid_text(e->arena, row->peer)))
        write_xml(out, row->bytes);
}

/* False: too large for the database. */
static bool
add_row(struct event *e, const struct row *row, uint64_t id)
{
    struct job_start start = {
        .module = e->module, .host = e->host, .step = JOB_WRITTEN
    };
    struct str body = xml_child_text(row->el, "body", NS_CLIENT);
    struct buf xml = { 0 };
    struct sql_value param[] = { sql_text(row->owner->local), sql_int((int64_t)id),
        sql_text(jid_text(e->arena, row->peer)),
        sql_text(jid_bare_text(e->arena, row->peer)), sql_null(),
        sql_text(body.p ? body : STR("")), sql_text(STR("chat")), sql_text(STR("")),
        sql_text(origin_of(row->el)) };

    if (row->bytes.n + body.n > ROW_BYTES_MAX) {
        log_info(NULL, "a message of %zu bytes is too large for an archive",
                row->bytes.n);
        return false;
    }
    write_packed(&xml, e, row);
    param[4] = sql_text(buf_str(&xml));
    job_write(e->w, &start, SQL_ARCHIVE_ADD, param, ARRAY_LEN(param));
    buf_fini(&xml);
    return true;
}

/* The id as the last child. */
static struct str
with_id(struct arena *arena, struct str bytes, const struct jid *by, uint64_t id)
{
    static const struct str close = { "</message>", 10 };
    char text[ID_SIZE];
    struct buf out = { 0 };
    struct str ret;

    if (!str_ends(bytes, close))
        return bytes; /* an empty message, which is in no archive */
    buf_add(&out, bytes.p, bytes.n - close.n);
    stanza_id_write(&out, jid_bare_text(arena, by),
            (struct str){ text, (size_t)snprintf(text, sizeof text, "%llu",
                                        (unsigned long long)id) });
    buf_add_str(&out, close);
    ret = str_dup(arena, buf_str(&out));
    buf_fini(&out);
    return ret;
}

/* Into the archive of owner, and its id into the message's bytes; false: it is not. */
static bool
store(struct event *e, const struct jid *owner, const struct jid *peer)
{
    struct stanza *s = e->s;
    struct row row = { .owner = owner, .peer = peer, .el = s->el, .bytes = s->bytes };
    uint64_t id;

    if (!row.el)
        row.el = stanza_parse(e->w, e->arena, s->bytes);
    if (!row.el)
        return false;
    id = worker_stamp_us(e->w);
    if (!add_row(e, &row, id))
        return false;
    s->bytes = with_id(e->arena, s->bytes, owner, id);
    worker_count(e->w, COUNTER_ARCHIVED, 1);
    return true;
}

/* --- Hooks --- */

enum hook_result
mam_store_send(struct event *e)
{
    if (!jobs_are_many(e->w) || !is_archivable(e->s))
        return HOOK_PASS;
    route_error(e->w, e->s, STANZA_ERROR_RESOURCE_CONSTRAINT,
            "too many messages wait for the archive");
    return HOOK_DONE;
}

enum hook_result
mam_store_sent(struct event *e)
{
    struct jid own = conn_jid(e->c);

    if (is_archivable(e->s) && e->account &&
            mam_prefs_keep(e->config, e->account, e->module, &e->s->to))
        store(e, &own, &e->s->to);
    return HOOK_PASS;
}

static bool
recipient_keeps(const struct event *e)
{
    if (e->account)
        return mam_prefs_keep(e->config, e->account, e->module, &e->s->from);
    for (size_t i = 0; i < e->entries->n; i++) {
        if (e->entries->entry[i].flags & ROUTE_ARCHIVE)
            return true;
    }
    return false;
}

/* Ids that are not true (XEP-0359, 3); what clients of ours say was looked at before.
 */
static void
check_ids(struct event *e)
{
    struct stanza *s = e->s;
    struct jid own = jid_bare(&s->to);
    struct buf bytes = { 0 };

    if (s->conn || !(s->traits & TRAIT(STANZA_ID)))
        return;
    if (!s->el)
        s->el = stanza_parse(e->w, e->arena, s->bytes);
    if (!s->el || stanza_id_remove(s->el, &own) == 0)
        return;
    s->traits = traits_of(s->el);
    xml_write(&bytes, s->el, STR(NS_CLIENT));
    s->bytes = str_dup(e->arena, buf_str(&bytes));
    buf_fini(&bytes);
}

enum hook_result
mam_store_receive(struct event *e)
{
    struct stanza *s = e->s;

    check_ids(e);
    if (!is_archivable(s) || !recipient_keeps(e))
        return HOOK_PASS;
    if (jobs_are_many(e->w)) {
        route_error(e->w, s, STANZA_ERROR_RESOURCE_CONSTRAINT,
                "too many messages wait for the archive");
        return HOOK_DONE;
    }
    if (store(e, &s->to, &s->from))
        s->flags |= STANZA_ARCHIVED;
    return HOOK_PASS;
}

/* It was in the recipient's archive when it came, by the id that it has from there. */
static bool
has_our_id(const struct stanza *s)
{
    struct jid own = jid_bare(&s->to);

    return s->traits & TRAIT(STANZA_ID) && stanza_id_get(s->el, &own).p;
}

/* What is in the archive has reached its recipient, as in ejabberd: no error. */
enum hook_result
mam_store_offline(struct event *e)
{
    return e->s->flags & STANZA_ARCHIVED || has_our_id(e->s) ? HOOK_DONE : HOOK_PASS;
}

enum hook_result
mam_store_give_back(struct event *e)
{
    const struct mam_config *config = e->config;

    return config->is_used && has_our_id(e->s) ? HOOK_DONE : HOOK_PASS;
}
