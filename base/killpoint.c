/*
 * killpoint.c -- dying where it hurts, for tests
 *
 * The page is a file, so that a test can arm a point while the service runs, and so
 * that what was passed is known of processes that are dead. A point that was hit is no
 * longer armed: the successor lives on, unless the test has armed the point again.
 */
#include "base/killpoint.h"

#if defined(STANZAD_KILLPOINTS)
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

enum {
    MAGIC = 0x6b696c6c,
    ROLES = 16
};

/* tests/harness/killpoints.py reads and writes this. */
struct point {
    uint32_t countdown; /* 0: not armed; 1: the next process to pass dies */
    uint32_t roles;     /* bits: whom it is armed for */
    uint32_t n_killed;
    int32_t pid; /* the last that died here */
    uint32_t n_passed[ROLES];
};

struct page {
    uint32_t magic, n;
    struct point point[KILLPOINTS];
};

static const char *const names[] = {
#define KILLPOINT(NAME, name, roles, when, sentence) [KILLPOINT_##NAME] = name,
#include "base/killpoint.def"
#undef KILLPOINT
};

static struct page *page;
static unsigned own_role;
static enum killpoint wanted = KILLPOINTS; /* by STANZAD_KILLPOINT */
static uint64_t wanted_n;

static void
page_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0) {
        p = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (p == MAP_FAILED)
        return;
    page = p;
    if (page->magic != MAGIC || page->n != KILLPOINTS)
        page = NULL; /* of another build */
}

void
killpoint_begin(void)
{
    const char *path = getenv("STANZAD_KILLPOINTS"),
               *text = getenv("STANZAD_KILLPOINT");
    const char *at = text ? strrchr(text, '@') : NULL;

    if (path)
        page_open(path);
    for (unsigned i = 0; at && i < KILLPOINTS; i++) {
        if (strlen(names[i]) == (size_t)(at - text) &&
                strncmp(names[i], text, strlen(names[i])) == 0 &&
                str_to_u64(str_from(at + 1), &wanted_n) == 0)
            wanted = (enum killpoint)i;
    }
}

void
killpoint_role(unsigned role)
{
    own_role = role < ROLES ? role : 0;
}

static void
die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        ;
}

void
killpoint_passed(enum killpoint point)
{
    struct point *p;
    uint32_t n;

    if (point == wanted && own_role == 0 && --wanted_n == 0)
        die();
    if (!page)
        return;
    p = &page->point[point];
    __atomic_add_fetch(&p->n_passed[own_role], 1, __ATOMIC_RELAXED);
    n = __atomic_load_n(&p->countdown, __ATOMIC_ACQUIRE);
    if (!n || !(p->roles & 1u << own_role))
        return;
    while (n > 0 && !__atomic_compare_exchange_n(&p->countdown, &n, n - 1, false,
                            __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        ;
    if (n != 1)
        return;
    p->pid = getpid();
    __atomic_add_fetch(&p->n_killed, 1, __ATOMIC_RELEASE);
    die();
}
#endif
