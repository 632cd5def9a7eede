#ifndef IPC_MAILBOX_H
#define IPC_MAILBOX_H

#include <stddef.h>

#include "ipc/ipc.h"

/*
 * A mailbox (or a control channel) is a pair of SOCK_SEQPACKET sockets. One packet is a
 * batch of frames from one sender:
 *
 *     magic u32 | from u16 | frames u16 | sequence u64 | frames…
 *     frame: type u16 | flags u16 | length u32 | payload
 *
 * Descriptors travel with the packet, in the order of the frames that carry one. A frame
 * too large for a packet travels as a descriptor of memory that holds its payload.
 */
enum {
    MAILBOX_MAGIC = 0x7a6e7473,
    MAILBOX_HEADER = 16,
    MAILBOX_FRAME_HEADER = 8,
    MAILBOX_BATCH = 56 * 1024,        /* a batch is sent when it has grown so far */
    MAILBOX_INLINE_MAX = 96 * 1024,   /* a larger payload travels as a descriptor */
    MAILBOX_PACKET_MAX = MAILBOX_BATCH + MAILBOX_INLINE_MAX + 4096,
    MAILBOX_PAYLOAD_MAX = 16 << 20,   /* and none is larger than this */
    MAILBOX_FDS_MAX = 64,
    MAILBOX_FLAG_FD = 1,   /* the frame carries a descriptor */
    MAILBOX_FLAG_BLOB = 2  /* the payload is in the descriptor */
};

/* ret_fds[0] for reading, ret_fds[1] for writing (both ends are able to do both). */
int mailbox_open(int ret_fds[2]);

/*
 * Handles one frame. msg is the payload named in ipc.def, unpacked: it and what its views
 * point to are valid during the call only. *fd (or -1) is closed afterwards unless taken.
 */
typedef void (*ipc_handler_fn)(void *ctx, ipc_addr from, const void *msg, int *fd);

struct mailbox_reader {
    ipc_addr self;
    uint32_t from; /* P_* mask: who may be heard here (a mailbox: never the master) */
    const ipc_handler_fn *handlers; /* [IPC_TYPES]; NULL: frame is counted and dropped */
    void *ctx;
    char *packet;          /* MAILBOX_PACKET_MAX bytes, allocated by _init */
    uint64_t n_packets, n_frames, n_bad; /* statistics */
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

#endif
