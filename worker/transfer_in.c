/*
 * transfer_in.c -- the content of a slot out of a file (transfer_table.h)
 *
 * It was written by a process of ours, out of memory that clients have a say in;
 * lengths are checked all the same. What is wrong leaves a slot without magic, which
 * the next attempt empties.
 */
#include <errno.h>
#include <unistd.h>

#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/transfer.h"
#include "worker/transfer_table.h"

static void
pointer_set(void *rec, size_t at, const void *p)
{
    memcpy((char *)rec + at, &p, sizeof p);
}

/* A length, and so many bytes. */
static bool
take_sized(struct str *from, struct str *ret)
{
    uint32_t n;

    return str_take_into(from, &n, sizeof n) && str_take(from, n, ret);
}

static bool
take_field(struct str *from, uint16_t *ret_number, struct str *ret)
{
    return str_take_into(from, ret_number, sizeof *ret_number) && take_sized(from, ret);
}

static int get_fields(
        struct slab *slab, const struct record *r, void *rec, struct str bytes);

/* The same as it stood there, but for the room at its end. */
static int
get_own(struct slab *slab, const struct record *r, struct str bytes, void **ret)
{
    const struct field *tail = transfer_field_of(r, KIND_TAIL);
    struct str fields = bytes, content, end = STR_NULL;
    void *draft = mem_zalloc(r->size), *p;
    size_t n = r->size, room;
    uint16_t number;
    int result = get_fields(slab, r, draft, bytes);

    if (result == 0 && tail) {
        while (take_field(&fields, &number, &content)) {
            if (number == tail->number)
                end = content;
        }
        room = tail->room(draft);
        if (room < end.n || room > SLAB_CHUNK_MAX || end.n != tail->length(draft))
            result = -EBADMSG;
        else if (tail->at + room + 1 > n)
            n = tail->at + room + 1;
    }
    p = result == 0 ? slab_alloc(slab, n) : NULL;
    if (result == 0 && !p)
        result = -ENOMEM;
    if (result == 0) {
        memcpy(p, draft, tail ? tail->at : r->size);
        if (tail) {
            if (end.n > 0)
                memcpy((char *)p + tail->at, end.p, end.n);
            ((char *)p)[tail->at + end.n] = '\0';
        }
        *ret = p;
    }
    mem_free_p(draft);
    return result;
}

static int
get_list(struct slab *slab, const struct field *f, void *rec, struct str bytes)
{
    const struct record *r = f->record();
    const struct field *next = transfer_field_of(r, KIND_NEXT),
                       *prev = transfer_field_of(r, KIND_PREV);
    void *last = NULL, *p;
    struct str one;
    int result;

    while (bytes.n > 0) {
        if (!take_sized(&bytes, &one))
            return -EBADMSG;
        result = get_own(slab, r, one, &p);
        if (result != 0)
            return result;
        pointer_set(p, next->at, NULL);
        if (prev)
            pointer_set(p, prev->at, last);
        if (last)
            pointer_set(last, next->at, p);
        else
            pointer_set(rec, f->at, p);
        last = p;
    }
    if (f->has_last)
        pointer_set(rec, f->last_at, last);
    return 0;
}

/* Bytes of their own, with a zero behind them. */
static int
get_bytes(struct slab *slab, const struct field *f, void *rec, struct str bytes)
{
    char *p = slab_alloc(slab, bytes.n + 1);

    if (!p)
        return -ENOMEM;
    memcpy(p, bytes.p, bytes.n);
    p[bytes.n] = '\0';
    pointer_set(rec, f->at, p);
    return 0;
}

static void
number_set(const struct field *f, void *here, uint64_t number)
{
    const uint32_t n32 = (uint32_t)number;
    const uint16_t n16 = (uint16_t)number;
    const uint8_t n8 = (uint8_t)number;

    memcpy(here,
            f->size == 1   ? &n8
            : f->size == 2 ? (const void *)&n16
            : f->size == 4 ? (const void *)&n32
                           : (const void *)&number,
            f->size);
}

static int
get_field(struct slab *slab, const struct field *f, void *rec, struct str bytes)
{
    char *here = (char *)rec + f->at;
    uint64_t number;
    void *p;
    int r;

    switch (f->kind) {
    case KIND_NEXT:
    case KIND_PREV:
    case KIND_TAIL: /* get_own() has it */
        return 0;
    case KIND_NUM:
    case KIND_INT:
        if (bytes.n != sizeof number)
            return -EBADMSG;
        memcpy(&number, bytes.p, sizeof number);
        number_set(f, here, number);
        return 0;
    case KIND_RAW:
        memcpy(here, bytes.p, bytes.n < f->size ? bytes.n : f->size);
        return 0;
    case KIND_PART:
        return get_fields(slab, f->record(), here, bytes);
    case KIND_TEXT:
        if (bytes.n == 0 || bytes.p[bytes.n - 1] != '\0')
            return -EBADMSG;
        bytes.n--;
        return get_bytes(slab, f, rec, bytes);
    case KIND_BYTES:
        return get_bytes(slab, f, rec, bytes);
    case KIND_OWN:
        r = bytes.n > 0 ? get_own(slab, f->record(),
                                  (struct str){ bytes.p + 1, bytes.n - 1 }, &p)
                        : -EBADMSG;
        if (r == 0)
            pointer_set(rec, f->at, p);
        return r;
    case KIND_LIST:
        return get_list(slab, f, rec, bytes);
    }
    return -EBADMSG;
}

/* Do the lengths that members say fit what has come? */
static bool
is_sound(const struct record *r, const void *rec, struct str bytes)
{
    uint16_t number;
    struct str content;

    for (size_t i = 0; i < r->n_fields; i++) {
        const struct field *f = &r->field[i];
        struct str rest = bytes;
        size_t n = 0;

        if (f->kind != KIND_BYTES)
            continue;
        while (take_field(&rest, &number, &content)) {
            if (number == f->number)
                n = content.n;
        }
        if (transfer_pointer(rec, f->at) && n != f->length(rec))
            return false;
    }
    return true;
}

/* rec holds what a field has that does not come. */
static int
get_fields(struct slab *slab, const struct record *r, void *rec, struct str bytes)
{
    struct str rest = bytes, content;
    uint16_t number;
    int result = 0;

    while (rest.n > 0 && result == 0) {
        if (!take_field(&rest, &number, &content))
            return -EBADMSG;
        for (size_t i = 0; i < r->n_fields && result == 0; i++) {
            if (r->field[i].number == number && number != 0)
                result = get_field(slab, &r->field[i], rec, content);
        }
    }
    return result == 0 && !is_sound(r, rec, bytes) ? -EBADMSG : result;
}

/* Of the slot itself only what the table names is cleared: the rest is in use. */
static void
clear_slot(struct slot *slot)
{
    const struct record *r = transfer_slot_record();

    for (size_t i = 0; i < r->n_fields; i++)
        memset((char *)slot + r->field[i].at, 0, r->field[i].size);
    slot->job_last = NULL;
}

static int
get_frame(struct slot *slot, struct str bytes)
{
    struct outbox *box = &slot->outbox;
    struct outbox_entry e = { 0 };
    uint32_t size;

    if (!str_take_into(&bytes, &e.to, sizeof e.to) ||
            !str_take_into(&bytes, &e.type, sizeof e.type) ||
            !str_take_into(&bytes, &e.number, sizeof e.number))
        return -EBADMSG;
    e.len = (uint32_t)bytes.n;
    size = (uint32_t)(sizeof e + e.len + 7) & ~7u;
    if (size > OUTBOX_SIZE - box->len)
        return -ENOMEM;
    memcpy(box->data[box->which] + box->len, &e, sizeof e);
    memcpy(box->data[box->which] + box->len + sizeof e, bytes.p, bytes.n);
    box->len += size;
    return 0;
}

static int
get_part(struct slot *slot, struct slab *slab, uint32_t part, uint32_t index,
        struct str bytes)
{
    switch (part) {
    case PART_SLOT:
        return get_fields(slab, transfer_slot_record(), slot, bytes);
    case PART_CONN:
        if (index >= SLOT_CONNS_MAX)
            return -ENOMEM;
        memset(&slot->conn[index], 0, sizeof slot->conn[index]);
        return get_fields(slab, transfer_conn_record(), &slot->conn[index], bytes);
    case PART_FRAME:
        return get_frame(slot, bytes);
    case PART_OUTBOX:
        return str_take_into(&bytes, &slot->outbox.number, sizeof slot->outbox.number)
                       ? 0
                       : -EBADMSG;
    }
    return 0; /* of another version */
}

static int
get_all(struct slot *slot, struct slab *slab, struct str bytes)
{
    uint32_t part, index;
    struct str content;
    int r = 0;

    clear_slot(slot);
    slot->outbox.which = 0;
    slot->outbox.len = 0;
    while (bytes.n > 0 && r == 0) {
        if (!str_take_into(&bytes, &part, sizeof part) ||
                !str_take_into(&bytes, &index, sizeof index) ||
                !take_sized(&bytes, &content))
            return -EBADMSG;
        r = get_part(slot, slab, part, index, content);
        killpoint(CONVERT_PART);
    }
    return r == 0 && slot->conns_used > SLOT_CONNS_MAX ? -ENOMEM : r;
}

static int
read_at(int fd, void *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t part = pread(fd, p, n, at);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? -errno : -ENODATA;
        p = (char *)p + part;
        n -= (size_t)part;
        at += part;
    }
    return 0;
}

int
transfer_in(struct slot *slot, struct slab *slab, int fd)
{
    struct head head;
    char *p;
    int r = read_at(fd, &head, sizeof head, 0);

    if (r < 0)
        return r;
    if (head.magic != TRANSFER_MAGIC || head.version != 1)
        return -ENODATA;
    p = mem_alloc(head.size + 1);
    r = read_at(fd, p, head.size, sizeof head);
    if (r == 0 && transfer_sum(p, head.size) != head.sum)
        r = -EBADMSG;
    if (r == 0)
        r = get_all(slot, slab, (struct str){ p, head.size });
    mem_wipe(p, head.size);
    mem_free_p(p);
    return r;
}
