/*
 * main.c -- the command line of stanzad
 *
 * The same binary is every process of the service: one that the master has started
 * finds its control channel in the environment, and everything else over it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "admin/process.h"
#include "auth/process.h"
#include "base/hash.h"
#include "base/killpoint.h"
#include "conf/foreign.h"
#include "master/hello.h"
#include "master/holder.h"
#include "master/keeper.h"
#include "master/master.h"
#include "master/spawn.h"
#include "router/router.h"
#include "sql/op.h"
#include "sql/process.h"
#include "worker/process.h"
#include "worker/slot.h"
#include "xmpp/jid.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif

/*
 * Set for the image that replaces a master: after everybody has ended; to go on with
 * the processes; the same again, because another program could not. And a descriptor of
 * the program to go back to.
 */
#define AGAIN_ENV      "STANZAD_AGAIN"
#define AGAIN_STARTS   "1"
#define AGAIN_REPLACES "2"
#define AGAIN_IS_BACK  "3"
#define BACK_ENV       "STANZAD_BACK"

static const struct proc_role_ops *const roles[PROC_ROLES] = {
    [PROC_HOLDER] = &holder_ops,
    [PROC_KEEPER] = &keeper_ops,
    [PROC_WORKER] = &worker_ops,
    [PROC_ROUTER] = &router_ops,
    [PROC_AUTH] = &auth_ops,
    [PROC_SQL] = &sql_ops,
    [PROC_ADMIN] = &admin_ops,
};

/* The names in a configuration are parts of XMPP addresses. */
static int
prep(struct arena *conf_arena, enum conf_prep_kind kind, struct str in,
        struct str *ret_out)
{
    switch (kind) {
    case CONF_PREP_DOMAIN:
        return jid_prep_domain(conf_arena, in, ret_out);
    case CONF_PREP_USER:
        return jid_prep_local(conf_arena, in, ret_out);
    case CONF_PREP_RESOURCE:
        return jid_prep_resource(conf_arena, in, ret_out);
    }
    return -EINVAL;
}

/* Requests to the database carry the number of an operation: its row in sql/op.def. */
static uint64_t
operations_signature(void)
{
    static const struct hash_key key = { { 5, 6 } };
    uint64_t sum = 0;

    for (unsigned op = 0; sql_op_def((enum sql_op)op); op++) {
        const char *name = sql_op_def((enum sql_op)op)->name;

        sum = sum * 31 + hash_bytes(&key, name, strlen(name));
    }
    return sum;
}

static void __attribute__((noreturn)) usage(void)
{
    fputs("usage: stanzad [-ftvV] [-c file] [-d directory] [-u user]\n", stderr);
    exit(2);
}

/* Made absolute: the server works in its own directory. Lives as long as we do. */
static char *
absolute(const char *path)
{
    char cwd[PATH_MAX], *text;
    size_t n;

    if (*path == '/' || !getcwd(cwd, sizeof cwd))
        return strdup(path);
    n = strlen(cwd) + strlen(path) + 2;
    text = malloc(n);
    if (text)
        snprintf(text, n, "%s/%s", cwd, path);
    return text;
}

static int
check(const struct master_options *opt)
{
    struct conf_report report;
    struct conf *conf = NULL;
    int r;

    conf_report_init(&report);
    r = conf_load(opt->conf_path, &opt->loader, &report, &conf);
    conf_report_print(&report, stderr);
    conf_report_fini(&report);
    if (r == 0)
        conf_explain(conf, stdout);
    conf_free(&conf);
    return r < 0 ? 1 : 0;
}

/*
 * Executes the program once more, with the same options, or another one that goes on
 * with our processes; returns only if that fails.
 */
static int
start_again(
        const struct master_options *opt, const char *exe, int exe_fd, const char *how)
{
    char *argv[10], back[16];
    int n = 0, own;
#define ARG(text) argv[n++] = (char *)(uintptr_t)(text)

    ARG("stanzad");
    if (opt->foreground)
        ARG("-f");
    ARG("-c");
    ARG(opt->conf_path);
    ARG("-d");
    ARG(opt->home);
    if (opt->user) {
        ARG("-u");
        ARG(opt->user);
    }
    ARG(NULL);
#undef ARG
    setenv(AGAIN_ENV, how, 1);
    if (exe_fd >= 0) {
        /* Our own program, for one that cannot go on. */
        own = strcmp(how, AGAIN_REPLACES) == 0 ? open("/proc/self/exe", O_RDONLY) : -1;
        snprintf(back, sizeof back, "%d", own);
        if (own >= 0)
            setenv(BACK_ENV, back, 1);
        fexecve(exe_fd, argv, environ);
    } else {
        execv(exe, argv);
    }
    unsetenv(BACK_ENV);
    execv("/proc/self/exe", argv);
    fprintf(stderr, "stanzad: cannot start again: %s\n", strerror(errno));
    return 1;
}

static void
open_standard_descriptors(void)
{
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 0)
        close(fd);
}

/* What an upgrade must know of this program (master/program.c). */
static void
say_about(bool goes_on)
{
    struct buf text = { 0 };

    program_about(SLOT_LAYOUT, &text);
    fputs(buf_c(&text), stdout);
    fflush(stdout);
    buf_fini(&text);
    if (!goes_on)
        exit(0);
}

static void
options_read(int argc, char **argv, struct master_options *opt, bool *ret_only_check)
{
    const char *again, *back = getenv(BACK_ENV);
    bool about = false;
    uint64_t fd;
    int c;

    *ret_only_check = false;
    while ((c = getopt(argc, argv, "c:d:ftu:vV")) != -1) {
        switch (c) {
        case 'c':
            opt->conf_path = optarg;
            break;
        case 'd':
            opt->home = optarg;
            break;
        case 'f':
            opt->foreground = true;
            break;
        case 't':
            *ret_only_check = true;
            break;
        case 'u':
            opt->user = optarg;
            break;
        case 'v':
            puts("stanzad " STANZAD_VERSION);
            exit(0);
        case 'V':
            about = true;
            break;
        default:
            usage();
        }
    }
    if (optind < argc)
        usage();
    if (about)
        say_about(*ret_only_check);
    again = getenv(AGAIN_ENV);
    opt->again = again != NULL;
    opt->is_back = again && strcmp(again, AGAIN_IS_BACK) == 0;
    opt->replaced = opt->is_back || (again && strcmp(again, AGAIN_REPLACES) == 0);
    if (back && str_to_u64(str_from(back), &fd) == 0 && fcntl((int)fd, F_GETFD) >= 0) {
        opt->back_fd = (int)fd;
        fcntl(opt->back_fd, F_SETFD, FD_CLOEXEC);
    }
    unsetenv(BACK_ENV);
    unsetenv(AGAIN_ENV);
}

int
main(int argc, char **argv)
{
    struct master_options opt = { .conf_path = SYSCONFDIR "/stanzad/stanzad.yml",
        .home = "/var/lib/stanzad",
        .back_fd = -1,
        .layout = SLOT_LAYOUT,
        .loader.prep = prep };
    char *exe, *conf_path, *home;
    bool only_check;
    int control_fd, exe_fd = -1, r = 1;

#if defined(__linux__)
    prctl(PR_SET_NAME, "stanzad"); /* by descriptor the system knows no name */
#endif
    open_standard_descriptors();
    killpoint_begin();
    conf_foreign_load();
    hello_add(operations_signature());
    control_fd = spawn_control_fd();
    if (control_fd >= 0)
        return proc_main(control_fd, &opt.loader, roles);
    options_read(argc, argv, &opt, &only_check);
    exe = spawn_own_path(argv[0]);
    conf_path = absolute(opt.conf_path);
    home = absolute(opt.home);
    if (exe && conf_path && home) {
        opt.conf_path = conf_path;
        opt.home = home;
        opt.loader.home = opt.loader.database_path = opt.loader.log_path = home;
        r = only_check ? check(&opt) : master_run(&opt, exe, &exe_fd);
        if (r < 0)
            r = start_again(&opt, exe, exe_fd,
                    r == MASTER_REPLACE ? AGAIN_REPLACES : AGAIN_STARTS);
        else if (r > 0 && opt.back_fd >= 0 && fcntl(opt.back_fd, F_GETFD) >= 0)
            r = start_again(&opt, exe, opt.back_fd, AGAIN_IS_BACK);
    } else {
        fprintf(stderr, "stanzad: cannot find out its own path: %s\n", strerror(errno));
    }
    free(exe);
    free(conf_path);
    free(home);
    return r;
}
