#ifndef TESTS_UNIT_RIG_SASL_CLIENT_H
#define TESTS_UNIT_RIG_SASL_CLIENT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A SCRAM client that shares no code with auth/: its own parsing, and OpenSSL's
 * one-shot functions.
 */
struct scram_client {
    const EVP_MD *md;
    const char *header; /* "n,,", "p=tls-exporter,,a=…," */
    const void *cb;     /* channel binding data to claim */
    size_t n_cb;
    const char *user; /* already escaped */
    const char *password;
    const char *nonce;
    char bare[512], first[1024], server_first[2048], final[2048], server_final[264];
    char server_nonce[512], salt[256], ssdp[256];
    unsigned iterations;
};

const char *client_first(struct scram_client *c);
/* The answer to the server's first message; NULL when that is not right. */
const char *client_final(struct scram_client *c, const char *msg, size_t n_msg);
bool client_accepts(const struct scram_client *c, const char *msg, size_t n_msg);

void client_b64(char *out, const void *p, size_t n);

#endif
