/*
 * log.c -- lines that answer "why"
 *
 * A line is built in memory and written by one system call to a descriptor opened for
 * appending, so that lines of several processes never mix. A log that cannot be written
 * is no reason to stop serving: the line is dropped.
 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static struct {
    char process[32];
    enum log_level level;
    int fd;
    bool syslog, json;
    void (*tap)(enum log_level, struct str);
} logger = { .process = "stanzad", .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO };

static const char *const level_names[LOG_LEVELS] = { "none", "emergency", "alert",
    "critical", "error", "warning", "notice", "info", "debug" };

const char *
log_level_name(enum log_level level)
{
    return level < LOG_LEVELS ? level_names[level] : "none";
}

int
log_level_from(struct str name, enum log_level *ret_level)
{
    /*
     * The numbers of old ejabberd files: none, critical, error, warning, info, debug.
     */
    static const enum log_level old[] = { LOG_LEVEL_NONE, LOG_LEVEL_CRITICAL,
        LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

    for (enum log_level l = 0; l < LOG_LEVELS; l++) {
        if (str_eq_c(name, level_names[l])) {
            *ret_level = l;
            return 0;
        }
    }
    if (name.n == 1 && name.p[0] >= '0' && name.p[0] <= '5') {
        *ret_level = old[name.p[0] - '0'];
        return 0;
    }
    return -EINVAL;
}

void
log_set_process(const char *name)
{
    snprintf(logger.process, sizeof logger.process, "%s", name);
}

void
log_set_level(enum log_level level)
{
    logger.level = level;
}

enum log_level
log_get_level(void)
{
    return logger.level;
}

void
log_set_fd(int fd)
{
    logger.fd = fd;
}

void
log_set_syslog(bool on)
{
    if (on && !logger.syslog)
        openlog("stanzad", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    logger.syslog = on;
}

void
log_set_json(bool on)
{
    logger.json = on;
}

void
log_set_tap(void (*tap)(enum log_level level, struct str text))
{
    logger.tap = tap;
}

bool
log_wants(enum log_level level)
{
    return level <= logger.level;
}

static void
add_escaped(struct buf *b, struct str s, bool json)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\\' || (json && c == '"'))
            buf_addf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_addf(b, json ? "\\u%04x" : "\\x%02x", c);
        else
            buf_add_char(b, (char)c);
    }
}

static void
add_field(struct buf *b, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_addf(b, logger.json ? ",\"%s\":\"" : " %s=", name);
    add_escaped(b, value, logger.json);
    if (logger.json)
        buf_add_char(b, '"');
}

static void
add_fields(struct buf *b, const struct log_ctx *ctx)
{
    char conn[24];

    if (!ctx)
        return;
    if (ctx->conn) {
        snprintf(conn, sizeof conn, "%016llx", (unsigned long long)ctx->conn);
        add_field(b, "conn", str_from(conn));
    }
    add_field(b, "jid", ctx->jid);
    add_field(b, "host", ctx->host);
    add_field(b, "remote", ctx->remote);
}

static void
log_line(
        struct buf *b, enum log_level level, const struct log_ctx *ctx, struct str text)
{
    char now[CLOCK_TEXT_SIZE];

    clock_text(clock_wall_us(), now);
    if (logger.json) {
        buf_addf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"text\":\"",
                now, log_level_name(level), logger.process);
        add_escaped(b, text, true);
        buf_add_char(b, '"');
        add_fields(b, ctx);
        buf_add_c(b, "}\n");
        return;
    }
    buf_addf(b, "%s [%s] %s: ", now, log_level_name(level), logger.process);
    add_escaped(b, text, false);
    add_fields(b, ctx);
    buf_add_char(b, '\n');
}

static void
log_to_syslog(enum log_level level, const struct log_ctx *ctx, struct str text)
{
    struct buf b = { 0 };

    buf_addf(&b, "%s: ", logger.process);
    add_escaped(&b, text, false);
    add_fields(&b, ctx);
    /* Our levels from emergency on are syslog's, one higher. */
    syslog((int)level - 1, "%s", buf_c(&b));
    buf_fini(&b);
}

void
log_write(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
{
    struct buf text = { 0 }, line = { 0 };
    int saved = errno;
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (logger.tap)
        logger.tap(level, buf_str(&text));
    if (logger.syslog) {
        log_to_syslog(level, ctx, buf_str(&text));
    } else if (logger.fd >= 0) {
        log_line(&line, level, ctx, buf_str(&text));
        while (write(logger.fd, line.p, line.n) < 0 && errno == EINTR)
            ;
    }
    buf_fini(&text);
    buf_fini(&line);
    errno = saved;
}
