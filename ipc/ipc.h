#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum proc_role {
#define PROC(NAME, name, sentence) PROC_##NAME,
#include "ipc/proc.def"
#undef PROC
    PROC_ROLES
};

enum {
#define PROC(NAME, name, sentence) P_##NAME = 1 << PROC_##NAME,
#include "ipc/proc.def"
#undef PROC
    P_ANY = ((1 << PROC_ROLES) - 1) & ~P_MASTER
};

const char *proc_role_name(enum proc_role role);

/*
 * A process slot: role in the upper 6 bits, number in the lower 10. Outlives processes.
 */
typedef uint16_t ipc_addr;
enum {
    IPC_SLOTS_MAX = 1024
};
ipc_addr ipc_addr_of(enum proc_role role, unsigned slot);
enum proc_role ipc_addr_role(ipc_addr addr);
unsigned ipc_addr_slot(ipc_addr addr);

/*
 * Connection ids: generation (32 bits), worker slot (10 bits), index (22 bits). Never
 * 0, because generations start at 1; an id is not used twice.
 */
enum {
    CONN_INDEX_MAX = (1 << 22) - 1
};
uint64_t conn_id_of(unsigned slot, uint32_t index, uint32_t generation);
unsigned conn_id_slot(uint64_t conn);
uint32_t conn_id_index(uint64_t conn);
uint32_t conn_id_generation(uint64_t conn);

enum ipc_type {
#define IPC(NAME, from, to, payload, descriptor) IPC_##NAME,
#include "ipc/ipc.def"
#undef IPC
    IPC_TYPES
};

const char *ipc_type_name(enum ipc_type type);

enum ipc_status {
    IPC_OK,
    IPC_NOT_FOUND,   /* no such row, user, host, session */
    IPC_CONFLICT,    /* exists already */
    IPC_INVALID,     /* the arguments are wrong; text says which */
    IPC_DENIED,      /* not allowed by the configuration */
    IPC_UNAVAILABLE, /* database away, overload: try again later */
    IPC_FAILED       /* anything else; text says what */
};
const char *ipc_status_name(enum ipc_status status);

enum ipc_auth_status {
    IPC_AUTH_CHALLENGE,
    IPC_AUTH_SUCCESS,
    IPC_AUTH_FAILURE
};

/* What ipc_shm.kind says. */
enum shm_kind {
    SHM_STATUS,
    SHM_ROUTES,
    SHM_SLOT,
    SHM_ADDRESSES,
    SHM_TRANSFER /* not mapped: a file with the content of a slot (worker/transfer.h) */
};

/* Byte strings one after the other: each a length (u32; UINT32_MAX: NULL) and bytes. */
struct ipc_list {
    struct str packed;
    uint32_t n;
};

/* Building a list in *b (which must be empty at first): add, then ipc_list_of(b). */
void ipc_list_add(struct buf *b, struct str s);
struct ipc_list ipc_list_of(const struct buf *b);

/* From somewhere else than a frame: 0, or -EBADMSG when it is no list. */
int ipc_list_check(struct str packed, struct ipc_list *ret);

/*
 * Takes the next from *l: false at the end. The list was checked when it was unpacked.
 */
bool ipc_list_next(struct ipc_list *l, struct str *ret_s);

/* For each payload: struct NAME, NAME_put(buf, msg), NAME_get(bytes, ret_msg). */
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
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

#include "ipc/payload_skip.h"
#define PAYLOAD(name) void name##_put(struct buf *out, const struct name *msg);
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

/*
 * 0, or -EBADMSG when the bytes are not exactly one such payload. Views point into
 * them.
 */
#include "ipc/payload_skip.h"
#define PAYLOAD(name) int name##_get(struct str packed, struct name *ret_msg);
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

/* Changes with anything in the tables of roles, frames and payloads. */
uint64_t ipc_signature(void);

/* Room for any of them. */
union ipc_any {
#include "ipc/payload_skip.h"
#define PAYLOAD(name) struct name name;
#include "ipc/payload.def"
#include "ipc/payload_undef.h"
};

/* What the table says of a type. */
struct ipc_frame_info {
    const char *name;
    uint32_t from, to; /* P_* masks */
    bool has_fd;
    void (*put)(struct buf *out, const void *msg);
    int (*get)(struct str packed, void *ret_msg);
};
const struct ipc_frame_info *ipc_frame_info(unsigned type); /* NULL: no such type */

#endif
