/*
 * stanzactl.c -- the administrator's command
 *
 * It explains commands and asks for passwords by its own copy of the table, and hands
 * everything else to the admin process of the service.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/help.h"
#include "admin/talk.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
    TIMEOUT_S = 15,
    WAIT_S = 60,     /* started, stopped */
    GRACE_MS = 5000, /* beyond what the admin process itself allows others */
    POLL_MS = 100,
    PASSWORD_MAX = 1024,
    FILE_MAX = 100 * 1024 /* it has to fit into a request */
};

enum {
    OPT_NO_TIMEOUT = 256,
    OPT_API_VERSION,
    OPT_MAN_COMMANDS
};

struct options {
    const char *dir;
    bool json, has_timeout;
    unsigned timeout_s; /* 0: for ever */
    unsigned api_version;
};

static const struct option long_options[] = {
    { "dir", required_argument, NULL, 'd' },
    { "json", no_argument, NULL, 'j' },
    { "timeout", required_argument, NULL, 't' },
    { "no-timeout", no_argument, NULL, OPT_NO_TIMEOUT },
    { "version", required_argument, NULL, OPT_API_VERSION },
    { "help", no_argument, NULL, 'h' },
    { "man-commands", no_argument, NULL, OPT_MAN_COMMANDS },
    { NULL, 0, NULL, 0 },
};

static void
print_buf(struct buf *b)
{
    fwrite(b->p, 1, b->n, stdout);
    buf_fini(b);
}

static int
print_help(struct str what, unsigned api_version)
{
    struct buf text = { 0 };
    int r = help_write(&text, what, api_version);

    print_buf(&text);
    return r < 0 ? EXIT_ERROR : EXIT_OK;
}

static bool
number_option(const char *name, const char *text, uint64_t max, unsigned *ret)
{
    uint64_t n;

    if (str_to_u64(str_from(text), &n) < 0 || n > max) {
        fprintf(stderr, "stanzactl: %s must be a number up to %llu, not '%s'\n", name,
                (unsigned long long)max, text);
        return false;
    }
    *ret = (unsigned)n;
    return true;
}

/* 0: go on with argv[optind]; else the exit status plus 1. */
static int
options_parse(int argc, char **argv, struct options *opt)
{
    struct buf text = { 0 };
    int c;

    while ((c = getopt_long(argc, argv, "+d:jt:h", long_options, NULL)) != -1) {
        switch (c) {
        case 'd':
            opt->dir = optarg;
            break;
        case 'j':
            opt->json = true;
            break;
        case 't':
            if (!number_option("the time-out", optarg, 86400, &opt->timeout_s))
                return EXIT_USAGE + 1;
            opt->has_timeout = true;
            break;
        case OPT_NO_TIMEOUT:
            opt->timeout_s = 0;
            opt->has_timeout = true;
            break;
        case OPT_API_VERSION:
            if (!number_option("the API version", optarg, COMMAND_API_LATEST,
                        &opt->api_version))
                return EXIT_ERROR + 1;
            break;
        case 'h':
            return print_help(STR_NULL, opt->api_version) + 1;
        case OPT_MAN_COMMANDS:
            help_manual(&text);
            print_buf(&text);
            return EXIT_OK + 1;
        default:
            fprintf(stderr, "`stanzactl help` explains\n");
            return EXIT_USAGE + 1;
        }
    }
    return 0;
}

/* Says what is wrong, and what to do about it. */
static int
explain(const struct options *opt, int error)
{
    char host[256] = "localhost";

    gethostname(host, sizeof host - 1);
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ECONNREFUSED:
        fprintf(stderr,
                "Failed RPC connection to the node stanzad@%s: nodedown\n"
                "No stanzad is running in %s. Start it (systemctl start stanzad, or\n"
                "stanzad -c FILE -d DIR), or say with -d DIR which one is meant.\n",
                host, opt->dir);
        return EXIT_NOBODY;
    case -EACCES:
    case -EPERM:
        fprintf(stderr,
                "Error: this user may not reach %s/stanzad.sock: run stanzactl as root "
                "or\n"
                "as the user of the service\n",
                opt->dir);
        return EXIT_WRONG_USER;
    case -ETIMEDOUT:
        fprintf(stderr,
                "Error: the service in %s does not answer; its log may say why\n",
                opt->dir);
        return EXIT_ERROR;
    case -EPIPE:
        fprintf(stderr,
                "Error: the service went away before its answer was complete\n");
        return EXIT_ERROR;
    case -E2BIG:
        fprintf(stderr, "Error: the arguments are too many or too long\n");
        return EXIT_USAGE;
    default:
        fprintf(stderr, "Error: no answer from the service in %s: %s\n", opt->dir,
                error == -EBADMSG ? "it is of another version" : strerror(-error));
        return EXIT_ERROR;
    }
}

/* One line without its end; on a terminal without showing it. false: none came. */
static bool
read_line(const char *prompt, bool terminal, char ret[PASSWORD_MAX])
{
    struct termios before, hidden;
    bool ok;

    if (terminal) {
        fputs(prompt, stderr);
        tcgetattr(STDIN_FILENO, &before);
        hidden = before;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    ok = fgets(ret, PASSWORD_MAX, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (ok)
        ret[strcspn(ret, "\r\n")] = '\0';
    return ok;
}

/* A password given as `-`. A new one is asked for twice, as it is not to be seen. */
static bool
read_password(bool is_new, char ret[PASSWORD_MAX])
{
    bool terminal = isatty(STDIN_FILENO), same = true;
    char again[PASSWORD_MAX];

    if (!read_line("Password: ", terminal, ret)) {
        fprintf(stderr, "Error: no password came from standard input\n");
        return false;
    }
    if (terminal && is_new) {
        same = read_line("Again: ", terminal, again) && strcmp(ret, again) == 0;
        mem_wipe(again, sizeof again);
        if (!same)
            fprintf(stderr, "Error: the two are different\n");
    }
    return same;
}

/* Of a file only the content goes to the service, which cannot read files. */
static bool
read_file(const char *name, struct str *ret)
{
    static struct buf content;
    char *at = buf_reserve(&content, FILE_MAX + 1);
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(at, 1, FILE_MAX + 1, f) : 0;
    bool ok = f && !ferror(f);

    if (!ok)
        fprintf(stderr, "Error: cannot read %s: %s\n", name, strerror(errno));
    else if (n > FILE_MAX)
        fprintf(stderr, "Error: %s has more than %d bytes\n", name, FILE_MAX);
    if (f)
        fclose(f);
    buf_added(&content, n <= FILE_MAX ? n : 0);
    *ret = buf_str(&content);
    return ok && n <= FILE_MAX;
}

static bool
read_files(const struct command *c, struct control_request *rq)
{
    for (size_t i = 1; c && i < rq->n_args && i <= c->n_args; i++) {
        if (c->arg[i - 1].type == 'f' && !read_file(rq->arg[i].p, &rq->arg[i]))
            return false;
    }
    return true;
}

static int
run_at_server(const struct options *opt, struct control_request *rq, FILE *out)
{
    const struct command *c = command_find(rq->arg[0], opt->api_version);
    unsigned timeout_s = opt->has_timeout ? opt->timeout_s : TIMEOUT_S;
    static char password[PASSWORD_MAX];
    int status = EXIT_ERROR, r;

    rq->json = opt->json;
    rq->api_version = (uint16_t)opt->api_version;
    rq->timeout_ms = timeout_s * 1000;
    for (size_t i = 1; c && i < rq->n_args && i <= c->n_args; i++) {
        if (c->arg[i - 1].type != 'p' || !str_eq_c(rq->arg[i], "-"))
            continue;
        if (!read_password(c->id != COMMAND_check_password_0, password))
            return EXIT_ERROR;
        rq->arg[i] = str_from(password);
    }
    r = talk(rq, timeout_s ? (int)timeout_s * 1000 + GRACE_MS : -1, out, stderr,
            &status);
    mem_wipe(password, sizeof password);
    fflush(stdout);
    return r < 0 ? explain(opt, r) : status;
}

/* Into the directory of the service, which may not be there yet. 0 or -errno. */
static int
enter(const struct options *opt)
{
    static bool entered;

    if (!entered && chdir(opt->dir) < 0)
        return -errno;
    entered = true;
    return 0;
}

/* What `status` would exit with; -errno when there is no answer. */
static int
ask_status(const struct options *opt)
{
    struct control_request rq = { .api_version = COMMAND_API_LATEST,
        .timeout_ms = 5000,
        .arg = { STR("status") },
        .n_args = 1 };
    int status = EXIT_ERROR, r = enter(opt);

    if (r == 0)
        r = talk(&rq, 5000 + GRACE_MS, NULL, NULL, &status);
    return r < 0 ? r : status;
}

/* `--json` may stand behind the command, too; but a password may be anything. */
static void
take_json(struct options *opt, struct control_request *rq)
{
    const struct command *c = command_find(rq->arg[0], opt->api_version);
    size_t n = 1;

    for (size_t i = 1; i < rq->n_args; i++) {
        if (str_eq_c(rq->arg[i], "--json") &&
                !(c && n <= c->n_args && c->arg[n - 1].type == 'p'))
            opt->json = true;
        else
            rq->arg[n++] = rq->arg[i];
    }
    rq->n_args = n;
}

static bool
is_nobody(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -ECONNREFUSED;
}

static void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static int
wait_for(const struct options *opt, bool wanted_there)
{
    unsigned wait_s = opt->has_timeout ? opt->timeout_s : WAIT_S;
    uint64_t end_ms = clock_ms() + wait_s * (uint64_t)1000;

    for (;;) {
        int r = ask_status(opt);

        if (wanted_there ? r == EXIT_OK : is_nobody(r))
            return EXIT_OK;
        if (r == -EACCES)
            return explain(opt, r);
        if (wait_s > 0 && clock_ms() >= end_ms)
            break;
        pause_ms(POLL_MS);
    }
    fprintf(stderr, "Error: not %s within %u seconds\n",
            wanted_there ? "ready" : "stopped", wait_s);
    return EXIT_ERROR;
}

static int
ping(const struct options *opt)
{
    int r = ask_status(opt);

    puts(r >= 0 ? "pong" : "pang");
    if (r == -EACCES)
        return explain(opt, r);
    return r >= 0 ? EXIT_OK : EXIT_ERROR;
}

/* An admin process that is being replaced says something else. */
static bool
is_answer(struct str text)
{
    return str_starts(text, STR("TIME")) || str_starts(text, STR("["));
}

/* Prints the lines of the table that were not there before. */
static void
print_news(struct str text, size_t *known)
{
    struct str line;
    size_t n = 0;

    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        if (n++ < *known)
            continue;
        printf("%.*s\n", STR_ARG(line));
        *known = n;
    }
    fflush(stdout);
}

/*
 * Until a planned restart is over. The admin process is replaced in between, and the
 * master: that nobody answers for a while means nothing.
 */
static int
follow(const struct options *opt)
{
    struct control_request rq = { .api_version = COMMAND_API_LATEST,
        .json = opt->json,
        .timeout_ms = 5000,
        .arg = { STR("progress") },
        .n_args = 1 };
    uint64_t heard_ms = clock_ms(), end_ms = heard_ms + opt->timeout_s * (uint64_t)1000;
    size_t known = 0;
    int status, r;

    for (;;) {
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);

        status = EXIT_UNDER_WAY;
        r = out ? talk(&rq, 5000 + GRACE_MS, out, out, &status) : -ENOMEM;
        if (out)
            fclose(out);
        if (r == 0 && (n == 0 || !is_answer((struct str){ text, n })))
            status = EXIT_UNDER_WAY;
        else if (r == 0 && (!opt->json || status != EXIT_UNDER_WAY))
            print_news((struct str){ text, n }, &known);
        free(text);
        if (r == 0 && status != EXIT_UNDER_WAY)
            return status;
        if (r == 0)
            heard_ms = clock_ms();
        else if (clock_ms() - heard_ms > WAIT_S * 1000)
            return explain(opt, r);
        if (opt->has_timeout && opt->timeout_s && clock_ms() >= end_ms) {
            fprintf(stderr,
                    "Error: not done within %u seconds; `stanzactl progress` "
                    "tells more\n",
                    opt->timeout_s);
            return EXIT_ERROR;
        }
        pause_ms(POLL_MS);
    }
}

/* Commands that begin something whose end is waited for. */
static bool
is_followed(const struct command *c, const struct control_request *rq)
{
    return c && ((c->id == COMMAND_restart_0 && rq->n_args > 1) ||
                        c->id == COMMAND_upgrade_0);
}

static int
run_at_server_and_follow(
        const struct options *opt, const struct command *c, struct control_request *rq)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out;
    int status;

    if (!is_followed(c, rq))
        return run_at_server(opt, rq, stdout);
    out = open_memstream(&text, &n); /* nothing, or why it could not begin */
    if (!out)
        return explain(opt, -ENOMEM);
    status = run_at_server(opt, rq, out);
    fclose(out);
    if (status == EXIT_OK)
        status = follow(opt);
    else if (n > 0)
        fwrite(text, 1, n, stdout);
    free(text);
    return status;
}

static int
run_here(const struct options *opt, const struct command *c,
        const struct control_request *rq)
{
    struct buf error = { 0 };

    if (command_check(c, rq->arg + 1, rq->n_args - 1, &error) < 0) {
        print_help(str_from(c->name), opt->api_version);
        printf("\nError: %s\n", buf_c(&error));
        buf_fini(&error);
        return EXIT_USAGE;
    }
    switch (c->id) {
    case COMMAND_started_0:
        return wait_for(opt, true);
    case COMMAND_stopped_0:
        return wait_for(opt, false);
    case COMMAND_ping_0:
        return ping(opt);
    default:
        return print_help(rq->n_args > 1 ? rq->arg[1] : STR_NULL, opt->api_version);
    }
}

int
main(int argc, char **argv)
{
    struct options opt = { .dir = getenv("STANZAD_DIR"),
        .api_version = COMMAND_API_LATEST };
    struct control_request rq = { 0 };
    const struct command *c;
    int r = options_parse(argc, argv, &opt);

    if (r > 0)
        return r - 1;
    if (!opt.dir || !*opt.dir)
        opt.dir = "/var/lib/stanzad";
    if (optind == argc) {
        print_help(STR_NULL, opt.api_version);
        return EXIT_NOBODY;
    }
    if (argc - optind > CONTROL_ARGS_MAX)
        return explain(&opt, -E2BIG);
    for (; optind < argc; optind++)
        rq.arg[rq.n_args++] = str_from(argv[optind]);
    take_json(&opt, &rq);
    c = command_find(rq.arg[0], opt.api_version);
    if (c && c->at_client)
        return run_here(&opt, c, &rq);
    if (!read_files(c, &rq)) /* before we leave the folder that names are meant in */
        return EXIT_ERROR;
    r = enter(&opt);
    return r < 0 ? explain(&opt, r) : run_at_server_and_follow(&opt, c, &rq);
}
