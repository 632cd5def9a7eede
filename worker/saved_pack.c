/*
 * saved_pack.c -- sessions as they are in a file, from the tables
 */
#include "worker/saved_pack.h"

#include <errno.h>

static void
save(struct buf *out, const char *name, const void *bytes, size_t n)
{
    uint32_t size = (uint32_t)n;

    buf_add_char(out, (char)strlen(name));
    buf_add_c(out, name);
    buf_add(out, &size, sizeof size);
    if (n)
        buf_add(out, bytes, n);
}

static void
save_number(struct buf *out, const char *name, int64_t value)
{
    if (value)
        save(out, name, &value, sizeof value);
}

struct field {
    struct str name, bytes;
};

/* The next; false: the end, or what is left is no field. */
static bool
load(struct str *rest, struct field *ret)
{
    struct str s = *rest;
    size_t name_n = s.n ? (uint8_t)s.p[0] : 0;
    uint32_t n;

    if (s.n < 1 + name_n + sizeof n)
        return false;
    ret->name = (struct str){ s.p + 1, name_n };
    memcpy(&n, s.p + 1 + name_n, sizeof n);
    s.p += 1 + name_n + sizeof n;
    s.n -= 1 + name_n + sizeof n;
    if (n > s.n)
        return false;
    ret->bytes = (struct str){ s.p, n };
    rest->p = s.p + n;
    rest->n = s.n - n;
    return true;
}

static int64_t
number_of(const struct field *f)
{
    int64_t value = 0;

    if (f->bytes.n == sizeof value)
        memcpy(&value, f->bytes.p, sizeof value);
    return value;
}

#define PAYLOAD(name)                                         \
    void name##_save(struct buf *out, const struct name *msg) \
    {
#define NUMBER(f) save_number(out, #f, (int64_t)msg->f);
#define U8(f)     NUMBER(f)
#define U16(f)    NUMBER(f)
#define U32(f)    NUMBER(f)
#define U64(f)    NUMBER(f)
#define S8(f)     NUMBER(f)
#define BYTES(f)  save(out, #f, msg->f.p, msg->f.n);
#define LIST(f)   save(out, #f, msg->f.packed.p, msg->f.packed.n);
#define END       }
#include "ipc/payload_sm.def"
#include "worker/saved.def"
#include "ipc/payload_undef.h"
#undef NUMBER

#define PAYLOAD(name)                                        \
    int name##_load(struct str packed, struct name *ret_msg) \
    {                                                        \
        struct name m = { 0 };                               \
        struct field got;                                    \
        while (load(&packed, &got)) {
#define NUMBER(f, type)             \
    if (str_eq(got.name, STR(#f)))  \
        m.f = (type)number_of(&got);
#define U8(f)  NUMBER(f, uint8_t)
#define U16(f) NUMBER(f, uint16_t)
#define U32(f) NUMBER(f, uint32_t)
#define U64(f) NUMBER(f, uint64_t)
#define S8(f)  NUMBER(f, int8_t)
#define BYTES(f)                   \
    if (str_eq(got.name, STR(#f))) \
        m.f = got.bytes;
#define LIST(f)                                                                    \
    if (str_eq(got.name, STR(#f)) && ipc_list_check(got.bytes, &m.f) < 0)          \
        return -EBADMSG;
#define END              \
    }                    \
    if (packed.n != 0)   \
        return -EBADMSG; \
    *ret_msg = m;        \
    return 0;            \
    }
#include "ipc/payload_sm.def"
#include "worker/saved.def"
#include "ipc/payload_undef.h"
