/*
 * privacy_note.c -- changes of lists, as jobs keep them and workers hear of them
 *
 * All changes are made in the account's home, one after the other, and told from there,
 * so that every worker hears of them in their order: also of the list that a session
 * activates, which so cannot be an older version than the one that an edit has told of
 * before.
 */
#include "modules/privacy.h"

struct head {
    uint64_t conn;
    uint32_t flags, tries, name_n, before_n, after_n;
};

void
privacy_note_write(struct buf *out, const struct privacy_note *note)
{
    struct head head = { .conn = note->conn,
        .flags = note->flags,
        .tries = note->tries,
        .name_n = (uint32_t)note->name.n,
        .before_n = (uint32_t)note->before.n,
        .after_n = (uint32_t)note->after.n };

    buf_add(out, &head, sizeof head);
    buf_add_str(out, note->name);
    buf_add_str(out, note->before);
    buf_add_str(out, note->after);
}

bool
privacy_note_read(struct str data, struct privacy_note *ret)
{
    struct head head;

    if (!str_take_into(&data, &head, sizeof head) ||
            (uint64_t)head.name_n + head.before_n + head.after_n != data.n)
        return false;
    *ret = (struct privacy_note){
        .conn = head.conn, .flags = head.flags, .tries = head.tries
    };
    return str_take(&data, head.name_n, &ret->name) &&
           str_take(&data, head.before_n, &ret->before) &&
           str_take(&data, head.after_n, &ret->after);
}

/* The lists of a note, read. */
struct lists {
    struct privacy_list *before, *after;
};

static bool
lists_read(const struct privacy_note *note, struct lists *ret)
{
    struct lists lists = { NULL, NULL };

    if (privacy_list_from_bytes(note->before, &lists.before) < 0 ||
            privacy_list_from_bytes(note->after, &lists.after) < 0) {
        privacy_list_free(&lists.before);
        return false;
    }
    *ret = lists;
    return true;
}

static void
lists_free(struct lists *lists)
{
    privacy_list_free(&lists->before);
    privacy_list_free(&lists->after);
}

static const struct privacy_list *
default_of(const struct account *a)
{
    const struct privacy_part *part = account_part(a, &module);

    return part ? part->list : NULL;
}

/* The new default list is the account's; before it is judged by that. */
static void
take_default(struct event *e, const struct privacy_note *note)
{
    struct privacy_list *list = NULL;

    if (!(note->flags & PRIVACY_IS_DEFAULT))
        return;
    if (note->flags & PRIVACY_NO_DEFAULT) {
        privacy_set_default(e->w, e->account, STR_NULL, NULL);
        return;
    }
    privacy_list_from_bytes(note->after, &list);
    privacy_set_default(e->w, e->account, note->name, list);
}

/* What a session had kept is valid until the transaction ends. */
static void
change_session(struct event *e, struct conn *c, const struct privacy_note *note,
        const struct lists *lists)
{
    struct privacy_own own = privacy_own_of(c);
    bool is_it = own.name.n && str_eq(own.name, note->name);

    if (is_it && note->flags & PRIVACY_REMOVED) {
        privacy_set_own(e->w, c, STR_NULL, NULL);
        privacy_live(e->w, e->account, c, own.list, default_of(e->account));
    } else if (is_it && note->flags & PRIVACY_CONTENT) {
        privacy_set_own(e->w, c, note->name, lists->after);
        privacy_live(e->w, e->account, c, own.list, lists->after);
    } else if (!own.name.n && note->flags & PRIVACY_IS_DEFAULT) {
        privacy_live(e->w, e->account, c, lists->before, default_of(e->account));
    }
}

static void
change(struct event *e, const struct privacy_note *note, const struct lists *lists)
{
    struct conn *c;
    uint32_t at = 0;

    take_default(e, note);
    while ((c = session_next(e->w, e->account, &at)))
        change_session(e, c, note, lists);
}

static void
session(struct event *e, const struct privacy_note *note, const struct lists *lists)
{
    struct conn *c = conn_find(e->w, note->conn);
    const struct privacy_list *before;

    if (!c || session_account(e->w, c) != e->account)
        return;
    if (note->flags) { /* what it has, if it still has that */
        change_session(e, c, note, lists);
        return;
    }
    before = privacy_list_of(account_part(e->account, &module), c);
    privacy_set_own(e->w, c, note->name, lists->after);
    privacy_live(e->w, e->account, c, before,
            note->name.n ? lists->after : default_of(e->account));
}

static void
in_use(struct event *e, const struct privacy_note *note)
{
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(e->w, e->account, &at))) {
        if (conn_id(e->w, c) != note->conn &&
                str_eq(privacy_own_of(c).name, note->name))
            e->answer = 1;
    }
}

/* The active list comes first; which one that is, is known here. */
static void
names(struct event *e, const struct privacy_note *note)
{
    struct conn *c = conn_find(e->w, note->conn);
    struct xml_el *iq = c ? stanza_parse(e->w, e->arena, note->name) : NULL;
    struct xml_el *query = xml_child(iq, "query", NS_PRIVACY), *all, *child;
    struct privacy_own own;

    if (!query || session_account(e->w, c) != e->account)
        return;
    own = privacy_own_of(c);
    all = xml_el_new(e->arena, "query", NS_PRIVACY);
    if (own.name.n)
        xml_set(xml_add(all, "active", NULL), "name", own.name);
    while ((child = xml_child(query, NULL, NULL))) {
        xml_unlink(child);
        xml_add_el(all, child);
    }
    xml_unlink(query);
    xml_add_el(iq, all);
    session_send(e->w, c, iq);
}

static void
refresh(struct event *e)
{
    struct conn *c;
    uint32_t at = 0;

    while ((c = session_next(e->w, e->account, &at)))
        privacy_refresh_own(e->w, c);
}

void
privacy_on_note(struct event *e, unsigned what, struct str data)
{
    struct privacy_note note;
    struct lists lists;

    if (!privacy_note_read(data, &note))
        return;
    switch (what) {
    case PRIVACY_NOTE_IN_USE:
        in_use(e, &note);
        return;
    case PRIVACY_NOTE_NAMES:
        names(e, &note);
        return;
    case PRIVACY_NOTE_REFRESH:
        refresh(e);
        return;
    case PRIVACY_NOTE_CHANGE:
    case PRIVACY_NOTE_SESSION:
        break;
    default:
        return;
    }
    if (!lists_read(&note, &lists))
        return;
    if (what == PRIVACY_NOTE_CHANGE)
        change(e, &note, &lists);
    else
        session(e, &note, &lists);
    lists_free(&lists);
}
