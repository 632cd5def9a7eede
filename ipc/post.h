#ifndef IPC_POST_H
#define IPC_POST_H

#include "base/loop.h"
#include "ipc/ipc.h"

struct post; /* opaque: a process's outgoing frames, in a batch per receiver */

/* Sends what was collected at the end of each turn of the loop. */
struct post *post_new(struct loop *loop, ipc_addr self);
void post_free(struct post **post);

/*
 * Frames for addr go into this descriptor from now on; it becomes the post's to close.
 */
void post_add_peer(struct post *post, ipc_addr addr, int fd);

/* Forgets the peer and what waits for it. */
void post_del_peer(struct post *post, ipc_addr addr);
bool post_has_peer(const struct post *post, ipc_addr addr);

/*
 * Adds a frame to the receiver's batch; never blocks, never fails: what the receiver's
 * mailbox does not take stays here, in order, until it does. A frame to an address
 * without peer is dropped and counted. msg is the payload of the type.
 */
void post_send(struct post *post, ipc_addr to, enum ipc_type type, const void *msg);

/* The same with a descriptor, which becomes the post's to close. */
void post_send_fd(
        struct post *post, ipc_addr to, enum ipc_type type, const void *msg, int fd);

/*
 * A frame whose payload is packed already, with a number (mailbox.h): for senders that
 * keep what they have sent until they know that it was. It is sent by post_flush() only,
 * however much comes together: the sender knows when it may go.
 */
void post_send_packed(struct post *post, ipc_addr to, enum ipc_type type,
        struct str payload, uint64_t number);

/* Sends now; happens by itself at the end of a turn. */
void post_flush(struct post *post);

/* Bytes that wait because mailboxes are full: the measure for back-pressure. */
size_t post_backlog(const struct post *post);
size_t post_backlog_of(const struct post *post, ipc_addr to);

/* Called (in the loop) when a backlog that was there is gone. */
void post_on_drained(struct post *post, void (*fn)(void *arg), void *arg);

#endif
