#ifndef MODULES_PRIVACY_H
#define MODULES_PRIVACY_H

#include "worker/module.h"
#include "xmpp/privacy.h"

/*
 * Privacy lists (XEP-0016) and block lists (XEP-0191): what the parts of mod_privacy
 * share. mod_blocking.c only hands requests over.
 */
extern const struct module module;

/* Steps of jobs; mod_blocking begins those for it. */
enum privacy_step {
    PRIVACY_STEP_QUERY,     /* a request of XEP-0016, in the home */
    PRIVACY_STEP_COMMAND,   /* the same, of an administrator */
    PRIVACY_STEP_NAMES,     /* rows of PRIVACY_LISTS */
    PRIVACY_STEP_LIST,      /* rows of PRIVACY_GET: to be shown, */
    PRIVACY_STEP_ACTIVATE,  /* or for the session, */
    PRIVACY_STEP_DEFAULT,   /* or to be the default */
    PRIVACY_STEP_PUT,       /* rows of PRIVACY_LISTS: is there room for one more? */
    PRIVACY_STEP_REMOVE,    /* do others use it? */
    PRIVACY_STEP_BLOCKLIST, /* requests of XEP-0191, in the home */
    PRIVACY_STEP_BLOCK,
    PRIVACY_STEP_BLOCK_IN, /* rows of PRIVACY_GET: the list that has the usual name */
    PRIVACY_STEP_BLOCK_DEFAULT, /* it is written: now the default */
    PRIVACY_STEP_CHANGED,       /* the database has it */
    PRIVACY_STEP_SETTLED,       /* all workers have it */
    PRIVACY_STEP_REFRESH,       /* a session's own list may not be true any more */
    PRIVACY_STEP_REFRESHED,
    PRIVACY_STEP_RESYNC, /* what does the database say? */
    PRIVACY_STEPS
};

/* --- Lists in force --- */

/* The part of an account: its default list. Without one it is NULL. */
struct privacy_part {
    struct privacy_list *list; /* NULL: no rules */
    size_t name_n;
    char name[];
};
struct privacy_part *privacy_part_new(struct str name, struct privacy_list *list);
void privacy_part_free(void *part);
struct str privacy_part_name(const struct privacy_part *part); /* of NULL: no name */

/* Makes it the account's default list; list becomes the account's. name.n == 0: none.
 */
void privacy_set_default(struct worker *w, struct account *a, struct str name,
        struct privacy_list *list);

/*
 * The list of a session: its name and its rules, in the slot, so that a successor has
 * them before it has anything else (SESSION_OWN_LIST).
 */
struct privacy_own {
    struct str name; /* p == NULL: the session has none */
    const struct privacy_list *list;
};
struct privacy_own privacy_own(struct str kept);
struct privacy_own privacy_own_of(const struct conn *c);
void privacy_set_own(struct worker *w, struct conn *c, struct str name,
        const struct privacy_list *list);
/* Lets the home read it again. */
void privacy_refresh_own(struct worker *w, struct conn *c);

/* What the session's stanzas are judged by: its own list, or else the account's. */
const struct privacy_list *privacy_list_of(
        const struct privacy_part *part, const struct conn *c);

enum privacy_verdict privacy_verdict(struct account *a, const struct privacy_list *list,
        const struct jid *peer, enum privacy_way way, enum privacy_stanza stanza);

/* --- Changes --- */

enum privacy_note_kind {
    PRIVACY_NOTE_CHANGE,  /* lists of the account */
    PRIVACY_NOTE_SESSION, /* one session has now: name, after; or none. With flags: as
                             PRIVACY_NOTE_CHANGE, but for this session only */
    PRIVACY_NOTE_IN_USE,  /* is it another session's own list? */
    PRIVACY_NOTE_NAMES,   /* an answer (name) that the session's worker completes */
    PRIVACY_NOTE_REFRESH  /* what sessions have may not be what the database has */
};
enum privacy_note_flag {
    PRIVACY_IS_DEFAULT = 1 << 0, /* the default list was `before` and is name, after */
    PRIVACY_NO_DEFAULT = 1 << 1, /* with the first: there is none now */
    PRIVACY_CONTENT = 1 << 2,    /* the list `name` is now `after` */
    PRIVACY_REMOVED = 1 << 3     /* there is no list `name` any more */
};

/* What is kept in a job, and told to all workers. */
struct privacy_note {
    uint64_t conn; /* the session it is for; 0: none */
    uint32_t flags, tries;
    struct str name;
    struct str before, after; /* privacy_list_bytes() */
};
void privacy_note_write(struct buf *out, const struct privacy_note *note);
bool privacy_note_read(struct str data, struct privacy_note *ret);

/* module.notify (privacy_note.c) */
void privacy_on_note(struct event *e, unsigned what, struct str data);

/*
 * The list that a session is judged by has changed: contacts that may not see it any
 * more, or may again, hear of that, and so does the session of theirs (privacy_live.c).
 */
void privacy_live(struct worker *w, struct account *a, struct conn *c,
        const struct privacy_list *before, const struct privacy_list *after);

/* --- Requests --- */

/* A row: t, value, action, and from column ord on the rest. false: no rule. */
bool privacy_row_item(struct arena *arena, const struct sql_value *row, unsigned ord,
        struct privacy_item *ret);
/* Rows of PRIVACY_GET, from column `first` on: false: there is no such list. */
bool privacy_rows(
        const struct sql_result *rows, unsigned first, struct privacy_list **ret);

/* privacy_change.c: of the account's user; name.p == NULL: no second parameter. */
void privacy_ask(struct job *j, unsigned step, enum sql_op op, struct str name);
/* Writes note.name with note.after, then goes on. */
void privacy_put(struct job *j, unsigned step, const struct privacy_note *note);
void privacy_keep(struct job *j, const struct privacy_note *note);
/* To all workers; and then goes on when they act by it. */
void privacy_tell(
        struct job *j, enum privacy_note_kind kind, const struct privacy_note *note);
void privacy_tell_all(struct job *j, unsigned step, enum privacy_note_kind kind,
        const struct privacy_note *note);
struct str privacy_default_bytes(const struct job *j); /* of the default list */

void privacy_done(struct job *j);
void privacy_fail(struct job *j, enum stanza_error e, const char *text);
/* As job_failed(), for commands, too. */
bool privacy_failed(struct job *j, const struct sql_result *result);

/* Tells everybody, and pushes; when that is true everywhere, answers. */
void privacy_changed(struct job *j, const struct privacy_note *note);

/* privacy_push.c: to the user's sessions, by the home. */
void privacy_push_list(struct job *j, struct str name);
void privacy_push_blocks(struct job *j, const struct privacy_note *note);

/* privacy_report.c: abuse that a block request reports (XEP-0377). */
void privacy_report(struct job *j);

/* Steps in other files. */
void privacy_blocklist(struct job *j, const struct sql_result *result);
void privacy_block(struct job *j, const struct sql_result *result);
void privacy_block_in(struct job *j, const struct sql_result *result);
void privacy_block_default(struct job *j, const struct sql_result *result);
void privacy_step_changed(struct job *j, const struct sql_result *result);
void privacy_step_settled(struct job *j, const struct sql_result *result);
void privacy_step_refresh(struct job *j, const struct sql_result *result);
void privacy_step_refreshed(struct job *j, const struct sql_result *result);
void privacy_step_resync(struct job *j, const struct sql_result *result);
extern const job_fn privacy_steps[PRIVACY_STEPS];

#endif
