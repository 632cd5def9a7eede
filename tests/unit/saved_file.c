/*
 * saved_file.c -- files of saved sessions: what is read is what was written, or nothing
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/saved_file.h"
#include "worker/saved_pack.h"

static int
file_new(void)
{
    char path[] = "/tmp/stanzad-saved-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void
segment_add(int fd, uint32_t n, uint64_t now_us, const char *text)
{
    struct saved_writer *f = saved_writer_new(fd, n, now_us);

    for (uint32_t i = 0; i < n; i++) {
        saved_writer_add(f, SAVED_SESSION, str_from(text));
        saved_writer_add(f, SAVED_MORE, STR_NULL);
    }
    assert_int_equal(saved_writer_end(&f), 0);
    assert_null(f);
}

/* How many segments are good; *ret: what came then. */
static unsigned
segments(struct str file, int *ret)
{
    struct saved_segment s;
    unsigned n = 0;
    size_t at = 0;

    while ((*ret = saved_segment_next(file, &at, &s)) == 1)
        n++;
    return n;
}

static void
test_written_is_read(void **state)
{
    int fd = file_new(), r;
    struct saved_segment s;
    struct str file, rest, bytes;
    enum saved_kind kind;
    size_t at = 0;

    (void)state;
    segment_add(fd, 2, 5, "one");
    segment_add(fd, 1, 7, "two");
    assert_int_equal(saved_map(fd, &file), 0);
    assert_int_equal(saved_segment_next(file, &at, &s), 1);
    assert_int_equal(s.saved_us, 5);
    assert_int_equal(s.n_sessions, 2);
    assert_int_equal(s.states_at, SAVED_STATES_AT);
    assert_memory_equal(file.p + s.states_at, "ww", 2);
    rest = s.records;
    for (int i = 0; i < 2; i++) {
        assert_true(saved_record_next(&rest, &kind, &bytes));
        assert_int_equal(kind, SAVED_SESSION);
        assert_true(str_eq(bytes, STR("one")));
        assert_true(saved_record_next(&rest, &kind, &bytes));
        assert_int_equal(kind, SAVED_MORE);
        assert_int_equal(bytes.n, 0);
    }
    assert_false(saved_record_next(&rest, &kind, &bytes));
    assert_int_equal(segments(file, &r), 2);
    assert_int_equal(r, 0);
    saved_unmap(&file);
    close(fd);
}

/* A byte of the states changes; the segment stays good. */
static void
test_states_are_not_summed(void **state)
{
    int fd = file_new(), r;
    struct str file;

    (void)state;
    segment_add(fd, 2, 5, "one");
    assert_int_equal(pwrite(fd, "g", 1, SAVED_STATES_AT + 1), 1);
    assert_int_equal(saved_map(fd, &file), 0);
    assert_int_equal(segments(file, &r), 1);
    assert_memory_equal(file.p + SAVED_STATES_AT, "wg", 2);
    saved_unmap(&file);
    close(fd);
}

/* Cut anywhere, or any byte changed: whole segments only, and what is whole counts. */
static void
test_damage(void **state)
{
    int fd = file_new(), r;
    struct str file;
    size_t first;
    char *copy;

    (void)state;
    segment_add(fd, 1, 5, "one");
    first = (size_t)lseek(fd, 0, SEEK_END);
    segment_add(fd, 1, 7, "two");
    assert_int_equal(saved_map(fd, &file), 0);
    for (size_t n = 0; n <= file.n; n++) {
        unsigned good = segments((struct str){ file.p, n }, &r);

        assert_int_equal(good, n < first ? 0 : n < file.n ? 1 : 2);
        assert_int_equal(r, n == 0 || n == first || n == file.n ? 0 : -EBADMSG);
    }
    copy = malloc(file.n);
    for (size_t i = 0; i < file.n; i++) {
        bool is_state = i == SAVED_STATES_AT || i == first + SAVED_STATES_AT;

        memcpy(copy, file.p, file.n);
        copy[i] = (char)(copy[i] ^ 0x41);
        assert_int_equal(segments((struct str){ copy, file.n }, &r), is_state    ? 2
                                                                     : i < first ? 0
                                                                                 : 1);
    }
    free(copy);
    saved_unmap(&file);
    close(fd);
}

/* What cannot be written leaves the file as it was. */
static void
test_failure(void **state)
{
    int fd = file_new(), bad, r;
    struct saved_writer *f;
    struct str file;
    char path[64];

    (void)state;
    segment_add(fd, 1, 5, "one");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bad = open(path, O_RDONLY);
    assert_true(bad >= 0);
    f = saved_writer_new(bad, 1, 7);
    saved_writer_add(f, SAVED_SESSION, STR("two"));
    assert_int_equal(saved_writer_end(&f), -EBADF);
    assert_int_equal(saved_map(fd, &file), 0);
    assert_int_equal(segments(file, &r), 1);
    assert_int_equal(r, 0);
    saved_unmap(&file);
    close(bad);
    close(fd);
}

/* A writer was killed before its end; the next one is not lost behind that. */
static void
test_unfinished(void **state)
{
    int fd = file_new(), r, status;
    char *large = calloc(1, 3 << 20);
    struct saved_writer *f;
    struct str file;
    pid_t pid;

    (void)state;
    segment_add(fd, 1, 5, "one");
    pid = fork();
    if (pid == 0) {
        f = saved_writer_new(fd, 2, 7);
        saved_writer_add(f, SAVED_SESSION, (struct str){ large, 3 << 20 });
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(lseek(fd, 0, SEEK_END) > 3 << 20);
    segment_add(fd, 2, 9, "three");
    assert_int_equal(saved_map(fd, &file), 0);
    assert_int_equal(segments(file, &r), 2);
    assert_int_equal(r, 0);
    saved_unmap(&file);
    free(large);
    close(fd);
}

/* Fields by name: others are passed over, missing ones are empty. */
static void
test_fields(void **state)
{
    struct ipc_sm_session s = { .in = 7,
        .max_s = 300,
        .priority = -3,
        .told_available = 1,
        .full = STR("a@b/c"),
        .token = STR("t"),
        .account_flags = 0xffff };
    struct ipc_sm_session got;
    struct saved_wait wait;
    struct buf list = { 0 }, bytes = { 0 };
    struct str jid;

    (void)state;
    ipc_list_add(&list, STR("x@y"));
    ipc_list_add(&list, STR("z"));
    s.directed = ipc_list_of(&list);
    ipc_sm_session_save(&bytes, &s);
    assert_int_equal(ipc_sm_session_load(buf_str(&bytes), &got), 0);
    assert_int_equal(got.in, 7);
    assert_int_equal(got.max_s, 300);
    assert_int_equal(got.priority, -3);
    assert_int_equal(got.told_available, 1);
    assert_int_equal(got.account_flags, 0xffff);
    assert_true(str_eq(got.full, STR("a@b/c")));
    assert_int_equal(got.directed.n, 2);
    assert_true(ipc_list_next(&got.directed, &jid));
    assert_true(str_eq(jid, STR("x@y")));
    assert_int_equal(
            saved_wait_load(buf_str(&bytes), &wait), 0); /* nothing is for it */
    assert_int_equal(wait.until_us, 0);
    for (size_t n = 0; n < bytes.n; n++) { /* never read beyond */
        char *part = malloc(n ? n : 1);

        memcpy(part, bytes.p, n);
        ipc_sm_session_load((struct str){ part, n }, &got);
        free(part);
    }
    buf_fini(&bytes);
    buf_fini(&list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_is_read),
        cmocka_unit_test(test_states_are_not_summed),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
