/*
 * certs.c -- which certificate proves which domain
 */
#include "worker/certs.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    CERTS_MAX = 4096,
    CHAIN_MAX = 10
};

struct certs {
    X509 **cert;
    EVP_PKEY **key; /* of the certificate at the same place; NULL: an issuer's */
    size_t n, n_keyed;
};

static void
add_key(struct certs *certs, EVP_PKEY *key)
{
    bool used = false;

    for (size_t i = 0; i < certs->n; i++) {
        if (certs->key[i] || X509_check_private_key(certs->cert[i], key) != 1)
            continue;
        EVP_PKEY_up_ref(key);
        certs->key[i] = key;
        certs->n_keyed++;
        used = true;
    }
    if (!used)
        log_warning(NULL, "certfiles: a private key fits no certificate");
    EVP_PKEY_free(key);
    ERR_clear_error();
}

static void
add_cert(struct certs *certs, X509 *cert)
{
    if (certs->n == CERTS_MAX) {
        X509_free(cert);
        return;
    }
    certs->cert = mem_realloc(certs->cert, (certs->n + 1) * sizeof *certs->cert);
    certs->key = mem_realloc(certs->key, (certs->n + 1) * sizeof *certs->key);
    certs->cert[certs->n] = cert;
    certs->key[certs->n++] = NULL;
}

static int
no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

struct certs *
certs_load(struct str pem)
{
    struct certs *certs = mem_zalloc(sizeof *certs);
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    X509 *cert;
    EVP_PKEY *key;

    while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
        add_cert(certs, cert);
    BIO_free(bio);
    bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    while ((key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)))
        add_key(certs, key);
    BIO_free(bio);
    ERR_clear_error();
    return certs;
}

void
certs_free(struct certs **pcerts)
{
    struct certs *certs = *pcerts;

    if (!certs)
        return;
    for (size_t i = 0; i < certs->n; i++) {
        X509_free(certs->cert[i]);
        EVP_PKEY_free(certs->key[i]);
    }
    mem_free_p(certs->cert);
    mem_free_p(certs->key);
    mem_free(pcerts);
}

size_t
certs_count(const struct certs *certs)
{
    return certs ? certs->n_keyed : 0;
}

/* The higher the better; 0: does not name the domain. */
static int
fitness(X509 *cert, const char *domain)
{
    int fit = 0;

    if (X509_check_host(cert, domain, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) == 1)
        fit = 2;
    else if (X509_check_host(cert, domain, 0, 0, NULL) == 1)
        fit = 1;
    if (fit && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
            X509_cmp_current_time(X509_get0_notBefore(cert)) < 0)
        fit += 2; /* an expired one is better than a wrong name, but not than a valid
                     one */
    return fit;
}

static size_t
choose(const struct certs *certs, const char *domain, int *ret_fit)
{
    size_t best = certs->n;
    int best_fit = -1;

    for (size_t i = 0; i < certs->n; i++) {
        int fit;

        if (!certs->key[i])
            continue;
        fit = fitness(certs->cert[i], domain);
        if (fit > best_fit ||
                (fit == best_fit &&
                        ASN1_TIME_compare(X509_get0_notAfter(certs->cert[i]),
                                X509_get0_notAfter(certs->cert[best])) > 0)) {
            best = i;
            best_fit = fit;
        }
    }
    *ret_fit = best_fit;
    return best;
}

static void
add_chain(const struct certs *certs, SSL_CTX *ctx, X509 *cert)
{
    for (int depth = 0; depth < CHAIN_MAX; depth++) {
        X509 *issuer = NULL;

        if (X509_check_issued(cert, cert) == X509_V_OK)
            return; /* a root: the peer has it or does not trust it */
        for (size_t i = 0; i < certs->n && !issuer; i++) {
            if (X509_check_issued(certs->cert[i], cert) == X509_V_OK)
                issuer = certs->cert[i];
        }
        if (!issuer || X509_check_issued(issuer, issuer) == X509_V_OK)
            return;
        SSL_CTX_add1_chain_cert(ctx, issuer);
        cert = issuer;
    }
}

int
certs_use(const struct certs *certs, SSL_CTX *ctx, const char *domain, bool *ret_fits)
{
    int fit;
    size_t i;

    if (!certs || certs->n_keyed == 0)
        return -ENOENT;
    i = choose(certs, domain, &fit);
    *ret_fits = fit >= 3;
    if (SSL_CTX_use_certificate(ctx, certs->cert[i]) != 1 ||
            SSL_CTX_use_PrivateKey(ctx, certs->key[i]) != 1) {
        ERR_clear_error();
        return -EINVAL;
    }
    add_chain(certs, ctx, certs->cert[i]);
    return 0;
}

const char *
certs_describe(const struct certs *certs, const char *domain)
{
    static char text[256];
    char subject[128], until[64] = "";
    int fit;
    size_t i;
    BIO *bio;
    int n;

    if (certs_count(certs) == 0)
        return "none";
    i = choose(certs, domain, &fit);
    X509_NAME_oneline(X509_get_subject_name(certs->cert[i]), subject, sizeof subject);
    bio = BIO_new(BIO_s_mem());
    ASN1_TIME_print(bio, X509_get0_notAfter(certs->cert[i]));
    n = BIO_read(bio, until, sizeof until - 1);
    until[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
    snprintf(text, sizeof text, "%s, valid until %s", subject, until);
    return text;
}
