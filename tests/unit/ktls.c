/*
 * ktls.c -- what the kernel is told, and where it offers it, what it makes of it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/tls.h>
#endif

#include <cmocka.h>

#include "worker/ktls.h"

static void
state_for(enum record_cipher cipher, uint64_t sequence, struct tls_state *ret)
{
    uint8_t secret[RECORD_SECRET_MAX] = { 1, 2, 3, (uint8_t)cipher };

    *ret = (struct tls_state){ .cipher = (uint8_t)cipher,
        .secret_size = cipher == RECORD_AES_256_GCM ? 48 : 32 };
    assert_int_equal(record_half_init(ret, &ret->wr, secret, sequence), 0);
}

#if defined(__linux__)
/* RFC 8446, 5.3: salt and iv in a row are the IV of the key schedule. */
static void
the_kernel_is_told_our_keys(void **state)
{
    static const uint8_t sequence[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct tls12_crypto_info_aes_gcm_128 *a = (void *)(uint64_t[8]){ 0 };
    struct tls12_crypto_info_aes_gcm_256 *b = (void *)(uint64_t[8]){ 0 };
    struct tls12_crypto_info_chacha20_poly1305 *c = (void *)(uint64_t[8]){ 0 };
    struct tls_state st;

    (void)state;
    state_for(RECORD_AES_128_GCM, UINT64_C(0x0102030405060708), &st);
    assert_int_equal(ktls_keys(&st, a), sizeof *a);
    assert_int_equal(a->info.version, TLS_1_3_VERSION);
    assert_int_equal(a->info.cipher_type, TLS_CIPHER_AES_GCM_128);
    assert_memory_equal(a->key, st.wr.key, 16);
    assert_memory_equal(a->salt, st.wr.iv, 4);
    assert_memory_equal(a->iv, st.wr.iv + 4, 8);
    assert_memory_equal(a->rec_seq, sequence, 8);

    state_for(RECORD_AES_256_GCM, UINT64_C(0x0102030405060708), &st);
    assert_int_equal(ktls_keys(&st, b), sizeof *b);
    assert_int_equal(b->info.cipher_type, TLS_CIPHER_AES_GCM_256);
    assert_memory_equal(b->key, st.wr.key, 32);
    assert_memory_equal(b->salt, st.wr.iv, 4);
    assert_memory_equal(b->iv, st.wr.iv + 4, 8);
    assert_memory_equal(b->rec_seq, sequence, 8);

    state_for(RECORD_CHACHA20, UINT64_C(0x0102030405060708), &st);
    assert_int_equal(ktls_keys(&st, c), sizeof *c);
    assert_int_equal(c->info.cipher_type, TLS_CIPHER_CHACHA20_POLY1305);
    assert_memory_equal(c->key, st.wr.key, 32);
    assert_memory_equal(c->iv, st.wr.iv, 12);
    assert_memory_equal(c->rec_seq, sequence, 8);
}
#endif

static void
connect_pair(int fd[2])
{
    struct sockaddr_in in = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    int l = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(l, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&in, &len), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&in, sizeof in), 0);
    fd[1] = accept(l, NULL, NULL);
    assert_true(fd[1] >= 0);
    close(l);
}

/* The next record at fd, opened as the client would. */
static int
read_record(int fd, struct tls_state *st, uint8_t *plain, uint8_t *type)
{
    char record[RECORD_CIPHER_MAX + RECORD_HEADER];
    int n, len;

    assert_int_equal(recv(fd, record, RECORD_HEADER, MSG_WAITALL), RECORD_HEADER);
    len = record_length((struct str){ record, RECORD_HEADER });
    assert_true(len > RECORD_HEADER);
    n = len - RECORD_HEADER;
    assert_int_equal(recv(fd, record + RECORD_HEADER, (size_t)n, MSG_WAITALL), n);
    n = record_open(st, &st->wr, (struct str){ record, (size_t)len }, plain, type);
    st->wr.sequence++;
    return n;
}

static void
the_kernel_makes_the_same_records(void **state)
{
    static uint8_t plain[RECORD_CIPHER_MAX];
    int fd[2], r;

    (void)state;
    for (enum record_cipher c = 0; c < RECORD_CIPHERS; c++) {
        struct tls_state st;
        uint8_t type;

        connect_pair(fd);
        r = ktls_attach(fd[0]);
        if (r < 0) {
            print_message("the kernel does not offer it: %s\n", strerror(-r));
            close(fd[0]);
            close(fd[1]);
            skip();
        }
        assert_int_equal(send(fd[0], "clear", 5, 0), 5); /* before the keys */
        assert_int_equal(recv(fd[1], plain, 5, MSG_WAITALL), 5);
        state_for(c, 7, &st);
        assert_int_equal(ktls_send_keys(fd[0], &st), 0);
        assert_int_equal(send(fd[0], "text", 4, 0), 4);
        assert_int_equal(read_record(fd[1], &st, plain, &type), 4);
        assert_int_equal(type, RECORD_DATA);
        assert_memory_equal(plain, "text", 4);
        assert_int_equal(
                ktls_send_record(fd[0], RECORD_HANDSHAKE, "\x18\0\0\1\0", 5), 0);
        assert_int_equal(read_record(fd[1], &st, plain, &type), 5);
        assert_int_equal(type, RECORD_HANDSHAKE);
        assert_int_equal(record_half_update(&st, &st.wr), 0);
        assert_int_equal(ktls_send_keys(fd[0], &st), 0);
        assert_int_equal(ktls_send_record(fd[0], RECORD_ALERT, "\1\0", 2), 0);
        assert_int_equal(read_record(fd[1], &st, plain, &type), 2);
        assert_int_equal(type, RECORD_ALERT);
        close(fd[0]);
        close(fd[1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__linux__)
        cmocka_unit_test(the_kernel_is_told_our_keys),
#endif
        cmocka_unit_test(the_kernel_makes_the_same_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
