/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * AES-GCM (RFC 4106) by intel-ipsec-mb's direct API.
 */

#include "mb.h"

#if __has_include(<intel-ipsec-mb.h>)

#include "mb_library.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define NONCE_BYTES 12
/** of a byte */
#define COST 65

typedef struct {
	sa_t public;
	aes_gcm_enc_dec_t encrypt;
	aes_gcm_enc_dec_t decrypt;
	/** the IV follows in a nonce */
	uint8_t salt[NONCE_BYTES];
	/** with the powers of the hash key */
	struct gcm_key_data key;
} gcm_t;

/** One message; the whole ICV comes out */
static void run(const gcm_t *this, aes_gcm_enc_dec_t function, const place_t *place,
				uint8_t *out, size_t text, uint8_t icv[BLOCK_BYTES])
{
	struct gcm_context_data context;
	const suite_t *suite = &this->public.suite;
	uint8_t nonce[NONCE_BYTES];

	memcpy(nonce, this->salt, NONCE_BYTES - suite->iv_bytes);
	memcpy(nonce + NONCE_BYTES - suite->iv_bytes,
		   place->payload - suite->iv_bytes, suite->iv_bytes);
	function(&this->key, &context, out, place->payload, text, nonce, place->aad,
			 place->aad_bytes, icv, BLOCK_BYTES);
}

/** Plaintext comes with the ICV: it is taken elsewhere until that was compared */
static void gcm_open(sa_t *public, place_t *place, worker_t *worker)
{
	gcm_t *this = (gcm_t*)public;
	uint8_t icv[BLOCK_BYTES];
	size_t text = place->icv - place->payload;
	uint8_t *plain = worker_scratch(worker, text);

	if (!plain)
	{
		place->is_done = false;
		return;
	}
	run(this, this->decrypt, place, plain, text, icv);
	place->is_done = !CRYPTO_memcmp(icv, place->icv, public->suite.icv_bytes);
	if (place->is_done)
	{
		memcpy(place->payload, plain, text);
	}
	/* the right ICV of a forged packet is nobody's business */
	OPENSSL_cleanse(icv, sizeof(icv));
}

static void gcm_seal(sa_t *public, place_t *place, worker_t *worker)
{
	gcm_t *this = (gcm_t*)public;
	uint8_t icv[BLOCK_BYTES];

	(void)worker;
	run(this, this->encrypt, place, place->payload, place->icv - place->payload, icv);
	memcpy(place->icv, icv, public->suite.icv_bytes);
	place->is_done = true;
}

static void gcm_destroy(sa_t *public)
{
	OPENSSL_cleanse(public, sizeof(gcm_t));
	free(public);
}

sa_t *mb_gcm_create(const suite_t *suite, const keys_t *keys)
{
	IMB_MGR *manager = mb_manager();
	gcm_t *this;

	if (!manager || suite->kind != KIND_AEAD || !strstr(keys->cipher, "-gcm") ||
		keys->salt.length + suite->iv_bytes != NONCE_BYTES)
	{
		return NULL;
	}
	this = aligned_alloc(64, (sizeof(*this) + 63) / 64 * 64);
	if (!this)
	{
		return NULL;
	}
	memset(this, 0, sizeof(*this));
	this->public = (sa_t){
		.suite = *suite,
		.cost = COST,
		.open = gcm_open,
		.seal = gcm_seal,
		.destroy = gcm_destroy,
	};
	chunk_copy(this->salt, keys->salt);
	switch (keys->encryption.length)
	{
		case 16:
			this->encrypt = manager->gcm128_enc;
			this->decrypt = manager->gcm128_dec;
			IMB_AES128_GCM_PRE(manager, keys->encryption.bytes, &this->key);
			break;
		case 24:
			this->encrypt = manager->gcm192_enc;
			this->decrypt = manager->gcm192_dec;
			IMB_AES192_GCM_PRE(manager, keys->encryption.bytes, &this->key);
			break;
		case 32:
			this->encrypt = manager->gcm256_enc;
			this->decrypt = manager->gcm256_dec;
			IMB_AES256_GCM_PRE(manager, keys->encryption.bytes, &this->key);
			break;
		default:
			gcm_destroy(&this->public);
			return NULL;
	}
	return &this->public;
}

#else

sa_t *mb_gcm_create(const suite_t *suite, const keys_t *keys)
{
	(void)suite;
	(void)keys;
	return NULL;
}

#endif
