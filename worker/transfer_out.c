/*
 * transfer_out.c -- the content of a slot into a file (transfer_table.h)
 */
#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "worker/transfer.h"
#include "worker/transfer_table.h"

/* A length goes in front of what follows, when that is known. */
static size_t
length_begin(struct buf *out)
{
    size_t at = out->n;
    uint32_t n = 0;

    buf_add(out, &n, sizeof n);
    return at;
}

static void
length_end(struct buf *out, size_t at)
{
    uint32_t n = (uint32_t)(out->n - at - sizeof n);

    memcpy(out->p + at, &n, sizeof n);
}

static uint64_t
number_at(const struct field *f, const void *rec)
{
    const char *p = (const char *)rec + f->at;
    bool is_signed = f->kind == KIND_INT;

    switch (f->size) {
    case 1:
        return is_signed ? (uint64_t) * (const int8_t *)p : *(const uint8_t *)p;
    case 2: {
        uint16_t n;

        memcpy(&n, p, sizeof n);
        return is_signed ? (uint64_t)(int16_t)n : n;
    }
    case 4: {
        uint32_t n;

        memcpy(&n, p, sizeof n);
        return is_signed ? (uint64_t)(int32_t)n : n;
    }
    default: {
        uint64_t n;

        memcpy(&n, p, sizeof n);
        return n;
    }
    }
}

static void put_record(struct buf *out, const struct record *r, const void *rec);

static void
put_list(struct buf *out, const struct field *f, const void *rec)
{
    const struct record *r = f->record();
    const struct field *next = transfer_field_of(r, KIND_NEXT);
    size_t at;

    for (const void *p = transfer_pointer(rec, f->at); p;
            p = transfer_pointer(p, next->at)) {
        at = length_begin(out);
        put_record(out, r, p);
        length_end(out, at);
    }
}

static void
put_content(struct buf *out, const struct field *f, const void *rec)
{
    const char *here = (const char *)rec + f->at;
    const void *p = f->kind >= KIND_TEXT && f->kind <= KIND_OWN
                            ? transfer_pointer(rec, f->at)
                            : NULL;
    uint64_t number;
    size_t n;

    switch (f->kind) {
    case KIND_NEXT:
    case KIND_PREV:
        break;
    case KIND_NUM:
    case KIND_INT:
        number = number_at(f, rec);
        if (number)
            buf_add(out, &number, sizeof number);
        break;
    case KIND_RAW: /* zeros at its end are what there is otherwise */
        for (n = f->size; n > 0 && here[n - 1] == 0; n--)
            ;
        buf_add(out, here, n);
        break;
    case KIND_PART:
        put_record(out, f->record(), here);
        break;
    case KIND_TEXT:
        if (p)
            buf_add(out, p, strlen(p) + 1); /* "" is not nothing */
        break;
    case KIND_BYTES:
        if (p)
            buf_add(out, p, f->length(rec));
        break;
    case KIND_OWN:
        if (p) {
            buf_add_char(out, 1); /* an empty one is not nothing */
            put_record(out, f->record(), p);
        }
        break;
    case KIND_LIST:
        put_list(out, f, rec);
        break;
    case KIND_TAIL:
        buf_add(out, here, f->length(rec));
        break;
    }
}

static void
put_record(struct buf *out, const struct record *r, const void *rec)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        size_t before = out->n, at;

        buf_add(out, &r->field[i].number, sizeof r->field[i].number);
        at = length_begin(out);
        put_content(out, &r->field[i], rec);
        length_end(out, at);
        if (out->n == at + sizeof(uint32_t))
            out->n = before; /* nothing */
    }
}

static size_t
part_begin(struct buf *out, enum part part, uint32_t index)
{
    uint32_t kind = part;

    buf_add(out, &kind, sizeof kind);
    buf_add(out, &index, sizeof index);
    return length_begin(out);
}

static void
put_outbox(struct buf *out, const struct outbox *box)
{
    const char *data = box->data[box->which];
    uint32_t index = 0;
    size_t at = part_begin(out, PART_OUTBOX, 0);

    buf_add(out, &box->number, sizeof box->number);
    length_end(out, at);
    for (uint32_t next = 0; next < box->len; index++) {
        struct outbox_entry e;

        memcpy(&e, data + next, sizeof e);
        at = part_begin(out, PART_FRAME, index);
        buf_add(out, &e.to, sizeof e.to);
        buf_add(out, &e.type, sizeof e.type);
        buf_add(out, &e.number, sizeof e.number);
        buf_add(out, data + next + sizeof e, e.len);
        length_end(out, at);
        next += (uint32_t)(sizeof e + e.len + 7) & ~7u;
    }
}

static int
write_at(int fd, const void *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t part = pwrite(fd, p, n, at);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? -errno : -EIO;
        p = (const char *)p + part;
        n -= (size_t)part;
        at += part;
    }
    return 0;
}

int
transfer_out(const struct slot *slot, int fd)
{
    struct head none = { 0 }, head = { .magic = TRANSFER_MAGIC, .version = 1 };
    struct buf out = { 0 };
    size_t at = part_begin(&out, PART_SLOT, 0);
    int r;

    put_record(&out, transfer_slot_record(), slot);
    length_end(&out, at);
    for (uint32_t i = 0; i < slot->conns_used; i++) {
        at = part_begin(&out, PART_CONN, i);
        put_record(&out, transfer_conn_record(), &slot->conn[i]);
        length_end(&out, at);
    }
    put_outbox(&out, &slot->outbox);
    head.size = out.n;
    head.sum = transfer_sum(out.p, out.n);
    r = write_at(fd, &none, sizeof none, 0);
    if (r == 0)
        r = write_at(fd, out.p, out.n, sizeof head);
    killpoint(CONVERT_OUT);
    if (r == 0)
        r = write_at(fd, &head, sizeof head, 0);
    mem_wipe(out.p, out.n); /* there are keys in it */
    buf_fini(&out);
    return r;
}
