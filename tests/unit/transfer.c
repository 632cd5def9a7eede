/*
 * transfer.c -- a slot's way into another form and back
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "worker/record.h"
#include "worker/slot.h"
#include "worker/tls.h"
#include "worker/transfer.h"

/* --- Is everything in the table? --- */

static void
mark(char *map, size_t at, size_t n)
{
    memset(map + at, 1, n);
}

/* The bytes that no row names: padding, and what is named in `except` bytes. */
static void
check_map(const char *name, const char *map, size_t n, size_t except)
{
    size_t missing = 0;

    for (size_t i = 0; i < n; i++)
        missing += map[i] == 0;
    if (missing > except)
        fail_msg("struct of %s: %zu bytes are not in transfer.def, but %zu may be",
                name, missing, except);
}

/*
 * Padding, as it is on a 64-bit machine; and members that belong to the occupant (live)
 * or to the segment itself (of the slot: magic, transactions, the outbox, pages,
 * connections).
 */
enum {
#if defined(SLOT_LAYOUT_TEST)
    MORE = 64,
#else
    MORE = 0,
#endif
    except_chunk = 0 + MORE,
    except_queue = 0 + MORE,
    except_half = 4,
    except_tls = 6,
    except_bindings = 0,
    except_directed = 4,
    except_kept = 0,
    except_sm_item = 4 + MORE,
    except_sm = 7 + MORE,
    except_held = 2 + MORE,
    except_held_list = 0,
    except_conn = 14 + 2 * MORE,
    except_job = 4 + sizeof(struct job_live *) + MORE,
    except_poison = 0,
    except_inbox = 8
};

#define RECORD(name, type)                \
    static void name##_check(void)        \
    {                                     \
        typedef type T;                   \
        const char *what = #name;         \
        size_t n_end = sizeof(T);         \
        char *map = calloc(1, sizeof(T)); \
        size_t except = except_##name;
#define MARK(member)               mark(map, offsetof(T, member), sizeof(((T *)0)->member));
#define NEXT(member)               MARK(member)
#define PREV(member)               MARK(member)
#define NUM(n, member)             MARK(member)
#define INT(n, member)             MARK(member)
#define RAW(n, member)             MARK(member)
#define PART(n, member, rec)       MARK(member)
#define TEXT(n, member)            MARK(member)
#define BYTES(n, member, len)      MARK(member)
#define OWN(n, member, rec)        MARK(member)
#define LIST(n, first, last, rec)  MARK(first) MARK(last)
#define HEAD(n, first, rec)        MARK(first)
#define TAIL(n, member, len, room) n_end = offsetof(T, member);
#define END                              \
    check_map(what, map, n_end, except); \
    free(map);                           \
    }
enum {
    except_slot = 1 << 30 /* most of it is the segment itself */
};
#include "worker/transfer.def"

static void
nothing_is_forgotten(void **state)
{
    (void)state;
    chunk_check(), queue_check(), half_check(), tls_check(), bindings_check();
    directed_check(), kept_check(), sm_item_check(), sm_check(), held_check();
    held_list_check(), conn_check(), job_check(), poison_check(), inbox_check();
    slot_check();
}

/* --- There and back --- */

static struct slot *
segment(void)
{
    char *p = mmap(NULL, slot_size() + SLAB_PAGE, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_true(p != MAP_FAILED);
    return (void *)(((uintptr_t)p + SLAB_PAGE - 1) & ~(uintptr_t)(SLAB_PAGE - 1));
}

static char *
text(struct slab *slab, const char *s)
{
    char *p = slab_alloc(slab, strlen(s) + 1);

    memcpy(p, s, strlen(s) + 1);
    return p;
}

static struct chunk *
chunk(struct slab *slab, const char *s, uint32_t room)
{
    struct chunk *k = slab_alloc(slab, sizeof *k + room);

    *k = (struct chunk){ .size = room, .len = (uint32_t)strlen(s) };
    memcpy(k->data, s, strlen(s));
    return k;
}

static struct kept *
kept(struct slab *slab, const char *s)
{
    struct kept *k = slab_alloc(slab, sizeof *k + strlen(s));

    k->n = (uint32_t)strlen(s);
    memcpy(k->bytes, s, strlen(s));
    return k;
}

static struct held_list *
held(struct slab *slab)
{
    struct held_list *list = slab_alloc(slab, sizeof *list);

    *list = (struct held_list){ .n = 2, .bytes = 7 };
    for (int i = 0; i < 2; i++) {
        struct held *h = slab_alloc(slab, sizeof *h + 8);

        *h = (struct held){ .since_us = 77 + i, .n = 3, .key_n = 2 };
        memcpy(h->text, i ? "k1new" : "k0old", 5);
        if (list->last)
            list->last->next = h;
        else
            list->first = h;
        list->last = h;
    }
    return list;
}

static struct sm *
sm(struct slab *slab)
{
    struct sm *m = slab_alloc(slab, sizeof *m);

    *m = (struct sm){ .in = 1, .out = 2, .acked = 3, .n = 3, .bytes = 9, .max_s = 300 };
    memcpy(m->token, "abcdefghijklmnopqrstuvwx", SM_TOKEN);
    for (int i = 0; i < 3; i++) {
        struct sm_item *item = slab_alloc(slab, sizeof *item + 3);

        *item = (struct sm_item){ .at_us = 5 + i, .n = 3 };
        memcpy(item->bytes, "<m/", 3);
        if (m->last)
            m->last->next = item;
        else
            m->first = item;
        m->last = item;
    }
    return m;
}

static void
fill_conn(struct slab *slab, struct conn *c, int i)
{
    *c = (struct conn){ .generation = 7 + i,
        .state = STREAM_OPEN,
        .tls = CONN_TLS13,
        .priority = -5,
        .flags = CONN_AUTHED | CONN_BOUND,
        .port = 1234,
        .addr = { 1, 2, 3 },
        .rx_total = 1ull << 40,
        .tx_total = 3,
        .in = chunk(slab, "half a reco", 4000),
        .plain = chunk(slab, "<message", 100),
        .local_n = 6,
        .domain_n = 11,
        .resource_n = 2,
        .jid = text(slab, "juliet@example.net/r1"),
        .scopes = text(slab, "scopes"),
        .scopes_n = 6,
        .lang = text(slab, ""),
        .presence = text(slab, "<presence/>"),
        .presence_n = 11,
        .kept = { kept(slab, ""), kept(slab, "bytes") },
        .held = held(slab),
        .late = held(slab),
        .sm = sm(slab),
        .n_directed = 1,
        .told_priority = -1 };
    memcpy(c->in->data + c->in->len, "rd", 2); /* received, and not noted any more */
    c->out.head = chunk(slab, "first", 5);
    c->out.tail = c->out.head->next = chunk(slab, "second", 64);
    c->out.off = 2;
    c->out.bytes = 9;
    c->directed = slab_alloc(slab, sizeof *c->directed + 3);
    c->directed->next = NULL;
    c->directed->n = 3;
    memcpy(c->directed->jid, "a@b", 3);
    c->tls_state = slab_alloc(slab, sizeof *c->tls_state);
    *c->tls_state = (struct tls_state){ .cipher = 1, .secret_size = 48 };
    c->tls_state->rd.sequence = UINT64_MAX;
    memset(c->tls_state->wr.key, 0x80, sizeof c->tls_state->wr.key);
    c->bindings = slab_alloc(slab, sizeof *c->bindings);
    *c->bindings = (struct tls_bindings){ .exporter = "x", .exporter_n = 32 };
}

static void
fill_jobs(struct slab *slab, struct slot *s)
{
    for (int i = 0; i < 3; i++) {
        struct slot_job *j = slab_alloc(slab, sizeof *j + 9);

        *j = (struct slot_job){ .number = 10 + i,
            .prev = s->job_last,
            .key_n = 3,
            .to_n = 1,
            .stanza_n = 4,
            .data_n = i ? 4 : 0,
            .data = i ? text(slab, "data") : NULL,
            .live = (void *)1 };
        memcpy(j->text, "keyt<iq>", 8);
        if (s->job_last)
            s->job_last->next = j;
        else
            s->job_first = j;
        s->job_last = j;
    }
}

static void
fill_outbox(struct outbox *box)
{
    box->which = 1;
    box->number = 99;
    for (uint32_t i = 0; i < 3; i++) {
        struct outbox_entry e = { .to = 7, .type = 9, .len = i * 5, .number = 97 + i };

        memcpy(box->data[1] + box->len, &e, sizeof e);
        memcpy(box->data[1] + box->len + sizeof e, "payload of it", e.len);
        box->len += (uint32_t)(sizeof e + e.len + 7) & ~7u;
    }
}

static struct slot *
filled(struct slab **ret_slab)
{
    struct slot *s = segment();

    assert_int_equal(slot_open(s, "instance", false, -1, ret_slab), 0);
    s->conns_used = 3;
    fill_conn(*ret_slab, &s->conn[0], 0);
    s->conn[1] = (struct conn){ .generation = 4711 }; /* free, but it was used */
    fill_conn(*ret_slab, &s->conn[2], 2);
    fill_jobs(*ret_slab, s);
    fill_outbox(&s->outbox);
    s->inbox.last[5] = 55;
    s->inbox.handled = 2;
    memcpy(s->inbox.packet, "packet\0\xff", 8);
    s->poison_conn = (struct poison){ 1, 2, 3 };
    s->job_number = 12;
    return s;
}

static int
file(void)
{
    int fd = memfd_create("transfer", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static char *
content(int fd, size_t *ret_n)
{
    off_t n = lseek(fd, 0, SEEK_END);
    char *p = malloc((size_t)n);

    assert_int_equal(pread(fd, p, (size_t)n, 0), n);
    *ret_n = (size_t)n;
    return p;
}

static void
drop(struct slot **s, struct slab **slab)
{
    slab_free_all(slab);
    munmap(*s, slot_size());
    *s = NULL;
}

static void
there_and_back(void **state)
{
    struct slab *slab_a, *slab_b;
    struct slot *a = filled(&slab_a), *b = segment();
    int fd_a = file(), fd_b = file();
    char *bytes_a, *bytes_b;
    size_t n_a, n_b;

    (void)state;
    assert_int_equal(transfer_out(a, fd_a), 0);
    assert_int_equal(slot_open(b, "instance", false, fd_a, &slab_b), 1);
    assert_true(slot_is_ours(b, "instance"));
    assert_int_equal(transfer_out(b, fd_b), 0);
    bytes_a = content(fd_a, &n_a);
    bytes_b = content(fd_b, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(bytes_a, bytes_b, n_a);

    assert_int_equal(b->conns_used, 3);
    assert_int_equal(b->conn[1].generation, 4711);
    assert_int_equal(b->conn[2].priority, -5);
    assert_ptr_not_equal(b->conn[2].jid, a->conn[2].jid);
    assert_string_equal(b->conn[2].jid, a->conn[2].jid);
    assert_string_equal(b->conn[2].lang, "");
    assert_non_null(b->conn[2].kept[0]);
    assert_int_equal(b->conn[2].in->size, 4000);
    assert_int_equal(b->conn[2].in->len, 11);
    assert_memory_equal(b->conn[2].in->data, "half a record", 13);
    assert_memory_equal(b->conn[2].out.tail->data, "second", 6);
    assert_null(b->conn[2].out.tail->next);
    assert_int_equal(b->conn[2].tls_state->rd.sequence, UINT64_MAX);
    assert_int_equal(b->job_last->number, 12);
    assert_ptr_equal(b->job_last->prev->prev, b->job_first);
    assert_null(b->job_first->prev);
    assert_null(b->job_first->live);
    assert_null(b->job_first->data);
    assert_int_equal(b->outbox.number, 99);
    assert_int_equal(b->inbox.last[5], 55);

    /* What was filled so is a predecessor's for the next one, too. */
    slab_free_all(&slab_b);
    assert_int_equal(slot_open(b, "instance", false, -1, &slab_b), 1);
    free(bytes_a);
    free(bytes_b);
    close(fd_a);
    close(fd_b);
    drop(&a, &slab_a);
    drop(&b, &slab_b);
}

/* A client may send, and be sent, as much as one piece of a slot holds. */
static void
the_largest_pieces_go_over(void **state)
{
    static const uint32_t sizes[] = { 4 << 20, 9 << 20, SLAB_CHUNK_MAX - 1024,
        SLAB_CHUNK_MAX - sizeof(struct chunk) };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct slab *slab_a, *slab_b = NULL;
        struct slot *a = filled(&slab_a), *b = segment();
        struct sm_item *item = a->conn[0].sm->last;
        uint32_t n = SLAB_CHUNK_MAX - sizeof *item;
        int fd = file();

        print_message("%u bytes\n", sizes[i]);
        a->conn[0].plain = chunk(slab_a, "<message", sizes[i]);
        item->next = slab_alloc(slab_a, SLAB_CHUNK_MAX);
        a->conn[0].sm->last = item = item->next;
        *item = (struct sm_item){ .n = sizes[i] < n ? sizes[i] : n };
        memset(item->bytes, 'x', item->n);
        assert_int_equal(transfer_out(a, fd), 0);
        assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), 1);
        assert_int_equal(b->conn[0].plain->size, sizes[i]);
        assert_true(
                slab_size(slab_b, b->conn[0].plain) >= sizeof(struct chunk) + sizes[i]);
        assert_memory_equal(b->conn[0].plain->data, "<message", 8);
        assert_memory_equal(b->conn[0].sm->last->bytes, item->bytes, item->n);
        close(fd);
        drop(&a, &slab_a);
        drop(&b, &slab_b);
    }
}

static void
a_file_that_is_not_complete_is_none(void **state)
{
    struct slab *slab_a, *slab_b = NULL;
    struct slot *a = filled(&slab_a), *b = segment();
    int fd = file();
    char zero[8] = { 0 }, byte = 'x';

    (void)state;
    assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), -ENODATA);
    assert_false(slot_is_ours(b, "instance"));
    slab_free_all(&slab_b);
    assert_int_equal(transfer_out(a, fd), 0);
    assert_int_equal(pwrite(fd, &byte, 1, 200), 1); /* a bit that has tipped over */
    assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), -EBADMSG);
    slab_free_all(&slab_b);
    assert_int_equal(transfer_out(a, fd), 0);
    assert_int_equal(pwrite(fd, zero, sizeof zero, 0), 8); /* the writer died */
    assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), -ENODATA);
    slab_free_all(&slab_b);
    assert_int_equal(transfer_out(a, fd), 0); /* another one has finished it */
    assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), 1);
    close(fd);
    drop(&a, &slab_a);
    drop(&b, &slab_b);
}

/* The head of the file, as transfer.c has it. */
struct head {
    uint32_t magic, version;
    uint64_t size, sum;
};

static void
file_set(int fd, const char *bytes, size_t n)
{
    static const struct hash_key key = { { 3, 4 } };
    struct head head;

    memcpy(&head, bytes, sizeof head);
    head.size = n - sizeof head;
    head.sum = hash_bytes(&key, bytes + sizeof head, head.size);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, &head, sizeof head, 0), sizeof head);
    assert_int_equal(
            pwrite(fd, bytes + sizeof head, head.size, sizeof head), head.size);
}

static void
whatever_comes_does_no_harm(void **state)
{
    struct slab *slab_a, *slab_b = NULL;
    struct slot *a = filled(&slab_a), *b = segment();
    int fd = file(), good = 0;
    size_t n;
    char *bytes, *bad;

    (void)state;
    assert_int_equal(transfer_out(a, fd), 0);
    bytes = content(fd, &n);
    bad = malloc(n);
    srand(1);
    for (int i = 0; i < 3000; i++) {
        size_t size = i % 3 ? n : sizeof(struct head) + (size_t)rand() % n;

        memcpy(bad, bytes, n);
        for (int k = rand() % 4; k >= 0; k--)
            bad[sizeof(struct head) + (size_t)rand() % (n - sizeof(struct head))] ^=
                    (char)(1 << rand() % 8);
        file_set(fd, bad, size < n ? size : n);
        good += slot_open(b, "instance", false, fd, &slab_b) == 1;
        slab_free_all(&slab_b);
        b->magic = 0;
    }
    assert_true(good > 0); /* many bits are only content */
    free(bytes);
    free(bad);
    close(fd);
    drop(&a, &slab_a);
    munmap(b, slot_size());
}

/* One more field, one more record, and a field that does not come. */
static void
another_versions_file_is_understood(void **state)
{
    static const char slot_part[] =
            "\x01\0\0\0\0\0\0\0\x20\0\0\0"       /* slot, 32 bytes */
            "\xe7\x03\x04\0\0\0newX"             /* field 999 */
            "\x02\0\x08\0\0\0\x01\0\0\0\0\0\0\0" /* conns_used 1 */
            "\xe8\x03\x02\0\0\0hi";              /* field 1000 */
    static const char conn_part[] =
            "\x02\0\0\0\0\0\0\0\x0e\0\0\0"
            "\x01\0\x08\0\0\0\x07\0\0\0\0\0\0\0"; /* generation 7 */
    static const char new_part[] = "\x4d\0\0\0\0\0\0\0\x03\0\0\0abc";
    struct slab *slab_a, *slab_b;
    struct slot *a = filled(&slab_a), *b = segment();
    char bytes[256];
    int fd = file();
    size_t n = sizeof(struct head);

    (void)state;
    assert_int_equal(transfer_out(a, fd), 0);
    assert_int_equal(pread(fd, bytes, n, 0), n);
    memcpy(bytes + n, slot_part, sizeof slot_part - 1);
    n += sizeof slot_part - 1;
    memcpy(bytes + n, new_part, sizeof new_part - 1);
    n += sizeof new_part - 1;
    memcpy(bytes + n, conn_part, sizeof conn_part - 1);
    n += sizeof conn_part - 1;
    file_set(fd, bytes, n);
    assert_int_equal(slot_open(b, "instance", false, fd, &slab_b), 1);
    assert_int_equal(b->conns_used, 1);
    assert_int_equal(b->conn[0].generation, 7);
    assert_null(b->conn[0].jid);
    close(fd);
    drop(&a, &slab_a);
    drop(&b, &slab_b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_forgotten),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(the_largest_pieces_go_over),
        cmocka_unit_test(a_file_that_is_not_complete_is_none),
        cmocka_unit_test(whatever_comes_does_no_harm),
        cmocka_unit_test(another_versions_file_is_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
