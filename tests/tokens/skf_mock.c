/* A token by SKF (GM/T 0016-2012) for tests: one device, application and container; key and certificate are the files
 * named by SKF_MOCK_KEY (PKCS 8 DER) and SKF_MOCK_CERT (DER); the PIN is 123456, three wrong ones lock it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *H;
extern void *d2i_AutoPrivateKey(void *, const unsigned char **, long);
extern void *EVP_PKEY_CTX_new(void *, void *);
extern void EVP_PKEY_CTX_free(void *);
extern int EVP_PKEY_sign_init(void *);
extern int EVP_PKEY_sign(void *, unsigned char *, size_t *, const unsigned char *, size_t);
extern void EVP_PKEY_free(void *);

#define OK 0u
#define FAILED 0x0A000001u
#define NOT_LOGGED_IN 0x0A00002Du
#define PIN_INCORRECT 0x0A000024u
#define PIN_LOCKED 0x0A000025u
#define NO_DEVICE 0x0A000023u

static int device, application, container, logged_in, wrong;

static long load(const char *name, unsigned char *out, long most) {
  const char *path = getenv(name);
  FILE *file = path ? fopen(path, "rb") : NULL;
  long size;
  if (!file) return -1;
  size = (long)fread(out, 1, most, file);
  fclose(file);
  return size;
}

uint32_t SKF_ConnectDev(const char *name, H *out) {
  if (strcmp(name, "mock")) return NO_DEVICE;
  *out = &device;
  return OK;
}
uint32_t SKF_DisConnectDev(H h) { return h == &device ? OK : FAILED; }
uint32_t SKF_OpenApplication(H h, const char *name, H *out) {
  if (h != &device || strcmp(name, "app")) return FAILED;
  *out = &application;
  return OK;
}
uint32_t SKF_CloseApplication(H h) { logged_in = 0; return h == &application ? OK : FAILED; }
uint32_t SKF_VerifyPIN(H h, uint32_t kind, const char *pin, uint32_t *left) {
  if (h != &application || kind != 1) return FAILED;
  if (wrong >= 3) return PIN_LOCKED;
  if (strcmp(pin, "123456")) {
    *left = 3 - ++wrong;
    return PIN_INCORRECT;
  }
  wrong = 0;
  logged_in = 1;
  return OK;
}
uint32_t SKF_OpenContainer(H h, const char *name, H *out) {
  if (h != &application || strcmp(name, "con")) return FAILED;
  *out = &container;
  return OK;
}
uint32_t SKF_CloseContainer(H h) { return h == &container ? OK : FAILED; }
uint32_t SKF_ExportCertificate(H h, uint32_t sign, unsigned char *out, uint32_t *size) {
  static unsigned char buffer[16384];
  long found = load("SKF_MOCK_CERT", buffer, sizeof buffer);
  if (h != &container || !sign || found <= 0) return FAILED;
  if (out) memcpy(out, buffer, found);
  *size = (uint32_t)found;
  return OK;
}

/* DER of r and s into two fields of 64 bytes, right-aligned. */
static int unpack(const unsigned char *der, unsigned char *blob) {
  const unsigned char *at = der + 2;
  int part;
  memset(blob, 0, 128);
  for (part = 0; part < 2; part++) {
    int size = at[1];
    const unsigned char *body = at + 2;
    at = body + size;
    while (size && !*body) body++, size--;
    if (size > 32) return 0;
    memcpy(blob + part * 64 + 64 - size, body, size);
  }
  return 1;
}

uint32_t SKF_ECCSignData(H h, const unsigned char *digest, uint32_t size, unsigned char *blob) {
  static unsigned char buffer[4096];
  unsigned char signature[128];
  const unsigned char *at = buffer;
  size_t length = sizeof signature;
  long found = load("SKF_MOCK_KEY", buffer, sizeof buffer);
  void *key, *context;
  int fine;
  if (h != &container || size != 32) return FAILED;
  if (!logged_in) return NOT_LOGGED_IN;
  key = found > 0 ? d2i_AutoPrivateKey(NULL, &at, found) : NULL;
  if (!key) return FAILED;
  context = EVP_PKEY_CTX_new(key, NULL);
  fine = EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_sign(context, signature, &length, digest, size) == 1;
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(key);
  return fine && unpack(signature, blob) ? OK : FAILED;
}
