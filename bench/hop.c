/*
 * hop.c -- what a stanza on its way between two workers costs
 *
 *     build/bench/hop
 *
 * Two processes and their mailboxes. One sends packets of so many frames (a message
 * each, as a worker sends it to another), and the other reads them and does nothing
 * with them. Asleep: a packet comes when the reader waits for one, and is answered by
 * an empty one; awake: the next ones are there already. CPU time of both processes.
 * bench/scale.py reckons with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/loop.h"
#include "ipc/mailbox.h"
#include "ipc/post.h"

enum {
    PACKETS = 20000
};

static char stanza[231];

struct end {
    struct loop *loop;
    struct post *post;
    struct mailbox_reader reader;
    struct loop_io io;
    ipc_addr other;
    uint64_t n_frames, wanted; /* have come, and are answered or end it when there */
    bool answers;
};

static void
send_frames(struct end *e, unsigned n)
{
    struct ipc_deliver m = { .conn = 1,
        .to = STR("user123456@example.net/phone.4711"),
        .from = STR("user654321@example.net/laptop.0815"),
        .stanza = { stanza, sizeof stanza } };

    for (unsigned i = 0; i < n; i++)
        post_send(e->post, e->other, IPC_DELIVER, &m);
    post_flush(e->post);
}

static void
on_deliver(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct end *e = ctx;

    (void)from, (void)msg, (void)fd;
    e->n_frames++;
}

static const ipc_handler_fn handlers[IPC_TYPES] = { [IPC_DELIVER] = on_deliver };

static void
on_readable(struct loop_io *io, unsigned events)
{
    struct end *e = io->arg;
    int r;

    (void)events;
    while ((r = mailbox_read(&e->reader, io->fd)) == 1)
        ;
    if (r < 0 || (!e->answers && e->n_frames >= e->wanted))
        loop_stop(e->loop);
    else if (e->answers && e->n_frames >= e->wanted) {
        e->n_frames = 0;
        send_frames(e, 1);
    }
}

static void
end_open(struct end *e, unsigned slot, const int mine[2], const int others[2])
{
    *e = (struct end){ .loop = loop_new(), .other = ipc_addr_of(PROC_WORKER, !slot) };
    e->post = post_new(e->loop, ipc_addr_of(PROC_WORKER, slot));
    post_add_peer(e->post, e->other, others[1]);
    mailbox_reader_init(&e->reader, ipc_addr_of(PROC_WORKER, slot), P_ANY, handlers, e);
    e->io = (struct loop_io){ .fn = on_readable, .arg = e, .fd = mine[0] };
    loop_add(e->loop, &e->io);
    close(mine[1]);
    close(others[0]);
}

static void
end_close(struct end *e)
{
    post_free(&e->post);
    loop_free(&e->loop);
    mailbox_reader_fini(&e->reader);
    close(e->io.fd);
}

static double
cpu_us(int who)
{
    struct rusage u;

    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Microseconds of both processes per packet of n frames, the answer not counted apart.
 */
static double
measure(unsigned n, bool asleep)
{
    int a[2], b[2];
    struct end e;
    double before = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
    pid_t pid;

    if (mailbox_open(a) < 0 || mailbox_open(b) < 0)
        exit(1);
    pid = fork();
    if (pid == 0) {
        end_open(&e, 1, b, a);
        e.answers = true;
        e.wanted = asleep ? n : (uint64_t)n * PACKETS;
        loop_run(e.loop);
        end_close(&e);
        _exit(0);
    }
    end_open(&e, 0, a, b);
    for (unsigned i = 0; i < PACKETS; i++) {
        send_frames(&e, n);
        e.wanted++;
        if (asleep)
            loop_run(e.loop);
        else
            loop_turn_once(e.loop, post_backlog(e.post) > 0 ? -1 : 0);
    }
    e.wanted = asleep ? PACKETS : 1;
    while (e.n_frames < e.wanted)
        loop_turn_once(e.loop, -1);
    end_close(&e);
    waitpid(pid, NULL, 0);
    return (cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN) - before) / PACKETS;
}

int
main(void)
{
    static const unsigned sizes[] = { 1, 4, 16, 64 };

    memset(stanza, 'x', sizeof stanza);
    printf("%8s %22s %22s\n", "frames", "asleep, us a packet", "awake, us a packet");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        printf("%8u %22.2f %22.2f\n", sizes[i], measure(sizes[i], true),
                measure(sizes[i], false));
    return 0;
}
