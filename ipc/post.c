/*
 * post.c -- sending batches of frames
 *
 * Each receiver has a list of packets; the last one is open for further frames. At the
 * end of a turn they are sent until the mailbox is full; its becoming writable goes on.
 * System calls and wake-ups are so paid per batch, not per frame.
 */
#include "ipc/post.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/killpoint.h"
#include "base/log.h"
#include "ipc/mailbox.h"

struct packet {
    struct list node;
    struct buf bytes;
    uint16_t n_frames;
    int n_fds;
    int fd[MAILBOX_FDS_MAX];
};

struct peer {
    struct list node;  /* of all peers */
    struct list dirty; /* of those with something to send now */
    struct post *post;
    ipc_addr addr;
    struct loop_io io;
    struct list packets;
    size_t backlog;
    uint64_t sequence;
    bool full; /* the mailbox said EAGAIN; the loop tells when it is writable */
};

struct post {
    struct loop *loop;
    ipc_addr self;
    struct list peers, dirty;
    struct peer *by_addr[PROC_ROLES][IPC_SLOTS_MAX];
    struct loop_turn turn;
    struct packet *spare;
    size_t backlog;
    uint64_t n_dropped;
    void (*on_drained)(void *arg);
    void *on_drained_arg;
};

static void
on_turn_end(void *arg)
{
    post_flush(arg);
}

struct post *
post_new(struct loop *loop, ipc_addr self)
{
    struct post *post = mem_zalloc(sizeof *post);

    post->loop = loop;
    post->self = self;
    list_init(&post->peers);
    list_init(&post->dirty);
    post->turn = (struct loop_turn){ .fn = on_turn_end, .arg = post };
    loop_on_turn_end(loop, &post->turn);
    return post;
}

static void
packet_free(struct post *post, struct packet *p)
{
    for (int i = 0; i < p->n_fds; i++)
        close_fd(&p->fd[i]);
    list_del(&p->node);
    p->n_fds = 0;
    p->n_frames = 0;
    if (post->spare) {
        buf_fini(&p->bytes);
        mem_free_p(p);
    } else {
        buf_reset(&p->bytes, MAILBOX_PACKET_MAX);
        post->spare = p;
    }
}

static struct packet *
packet_new(struct post *post)
{
    struct packet *p = post->spare;

    if (p) {
        post->spare = NULL;
    } else {
        p = mem_zalloc(sizeof *p);
        list_init(&p->node);
    }
    memset(buf_reserve(&p->bytes, MAILBOX_HEADER), 0, MAILBOX_HEADER);
    buf_added(&p->bytes, MAILBOX_HEADER);
    return p;
}

/*
 * Only a full mailbox is watched: everyone who holds it would be woken up whenever its
 * reader takes a packet. It may have become writable meanwhile: then the loop says so
 * at once.
 */
static void
peer_set_full(struct peer *peer, bool full)
{
    if (full == peer->full)
        return;
    peer->full = full;
    if (full)
        loop_add(peer->post->loop, &peer->io);
    else
        loop_del(peer->post->loop, &peer->io);
}

static void
peer_forget(struct peer *peer)
{
    struct post *post = peer->post;

    list_for_safe(node, &peer->packets)
            packet_free(post, list_entry(node, struct packet, node));
    peer_set_full(peer, false);
    close_fd(&peer->io.fd);
    post->backlog -= peer->backlog;
    list_del(&peer->dirty);
    list_del(&peer->node);
    post->by_addr[ipc_addr_role(peer->addr)][ipc_addr_slot(peer->addr)] = NULL;
    mem_free_p(peer);
}

void
post_free(struct post **ppost)
{
    struct post *post = *ppost;

    if (!post)
        return;
    list_del(&post->turn.node);
    list_for_safe(node, &post->peers) peer_forget(list_entry(node, struct peer, node));
    if (post->spare) {
        buf_fini(&post->spare->bytes);
        mem_free_p(post->spare);
    }
    mem_free(ppost);
}

static struct peer *
peer_of(const struct post *post, ipc_addr addr)
{
    enum proc_role role = ipc_addr_role(addr);

    return role < PROC_ROLES ? post->by_addr[role][ipc_addr_slot(addr)] : NULL;
}

static void
peer_changed(struct peer *peer, size_t more, size_t less)
{
    struct post *post = peer->post;
    bool had = post->backlog > 0;

    peer->backlog += more - less;
    post->backlog += more - less;
    if (had && post->backlog == 0 && post->on_drained)
        post->on_drained(post->on_drained_arg);
}

static void
packet_finish(const struct peer *peer, struct packet *p, uint64_t sequence)
{
    const uint32_t magic = MAILBOX_MAGIC;

    memcpy(p->bytes.p, &magic, 4);
    memcpy(p->bytes.p + 4, &peer->post->self, 2);
    memcpy(p->bytes.p + 6, &p->n_frames, 2);
    memcpy(p->bytes.p + 8, &sequence, 8);
}

static int
packet_send(struct peer *peer, struct packet *p)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MAILBOX_FDS_MAX)];
    } control;
    struct iovec iov = { p->bytes.p, p->bytes.n };
    struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    packet_finish(peer, p, peer->sequence + 1);
    if (p->n_fds > 0) {
        size_t size = sizeof(int) * (size_t)p->n_fds;
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        mh.msg_control = &control;
        mh.msg_controllen = CMSG_SPACE(size);
        c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(c), p->fd, size);
    }
    do
        n = sendmsg(peer->io.fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static void
peer_flush(struct peer *peer)
{
    while (!peer->full && !list_empty(&peer->packets)) {
        struct packet *p = list_entry(peer->packets.next, struct packet, node);
        size_t size = p->bytes.n;
        int r;

        killpoint(POST_SENDING);
        r = packet_send(peer, p);
        killpoint(POST_SENT);

        if (r == -EAGAIN || r == -EWOULDBLOCK || r == -ENOBUFS || r == -ETOOMANYREFS) {
            /*
             * ETOOMANYREFS: too many descriptors under way; the next turn tries again.
             */
            if (r == -ETOOMANYREFS)
                return;
            peer_set_full(peer, true);
            return;
        }
        if (r < 0) {
            peer->post->n_dropped += p->n_frames;
            log_error(NULL, "%u frames for %s %u were lost: %s", p->n_frames,
                    proc_role_name(ipc_addr_role(peer->addr)),
                    ipc_addr_slot(peer->addr), strerror(-r));
        } else {
            peer->sequence++;
        }
        packet_free(peer->post, p);
        peer_changed(peer, 0, size);
    }
    if (list_empty(&peer->packets))
        list_del(&peer->dirty);
}

static void
on_writable(struct loop_io *io, unsigned events)
{
    struct peer *peer = io->arg;

    if (events & LOOP_WRITE) {
        peer_set_full(peer, false);
        peer_flush(peer);
    }
}

void
post_add_peer(struct post *post, ipc_addr addr, int fd)
{
    struct peer *peer = peer_of(post, addr);

    if (peer)
        peer_forget(peer);
    peer = mem_zalloc(sizeof *peer);
    peer->post = post;
    peer->addr = addr;
    peer->io = (struct loop_io){ .fn = on_writable, .arg = peer, .fd = fd };
    list_init(&peer->packets);
    list_init(&peer->dirty);
    list_add(&post->peers, &peer->node);
    post->by_addr[ipc_addr_role(addr)][ipc_addr_slot(addr)] = peer;
}

void
post_del_peer(struct post *post, ipc_addr addr)
{
    struct peer *peer = peer_of(post, addr);

    if (peer)
        peer_forget(peer);
}

bool
post_has_peer(const struct post *post, ipc_addr addr)
{
    return peer_of(post, addr) != NULL;
}

/* The packet that the next frame goes into. */
static struct packet *
peer_packet(struct peer *peer, bool with_fd)
{
    struct packet *p;

    if (!list_empty(&peer->packets)) {
        p = list_entry(peer->packets.prev, struct packet, node);
        if (p->bytes.n < MAILBOX_BATCH && p->n_frames < UINT16_MAX &&
                (!with_fd || p->n_fds < MAILBOX_FDS_MAX))
            return p;
    }
    p = packet_new(peer->post);
    list_add(&peer->packets, &p->node);
    peer_changed(peer, p->bytes.n, 0);
    return p;
}

static int
blob_make(struct str payload)
{
    int fd = memfd_create("stanzad-frame", MFD_CLOEXEC);
    size_t n = 0;

    while (fd >= 0 && n < payload.n) {
        ssize_t part = pwrite(fd, payload.p + n, payload.n - n, (off_t)n);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            close_fd(&fd);
        else
            n += (size_t)part;
    }
    return fd;
}

/*
 * Moves the payload that was just written behind the frame's header into a descriptor.
 */
static bool
frame_to_blob(struct packet *p, size_t payload_at, int *ret_fd)
{
    int fd =
            blob_make((struct str){ p->bytes.p + payload_at, p->bytes.n - payload_at });

    if (fd < 0)
        return false;
    p->bytes.n = payload_at;
    *ret_fd = fd;
    return true;
}

/* A frame's header, to be filled in by frame_end(). */
static size_t
frame_begin(struct packet *p)
{
    size_t at = p->bytes.n;

    buf_reserve(&p->bytes, MAILBOX_FRAME_HEADER);
    buf_added(&p->bytes, MAILBOX_FRAME_HEADER);
    return at;
}

/*
 * It has something to send now. Databases come first: whoever else hears of a change
 * may ask for it at once, by another way.
 */
static void
peer_mark(struct peer *peer)
{
    struct list *dirty = &peer->post->dirty;

    if (ipc_addr_role(peer->addr) == PROC_SQL)
        list_push(dirty, &peer->dirty);
    else
        list_add(dirty, &peer->dirty);
}

/* The payload is behind the header now; fd (or -1) becomes the packet's. */
static void
frame_end(struct peer *peer, struct packet *p, size_t at, enum ipc_type type, int fd,
        uint64_t number)
{
    struct post *post = peer->post;
    uint16_t type16 = (uint16_t)type, flags = fd >= 0 ? MAILBOX_FLAG_FD : 0;
    size_t start = at + MAILBOX_FRAME_HEADER;
    uint32_t len = (uint32_t)(p->bytes.n - start);

    if (len > MAILBOX_INLINE_MAX) {
        if (fd >= 0 || len > MAILBOX_PAYLOAD_MAX || !frame_to_blob(p, start, &fd)) {
            p->bytes.n = at;
            post->n_dropped++;
            log_error(NULL, "a frame %s of %u bytes could not be sent",
                    ipc_type_name(type), len);
            close_fd(&fd);
            return;
        }
        flags = MAILBOX_FLAG_BLOB;
    }
    memcpy(p->bytes.p + at, &type16, 2);
    memcpy(p->bytes.p + at + 2, &flags, 2);
    memcpy(p->bytes.p + at + 4, &len, 4);
    memcpy(p->bytes.p + at + 8, &number, 8);
    if (fd >= 0)
        p->fd[p->n_fds++] = fd;
    p->n_frames++;
    peer_changed(peer, p->bytes.n - at, 0);
    if (list_empty(&peer->dirty))
        peer_mark(peer);
    /* A frame with a number may belong to a transaction that is not committed yet. */
    if (p->bytes.n >= MAILBOX_BATCH && !peer->full && number == 0)
        peer_flush(peer);
}

/* The receiver's peer, if the table allows this frame; NULL: dropped and counted. */
static struct peer *
peer_for(struct post *post, ipc_addr to, enum ipc_type type, bool with_fd)
{
    const struct ipc_frame_info *info = ipc_frame_info(type);
    struct peer *peer = peer_of(post, to);

    assert(info && info->has_fd == with_fd);
    assert(info->from & 1u << ipc_addr_role(post->self));
    assert(info->to & 1u << ipc_addr_role(to));
    if (!peer) {
        post->n_dropped++;
        log_debug(NULL, "no way to %s %u for %s", proc_role_name(ipc_addr_role(to)),
                ipc_addr_slot(to), info->name);
    }
    return peer;
}

void
post_send_fd(
        struct post *post, ipc_addr to, enum ipc_type type, const void *msg, int fd)
{
    struct peer *peer = peer_for(post, to, type, fd >= 0);
    struct packet *p;
    size_t at;

    if (!peer) {
        close_fd(&fd);
        return;
    }
    p = peer_packet(peer, true);
    at = frame_begin(p);
    ipc_frame_info(type)->put(&p->bytes, msg);
    frame_end(peer, p, at, type, fd, 0);
}

void
post_send_packed(struct post *post, ipc_addr to, enum ipc_type type, struct str payload,
        uint64_t number)
{
    struct peer *peer = peer_for(post, to, type, false);
    struct packet *p;
    size_t at;

    if (!peer)
        return;
    p = peer_packet(peer, true);
    at = frame_begin(p);
    buf_add_str(&p->bytes, payload);
    frame_end(peer, p, at, type, -1, number);
}

void
post_send(struct post *post, ipc_addr to, enum ipc_type type, const void *msg)
{
    post_send_fd(post, to, type, msg, -1);
}

void
post_flush(struct post *post)
{
    list_for_safe(node, &post->dirty)
    {
        struct peer *peer = list_entry(node, struct peer, dirty);

        peer_flush(peer);
        if (!peer->full && !list_empty(&peer->packets))
            loop_again(post->loop); /* too many descriptors under way */
    }
}

size_t
post_backlog(const struct post *post)
{
    return post->backlog;
}

size_t
post_backlog_of(const struct post *post, ipc_addr to)
{
    struct peer *peer = peer_of(post, to);

    return peer ? peer->backlog : 0;
}

void
post_on_drained(struct post *post, void (*fn)(void *arg), void *arg)
{
    post->on_drained = fn;
    post->on_drained_arg = arg;
}
