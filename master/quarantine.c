/*
 * quarantine.c -- what processes died of, into files for the administrator
 *
 * A worker sees no files. What it sets aside it sends to us in the transaction that
 * takes it out of the way, so that it comes once or, when it dies before the frame has
 * gone, a second time under the same name. We look at nothing of it: the bytes killed
 * somebody who did.
 *
 * One file each in DIR/quarantine, which only our user may read: there may be a
 * password in it. A file appears complete. The oldest go when there are too many.
 */
#include "master/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/master.h"
#include "master/notes.h"

#define FOLDER "quarantine"

enum {
    FILES_MAX = 100,
    BYTES_MAX = 64 * 1024, /* the sender cuts before */
    TEXT_MAX = 4096,
    DEATHS_TOLD = 3
};

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_file(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

/* Names begin with the time, so the first ones are the oldest. */
static void
make_room(void)
{
    struct dirent **list = NULL;
    int n = scandir(FOLDER, &list, is_file, by_name);

    for (int i = 0; i < n; i++) {
        struct buf path = { 0 };

        buf_addf(&path, "%s/%s", FOLDER, list[i]->d_name);
        if (i < n - (FILES_MAX - 1))
            unlink(buf_c(&path));
        buf_fini(&path);
        free(list[i]);
    }
    free(list);
}

/* A header is a line, whatever a client has called itself. */
static void
add_line(struct buf *out, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_addf(out, "%s: ", name);
    for (size_t i = 0; i < value.n && i < TEXT_MAX; i++) {
        char c = value.p[i];

        buf_add_char(out, (unsigned char)c < ' ' || c == 127 ? '?' : c);
    }
    buf_add_char(out, '\n');
}

static void
describe(const struct child *c, const struct ipc_quarantine *q, struct buf *out)
{
    size_t n = q->bytes.n < BYTES_MAX ? q->bytes.n : BYTES_MAX;
    char at[CLOCK_TEXT_SIZE];

    clock_text(q->id, at);
    add_line(out, "time", str_from(at));
    add_line(out, "process", str_from(c->name));
    add_line(out, "what", q->what);
    buf_addf(out, "deaths: %u\n", (unsigned)q->deaths);
    add_line(out, "connection", q->jid);
    add_line(out, "from", q->from);
    add_line(out, "to", q->to);
    deaths_of(c->master, c->name, DEATHS_TOLD, "death: ", out);
    buf_addf(out, "bytes: %zu of %llu, after the next line, as they were\n\n", n,
            (unsigned long long)q->size);
    buf_add(out, q->bytes.p, n);
    buf_add_char(out, '\n');
}

void
quarantine_on_frame(void *ctx, ipc_addr from, const void *msg, int *fd)
{
    struct child *c = ctx;
    const struct ipc_quarantine *q = msg;
    struct buf name = { 0 }, text = { 0 }, note = { 0 };
    time_t at = (time_t)(q->id / 1000000);
    char stamp[32] = "";
    struct tm tm;

    (void)from, (void)fd;
    if (gmtime_r(&at, &tm))
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    buf_addf(&name, "%s/%s-worker-%u-%06u", FOLDER, stamp, c->slot,
            (unsigned)(q->id % 1000000));
    if (access(buf_c(&name), F_OK) != 0) {
        make_room();
        describe(c, q, &text);
        if (notes_write(buf_c(&name), buf_str(&text), true) == 0) {
            log_error(NULL, "set aside: %.*s that %u processes died of, in %s/%s",
                    STR_ARG(q->what), (unsigned)q->deaths, c->master->home.path,
                    buf_c(&name));
            buf_addf(&note, "%.*s%s%.*s in %s", STR_ARG(q->what),
                    q->jid.n ? " of " : "", STR_ARG(q->jid), buf_c(&name));
            deaths_add(
                    c->master, c->name, (int32_t)c->pid, "set aside", buf_str(&note));
        }
    }
    buf_fini(&name);
    buf_fini(&text);
    buf_fini(&note);
}
