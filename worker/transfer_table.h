#ifndef WORKER_TRANSFER_TABLE_H
#define WORKER_TRANSFER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"

/*
 * transfer.def as data: where this program has each field. And the form of the file,
 * which transfer_out.c writes and transfer_in.c reads:
 *
 *     file:   struct head, then records
 *     record: what it is (u32, enum part), its index (u32), length (u32), fields
 *     field:  number (u16), length (u32), content; a nested record's is its fields
 *
 * The head is written last, so a file whose writer was killed is no file. Integers are
 * the machine's: both programs run on it.
 */
enum {
    TRANSFER_MAGIC = 0x72667374
};

struct head {
    uint32_t magic, version;
    uint64_t size, sum; /* of what follows */
};

enum part {
    PART_SLOT = 1,
    PART_CONN,  /* index: that of the connection */
    PART_FRAME, /* of the outbox, in their order */
    PART_OUTBOX /* the last number */
};

enum kind {
    KIND_NEXT,
    KIND_PREV,
    KIND_NUM,
    KIND_INT,
    KIND_RAW,
    KIND_PART,
    KIND_TEXT,
    KIND_BYTES,
    KIND_OWN,
    KIND_LIST,
    KIND_TAIL
};

struct field {
    uint16_t number;
    enum kind kind;
    size_t at, size; /* of the member */
    bool has_last;   /* LIST: there is a pointer to the last one, */
    size_t last_at;  /* there */
    const struct record *(*record)(void);
    size_t (*length)(const void *rec), (*room)(const void *rec);
};

struct record {
    size_t size;
    const struct field *field;
    size_t n_fields;
};

const struct record *transfer_slot_record(void);
const struct record *transfer_conn_record(void);

/* The only field of this kind; NULL: there is none. */
const struct field *transfer_field_of(const struct record *r, enum kind kind);

void *transfer_pointer(const void *rec, size_t at); /* in the member at this offset */

/* Of the bytes behind the head. */
uint64_t transfer_sum(const void *p, size_t n);

#endif
