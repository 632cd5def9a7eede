/*
 * words.c -- how a process has ended, and its last words, into the log
 */
#include "master/master.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "master/symbols.h"

/* "stack 3: stanzad+0x4711" becomes more readable by the name of the function. */
static void
log_one(const char *exe, const char *name, struct str line)
{
    static const char mark[] = "stanzad+";
    struct buf symbol = { 0 };

    if (str_starts(line, STR("stack "))) {
        const char *at = memmem(line.p, line.n, mark, sizeof mark - 1);

        if (at)
            symbols_find(exe, strtoull(at + sizeof mark - 1, NULL, 16), &symbol);
    }
    log_error(NULL, "%s, last words: %.*s%s%s%s", name, STR_ARG(line),
            symbol.n > 0 ? " (" : "", buf_c(&symbol), symbol.n > 0 ? ")" : "");
    buf_fini(&symbol);
}

void
words_log(
        const struct program *program, const char *name, const struct status_page *page)
{
    struct buf text = { 0 };
    struct str rest, line;
    char exe[32];

    program_link(program, exe);
    status_last_words(page, &text);
    for (rest = buf_str(&text); str_cut(&rest, '\n', &line);) {
        if (line.n > 0)
            log_one(exe, name, line);
    }
    buf_fini(&text);
}

/* The functions that it was in, innermost first; library functions have no names. */
static void
add_stack(const struct child *c, struct buf *out)
{
    const struct status_page *page = c->status;
    unsigned n = 0;
    char exe[32];

    program_link(c->program, exe);
    for (uint32_t i = 0; i < page->n_frames && i < STATUS_FRAMES && n < 8; i++) {
        struct buf symbol = { 0 };

        symbols_find(exe, page->frame[i], &symbol);
        if (symbol.n > 0 && !str_starts(buf_str(&symbol), STR("on_fatal")))
            buf_addf(out, "%s%s", n++ ? " < " : "; stack ", buf_c(&symbol));
        buf_fini(&symbol);
    }
}

/* Into the list of `stanzactl crashes`: what counts of the last words, in one line. */
static void
note(const struct child *c, const char *how, const char *text)
{
    const struct status_page *page = c->status;
    struct buf details = { 0 };

    if (text) {
        buf_add_c(&details, text);
        if (page->signal)
            buf_addf(&details, " at address %#llx",
                    (unsigned long long)page->signal_address);
        if (page->transaction)
            buf_addf(&details, "; while handling connection %016llx, %.*s",
                    (unsigned long long)page->transaction_conn,
                    (int)strnlen(page->transaction_jid, STATUS_JID_SIZE - 1),
                    page->transaction_jid);
        add_stack(c, &details);
    }
    deaths_add(c->master, c->name, (int32_t)c->pid, how, buf_str(&details));
    buf_fini(&details);
}

/* By a signal that nobody sends from outside, or with an error: not by kill -9. */
static bool
is_fault(const struct child *c, const int *status)
{
    if (!status)
        return c->status->signal != 0;
    if (WIFSIGNALED(*status))
        return WTERMSIG(*status) != SIGKILL && WTERMSIG(*status) != SIGTERM;
    return WEXITSTATUS(*status) != 0;
}

void
words_log_end(const struct child *c, const int *status)
{
    int signo =
            status ? (WIFSIGNALED(*status) ? WTERMSIG(*status) : 0) : c->status->signal;
    bool faulted = is_fault(c, status);
    struct buf how = { 0 };
    bool wanted = c->state == CHILD_STOPPING || c->planned;
    bool as_usual = status && WIFEXITED(*status)
                            ? WEXITSTATUS(*status) == 0
                            : signo == 0 || (c->planned && signo == SIGKILL);

    c->status->faulted = faulted;
    c->status->n_faults += faulted;
    if (c->state == CHILD_ASKED && as_usual) {
        log_notice(NULL, "%s (pid %d) had not been told everything; it has ended",
                c->name, (int)c->pid);
        return;
    }
    if (wanted && as_usual) {
        log_debug(NULL, "%s (pid %d) has ended", c->name, (int)c->pid);
        note(c, "planned", NULL);
        return;
    }
    if (signo)
        buf_addf(&how, "was ended by signal %d (%s)", signo, strsignal(signo));
    else if (status)
        buf_addf(&how, "has ended with status %d", WEXITSTATUS(*status));
    else
        buf_add_c(&how, "has ended");
    log_error(NULL, "%s (pid %d) %s", c->name, (int)c->pid, buf_c(&how));
    words_log(c->program, c->name, c->status);
    note(c, faulted ? "fault" : signo ? "killed" : "ended", buf_c(&how));
    buf_fini(&how);
}
