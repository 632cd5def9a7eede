#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/*
 * ejabberd's loglevel names, the most urgent first (log_level_name has them as text).
 */
enum log_level {
    LOG_LEVEL_NONE,
    LOG_LEVEL_EMERGENCY,
    LOG_LEVEL_ALERT,
    LOG_LEVEL_CRITICAL,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVELS
};

/* What a line is about. All members optional; each becomes a field of the line. */
struct log_ctx {
    uint64_t conn;     /* connection id, 0: none */
    struct str jid;    /* the client's, as far as it is known */
    struct str host;   /* virtual host or remote domain */
    struct str remote; /* network address */
};

const char *log_level_name(enum log_level level);
int log_level_from(
        struct str name, enum log_level *ret_level); /* names and 0..5; -EINVAL */

/* Who writes: "worker 2". The text is copied. */
void log_set_process(const char *name);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Where to: a descriptor that is open for appending (stays the caller's), or syslog. */
void log_set_fd(int fd);
void log_set_syslog(bool on);
void log_set_json(bool on);

/* Called with each line that is written, before it is: for the ring of last words. */
void log_set_tap(void (*tap)(enum log_level level, struct str text));

/*
 * One line: time, level, process, text, then the fields of ctx (which may be NULL).
 * Control characters are escaped, so that no input can forge a line. Never a password.
 */
void log_write(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
bool log_wants(enum log_level level);

#define log_at(level, ...) (log_wants(level) ? log_write(level, __VA_ARGS__) : (void)0)
#define log_critical(...)  log_at(LOG_LEVEL_CRITICAL, __VA_ARGS__)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)   log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)    log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
