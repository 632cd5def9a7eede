#ifndef WORKER_SAVED_PACK_H
#define WORKER_SAVED_PACK_H

#include "ipc/ipc.h"

/*
 * Sessions as they are in a file: each field with its name and its length, so that a
 * later version reads what this one has written, and the other way round: what it does
 * not know is passed over, what is not there is 0 or empty.
 */
#define PAYLOAD(name) struct name {
#define U8(f)         uint8_t f;
#define U16(f)        uint16_t f;
#define U32(f)        uint32_t f;
#define U64(f)        uint64_t f;
#define S8(f)         int8_t f;
#define BYTES(f)      struct str f;
#define LIST(f)       struct ipc_list f;
#define END    \
    char end_; \
    }          \
    ;
#include "worker/saved.def"
#include "ipc/payload_undef.h"

/* For each of them NAME_save(buf, msg), NAME_load(bytes, ret_msg): 0 or -EBADMSG. */
#include "ipc/payload_skip.h"
#define PAYLOAD(name)                                         \
    void name##_save(struct buf *out, const struct name *msg); \
    int name##_load(struct str packed, struct name *ret_msg);
#include "ipc/payload_sm.def"
#include "worker/saved.def"
#include "ipc/payload_undef.h"

#endif
