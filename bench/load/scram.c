/*
 * scram.c -- SCRAM-SHA-1, the client's side
 */
#include "bench/load/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

struct keys {
    unsigned char client[20], stored[20];
};

static struct map known; /* by "salt rounds" */

void
scram_first(struct buf *ret_b64, struct buf *ret_bare, const char *user)
{
    struct buf message = { 0 };

    buf_addf(ret_bare, "n=%s,r=%016llx", user, (unsigned long long)rand_u64());
    buf_addf(&message, "n,,%s", buf_c(ret_bare));
    b64_encode(ret_b64, buf_str(&message));
    buf_fini(&message);
}

static const struct keys *
keys_of(const char *salt64, int rounds, const char *password)
{
    struct buf name = { 0 }, salt = { 0 };
    unsigned char salted[20];
    struct keys *k;

    buf_addf(&name, "%s %d", salt64, rounds);
    k = map_get(&known, buf_str(&name));
    if (!k && b64_decode(&salt, str_from(salt64)) == 0) {
        k = mem_alloc(sizeof *k);
        PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (unsigned char *)salt.p,
                (int)salt.n, rounds, EVP_sha1(), 20, salted);
        HMAC(EVP_sha1(), salted, 20, (const unsigned char *)"Client Key", 10, k->client,
                NULL);
        EVP_Digest(k->client, 20, k->stored, NULL, EVP_sha1(), NULL);
        map_set(&known, buf_str(&name), k); /* which keeps the name */
        name = (struct buf){ 0 };
    }
    buf_fini(&name);
    buf_fini(&salt);
    return k;
}

int
scram_final(struct buf *ret_b64, const struct buf *bare, struct str challenge_b64,
        const char *password)
{
    struct buf first = { 0 }, final = { 0 }, message = { 0 };
    char nonce[256] = "", salt64[128] = "";
    unsigned char proof[20];
    const struct keys *k;
    int rounds = 0, r = -1;

    if (b64_decode(&first, challenge_b64) < 0 ||
            sscanf(buf_c(&first), "r=%255[^,],s=%127[^,],i=%d", nonce, salt64,
                    &rounds) != 3)
        goto out;
    k = keys_of(salt64, rounds, password);
    if (!k)
        goto out;
    buf_addf(&final, "c=biws,r=%s", nonce);
    buf_addf(&message, "%s,%s,%s", buf_c(bare), buf_c(&first), buf_c(&final));
    HMAC(EVP_sha1(), k->stored, 20, (unsigned char *)message.p, message.n, proof, NULL);
    for (int i = 0; i < 20; i++)
        proof[i] ^= k->client[i];
    buf_add_c(&final, ",p=");
    b64_encode(&final, (struct str){ (char *)proof, 20 });
    b64_encode(ret_b64, buf_str(&final));
    r = 0;
out:
    buf_fini(&first);
    buf_fini(&final);
    buf_fini(&message);
    return r;
}
