/*
 * mailbox.c -- reading batches of frames
 *
 * Everything in a packet is checked before a handler sees it, because the sender may be
 * a process that an attacker has taken over: the lengths, the type, whether the table
 * lets this sender send it to us, whether it carries a descriptor exactly if the table
 * says so, and the payload. A bad frame ends its packet, never its receiver.
 */
#include "ipc/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/killpoint.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    SOCKET_BUFFER = 1 << 20
};

int
mailbox_open(int ret_fds[2])
{
    int fds[2], size = SOCKET_BUFFER;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
#ifdef SO_SNDBUFFORCE
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0)
            continue;
#endif
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return 0;
}

void
mailbox_reader_init(struct mailbox_reader *r, ipc_addr self, uint32_t from,
        const ipc_handler_fn *handlers, void *ctx)
{
    *r = (struct mailbox_reader){
        .self = self, .from = from, .handlers = handlers, .ctx = ctx
    };
    r->inbox = r->own_inbox = mem_zalloc(sizeof *r->own_inbox);
}

void
mailbox_reader_fini(struct mailbox_reader *r)
{
    mem_free(&r->own_inbox);
}

struct packet {
    ipc_addr from;
    uint16_t n_frames;
    struct str rest;
    int fd[MAILBOX_FDS_MAX];
    int n_fds, fds_at;
    bool resumed; /* a predecessor's: its descriptors have gone with it */
};

static void
packet_take_fds(struct packet *p, struct msghdr *mh)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (p->n_fds < MAILBOX_FDS_MAX)
                p->fd[p->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

static bool
take(struct str *rest, void *ret, size_t n)
{
    if (rest->n < n)
        return false;
    memcpy(ret, rest->p, n);
    rest->p += n;
    rest->n -= n;
    return true;
}

static bool
pass_over(struct str *rest, uint32_t n)
{
    if (n > rest->n)
        return false;
    rest->p += n;
    rest->n -= n;
    return true;
}

static bool
packet_open(struct str bytes, struct packet *p)
{
    uint32_t magic = 0;
    uint64_t sequence;

    p->rest = bytes;
    return take(&p->rest, &magic, sizeof magic) && magic == MAILBOX_MAGIC &&
           take(&p->rest, &p->from, sizeof p->from) &&
           take(&p->rest, &p->n_frames, sizeof p->n_frames) &&
           take(&p->rest, &sequence, sizeof sequence) &&
           ipc_addr_role(p->from) < PROC_ROLES;
}

static int
packet_receive(struct mailbox_reader *r, int fd, struct packet *p)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MAILBOX_FDS_MAX)];
    } control;
    struct iovec iov = { r->inbox->packet, MAILBOX_PACKET_MAX };
    struct msghdr mh = { .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control };
    ssize_t n;

    /* No packet, from here on until the kernel has put one there. */
    memset(r->inbox->packet, 0, sizeof(uint32_t));
    atomic_signal_fence(memory_order_seq_cst);
    r->inbox->handled = 0;
    atomic_signal_fence(memory_order_seq_cst);
    killpoint(INBOX_CLEARED);
    do
        n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0
               : errno == ECONNRESET                   ? -EPIPE
                                                       : -errno;
    killpoint(INBOX_RECEIVED);
    packet_take_fds(p, &mh);
    if (n == 0)
        return -EPIPE;
    if ((mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
            !packet_open((struct str){ r->inbox->packet, (size_t)n }, p)) {
        p->n_frames = 0;
        r->n_bad++;
        log_debug(NULL, "a malformed packet of %zd bytes was dropped", n);
    }
    return 1;
}

/* The payload of a frame that was too large for its packet; free() it. */
static char *
blob_read(int fd, uint32_t len)
{
    struct stat st;
    char *p;
    size_t n = 0;

    if (len > MAILBOX_PAYLOAD_MAX || fstat(fd, &st) < 0 || (uint64_t)st.st_size < len)
        return NULL;
    p = mem_alloc(len);
    while (n < len) {
        ssize_t part = pread(fd, p + n, len - n, (off_t)n);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0) {
            mem_free_p(p);
            return NULL;
        }
        n += (size_t)part;
    }
    return p;
}

/* Only workers number their frames. */
static bool
is_repeated(const struct mailbox_reader *r, ipc_addr from, uint64_t number)
{
    return number && ipc_addr_role(from) == PROC_WORKER &&
           number <= r->inbox->last[ipc_addr_slot(from)];
}

static bool
frame_dispatch(struct mailbox_reader *r, struct packet *p, unsigned type,
        unsigned flags, uint64_t number, struct str payload, int *fd)
{
    const struct ipc_frame_info *info = ipc_frame_info(type);
    union ipc_any msg;

    if (!info || !(r->from & info->from & 1u << ipc_addr_role(p->from)) ||
            !(info->to & 1u << ipc_addr_role(r->self)) ||
            info->has_fd != (flags == MAILBOX_FLAG_FD) ||
            info->get(payload, &msg) < 0) {
        log_debug(NULL, "a bad frame %s (%u) from %s %u was dropped",
                info ? info->name : "of unknown type", type,
                proc_role_name(ipc_addr_role(p->from)), ipc_addr_slot(p->from));
        return false;
    }
    r->n_frames++;
    if (is_repeated(r, p->from, number)) {
        r->n_repeated++;
        return true;
    }
    if (number && r->set_u64)
        r->set_u64(r->ctx, &r->inbox->last[ipc_addr_slot(p->from)], number);
    else if (number)
        r->inbox->last[ipc_addr_slot(p->from)] = number;
    if (r->handlers[type])
        r->handlers[type](r->ctx, p->from, &msg, fd);
    else
        r->n_bad++;
    return true;
}

static bool
frame_read(struct mailbox_reader *r, struct packet *p)
{
    uint16_t type = 0, flags = 0;
    uint32_t len = 0;
    uint64_t number = 0;
    int fd = -1;
    char *blob = NULL;
    struct str payload;
    bool ok;

    if (!take(&p->rest, &type, sizeof type) || !take(&p->rest, &flags, sizeof flags) ||
            !take(&p->rest, &len, sizeof len) ||
            !take(&p->rest, &number, sizeof number))
        return false;
    if (number && ipc_addr_role(p->from) != PROC_WORKER)
        return false;
    if (p->resumed && flags & (MAILBOX_FLAG_FD | MAILBOX_FLAG_BLOB)) {
        log_error(NULL,
                "a frame %s of %u bytes from %s %u was lost with its descriptor",
                ipc_type_name(type), len, proc_role_name(ipc_addr_role(p->from)),
                ipc_addr_slot(p->from));
        r->n_bad++;
        return flags & MAILBOX_FLAG_BLOB || pass_over(&p->rest, len);
    }
    if (flags & (MAILBOX_FLAG_FD | MAILBOX_FLAG_BLOB)) {
        if (p->fds_at == p->n_fds)
            return false;
        fd = take_fd(&p->fd[p->fds_at++]);
    }
    if (flags & MAILBOX_FLAG_BLOB) {
        blob = blob_read(fd, len);
        payload = (struct str){ blob, len };
        ok = blob != NULL;
        close_fd(&fd); /* ours alone: the handler is to see no descriptor */
    } else {
        payload = (struct str){ p->rest.p, len };
        ok = pass_over(&p->rest, len);
    }
    ok = ok &&
         frame_dispatch(r, p, type, flags & ~MAILBOX_FLAG_BLOB, number, payload, &fd);
    mem_free_p(blob);
    close_fd(&fd);
    return ok;
}

/* The frames from `first` on; each with its effects is one transaction. */
static void
packet_handle(struct mailbox_reader *r, struct packet *p, uint32_t first)
{
    uint32_t n = p->n_frames;

    for (uint32_t i = first; i < n; i++) {
        bool ok;

        if (r->begin)
            r->begin(r->ctx);
        ok = frame_read(r, p);
        if (!ok)
            r->n_bad++;
        if (r->set_u32)
            r->set_u32(r->ctx, &r->inbox->handled, ok ? i + 1 : n);
        killpoint(INBOX_FRAME);
        if (r->commit)
            r->commit(r->ctx);
        killpoint(INBOX_HANDLED);
        if (!ok)
            return;
    }
}

int
mailbox_read(struct mailbox_reader *r, int fd)
{
    struct packet p = { 0 };
    int got = packet_receive(r, fd, &p);

    if (got == 1) {
        r->n_packets++;
        packet_handle(r, &p, 0);
    }
    for (int i = 0; i < p.n_fds; i++)
        close_fd(&p.fd[i]);
    return got;
}

/* Steps over a frame that was handled before. */
static bool
frame_skip(struct packet *p)
{
    uint16_t type, flags;
    uint32_t len;
    uint64_t number;

    if (!take(&p->rest, &type, sizeof type) || !take(&p->rest, &flags, sizeof flags) ||
            !take(&p->rest, &len, sizeof len) ||
            !take(&p->rest, &number, sizeof number))
        return false;
    return flags & MAILBOX_FLAG_BLOB || pass_over(&p->rest, len);
}

bool
mailbox_has_rest(const struct mailbox_inbox *inbox, uint32_t *ret_frame)
{
    struct packet p = { 0 };

    *ret_frame = inbox->handled;
    return packet_open((struct str){ inbox->packet, MAILBOX_PACKET_MAX }, &p) &&
           inbox->handled < p.n_frames;
}

struct str
mailbox_next(const struct mailbox_inbox *inbox)
{
    struct packet p = { 0 };
    const char *from;

    if (!packet_open((struct str){ inbox->packet, MAILBOX_PACKET_MAX }, &p))
        return STR_NULL;
    for (uint32_t i = 0; i < inbox->handled; i++) {
        if (!frame_skip(&p))
            return STR_NULL;
    }
    from = p.rest.p;
    return frame_skip(&p) ? (struct str){ from, (size_t)(p.rest.p - from) } : STR_NULL;
}

unsigned
mailbox_resume(struct mailbox_reader *r)
{
    struct packet p = { .resumed = true };
    uint32_t handled = r->inbox->handled;

    if (!packet_open((struct str){ r->inbox->packet, MAILBOX_PACKET_MAX }, &p))
        return 0;
    for (uint32_t i = 0; i < handled && i < p.n_frames; i++) {
        if (!frame_skip(&p))
            return 0;
    }
    if (handled >= p.n_frames)
        return 0;
    packet_handle(r, &p, handled);
    return p.n_frames - handled;
}
