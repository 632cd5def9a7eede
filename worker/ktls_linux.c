/*
 * ktls_linux.c -- TLS records made by Linux
 *
 * The module `tls` must be there already: a worker may load none. Key updates need
 * Linux 6.14; before that a client that renews its keys, or 2^23 records, would have to
 * end the connection, so an older kernel counts as one without it.
 */
#include "worker/ktls.h"

#if defined(__linux__)

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "base/mem.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

enum {
    LEAST_MAJOR = 6,
    LEAST_MINOR = 14
};

static bool
can_update_keys(void)
{
    struct utsname u;
    long major, minor;
    char *dot;

    if (uname(&u) < 0)
        return false;
    major = strtol(u.release, &dot, 10);
    minor = *dot == '.' ? strtol(dot + 1, NULL, 10) : 0;
    return major > LEAST_MAJOR || (major == LEAST_MAJOR && minor >= LEAST_MINOR);
}

int
ktls_attach(int fd)
{
    if (!can_update_keys())
        return -EOPNOTSUPP;
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") < 0 ? -errno : 0;
}

/* All three are put together from the same parts, of different sizes. */
#define FILL(keys, kind, cipher)                                \
    do {                                                        \
        size_t salt_n = kind##_SALT_SIZE;                       \
        (keys)->info.version = TLS_1_3_VERSION;                 \
        (keys)->info.cipher_type = (cipher);                    \
        memcpy((keys)->key, st->wr.key, kind##_KEY_SIZE);       \
        memcpy((keys)->salt, st->wr.iv, salt_n);                \
        memcpy((keys)->iv, st->wr.iv + salt_n, kind##_IV_SIZE); \
        memcpy((keys)->rec_seq, sequence, kind##_REC_SEQ_SIZE); \
        n = sizeof *(keys);                                     \
    } while (0)

size_t
ktls_keys(const struct tls_state *st, void *ret_keys)
{
    union {
        struct tls12_crypto_info_aes_gcm_128 aes128;
        struct tls12_crypto_info_aes_gcm_256 aes256;
        struct tls12_crypto_info_chacha20_poly1305 chacha;
    } keys = { 0 };
    uint8_t sequence[8];
    size_t n = 0;

    _Static_assert(sizeof keys <= KTLS_KEYS_MAX, "the caller's room");
    for (int i = 0; i < 8; i++)
        sequence[i] = (uint8_t)(st->wr.sequence >> (56 - 8 * i));
    switch ((enum record_cipher)st->cipher) {
    case RECORD_AES_128_GCM:
        FILL(&keys.aes128, TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_128);
        break;
    case RECORD_AES_256_GCM:
        FILL(&keys.aes256, TLS_CIPHER_AES_GCM_256, TLS_CIPHER_AES_GCM_256);
        break;
    case RECORD_CHACHA20:
        FILL(&keys.chacha, TLS_CIPHER_CHACHA20_POLY1305, TLS_CIPHER_CHACHA20_POLY1305);
        break;
    case RECORD_CIPHERS:
        break;
    }
    memcpy(ret_keys, &keys, n);
    mem_wipe(&keys, sizeof keys);
    return n;
}

int
ktls_send_keys(int fd, const struct tls_state *st)
{
    uint8_t keys[KTLS_KEYS_MAX];
    size_t n = ktls_keys(st, keys);
    int r = setsockopt(fd, SOL_TLS, TLS_TX, keys, (socklen_t)n) < 0 ? -errno : 0;

    mem_wipe(keys, sizeof keys);
    return r;
}

int
ktls_send_record(int fd, enum record_type type, const void *p, size_t n)
{
    struct iovec iov = { (void *)(uintptr_t)p, n };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(1)];
    } control = { 0 };
    struct msghdr mh = { .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room };

    control.head.cmsg_level = SOL_TLS;
    control.head.cmsg_type = TLS_SET_RECORD_TYPE;
    control.head.cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(&control.head) = (unsigned char)type;
    return sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EIO;
}

#endif
