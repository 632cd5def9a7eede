/*
 * status.c -- counters, and the last words of a process
 *
 * The signal handler only stores into the shared page: it may run at any instruction.
 * backtrace() is called once at the start, so that its library is loaded before the
 * handler needs it.
 */
#include "proc/status.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static struct status_page *own;

static const char *const names[COUNTERS] = {
#define COUNTER(NAME, name, sentence) [COUNTER_##NAME] = name,
#include "proc/counter.def"
#undef COUNTER
};

static const char *const sentences[COUNTERS] = {
#define COUNTER(NAME, name, sentence) [COUNTER_##NAME] = sentence,
#include "proc/counter.def"
#undef COUNTER
};

const char *
counter_name(enum counter c)
{
    return names[c];
}

const char *
counter_sentence(enum counter c)
{
    return sentences[c];
}

void
status_event(enum log_level level, struct str text)
{
    struct status_event *e;

    if (!own)
        return;
    e = &own->event[own->next_event % STATUS_EVENTS];
    e->at_us = clock_wall_us();
    snprintf(
            e->text, sizeof e->text, "[%s] %.*s", log_level_name(level), STR_ARG(text));
    for (char *c = e->text; *c; c++) {
        if (*c == '\n') /* an event is a line */
            *c = ' ';
    }
    own->next_event++;
}

/*
 * Where the program is loaded: an address relative to it can be looked up in the
 * binary.
 */
extern const char __executable_start[] __attribute__((weak));

void
status_use(struct status_page *page)
{
    own = page;
    if (!page)
        return;
    page->program_base = (uint64_t)(uintptr_t)__executable_start;
    page->signal = 0;
    page->n_frames = 0;
    page->transaction = 0;
}

static void
on_fatal(int signo, siginfo_t *info, void *context)
{
    void *frames[STATUS_FRAMES];
    int n;

    (void)context;
    if (own && own->signal == 0) {
        own->signal = signo;
        own->signal_address = (uint64_t)(uintptr_t)info->si_addr;
        n = backtrace(frames, STATUS_FRAMES);
        for (int i = 0; i < n; i++)
            own->frame[i] = (uint64_t)(uintptr_t)frames[i] - own->program_base;
        own->n_frames = (uint32_t)n;
    }
    /* SA_RESETHAND: the second time the system ends us, with the right status. */
    raise(signo);
}

void
status_catch_signals(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    static const int fatal[] = { SIGABRT }; /* the sanitizer reports the others */
#else
    static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS };
#endif
    static char stack[64 * 1024];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_fatal,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND };
    void *frames[2];

    backtrace(frames, 2);
    sigaltstack(&ss, NULL);
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaction(fatal[i], &sa, NULL);
}

void
status_last_words(const struct status_page *page, struct buf *out)
{
    if (page->signal)
        buf_addf(out, "signal %d (%s) at address %#llx\n", page->signal,
                strsignal(page->signal), (unsigned long long)page->signal_address);
    if (page->transaction)
        buf_addf(out, "while handling transaction %llu of connection %016llx, %.*s\n",
                (unsigned long long)page->transaction,
                (unsigned long long)page->transaction_conn, STATUS_JID_SIZE - 1,
                page->transaction_jid);
    for (uint32_t i = 0; i < page->n_frames && i < STATUS_FRAMES; i++)
        buf_addf(out, "stack %u: stanzad+%#llx\n", i,
                (unsigned long long)page->frame[i]);
    for (uint32_t i = 0; i < STATUS_EVENTS; i++) {
        const struct status_event *e =
                &page->event[(page->next_event + i) % STATUS_EVENTS];
        char at[CLOCK_TEXT_SIZE];

        if (e->at_us == 0)
            continue;
        clock_text(e->at_us, at);
        buf_addf(out, "event %s %.*s\n", at, (int)sizeof e->text - 1, e->text);
    }
}

void
status_reset(struct status_page *page)
{
    page->ready = 0;
    page->transaction = 0;
    page->signal = 0;
    page->n_frames = 0;
    memset(page->event, 0, sizeof page->event);
    page->next_event = 0;
}
