/*
 * transfer.c -- a slot goes over to a program that lays it out in another way
 *
 * Both ways follow from one table, transfer.def: here it becomes a description of each
 * structure as this program has it (where is which field, how long is it). What is
 * written names fields by their numbers only.
 */
#include "worker/transfer.h"

#include "base/mem.h"
#include "worker/record.h"
#include "worker/tls.h"
#include "worker/transfer_table.h"

/* --- Lengths that other members say --- */

#define LENGTH(name, type, expression) \
    static size_t name(const void *p)  \
    {                                  \
        const type *rec = p;           \
        return (size_t)(expression);   \
    }

LENGTH(chunk_room, struct chunk, rec->size)
LENGTH(directed_len, struct directed, rec->n)
LENGTH(kept_len, struct kept, rec->n)
LENGTH(sm_item_len, struct sm_item, rec->n)
LENGTH(held_len, struct held, rec->key_n + rec->n)
LENGTH(conn_scopes_len, struct conn, rec->scopes_n)
LENGTH(conn_presence_len, struct conn, rec->presence_n)
LENGTH(job_data_len, struct slot_job, rec->data_n)
LENGTH(job_request_len, struct slot_job, rec->request_n)
LENGTH(job_text_len, struct slot_job,
        rec->key_n + rec->host_n + rec->from_n + rec->to_n + rec->stanza_n)

/* local@domain/resource, where parts may be missing with their signs. */
LENGTH(conn_jid_len, struct conn,
        rec->local_n + (rec->local_n > 0) + rec->domain_n + (rec->resource_n > 0) +
                rec->resource_n)

/* --- The table: name_record() describes each structure --- */

#define RECORD(name, type) static const struct record *name##_record(void);
#define NEXT(member)
#define PREV(member)
#define NUM(number, member)
#define INT(number, member)
#define RAW(number, member)
#define PART(number, member, record)
#define TEXT(number, member)
#define BYTES(number, member, length)
#define OWN(number, member, record)
#define LIST(number, first, last, record)
#define HEAD(number, first, record)
#define TAIL(number, member, length, room)
#define END
#include "worker/transfer.def"
#undef RECORD
#undef NEXT
#undef PREV
#undef NUM
#undef INT
#undef RAW
#undef PART
#undef TEXT
#undef BYTES
#undef OWN
#undef LIST
#undef HEAD
#undef TAIL
#undef END

#define MEMBER(kind_, n, member)                               \
    .number = (n), .kind = (kind_), .at = offsetof(T, member), \
    .size = sizeof(((T *)NULL)->member)

#define RECORD(name, type)                          \
    static const struct record *name##_record(void) \
    {                                               \
        typedef type T;                             \
        static const struct field fields[] = {
#define NEXT(member)          { MEMBER(KIND_NEXT, 0, member) },
#define PREV(member)          { MEMBER(KIND_PREV, 0, member) },
#define NUM(n, member)        { MEMBER(KIND_NUM, n, member) },
#define INT(n, member)        { MEMBER(KIND_INT, n, member) },
#define RAW(n, member)        { MEMBER(KIND_RAW, n, member) },
#define PART(n, member, rec)  { MEMBER(KIND_PART, n, member), .record = rec##_record },
#define TEXT(n, member)       { MEMBER(KIND_TEXT, n, member) },
#define BYTES(n, member, len) { MEMBER(KIND_BYTES, n, member), .length = len },
#define OWN(n, member, rec)   { MEMBER(KIND_OWN, n, member), .record = rec##_record },
#define LIST(n, first, last, rec)                                                  \
    { MEMBER(KIND_LIST, n, first), .has_last = true, .last_at = offsetof(T, last), \
        .record = rec##_record },
#define HEAD(n, first, rec) { MEMBER(KIND_LIST, n, first), .record = rec##_record },
#define TAIL(n, member, len, room_) \
    { .number = (n),                \
        .kind = KIND_TAIL,          \
        .at = offsetof(T, member),  \
        .length = len,              \
        .room = room_ },
#define END                                                                       \
    }                                                                             \
    ;                                                                             \
    static const struct record record = { sizeof(T), fields, ARRAY_LEN(fields) }; \
    return &record;                                                               \
    }
#include "worker/transfer.def"

/* --- For both ways --- */

const struct record *
transfer_slot_record(void)
{
    return slot_record();
}

const struct record *
transfer_conn_record(void)
{
    return conn_record();
}

void *
transfer_pointer(const void *rec, size_t at)
{
    void *p;

    memcpy(&p, (const char *)rec + at, sizeof p);
    return p;
}

const struct field *
transfer_field_of(const struct record *r, enum kind kind)
{
    for (size_t i = 0; i < r->n_fields; i++) {
        if (r->field[i].kind == kind)
            return &r->field[i];
    }
    return NULL;
}

uint64_t
transfer_sum(const void *p, size_t n)
{
    static const struct hash_key key = { { 3, 4 } };

    return hash_bytes(&key, p, n);
}
