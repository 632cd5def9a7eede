/*
 * outbox.c -- frames that a commit has promised
 *
 * The post (ipc/post.h) has them on the heap to send; the slot has them in case we die
 * first. When the post holds nothing any more, all have been sent and the outbox is
 * empty again with one store. While one receiver is slow the outbox cannot be emptied:
 * then only what is for receivers with a backlog is copied to the other buffer.
 */
#include "worker/outbox.h"

#include "base/hash.h"
#include "base/killpoint.h"
#include "base/mem.h"
#include "shm/zone.h"
#include "worker/conn.h"

enum {
    COMPACT_AT = 1 << 20,
    CROWDED_AT = 8 << 20,
    SLOW_HIGH = 1 << 20,  /* bytes that wait for one process: who causes more waits, */
    SLOW_LOW = 256 << 10, /* until so few do */
    BEHIND_S = 10         /* then what is for the store is there */
};

bool
outbox_is_slow(const struct worker *w, ipc_addr to)
{
    return post_backlog_of(w->proc->post, to) > SLOW_LOW;
}

bool
outbox_is_crowded(const struct worker *w)
{
    return w->slot->outbox.len > CROWDED_AT;
}

static uint32_t
entry_size(const struct outbox_entry *e)
{
    return (uint32_t)(sizeof *e + e->len + 7) & ~7u;
}

/*
 * The outbox's words change with every frame, and a transaction may send a hundred
 * thousand: their old content is noted once, as a death undoes all of it or nothing.
 */
static void
note_once(struct worker *w)
{
    if (w->outbox_noted == w->tx->number + 1)
        return;
    tx_note(w->tx, &w->slot->outbox.number, sizeof w->slot->outbox.number);
    tx_note(w->tx, &w->slot->outbox.len, sizeof w->slot->outbox.len);
    w->outbox_noted = w->tx->number + 1;
}

static void
box_add(struct worker *w, const struct outbox_entry *e)
{
    struct outbox *box = &w->slot->outbox;
    char *at = box->data[box->which] + box->len;

    note_once(w);
    box->number = e->number;
    if (entry_size(e) > OUTBOX_SIZE - box->len) {
        if (!w->outbox_full_told)
            log_error(
                    NULL, "the outbox is full: frames would not survive this process");
        w->outbox_full_told = true;
        return;
    }
    memcpy(at, e, sizeof *e);
    if (e->len)
        memcpy(at + sizeof *e, w->frame.p, e->len);
    atomic_signal_fence(memory_order_seq_cst);
    box->len += entry_size(e);
    atomic_signal_fence(memory_order_seq_cst);
    if (box->len > w->outbox_peak)
        w->outbox_peak = box->len;
}

void
outbox_send(struct worker *w, ipc_addr to, enum ipc_type type, const void *msg)
{
    struct outbox_entry e = { .to = to, .type = (uint16_t)type };

    worker_begin(w, NULL);
    buf_reset(&w->frame, 1 << 16);
    ipc_frame_info(type)->put(&w->frame, msg);
    e.len = (uint32_t)w->frame.n;
    e.number = w->slot->outbox.number + 1;
    box_add(w, &e);
    killpoint(OUTBOX_KEPT);
    post_send_packed(w->proc->post, to, type, buf_str(&w->frame), e.number);
    killpoint(OUTBOX_POSTED);
    w->outbox_unsent += e.len;
    if (post_backlog_of(w->proc->post, to) > SLOW_HIGH) {
        w->to_slow = true;
        w->slow_peer = to;
    }
    worker_commit(w);
}

void
outbox_committed(struct worker *w)
{
    if (w->outbox_unsent < MAILBOX_BATCH)
        return;
    w->outbox_unsent = 0;
    post_flush(w->proc->post);
}

static void
compact(struct worker *w)
{
    struct outbox *box = &w->slot->outbox;
    const char *from = box->data[box->which];
    char *to = box->data[1 - box->which];
    uint32_t kept = 0, n;

    for (uint32_t at = 0; at < box->len; at += n) {
        struct outbox_entry e;

        memcpy(&e, from + at, sizeof e);
        n = entry_size(&e);
        if (post_backlog_of(w->proc->post, e.to) > 0) {
            memcpy(to + kept, from + at, n);
            kept += n;
        }
    }
    worker_begin(w, NULL);
    SET(w, box->which, 1 - box->which);
    SET(w, box->len, kept);
    worker_commit(w);
    w->outbox_compact_at = kept * 2 > COMPACT_AT ? kept * 2 : COMPACT_AT;
}

void
outbox_settle(struct worker *w)
{
    struct outbox *box = &w->slot->outbox;

    w->outbox_unsent = 0;
    if (box->len == 0)
        return;
    w->outbox_full_told = w->outbox_full_told && post_backlog(w->proc->post) > 0;
    if (post_backlog(w->proc->post) == 0) {
        box->len = 0; /* one word: a commit of its own */
        w->outbox_compact_at = COMPACT_AT;
    } else if (box->len > w->outbox_compact_at) {
        compact(w);
    }
}

bool
outbox_trim(struct worker *w)
{
    struct outbox *box = &w->slot->outbox;

    if (box->len > 0 || w->outbox_peak <= COMPACT_AT)
        return false;
    for (int i = 0; i < 2; i++)
        zone_discard(box->data[i] + COMPACT_AT, w->outbox_peak - COMPACT_AT);
    w->outbox_peak = 0;
    return true;
}

/* Whose home is still to get a stanza: what comes next for him must not overtake it. */
static void
note_behind(struct worker *w, const struct outbox_entry *e, struct str payload)
{
    struct ipc_home m;

    char *bare;

    if (e->type != IPC_HOME || ipc_home_get(payload, &m) < 0 || !m.stanza.n ||
            map_get(&w->behind, m.bare))
        return;
    bare = mem_alloc(m.bare.n);
    memcpy(bare, m.bare.p, m.bare.n);
    map_set(&w->behind, (struct str){ bare, m.bare.n }, bare);
}

void
outbox_behind_end(struct worker *w)
{
    struct map_entry *e;
    size_t at = 0;

    while ((e = map_next(&w->behind, &at)))
        mem_free_p(e->value);
    map_fini(&w->behind);
}

unsigned
outbox_resume(struct worker *w)
{
    struct outbox *box = &w->slot->outbox;
    const char *data = box->data[box->which];
    unsigned n = 0;

    w->outbox_compact_at = COMPACT_AT;
    w->outbox_peak = OUTBOX_SIZE; /* nobody knows how large it was once */
    w->behind_s = w->now_s + BEHIND_S;
    for (uint32_t at = 0; at < box->len; n++) {
        struct outbox_entry e;

        memcpy(&e, data + at, sizeof e);
        note_behind(w, &e, (struct str){ data + at + sizeof e, e.len });
        post_send_packed(w->proc->post, e.to, (enum ipc_type)e.type,
                (struct str){ data + at + sizeof e, e.len }, e.number);
        at += entry_size(&e);
    }
    return n;
}
