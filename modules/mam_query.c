/*
 * mam_query.c -- what a client asks of its archive, and how one message is given to it
 *
 * A form (XEP-0004) with what messages are wanted, and a page of them (XEP-0059). Both
 * name messages by their ids; those must be there (XEP-0313, 4.1.3 and 4.3.2), which
 * is for the caller to see: `known`.
 */
#include "modules/mam.h"

#include <errno.h>
#include <stdlib.h>

#include "xmpp/datetime.h"
#include "xmpp/form.h"
#include "xmpp/forward.h"
#include "xmpp/rsm.h"
#include "xmpp/stanza_id.h"
#include "xmpp/xmlpack.h"

enum {
    QUERYID_MAX = 256, /* it comes back with each message */
    ID_SIZE = 21
};

/* While one is being read. */
struct reader {
    struct arena *arena;
    struct mam_query *q;
    enum stanza_error error;
    const char *text;
};

static int
fail(struct reader *r, enum stanza_error e, const char *text)
{
    r->error = e;
    r->text = text;
    return -EINVAL;
}

/* --- Fields --- */

/* Decimal without sign or leading zeros: another text is nobody's id. */
static int
read_id(struct reader *r, struct str text, int64_t *ret)
{
    if (!text.n || text.p[0] < '1' || text.p[0] > '9' || str_to_i64(text, ret) < 0 ||
            *ret == INT64_MAX)
        return fail(r, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    return 0;
}

static int
read_known(struct reader *r, struct str text, int64_t *ret)
{
    if (read_id(r, text, ret) < 0)
        return -EINVAL;
    r->q->known[r->q->n_known++] = *ret;
    return 0;
}

static int
read_time(struct reader *r, struct str text, int64_t *ret)
{
    if (datetime_parse(text, ret) < 0)
        return fail(
                r, STANZA_ERROR_BAD_REQUEST, "start and end must be XEP-0082 times");
    return 0;
}

static int
field_start(struct reader *r, const struct xml_el *field, struct str value)
{
    int64_t us;

    (void)field;
    if (read_time(r, value, &us) < 0)
        return -EINVAL;
    if (us > r->q->start)
        r->q->start = us;
    return 0;
}

static int
field_end(struct reader *r, const struct xml_el *field, struct str value)
{
    int64_t us;

    (void)field;
    if (read_time(r, value, &us) < 0)
        return -EINVAL;
    if (us < r->q->end)
        r->q->end = us;
    return 0;
}

static int
field_with(struct reader *r, const struct xml_el *field, struct str value)
{
    struct jid jid;

    (void)field;
    if (jid_parse(r->arena, value, &jid) < 0)
        return fail(r, STANZA_ERROR_BAD_REQUEST, "with is not an address");
    r->q->with = jid_text(r->arena, &jid);
    r->q->with_full = jid_is_full(&jid);
    return 0;
}

static int
field_after_id(struct reader *r, const struct xml_el *field, struct str value)
{
    int64_t id;

    (void)field;
    if (read_known(r, value, &id) < 0)
        return -EINVAL;
    if (id + 1 > r->q->start)
        r->q->start = id + 1;
    return 0;
}

static int
field_before_id(struct reader *r, const struct xml_el *field, struct str value)
{
    int64_t id;

    (void)field;
    if (read_known(r, value, &id) < 0)
        return -EINVAL;
    if (id - 1 < r->q->end)
        r->q->end = id - 1;
    return 0;
}

static int
cmp_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static int
field_ids(struct reader *r, const struct xml_el *field, struct str value)
{
    struct mam_query *q = r->q;
    size_t n = 0;

    (void)value;
    form_for_value(v, field)
    {
        if (++n > MAM_IDS_MAX)
            return fail(r, STANZA_ERROR_POLICY_VIOLATION, "too many ids");
    }
    q->ids = arena_alloc(r->arena, (n + 1) * sizeof *q->ids);
    form_for_value(v, field)
    {
        if (read_id(r, xml_text(v), &q->ids[q->n_ids]) < 0)
            return -EINVAL;
        q->n_ids++;
    }
    qsort(q->ids, q->n_ids, sizeof *q->ids, cmp_ids);
    n = 0;
    for (size_t i = 0; i < q->n_ids; i++) {
        if (n == 0 || q->ids[i] != q->ids[n - 1])
            q->ids[n++] = q->ids[i];
    }
    q->n_ids = n;
    return 0;
}

/* No archive of a user has messages of rooms, so either answer gives the same. */
static int
field_include_groupchat(struct reader *r, const struct xml_el *field, struct str value)
{
    (void)field;
    if (!str_eq_c(value, "true") && !str_eq_c(value, "false") &&
            !str_eq_c(value, "1") && !str_eq_c(value, "0"))
        return fail(r, STANZA_ERROR_BAD_REQUEST, "include-groupchat is true or false");
    return 0;
}

static const struct {
    const char *var;
    enum form_field_type type;
    int (*read)(struct reader *r, const struct xml_el *field, struct str value);
} fields[] = {
    { "with", FIELD_JID_SINGLE, field_with },
    { "start", FIELD_TEXT_SINGLE, field_start },
    { "end", FIELD_TEXT_SINGLE, field_end },
    { "before-id", FIELD_TEXT_SINGLE, field_before_id },
    { "after-id", FIELD_TEXT_SINGLE, field_after_id },
    { "ids", FIELD_LIST_MULTI, field_ids },
    { "include-groupchat", FIELD_BOOLEAN, field_include_groupchat },
};

static int
read_field(struct reader *r, const struct xml_el *x, const struct xml_el *field)
{
    struct str var = xml_attr(field, "var"), value;

    if (!var.p || str_eq_c(var, "FORM_TYPE"))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!str_eq_c(var, fields[i].var))
            continue;
        value = form_value(x, fields[i].var);
        return value.n ? fields[i].read(r, field, value) : 0;
    }
    return fail(r, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED, "unknown field"); /* 4.1.5 */
}

static int
read_form(struct reader *r, const struct xml_el *el)
{
    const struct xml_el *x = form_child(el, NULL);
    enum form_type type;
    struct str form_type;

    if (!x)
        return 0;
    form_type = form_type_of(x);
    if (form_check(x, &type) < 0 || type != FORM_SUBMIT ||
            (form_type.p && !str_eq_c(form_type, NS_MAM)))
        return fail(r, STANZA_ERROR_BAD_REQUEST, "not a form for an archive");
    xml_for(field, x, "field", NS_DATA)
    {
        if (read_field(r, x, field) < 0)
            return -EINVAL;
    }
    return 0;
}

/* --- Pages --- */

static int
read_page(struct reader *r, const struct xml_el *el)
{
    struct mam_query *q = r->q;
    struct rsm rsm;
    int64_t id;

    if (rsm_read(el, &rsm) == -EINVAL)
        return fail(r, STANZA_ERROR_BAD_REQUEST, NULL);
    if (rsm.has_index)
        return fail(r, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED, "no pages by index");
    q->max = (uint32_t)rsm_limit(&rsm, MAM_PAGE_USUAL, MAM_PAGE_MOST);
    q->backwards = rsm.backwards;
    q->first = q->start;
    q->last = q->end;
    q->paged = rsm.after.n || rsm.before.n;
    if (rsm.after.n) {
        if (read_known(r, rsm.after, &id) < 0)
            return -EINVAL;
        if (id + 1 > q->first)
            q->first = id + 1;
    }
    if (rsm.before.n) {
        if (read_known(r, rsm.before, &id) < 0)
            return -EINVAL;
        if (id - 1 < q->last)
            q->last = id - 1;
    }
    return 0;
}

int
mam_query_read(struct arena *arena, const struct xml_el *el, struct mam_query *ret,
        enum stanza_error *ret_error, const char **ret_text)
{
    struct reader r = { .arena = arena, .q = ret };
    int e = 0;

    *ret = (struct mam_query){ .queryid = xml_attr(el, "queryid"),
        .start = 0,
        .end = INT64_MAX - 1,
        .flip = xml_child(el, "flip-page", NS_MAM) != NULL };
    if (xml_attr(el, "node").p) /* of a pubsub service: XEP-0442 */
        e = fail(&r, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED, "no archives of nodes");
    else if (ret->queryid.n > QUERYID_MAX)
        e = fail(&r, STANZA_ERROR_POLICY_VIOLATION, "the queryid is too long");
    if (e == 0)
        e = read_form(&r, el);
    if (e == 0)
        e = read_page(&r, el);
    *ret_error = r.error;
    *ret_text = r.text;
    return e;
}

void
mam_query_form(struct xml_el *query)
{
    struct xml_el *x = form_add(query, FORM_FORM, NS_MAM);

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct xml_el *field =
                form_add_field(x, fields[i].type, fields[i].var, STR_NULL);

        if (fields[i].type == FIELD_LIST_MULTI) { /* any id, not one of a list */
            struct xml_el *validate = xml_add(field, "validate", NS_DATA_VALIDATE);

            xml_set_c(validate, "datatype", "xs:string");
            xml_add(validate, "open", NULL);
        }
    }
}

/* --- Results --- */

/*
 * The message as bytes that are well-formed. Ours are, and are taken as they are; those
 * of others are read: ejabberd's may be packed, or use prefixes that its stream has
 * declared. p == NULL: it is no message.
 */
static struct str
message_of(struct buf *out, struct job *j, struct str bare, const struct mam_row *row)
{
    struct xml_el *el;
    struct buf xml = { 0 };

    if (str_starts(row->xml, STR(MAM_XML_START)))
        return row->xml;
    if (row->xml.n && row->xml.p[0] == '<')
        buf_add_str(&xml, row->xml);
    else if (xmlpack_read(&xml, row->xml, bare, row->peer) < 0)
        buf_reset(&xml, 0);
    el = stanza_parse(j->w, j->arena, buf_str(&xml));
    buf_fini(&xml);
    if (!el || stanza_kind(el) != STANZA_MESSAGE)
        return STR_NULL;
    xml_write(out, el, STR(NS_CLIENT));
    return buf_str(out);
}

/* In place of what cannot be read (XEP-0313, 3.2). */
#define PLACEHOLDER "<message></message>"

/* The message as it was, with the id that it has here. */
static void
write_message(struct buf *out, struct job *j, struct str id, const struct mam_row *row)
{
    static const char tail[] = "</message></forwarded>";
    struct str bare = jid_bare_text(j->arena, &j->to), message;
    struct buf xml = { 0 };

    message = message_of(&xml, j, bare, row);
    if (!message.p) {
        log_error(NULL, "a row in the archive of %.*s is not a message: %.*s",
                STR_ARG(bare), STR_ARG(id));
        message = STR(PLACEHOLDER);
    }
    forward_write(out, message, j->to.domain, row->id);
    if (str_ends(buf_str(out), STR("</message></forwarded>"))) {
        out->n -= sizeof tail - 1;
        stanza_id_write(out, bare, id);
        buf_add_c(out, tail);
    }
    buf_fini(&xml);
}

void
mam_result_write(struct buf *out, struct job *j, const struct mam_query *q,
        const struct mam_row *row)
{
    struct jid own = jid_bare(&j->to);
    char text[ID_SIZE];
    struct str id = { text,
        (size_t)snprintf(text, sizeof text, "%lld", (long long)row->id) };

    xml_open(out, "message");
    xml_put(out, "from", jid_text(j->arena, &own));
    xml_put(out, "to", jid_text(j->arena, &j->from));
    buf_add_c(out, "><result xmlns='" NS_MAM "'");
    xml_put(out, "queryid", q->queryid);
    xml_put(out, "id", id);
    buf_add_char(out, '>');
    write_message(out, j, id, row);
    buf_add_c(out, "</result></message>");
}
