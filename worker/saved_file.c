/*
 * saved_file.c -- the form of a file of saved sessions
 *
 * Numbers are in the host's order, as the file stays on its machine; the head says
 * which order that is. The checksum is over the head without it, and the records. It is
 * what decides whether a segment counts: a writer that dies, or a full disk, leaves one
 * that does not, and nothing of what was there before is touched.
 */
#include "worker/saved_file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    VERSION = 1,
    ORDER = 0x01020304,
    SUM_SIZE = 32, /* SHA-256 */
    FLUSH_AT = 1 << 20
};
static const char magic[8] = "stanzadS";

struct head {
    char magic[8];
    uint32_t version, order;
    uint64_t saved_us, n_bytes;
    uint32_t n_sessions, n_records;
    uint8_t sum[SUM_SIZE];
};

_Static_assert(sizeof(struct head) == SAVED_STATES_AT, "padding");

struct record_head {
    uint32_t kind, n;
};

struct saved_writer {
    int fd, error;
    off_t start, at; /* of the segment; where what is in buf goes */
    struct buf buf;
    struct head head;
    EVP_MD_CTX *sum;
};

static void
put(struct saved_writer *f, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0 && f->error == 0) {
        ssize_t part = pwrite(f->fd, p, n, f->at);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0) {
            f->error = part < 0 ? -errno : -EIO;
            return;
        }
        p += part;
        n -= (size_t)part;
        f->at += part;
    }
}

static void
flush(struct saved_writer *f)
{
    put(f, f->buf.p, f->buf.n);
    buf_reset(&f->buf, 2 * FLUSH_AT);
}

/*
 * Where the whole segments end. What is behind was left by a writer that was killed; it
 * must go, as a reader comes no further than there.
 */
static off_t
end_of_whole(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    struct saved_segment segment;
    struct str file = STR_NULL;
    size_t at = 0;

    if (end <= 0 || saved_map(fd, &file) < 0)
        return end < 0 ? -errno : end;
    while (saved_segment_next(file, &at, &segment) == 1)
        ;
    saved_unmap(&file);
    if ((off_t)at < end && ftruncate(fd, (off_t)at) < 0)
        return -errno;
    return (off_t)at;
}

struct saved_writer *
saved_writer_new(int fd, uint32_t n_sessions, uint64_t now_us)
{
    struct saved_writer *f = mem_zalloc(sizeof *f);

    f->fd = fd;
    f->start = end_of_whole(fd);
    if (f->start < 0)
        f->error = (int)f->start;
    f->at = f->start + (off_t)sizeof f->head;
    f->head = (struct head){
        .version = VERSION, .order = ORDER, .saved_us = now_us, .n_sessions = n_sessions
    };
    memcpy(f->head.magic, magic, sizeof magic);
    f->sum = EVP_MD_CTX_new();
    if (!f->sum || EVP_DigestInit_ex(f->sum, EVP_sha256(), NULL) != 1)
        f->error = -EIO;
    memset(buf_reserve(&f->buf, n_sessions), SAVED_WAITS, n_sessions);
    buf_added(&f->buf, n_sessions);
    flush(f);
    return f;
}

off_t
saved_writer_states_at(const struct saved_writer *f)
{
    return f->start + SAVED_STATES_AT;
}

static void
summed(struct saved_writer *f, const void *bytes, size_t n)
{
    if (f->error == 0 && EVP_DigestUpdate(f->sum, bytes, n) != 1)
        f->error = -EIO;
    buf_add(&f->buf, bytes, n);
    f->head.n_bytes += n;
}

void
saved_writer_add(struct saved_writer *f, enum saved_kind kind, struct str bytes)
{
    struct record_head head = { .kind = kind, .n = (uint32_t)bytes.n };

    summed(f, &head, sizeof head);
    if (bytes.n)
        summed(f, bytes.p, bytes.n);
    f->head.n_records++;
    if (f->buf.n >= FLUSH_AT)
        flush(f);
}

static int
finish_sum(EVP_MD_CTX *sum, struct head *head)
{
    uint8_t made[EVP_MAX_MD_SIZE];

    memset(head->sum, 0, sizeof head->sum);
    if (EVP_DigestUpdate(sum, head, sizeof *head) != 1 ||
            EVP_DigestFinal_ex(sum, made, NULL) != 1)
        return -EIO;
    memcpy(head->sum, made, sizeof head->sum);
    return 0;
}

int
saved_writer_end(struct saved_writer **at)
{
    struct saved_writer *f = *at;
    int r;

    flush(f);
    if (f->error == 0)
        f->error = finish_sum(f->sum, &f->head);
    f->at = f->start;
    put(f, &f->head, sizeof f->head);
    if (f->error == 0 && fsync(f->fd) < 0)
        f->error = -errno;
    r = f->error;
    if (r < 0 && f->start >= 0 && ftruncate(f->fd, f->start) < 0)
        r = f->error; /* what is left there has no checksum that fits */
    EVP_MD_CTX_free(f->sum);
    buf_fini(&f->buf);
    mem_free(at);
    return r;
}

int
saved_map(int fd, struct str *ret)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) < 0)
        return -errno;
    *ret = STR_NULL;
    if (st.st_size == 0)
        return 0;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    *ret = (struct str){ p, (size_t)st.st_size };
    return 0;
}

void
saved_unmap(struct str *file)
{
    if (file->p)
        munmap((void *)(uintptr_t)file->p, file->n);
    *file = STR_NULL;
}

static bool
is_whole(const struct head *head, struct str records)
{
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    struct head made = *head;
    bool ok = sum && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1 &&
              (records.n == 0 || EVP_DigestUpdate(sum, records.p, records.n) == 1) &&
              finish_sum(sum, &made) == 0 && memcmp(made.sum, head->sum, SUM_SIZE) == 0;

    EVP_MD_CTX_free(sum);
    return ok;
}

int
saved_segment_next(struct str file, size_t *at, struct saved_segment *ret)
{
    size_t left = file.n - *at;
    struct head head;
    struct str records;

    if (left == 0)
        return 0;
    if (left < sizeof head)
        return -EBADMSG;
    memcpy(&head, file.p + *at, sizeof head);
    left -= sizeof head;
    if (memcmp(head.magic, magic, sizeof magic) != 0 || head.version != VERSION ||
            head.order != ORDER || head.n_sessions > left ||
            head.n_bytes > left - head.n_sessions)
        return -EBADMSG;
    records.p = file.p + *at + sizeof head + head.n_sessions;
    records.n = head.n_bytes;
    if (!is_whole(&head, records))
        return -EBADMSG;
    *ret = (struct saved_segment){ .saved_us = head.saved_us,
        .n_sessions = head.n_sessions,
        .states_at = *at + sizeof head,
        .records = records };
    *at += sizeof head + head.n_sessions + records.n;
    return 1;
}

bool
saved_record_next(struct str *rest, enum saved_kind *ret_kind, struct str *ret)
{
    struct record_head head;

    if (rest->n < sizeof head)
        return false;
    memcpy(&head, rest->p, sizeof head);
    if (head.n > rest->n - sizeof head)
        return false;
    *ret_kind = (enum saved_kind)head.kind;
    *ret = (struct str){ rest->p + sizeof head, head.n };
    rest->p += sizeof head + head.n;
    rest->n -= sizeof head + head.n;
    return true;
}
