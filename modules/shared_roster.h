#ifndef MODULES_SHARED_ROSTER_H
#define MODULES_SHARED_ROSTER_H

#include "base/hash.h"
#include "worker/module.h"

/*
 * mod_shared_roster in its parts.
 *
 * Groups and their members are in the database. Each worker has them in memory, all of
 * a host: read when the first account needs them (shared_roster_load.c), which waits
 * for that. Commands write in the home of the host, one after the other, and tell all
 * workers the new values (shared_roster_call.c); each of them changes its tables, then
 * goes through its sessions in portions (shared_roster_apply.c), changes their contacts
 * and pushes what is another one (shared_roster_merge.c).
 */

/* Numbers of steps survive updates: none may be used again for something else. */
enum sr_step {
    SR_STEP_LOAD,
    SR_STEP_LOAD_ROWS,
    SR_STEP_APPLY,
    SR_STEP_APPLY_LOAD,
    SR_STEP_APPLY_ONE,
    SR_STEP_CLOSED,
    SR_STEP_CALL,
    SR_STEP_CALL_OPTS,
    SR_STEP_CALL_DONE,
    SR_STEPS
};

struct sr_config {
    uint64_t life_ms;
};

/* --- shared_roster_opts.c: sr_group.opts --- */

struct sr_opts {
    struct str label, description;
    struct str *displayed; /* names of groups: name or name@host */
    size_t n_displayed;
    bool all, online, disabled;
};

/* What cannot be read is as if it were empty. Texts are copied. */
void sr_opts_read(struct arena *arena, struct str text, struct sr_opts *ret);

/* One change of the text, as ejabberd makes it; false: that is no option, or no value.
 */
bool sr_opts_set(struct arena *arena, struct str before, struct str key,
        struct str value, struct buf *out);
void sr_opts_display(struct arena *arena, struct str before, struct str group, bool add,
        struct buf *out);
/* user: @all@ or @online@. */
void sr_opts_special(struct arena *arena, struct str before, struct str user, bool add,
        struct buf *out);
/* A new group's: label, displayed groups, description; in_order of srg_add. */
void sr_opts_new(struct arena *arena, struct str label, struct str description,
        const struct str *displayed, size_t n, bool bare, struct buf *out);

/* --- shared_roster_table.c: the groups of a host in memory --- */

struct sr_user {
    char *bare;
    size_t bare_n;
    bool registered;          /* known only if a group has all users */
    bool online;              /* the same with users who are online */
    struct sr_group **groups; /* that have it as a member */
    size_t n_groups;
};

struct sr_group {
    struct sr_content *content;
    struct arena arena;
    struct str name;
    bool exists; /* else there are members of it only */
    struct sr_opts opts;
    struct map members;                  /* struct sr_user by bare JID */
    struct sr_group **shows, **shown_by; /* valid after sr_link() */
    size_t n_shows, n_shown_by;
};

/* One reading of the tables. */
struct sr_content {
    struct sr_table *table;
    struct map groups, users;
    struct sr_group **special; /* with all, or all online users */
    size_t n_special;
    bool has_all, has_online;
};

enum sr_state {
    SR_UNKNOWN,
    SR_READY
};

struct sr_table {
    char *host;
    enum sr_state state;
    struct sr_content *now;
    struct sr_content *next; /* being read; NULL: not now */
    uint64_t serial;         /* of this reading, or the last one */
    uint64_t until_ms;       /* then it is to be read again */
    uint64_t when_ms;        /* of the change because of which it is; 0: of none */
    struct buf pending; /* what was told while it is being read: sr_change_pack() */
};

/* They are made when they are asked for. */
struct sr_table *sr_table_of(struct str host);
bool sr_table_next(size_t *at, struct sr_table **ret);

struct sr_content *sr_content_new(struct sr_table *t);
void sr_content_free(struct sr_content **content);

void sr_put_group(struct sr_content *c, struct str name, struct str opts);
void sr_del_group(struct sr_content *c, struct str name); /* with its members */
void sr_put_member(struct sr_content *c, struct str bare, struct str group);
void sr_del_member(struct sr_content *c, struct str bare, struct str group);
struct sr_user *sr_find_user(const struct sr_content *c, struct str bare);
struct sr_user *sr_put_user(struct sr_content *c, struct str bare);

/* Which group shows which, of all tables; needed after groups have changed. */
void sr_link(struct worker *w, const struct module *m);

/* Of another host, with its group: "group@host". false: it has no host. */
bool sr_foreign(struct str name, struct str *ret_group, struct str *ret_host);

bool sr_is_member(const struct sr_group *g, struct str bare);
/* Those that count: explicit, or all, or online; not of groups that are disabled. */
void sr_each_group(const struct sr_content *c, const struct sr_user *u,
        void (*each)(void *arg, struct sr_group *g), void *arg);
void sr_each_member(
        const struct sr_group *g, void (*each)(void *arg, struct str bare), void *arg);

/* --- shared_roster_load.c --- */

/* A number of this process: what is on the heap is that of a job with the same. */
uint64_t sr_this_process(struct worker *w);

/* Is everything in memory that this host's accounts need? If not it is being read. */
bool sr_is_ready(
        struct worker *w, const struct module *m, const struct conf_host *host);
void sr_load(struct job *j, const struct sql_result *result);
void sr_load_rows(struct job *j, const struct sql_result *result);

/* --- shared_roster_merge.c: contacts of one account --- */

void *sr_part_load(struct account *a, void *config, const struct sql_result *rows);
void sr_part_free(void *part);

/* When they were first merged with what was read. */
uint64_t sr_merged_ms(const struct module *m, const struct account *a);
/* All of them; what is another one is pushed, but not the first time. */
void sr_merge(
        struct worker *w, const struct module *m, struct account *a, uint64_t when_ms);
/*
 * One of them. told: push it even if it seems to be the same: a worker that has died
 * may not have told the client. when_ms: since when this is so, see presence_show().
 */
void sr_merge_one(struct worker *w, const struct module *m, struct account *a,
        struct str bare, bool told, uint64_t when_ms);

/* --- shared_roster_apply.c: changes --- */

enum sr_what {
    SR_GROUP,      /* name, opts */
    SR_GROUP_GONE, /* name */
    SR_MEMBER,     /* bare, group */
    SR_MEMBER_GONE,
    SR_ONLINE,     /* bare: or not any more, the route table tells */
    SR_REGISTERED, /* bare */
    SR_REMOVED,    /* bare: the account */
    SR_ALL         /* the tables were read again */
};

struct sr_change {
    enum sr_what what;
    uint64_t when_ms; /* not later than it was made in the database */
    struct str first, second;
};
void sr_change_pack(struct buf *out, const struct sr_change *ch);
/* Takes one off. */
bool sr_change_unpack(struct str *data, struct sr_change *ret);

/* To all workers. when_ms 0: just now. */
void sr_tell(struct worker *w, const struct module *m, const struct conf_host *host,
        struct sr_change *ch);
void sr_notify(struct event *e, unsigned what, struct str data);
/* false: it makes no difference. */
bool sr_change_content(
        struct worker *w, struct sr_content *c, const struct sr_change *ch);
/* The same of what is in force, which may have to be read again then. */
bool sr_change_now(struct worker *w, struct sr_table *t, const struct sr_change *ch);
void sr_apply_begin(struct worker *w, const struct module *m,
        const struct conf_host *host, const struct sr_change *ch);
void sr_apply(struct job *j, const struct sql_result *result);
void sr_apply_load(struct job *j, const struct sql_result *result);
void sr_apply_one(struct job *j, const struct sql_result *result);

/* --- shared_roster_call.c --- */

extern const struct module_call sr_calls[];
void sr_call(struct job *j, const struct sql_result *result);
void sr_call_opts(struct job *j, const struct sql_result *result);
void sr_call_done(struct job *j, const struct sql_result *result);

#endif
