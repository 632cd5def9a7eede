/*
 * words.c -- the last words of a process, into the log
 */
#include "master/master.h"

#include <stdlib.h>
#include <string.h>

#include "master/symbols.h"

/* "stack 3: stanzad+0x4711" becomes more readable by the name of the function. */
static void
log_one(const struct child *c, struct str line)
{
    static const char mark[] = "stanzad+";
    struct buf symbol = { 0 };

    if (str_starts(line, STR("stack "))) {
        const char *at = memmem(line.p, line.n, mark, sizeof mark - 1);

        if (at)
            symbols_find(
                    c->master->exe, strtoull(at + sizeof mark - 1, NULL, 16), &symbol);
    }
    log_error(NULL, "%s, last words: %.*s%s%s%s", c->name, STR_ARG(line),
            symbol.n > 0 ? " (" : "", buf_c(&symbol), symbol.n > 0 ? ")" : "");
    buf_fini(&symbol);
}

void
words_log(const struct child *c)
{
    struct buf text = { 0 };
    struct str rest, line;

    status_last_words(c->status, &text);
    for (rest = buf_str(&text); str_cut(&rest, '\n', &line);) {
        if (line.n > 0)
            log_one(c, line);
    }
    buf_fini(&text);
}
