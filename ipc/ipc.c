/*
 * ipc.c -- frames and their payloads, from the tables
 *
 * Numbers are in the host's order: both ends are processes of one machine.
 */
#include "ipc/ipc.h"

#include <assert.h>
#include <errno.h>

#include "base/hash.h"

static const char *const role_names[PROC_ROLES] = {
#define PROC(NAME, name, sentence) [PROC_##NAME] = name,
#include "ipc/proc.def"
#undef PROC
};

const char *
proc_role_name(enum proc_role role)
{
    return role < PROC_ROLES ? role_names[role] : "unknown";
}

ipc_addr
ipc_addr_of(enum proc_role role, unsigned slot)
{
    assert(role < PROC_ROLES && slot < IPC_SLOTS_MAX);
    return (ipc_addr)((unsigned)role << 10 | slot);
}

enum proc_role
ipc_addr_role(ipc_addr addr)
{
    return (enum proc_role)(addr >> 10);
}

unsigned
ipc_addr_slot(ipc_addr addr)
{
    return addr & (IPC_SLOTS_MAX - 1);
}

uint64_t
conn_id_of(unsigned slot, uint32_t index, uint32_t generation)
{
    assert(slot < IPC_SLOTS_MAX && index <= CONN_INDEX_MAX);
    return (uint64_t)generation << 32 | slot << 22 | index;
}

unsigned
conn_id_slot(uint64_t conn)
{
    return (unsigned)(conn >> 22) & (IPC_SLOTS_MAX - 1);
}

uint32_t
conn_id_index(uint64_t conn)
{
    return (uint32_t)conn & CONN_INDEX_MAX;
}

uint32_t
conn_id_generation(uint64_t conn)
{
    return (uint32_t)(conn >> 32);
}

const char *
ipc_type_name(enum ipc_type type)
{
    const struct ipc_frame_info *info = ipc_frame_info(type);

    return info ? info->name : "unknown";
}

const char *
ipc_status_name(enum ipc_status status)
{
    static const char *const names[] = { "ok", "not found", "conflict", "invalid",
        "denied", "unavailable", "failed" };

    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

void
ipc_list_add(struct buf *b, struct str s)
{
    uint32_t n = s.p ? (uint32_t)s.n : UINT32_MAX;

    buf_add(b, &n, sizeof n);
    if (s.p)
        buf_add_str(b, s);
}

bool
ipc_list_next(struct ipc_list *l, struct str *ret_s)
{
    uint32_t n;

    if (l->n == 0)
        return false;
    memcpy(&n, l->packed.p, sizeof n);
    l->packed.p += sizeof n;
    l->packed.n -= sizeof n;
    l->n--;
    *ret_s = STR_NULL;
    if (n != UINT32_MAX) {
        *ret_s = (struct str){ l->packed.p, n };
        l->packed.p += n;
        l->packed.n -= n;
    }
    return true;
}

/* How many strings fill the view exactly; -EBADMSG if they do not. */
static int
list_count(struct str packed, uint32_t *ret_n)
{
    uint32_t count = 0, n;

    while (packed.n > 0) {
        if (packed.n < sizeof n)
            return -EBADMSG;
        memcpy(&n, packed.p, sizeof n);
        packed.p += sizeof n;
        packed.n -= sizeof n;
        count++;
        if (n == UINT32_MAX)
            continue;
        if (packed.n < n)
            return -EBADMSG;
        packed.p += n;
        packed.n -= n;
    }
    *ret_n = count;
    return 0;
}

struct ipc_list
ipc_list_of(const struct buf *b)
{
    struct ipc_list l = { .packed = buf_str(b) };
    int r = list_count(l.packed, &l.n);

    assert(r == 0);
    return l;
}

int
ipc_list_check(struct str packed, struct ipc_list *ret)
{
    struct ipc_list l = { .packed = packed };
    int r = list_count(packed, &l.n);

    if (r == 0)
        *ret = l;
    return r;
}

static void
put_bytes(struct buf *out, struct str s)
{
    uint32_t n = (uint32_t)s.n;

    assert(s.n < UINT32_MAX);
    buf_add(out, &n, sizeof n);
    buf_add_str(out, s);
}

/* What remains to be read; a short packet makes it bad, and then gives zeros. */
struct getter {
    struct str rest;
    bool bad;
};

static void
get_raw(struct getter *g, void *ret, size_t n)
{
    if (g->rest.n < n) {
        g->bad = true;
        memset(ret, 0, n);
        return;
    }
    memcpy(ret, g->rest.p, n);
    g->rest.p += n;
    g->rest.n -= n;
}

static struct str
get_bytes(struct getter *g)
{
    struct str s = STR_NULL;
    uint32_t n;

    get_raw(g, &n, sizeof n);
    if (n > g->rest.n) {
        g->bad = true;
        return s;
    }
    s = (struct str){ g->rest.p, n };
    g->rest.p += n;
    g->rest.n -= n;
    return s;
}

static struct ipc_list
get_list(struct getter *g)
{
    struct ipc_list l = { .packed = get_bytes(g) };

    if (list_count(l.packed, &l.n) < 0)
        g->bad = true;
    return l;
}

#define PAYLOAD(name)                                        \
    void name##_put(struct buf *out, const struct name *msg) \
    {                                                        \
        (void)out, (void)msg;
#define U8(f)    buf_add(out, &msg->f, sizeof msg->f);
#define U16(f)   buf_add(out, &msg->f, sizeof msg->f);
#define U32(f)   buf_add(out, &msg->f, sizeof msg->f);
#define U64(f)   buf_add(out, &msg->f, sizeof msg->f);
#define S8(f)    buf_add(out, &msg->f, sizeof msg->f);
#define BYTES(f) put_bytes(out, msg->f);
#define LIST(f)  put_bytes(out, msg->f.packed);
#define END      }
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

#define PAYLOAD(name)                                       \
    int name##_get(struct str packed, struct name *ret_msg) \
    {                                                       \
        struct getter g = { .rest = packed };               \
        struct name m = { 0 };
#define U8(f)    get_raw(&g, &m.f, sizeof m.f);
#define U16(f)   get_raw(&g, &m.f, sizeof m.f);
#define U32(f)   get_raw(&g, &m.f, sizeof m.f);
#define U64(f)   get_raw(&g, &m.f, sizeof m.f);
#define S8(f)    get_raw(&g, &m.f, sizeof m.f);
#define BYTES(f) m.f = get_bytes(&g);
#define LIST(f)  m.f = get_list(&g);
#define END                     \
    if (g.bad || g.rest.n != 0) \
        return -EBADMSG;        \
    *ret_msg = m;               \
    return 0;                   \
    }
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

#include "ipc/payload_skip.h"
#define PAYLOAD(name)                                            \
    static void name##_put_any(struct buf *out, const void *msg) \
    {                                                            \
        name##_put(out, msg);                                    \
    }                                                            \
    static int name##_get_any(struct str packed, void *ret_msg)  \
    {                                                            \
        return name##_get(packed, ret_msg);                      \
    }
#include "ipc/payload.def"
#include "ipc/payload_undef.h"

/* The tables as text. */
static const char tables[] =
#define PAYLOAD(name) #name "{"
#define U8(f)         #f ":u8,"
#define U16(f)        #f ":u16,"
#define U32(f)        #f ":u32,"
#define U64(f)        #f ":u64,"
#define S8(f)         #f ":s8,"
#define BYTES(f)      #f ":bytes,"
#define LIST(f)       #f ":list,"
#define END           "}"
#include "ipc/payload.def"
#include "ipc/payload_undef.h"
#define IPC(NAME, from, to, payload, descriptor) \
#NAME "," #from "," #to "," #payload "," #descriptor ";"
#include "ipc/ipc.def"
#undef IPC
#define PROC(NAME, name, sentence) #NAME ";"
#include "ipc/proc.def"
#undef PROC
        ;

uint64_t
ipc_signature(void)
{
    static const struct hash_key key = { { 1, 2 } };

    return hash_bytes(&key, tables, sizeof tables);
}

static const struct ipc_frame_info frame_infos[IPC_TYPES] = {
#define FD   true
#define NOFD false
#define IPC(NAME, from, to, payload, descriptor)                     \
    [IPC_##NAME] = { #NAME, from, to, descriptor, payload##_put_any, \
        payload##_get_any },
#include "ipc/ipc.def"
#undef IPC
#undef FD
#undef NOFD
};

const struct ipc_frame_info *
ipc_frame_info(unsigned type)
{
    return type < IPC_TYPES ? &frame_infos[type] : NULL;
}
