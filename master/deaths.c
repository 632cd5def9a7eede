/*
 * deaths.c -- how processes have ended, kept beyond the end of the master
 *
 * A few hundred lines in memory, and a file that is written anew in the turn after: who
 * follows a process that died is started first. A master that dies in between loses a
 * line here; the log has it.
 *
 * When there are too many the oldest planned end goes first: what one is looking for
 * months later is the fault.
 */
#include "master/deaths.h"

#include <errno.h>

#include "base/clock.h"
#include "master/master.h"
#include "master/notes.h"

#define FILE_NAME "deaths"

enum {
    LINES_MAX = 300,
    DETAILS_MAX = 600,
    FILE_MAX = LINES_MAX * (DETAILS_MAX + 200),
    WRITE_MS = 0 /* in the next turn: who follows is started first */
};

static void
on_write(struct loop_timer *timer)
{
    struct master *m = container_of(timer, struct master, deaths.timer);

    notes_write(FILE_NAME, buf_str(&m->deaths.lines), false);
}

static unsigned
count(struct str text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

/* The line that goes when there are too many: how many bytes are before it. */
static struct str
least_wanted(struct str lines)
{
    struct str rest = lines, line, first = STR_NULL;

    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        if (!first.p)
            first = line;
        if (memmem(line.p, line.n, "\tplanned\t", 9))
            return line;
    }
    return first;
}

static void
shorten(struct buf *lines)
{
    struct str all = buf_str(lines), out = least_wanted(all);
    struct buf rest = { 0 };
    size_t before = (size_t)(out.p - all.p), after = before + out.n + 1;

    buf_add(&rest, all.p, before);
    if (after < all.n)
        buf_add(&rest, all.p + after, all.n - after);
    buf_fini(lines);
    *lines = rest;
}

void
deaths_add(struct master *m, const char *process, int32_t pid, const char *how,
        struct str details)
{
    struct buf *lines = &m->deaths.lines;

    buf_addf(lines, "%llu\t%s\t%d\t%s\t", (unsigned long long)clock_wall_us(), process,
            (int)pid, how);
    for (size_t i = 0; i < details.n && i < DETAILS_MAX; i++)
        buf_add_char(lines, (unsigned char)details.p[i] < ' ' ? ' ' : details.p[i]);
    buf_add_char(lines, '\n');
    while (count(buf_str(lines)) > LINES_MAX)
        shorten(lines);
    m->deaths.timer.fn = on_write;
    loop_timer_set(m->loop, &m->deaths.timer, WRITE_MS);
}

void
deaths_of(const struct master *m, const char *process, unsigned n, const char *prefix,
        struct buf *out)
{
    struct str rest = buf_str(&m->deaths.lines), line, found[8];
    unsigned n_found = 0;

    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        struct str fields = line, at, name;

        if (!str_cut(&fields, '\t', &at) || !str_cut(&fields, '\t', &name) ||
                !str_eq_c(name, process))
            continue;
        found[n_found++ % ARRAY_LEN(found)] = line;
    }
    if (n > ARRAY_LEN(found))
        n = ARRAY_LEN(found);
    for (unsigned i = n_found > n ? n_found - n : 0; i < n_found; i++)
        buf_addf(out, "%s%.*s\n", prefix, STR_ARG(found[i % ARRAY_LEN(found)]));
}

void
deaths_load(struct master *m)
{
    int r = notes_read(FILE_NAME, FILE_MAX, &m->deaths.lines);

    if (r < 0 && r != -ENOENT)
        log_warning(NULL, "cannot read %s: %s", FILE_NAME, strerror(-r));
}

void
deaths_fini(struct master *m)
{
    if (m->deaths.timer.place != 0)
        on_write(&m->deaths.timer);
    if (m->loop)
        loop_timer_cancel(m->loop, &m->deaths.timer);
    buf_fini(&m->deaths.lines);
}
