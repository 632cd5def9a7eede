#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "conf/conf.h"
#include "ipc/mailbox.h"
#include "ipc/post.h"
#include "master/backoff.h"
#include "master/daemon.h"
#include "master/home.h"
#include "master/listeners.h"
#include "master/logfile.h"
#include "proc/status.h"
#include "shm/zone.h"

/*
 * The inside of the master process, shared by its files. main.c needs master_run only.
 */

struct master_options {
    const char *conf_path, *home; /* absolute */
    const char *user;             /* NULL: as home.h says */
    struct conf_loader loader;    /* how the configuration is read, below home */
    bool foreground;
    bool again; /* this image was executed by the master that was here before */
};

/*
 * Serves until it is told to stop. Returns the exit status; -1: stopped in order to
 * start again, so the caller executes the program once more.
 */
int master_run(const struct master_options *opt, const char *exe);

enum child_state {
    CHILD_DOWN,     /* not there; a timer starts it, unless the service stops */
    CHILD_STARTING, /* has not said READY yet */
    CHILD_READY,
    CHILD_STOPPING /* was told to end; a timer kills it */
};

struct master;

/* A process slot: what stays while its occupants come and go. */
struct child {
    struct master *master;
    enum proc_role role;
    unsigned slot;
    ipc_addr addr;
    char name[32]; /* "worker 2" */

    int status_rw, status_ro;
    struct zone status_zone;
    struct status_page *status;
    int mailbox[2];
    int slot_rw; /* worker: its segment, always mapped at the same address */
    uint64_t slot_base;

    enum child_state state;
    pid_t pid;
    uint32_t starts;
    uint64_t started_ms;
    bool reloading; /* has not said RELOADED yet */
    bool planned;   /* its end is wanted: start the next without delay */
    struct loop_io control;
    struct mailbox_reader reader;
    struct backoff backoff;
    struct loop_timer timer;
};

enum master_state {
    MASTER_STARTING,
    MASTER_SERVING,
    MASTER_STOPPING
};

struct master {
    const struct master_options *opt;
    const char *exe;
    struct home home;
    struct conf *conf;
    struct logfile log;
    struct daemon daemon;
    struct loop *loop;
    struct post *post; /* the control channels */

    char instance[33];
    unsigned n_workers;
    struct listeners *listeners;
    int control_socket;
    int routes_rw, routes_ro;
    int status_rw, status_ro; /* our own page */
    struct zone status_zone;
    struct status_page *status;

    struct child *child;
    unsigned n_children;

    enum master_state state;
    uint64_t state_since_ms;
    unsigned stop_phase;
    bool restart; /* start again after stopping */

    struct {
        uint64_t call_id; /* of who waits for the answer; 0: nobody */
        unsigned n_pending;
        struct buf text;
        struct loop_timer timer;
    } reload;

    struct loop_timer watch_timer, start_timer;
    unsigned watch_count;
    uint64_t certs_stamp;
};

enum {
    SLOT_SIZE_GIB = 16,
};

/* children.c: one process slot each; they never give up. */
int child_init(struct child *c, struct master *m, enum proc_role role, unsigned slot);
void child_fini(struct child *c);
void child_start(struct child *c);
void child_stop(struct child *c, uint64_t grace_ms); /* in order; killed after that */
/*
 * Ends the occupant so that the next one starts at once. A worker is killed: told to
 * end it would take leave of its clients, killed it hands them to its successor.
 */
void child_replace(struct child *c);
void child_reap(struct child *c); /* looks whether it has ended */

/* boot.c: what a new process is given. */
void boot_send(struct child *c);
/* All databases are files of ours: the sql process then sees nothing but them. */
bool boot_sql_is_confined(const struct master *m, const struct conf *conf);
int boot_send_conf(struct child *c, struct buf *certs); /* CONF, and CERTS to workers */
void boot_send_log(struct child *c);
void boot_send_listener(struct child *c, unsigned index);

/* words.c: what a process that has died left behind, into the log. */
void words_log(const struct child *c);

/* reload.c: a new configuration, or new certificates, for processes that serve. */
void reload_begin(
        struct master *m, uint64_t call_id); /* 0: nobody waits for the answer */
void reload_certs(struct master *m);
void reload_child_done(struct child *c); /* said so, or has ended */

/* call.c: what the admin process asks for. */
void call_on_master_call(void *ctx, ipc_addr from, const void *msg, int *fd);
void call_reply(struct master *m, uint64_t id, enum ipc_status status, struct str text);

/* master.c: for the others. */
void master_child_ready(struct child *c);
void master_child_ended(struct child *c);
void master_stop(struct master *m, bool restart);
void master_log_changed(struct master *m); /* hands the log's descriptor to everyone */
struct child *master_child(struct master *m, enum proc_role role, unsigned slot);
bool master_all_ready(const struct master *m);
void master_names_not_ready(const struct master *m, struct buf *out);

#endif
