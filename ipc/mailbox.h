#ifndef IPC_MAILBOX_H
#define IPC_MAILBOX_H

#include <stddef.h>

#include "ipc/ipc.h"

/*
 * A mailbox (or a control channel) is a pair of SOCK_SEQPACKET sockets. One packet is a
 * batch of frames from one sender:
 *
 *     magic u32 | from u16 | frames u16 | sequence u64 | frames…
 *     frame: type u16 | flags u16 | length u32 | number u64 | payload
 *
 * A frame with a number (not 0) may come twice, when its sender died and its successor
 * could not know whether it had been sent; the numbers of one sender go up, so the
 * reader drops what is not higher than the last one it has handled.
 *
 * Descriptors travel with the packet, in the order of the frames that carry one. A
 * frame too large for a packet travels as a descriptor of memory that holds its
 * payload.
 */
enum {
    MAILBOX_MAGIC = 0x7a6e7473,
    MAILBOX_HEADER = 16,
    MAILBOX_FRAME_HEADER = 16,
    MAILBOX_BATCH = 56 * 1024,      /* a batch is sent when it has grown so far */
    MAILBOX_INLINE_MAX = 96 * 1024, /* a larger payload travels as a descriptor */
    MAILBOX_PACKET_MAX = MAILBOX_BATCH + MAILBOX_INLINE_MAX + 4096,
    MAILBOX_PAYLOAD_MAX = 16 << 20, /* and none is larger than this */
    MAILBOX_FDS_MAX = 64,
    MAILBOX_FLAG_FD = 1,  /* the frame carries a descriptor */
    MAILBOX_FLAG_BLOB = 2 /* the payload is in the descriptor */
};

/* ret_fds[0] for reading, ret_fds[1] for writing (both ends are able to do both). */
int mailbox_open(int ret_fds[2]);

/*
 * Handles one frame. msg is the payload named in ipc.def, unpacked: it and what its
 * views point to are valid during the call only. *fd (or -1) is closed afterwards
 * unless taken.
 */
typedef void (*ipc_handler_fn)(void *ctx, ipc_addr from, const void *msg, int *fd);

/*
 * What must outlive a reader that dies in the middle of a packet: the packet, how much
 * of it has been handled, and the last number of each worker's frames. { 0 } at first.
 */
struct mailbox_inbox {
    uint32_t handled;             /* frames of the packet */
    uint64_t last[IPC_SLOTS_MAX]; /* by the sender's worker slot */
    char packet[MAILBOX_PACKET_MAX];
};

struct mailbox_reader {
    ipc_addr self;
    uint32_t from; /* P_* mask: who may be heard here (a mailbox: never the master) */
    const ipc_handler_fn
            *handlers; /* [IPC_TYPES]; NULL: frame is counted and dropped */
    void *ctx;
    struct mailbox_inbox *inbox, *own_inbox; /* own: on the heap, made by _init */
    /*
     * Around each frame, so that its effects and its being handled are one transaction.
     */
    void (*begin)(void *ctx);
    void (*set_u64)(void *ctx, uint64_t *at, uint64_t value);
    void (*set_u32)(void *ctx, uint32_t *at, uint32_t value);
    void (*commit)(void *ctx);
    uint64_t n_packets, n_frames, n_bad, n_repeated; /* statistics */
};

void mailbox_reader_init(struct mailbox_reader *r, ipc_addr self, uint32_t from,
        const ipc_handler_fn *handlers, void *ctx);
void mailbox_reader_fini(struct mailbox_reader *r);

/*
 * Reads one packet from fd and calls the handlers of its frames. 1: a packet was there;
 * 0: none is waiting (EAGAIN); -EPIPE: the other end is closed; another -errno: failed.
 * Malformed packets and frames are counted, logged at debug and dropped.
 */
int mailbox_read(struct mailbox_reader *r, int fd);

/*
 * A successor's first step when the inbox outlives it: handles what its predecessor had
 * received and not yet handled. Descriptors in that packet are lost. How many frames.
 */
unsigned mailbox_resume(struct mailbox_reader *r);

/* Does the inbox hold frames that were not handled? *ret_frame: the next one. */
bool mailbox_has_rest(const struct mailbox_inbox *inbox, uint32_t *ret_frame);

/* The bytes of that frame, as they came. */
struct str mailbox_next(const struct mailbox_inbox *inbox);

#endif
