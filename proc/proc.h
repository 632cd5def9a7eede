#ifndef PROC_PROC_H
#define PROC_PROC_H

#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ipc/ipc.h"
#include "ipc/mailbox.h"
#include "ipc/post.h"
#include "proc/sandbox.h"
#include "proc/status.h"
#include "shm/zone.h"

struct proc;

/*
 * What a role is. proc_main calls the functions in this order:
 *
 *   prepare   before the sandbox is closed: everything was received (configuration,
 *             shared memory, peers), files may still be opened. 0 or -errno.
 *   start     confined; begins to serve and calls proc_ready once it does. 0 or -errno.
 *   reload    p->conf is the new configuration; p->conf_before (valid during the call)
 *             the old one. Calls nothing; proc answers RELOADED.
 *   listener_close  before that, for each listener that has gone from the
 * configuration: closes it and takes it out of p->listener. stop      asked to end in
 * order: call proc_stopped when done (at once or later). finish    after the loop: free
 * everything, so that leak checkers see leaks only.
 *
 * handlers: for the frames from mailboxes and, for roles that want more of it, from the
 * control channel; ctx is the struct proc. NULL members are allowed everywhere.
 */
struct proc_role_ops {
    enum proc_role role;
    int (*prepare)(struct proc *p);
    int (*start)(struct proc *p);
    void (*reload)(struct proc *p);
    void (*adopted)(struct proc *p); /* by a new master */
    void (*listener_close)(struct proc *p, uint16_t index);
    void (*stop)(struct proc *p);
    void (*finish)(struct proc *p);
    const ipc_handler_fn *handlers; /* [IPC_TYPES] */
};

struct proc_listener {
    uint16_t index;
    uint32_t id;
    int fd;
    bool used; /* for the role: this one was seen already */
};

enum {
    PROC_EXIT_NOTHING = 3, /* a worker: there was nothing to be handed over */
    PROC_LISTENERS_MAX = 256,
    PROC_PAGES_MAX = 2 * IPC_SLOTS_MAX + 8
};

struct proc {
    const struct proc_role_ops *ops;
    enum proc_role role;
    unsigned slot, n_workers;
    uint32_t starts;
    ipc_addr addr;
    void *self; /* the role's own state */

    struct loop *loop;
    struct post *post;
    struct conf *conf, *conf_before;
    struct status_page *status; /* own page */

    char instance[33], secret[32];
    char *home;
    struct zone routes;    /* mapped as the role may: router writes, worker reads */
    struct zone slot_zone; /* worker: its slot segment */
    struct zone addresses; /* worker: counts of all workers (shm/tally.h) */
    int transfer_fd;       /* and a file that its content comes from, or goes to; -1 */
    bool transfers_out;
    struct status_page *page[PROC_PAGES_MAX]; /* admin: everyone's */
    unsigned n_pages;
    struct proc_listener listener[PROC_LISTENERS_MAX];
    unsigned n_listeners;
    int saved_fd;       /* worker: its file for sessions that wait; -1: there is none */
    unsigned n_saved;   /* so many files of before there are, */
    int *saved_old;     /* and worker 0 has these of them */
    unsigned n_saved_old;
    char *certs; /* worker: PEM text */
    size_t certs_size;

    /* The runtime's own. */
    struct conf_loader loader; /* as it was given, with the service's directory */
    struct sandbox sandbox;
    bool has_root; /* sandbox.chroot_dir is our root directory from start() on */
    struct conf *conf_next; /* came, and is in force from RELOAD on */
    bool going;             /* GO came: the boot is over */
    bool serving;           /* the role has started: its functions may be called */
    struct zone status_zone;
    struct mailbox_reader control_reader, mailbox_reader;
    struct loop_io control_io, mailbox_io;
    struct loop_turn turn;
    uint64_t turns, mailbox_turn; /* the latter: which had read no more than one packet */
    bool mailbox_single;          /* there was no more than one the last time */
    bool stop_asked, stopping;
    bool abandoned; /* no master, nor will one come: all processes end */
    int exit_code;
};

/*
 * The life of a process other than the master: reads what it is from the control
 * channel (descriptor control_fd), serves, and returns the exit status. loader: how
 * names in the configuration are prepared; ops: what each role does.
 */
int proc_main(int control_fd, const struct conf_loader *loader,
        const struct proc_role_ops *const ops[PROC_ROLES]);

/* Tells the master that this process serves. */
void proc_ready(struct proc *p);

/* Ends the loop; the process exits with this status. */
void proc_stopped(struct proc *p, int exit_code);

/* A frame to another process, or to the master over the control channel. */
void proc_send(struct proc *p, ipc_addr to, enum ipc_type type, const void *msg);

/*
 * The home of an account (its bare JID), or of whatever else one worker has to care for
 * alone: the number of a worker, the same in every process.
 */
unsigned proc_home_of(const struct proc *p, struct str bare);

/* Counts in the status page. */
void proc_count(struct proc *p, enum counter c, uint64_t n);
void proc_uncount(struct proc *p, enum counter c, uint64_t n);

/*
 * Every process answers the admin process's PROC_CALLs "ping", "check_sandbox" and
 * "memory" by itself; others go to the role's handler for IPC_PROC_CALL. This is the
 * helper for answers with one status and text.
 */
void proc_reply(struct proc *p, ipc_addr to, enum ipc_type type, uint64_t id,
        enum ipc_status status, struct str text);

#endif
