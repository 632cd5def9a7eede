/*
 * outbox.c -- frames that a commit has promised
 *
 * The post (ipc/post.h) has them on the heap to send; the slot has them in case we die
 * first. When the post holds nothing any more, all have been sent and the outbox is
 * empty again with one store. While one receiver is slow the outbox cannot be emptied:
 * then only what is for receivers with a backlog is copied to the other buffer.
 */
#include "worker/outbox.h"

#include "shm/zone.h"
#include "worker/conn.h"

enum {
    COMPACT_AT = 1 << 20
};

static uint32_t
entry_size(const struct outbox_entry *e)
{
    return (uint32_t)(sizeof *e + e->len + 7) & ~7u;
}

void
outbox_send(struct worker *w, ipc_addr to, enum ipc_type type, const void *msg)
{
    struct outbox *box = &w->slot->outbox;
    struct outbox_entry e = { .to = to, .type = (uint16_t)type };
    char *at;

    worker_begin(w, NULL);
    buf_reset(&w->frame, 1 << 16);
    ipc_frame_info(type)->put(&w->frame, msg);
    e.len = (uint32_t)w->frame.n;
    e.number = box->number + 1;
    SET(w, box->number, e.number);
    if (entry_size(&e) <= OUTBOX_SIZE - box->len) {
        at = box->data[box->which] + box->len;
        memcpy(at, &e, sizeof e);
        if (e.len)
            memcpy(at + sizeof e, w->frame.p, e.len);
        SET(w, box->len, box->len + entry_size(&e));
        if (box->len > w->outbox_peak)
            w->outbox_peak = box->len;
    } else {
        log_error(NULL, "the outbox is full: a frame %s would not survive this process",
                ipc_type_name(type));
    }
    post_send_packed(w->proc->post, to, type, buf_str(&w->frame), e.number);
    worker_commit(w);
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

    if (box->len == 0)
        return;
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

unsigned
outbox_resume(struct worker *w)
{
    struct outbox *box = &w->slot->outbox;
    const char *data = box->data[box->which];
    unsigned n = 0;

    w->outbox_compact_at = COMPACT_AT;
    w->outbox_peak = OUTBOX_SIZE; /* nobody knows how large it was once */
    for (uint32_t at = 0; at < box->len; n++) {
        struct outbox_entry e;

        memcpy(&e, data + at, sizeof e);
        post_send_packed(w->proc->post, e.to, (enum ipc_type)e.type,
                (struct str){ data + at + sizeof e, e.len }, e.number);
        at += entry_size(&e);
    }
    return n;
}
