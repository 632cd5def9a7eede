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
#include "master/deaths.h"
#include "master/estate.h"
#include "master/home.h"
#include "master/listeners.h"
#include "master/logfile.h"
#include "master/program.h"
#include "master/roll.h"
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
    bool replaced; /* and goes on with its processes */
    int back_fd;   /* the program of that master, should this one not be able to; -1 */
    bool is_back;  /* it was not: this is that program again */
    uint32_t layout; /* of slots */
};

enum {
    MASTER_AGAIN = -1,  /* everybody has ended: start once more */
    MASTER_REPLACE = -2 /* everybody is there: execute the program and go on */
};

/*
 * Serves until it is told to stop. Returns the exit status, or one of the above: then
 * the caller executes the program once more; with MASTER_REPLACE, *ret_exe_fd.
 */
int master_run(const struct master_options *opt, const char *exe, int *ret_exe_fd);

enum child_state {
    CHILD_DOWN,     /* not there; a timer starts it, unless the service stops */
    CHILD_ASKED,    /* found, started by a master before us; has not said ADOPTED yet */
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
    struct program *program; /* that the next occupant is executed from */

    int status_rw, status_ro;
    struct zone status_zone;
    struct status_page *status;
    int mailbox[2];
    int slot_rw; /* worker: its segment, always mapped at the same address */
    uint64_t slot_base;
    uint32_t layout;    /* of its content */
    int file, file_out; /* convert.c: that it is to be filled from; that it is written to */
    bool converting;    /* the occupant only writes that file */
    unsigned convert_failures;

    enum child_state state;
    pid_t pid;              /* 0: nobody, or we were not told */
    struct loop_io process; /* .fd: its pidfd, where there is such a thing */
    bool adopted;           /* not our child: another master has started it */
    uint64_t question;      /* CHILD_ASKED: the number of ours */
    uint32_t starts;
    uint64_t started_ms;
    bool booted;     /* was sent everything */
    bool confined;   /* was given a root directory */
    bool reloading;  /* is to say RELOADED yet */
    bool reload_due; /* has not been sent the configuration in force */
    bool given_up;   /* it did not end in its time, and was killed by us */
    unsigned starts_at_stop; /* of those that go on for one that died at a stop */
    bool planned;    /* its end is wanted: start the next without delay */
    struct loop_io control;
    int start_fd; /* the other end of control, until somebody was started with it */
    struct mailbox_reader reader;
    struct backoff backoff;
    struct loop_timer timer;

    /* A holder: was told everything, has said so, does not read what follows since. */
    bool told, holds;
    uint64_t behind_since_ms;
};

enum master_state {
    MASTER_STARTING,
    MASTER_SERVING,
    MASTER_STOPPING
};

struct master {
    const struct master_options *opt;
    const char *exe; /* our path */
    struct list programs;
    struct program *program; /* ours */
    struct program *program_next; /* that we shall execute in our place */
    struct home home;
    struct conf *conf;
    struct conf *conf_next;    /* adopted: what the file says now */
    int conf_blob, certs_blob; /* packed for a new master; for the workers */
    uint64_t conf_size, certs_size;
    struct logfile log;
    struct daemon daemon;
    struct loop *loop;
    struct post *post; /* the control channels */

    char instance[33];
    unsigned n_workers;
    struct listeners *listeners;
    int control_socket, adopt_socket;
    int lifeline[2]; /* the second end is in no other process: it ends with us */
    int routes_rw, routes_ro;
    int addresses; /* shm/tally.h; -1: adopted from a master that had none */
    int status_rw, status_ro; /* our own page */
    struct zone status_zone;
    struct status_page *status;

    struct child *child;
    unsigned n_children;

    enum master_state state;
    uint64_t state_since_ms;
    unsigned stop_phase;
    bool insisted; /* asked a second time to stop: nobody is waited for */
    bool restart; /* start again after stopping */
    bool replace; /* end, and leave everything to the program that is executed next */
    bool adopted; /* we go on with the processes of another master */
    bool stay; /* should we end, the others go on: leave what they need in its place */

    struct {
        uint64_t call_id; /* of who waits for the answer; 0: nobody */
        uint64_t number;
        unsigned n_pending;
        bool under_way, sent;
        struct buf text;
        struct loop_timer timer, send_timer;
    } reload;

    struct roll roll;
    struct deaths deaths;

    bool all_started;
    struct loop_timer watch_timer, start_timer, holders_timer;
    unsigned watch_count;
    uint64_t certs_stamp;
};

enum {
    SLOT_SIZE_GIB = 16,
    HOLDERS = 2,
    HOLDERS_PAUSE_MS =
            20 /* until they are looked at again when they have not settled */
};

/* make.c: a service that is new. 0, or -errno with a sentence in error. */
int make_service(struct master *m, struct buf *error);
void make_children(struct master *m); /* the slots, with nothing in them */

/*
 * adopt.c: a service whose master has died. 0: nobody is there; 1: m has everything
 * that the other had, m->conf is its configuration, and nobody has been told yet;
 * -errno with a sentence in error: somebody is there, who goes on.
 */
int adopt_service(struct master *m, struct buf *error);
bool adopt_is_possible(void); /* is somebody there? Asks in the current directory */

/*
 * found.c: a process slot of another master, and whoever is there. _find takes what it
 * needs from the estate: 0 or -errno. _ask begins to go on with it.
 */
int child_find(struct child *c, struct estate *e);
void child_ask(struct child *c);

/* children.c: one process slot each; they never give up. */
void child_init(struct child *c, struct master *m, enum proc_role role, unsigned slot);
int child_make(struct child *c); /* with a mailbox and memory of its own: 0 or -errno */
void child_kill(struct child *c);
void child_fini(struct child *c);
void child_start(struct child *c);
void child_stop(struct child *c, uint64_t grace_ms); /* in order; killed after that */
/* The same when the service stops: what a worker that is not there has is seen to. */
void child_stop_for_good(struct child *c, uint64_t grace_ms);
/*
 * Ends the occupant so that the next one starts at once. A worker leaves at a clean
 * point: told to end it would take leave of its clients.
 */
void child_replace(struct child *c);
void child_reap(struct child *c); /* looks whether it has ended */

/* holders.c: the holders know what we know. */
int holders_open(struct master *m);      /* the lifeline: 0 or -errno */
void holders_tell(struct child *holder); /* everything, to a new one */
void holders_tell_all(struct master *m); /* to all that are there, after a change */
/* What belongs to the process in a slot: its control channel, and it itself. */
void holders_hold(struct child *c, enum estate_kind kind, uint64_t value, int fd);
void holders_hold_slot(struct child *c); /* its segment, with its layout */
/*
 * Have they got what they were told? Only then may others be told what follows from it.
 * One that does not read for seconds is replaced.
 */
bool holders_settled(struct master *m);
void holders_abandon(struct master *m); /* we stop: nobody is to come after us */

/*
 * convert.c: slots of another layout than that of the program. _begin: which program is
 * to be started, that of the child or one that converts its slot for it; _ended: that one
 * has ended; _done: the child serves.
 */
struct program *convert_begin(struct child *c);
void convert_ended(struct child *c, const int *status);
void convert_tell(struct child *c);
void convert_done(struct child *c);

/* boot.c: what a new process is given. */
void boot_send(struct child *c);
/* Is this process to have a root directory of its own? */
bool boot_is_confined(const struct child *c);
/* Packs the configuration, reads the certificates; a line per problem. */
int boot_load(struct master *m, struct buf *problems);
int boot_send_conf(struct child *c); /* CONF, and CERTS to workers */
void boot_send_log(struct child *c);
void boot_send_listeners(struct child *c);

/* words.c: what a process that has died left behind, into the log. */
void words_log(const struct program *program, const char *name,
        const struct status_page *page);
/*
 * status NULL: it was no child of ours; which signal it was it may have left in its page.
 * The page is told whether it was a fault (status_page.faulted).
 */
void words_log_end(const struct child *c, const int *status);

/* reload.c: a new configuration, or new certificates, for processes that serve. */
void reload_begin(
        struct master *m, uint64_t call_id); /* 0: nobody waits for the answer */
void reload_certs(struct master *m);
/* The same with one whose listeners have been prepared already; takes it over. */
void reload_take(struct master *m, struct conf *conf);
void reload_child_ready(struct child *c);
void reload_child_done(struct child *c, uint64_t number); /* said so */
void reload_child_ended(struct child *c);

/* call.c: what the admin process asks for. */
void call_on_master_call(void *ctx, ipc_addr from, const void *msg, int *fd);
void call_reply(struct master *m, uint64_t id, enum ipc_status status, struct str text);

/* prepare.c: everything that may fail: 0, or -errno with a sentence in error. */
int master_prepare(struct master *m, struct buf *error);

/* stop.c: the end of the service, and what a signal that asks for it does. */
void master_stop(struct master *m, bool restart);
void master_child_ended(struct child *c);
void stop_on_signal(void *arg, int signo);

/* master.c: for the others. */
void master_enter(struct master *m, enum master_state state);
void master_holder_holds(struct master *m);
void master_child_ready(struct child *c);
void master_log_changed(struct master *m); /* hands the log's descriptor to everyone */
struct child *master_child(struct master *m, enum proc_role role, unsigned slot);
bool master_all_ready(const struct master *m);
void master_names_not_ready(const struct master *m, struct buf *out);

#endif
