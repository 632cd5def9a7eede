/*
 * sasl_client.c -- a SCRAM client that shares no code with auth/
 */
#include "tests/unit/rig/sasl_client.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

void
client_b64(char *out, const void *p, size_t n)
{
    EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

static size_t
client_unb64(unsigned char *out, const char *text)
{
    size_t n = strlen(text);
    int got = EVP_DecodeBlock(out, (const unsigned char *)text, (int)n);

    if (got < 0)
        return 0;
    while (n > 0 && text[n - 1] == '=') {
        got--;
        n--;
    }
    return (size_t)got;
}

const char *
client_first(struct scram_client *c)
{
    snprintf(c->bare, sizeof c->bare, "n=%s,r=%s", c->user, c->nonce);
    snprintf(c->first, sizeof c->first, "%s%s", c->header, c->bare);
    return c->first;
}

const char *
client_final(struct scram_client *c, const char *msg, size_t n_msg)
{
    unsigned char salt[256], salted[64], ckey[64], stored[64], sign[64], skey[64];
    char channel[512], cb64[1024], b64[256], without[1600], auth[4608], *h;
    unsigned size = (unsigned)EVP_MD_get_size(c->md), n_out;
    size_t n_salt, n_header = strlen(c->header);

    snprintf(c->server_first, sizeof c->server_first, "%.*s", (int)n_msg, msg);
    if (sscanf(c->server_first, "r=%511[^,],s=%255[^,],i=%u", c->server_nonce, c->salt,
                &c->iterations) != 3)
        return NULL;
    if (strncmp(c->server_nonce, c->nonce, strlen(c->nonce)) != 0 ||
            strlen(c->server_nonce) < strlen(c->nonce) + 20)
        return NULL;
    h = strstr(c->server_first, ",h=");
    snprintf(c->ssdp, sizeof c->ssdp, "%s", h ? h + 3 : "");
    n_salt = client_unb64(salt, c->salt);
    PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt, (int)n_salt,
            (int)c->iterations, c->md, (int)size, salted);
    HMAC(c->md, salted, (int)size, (const unsigned char *)"Client Key", 10, ckey,
            &n_out);
    EVP_Digest(ckey, size, stored, &n_out, c->md, NULL);
    memcpy(channel, c->header, n_header);
    if (c->n_cb)
        memcpy(channel + n_header, c->cb, c->n_cb);
    client_b64(cb64, channel, n_header + c->n_cb);
    snprintf(without, sizeof without, "c=%s,r=%s", cb64, c->server_nonce);
    snprintf(auth, sizeof auth, "%s,%s,%s", c->bare, c->server_first, without);
    HMAC(c->md, stored, (int)size, (const unsigned char *)auth, strlen(auth), sign,
            &n_out);
    for (unsigned i = 0; i < size; i++)
        sign[i] ^= ckey[i];
    client_b64(b64, sign, size);
    snprintf(c->final, sizeof c->final, "%s,p=%s", without, b64);
    HMAC(c->md, salted, (int)size, (const unsigned char *)"Server Key", 10, skey,
            &n_out);
    HMAC(c->md, skey, (int)size, (const unsigned char *)auth, strlen(auth), sign,
            &n_out);
    client_b64(b64, sign, size);
    snprintf(c->server_final, sizeof c->server_final, "v=%s", b64);
    return c->final;
}

bool
client_accepts(const struct scram_client *c, const char *msg, size_t n_msg)
{
    return n_msg == strlen(c->server_final) && memcmp(msg, c->server_final, n_msg) == 0;
}
