/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A cipher, or none, and a MAC (evp_cipher.c) by intel-ipsec-mb's jobs: packets
 * of one vector go through the lanes of the processor side by side, which MACs
 * and CBC alone cannot. Deciphering needs no lanes, and happens only after the
 * ICV was compared: that is OpenSSL's.
 */

#include "mb.h"

#if __has_include(<intel-ipsec-mb.h>)

#include "mb_library.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/** Lanes count bytes in 16 bits: what is longer is OpenSSL's */
#define JOB_BYTES_MAX 65000
#define NONCE_BYTES 12
/** Cost of a byte */
#define COST 300
/** of the hashes */
#define HASH_BLOCK_BYTES_MAX 128

/** Of each hash under HMAC: how the library names it, and hashes one block of the key */
typedef struct {
	const char *primitive;
	IMB_HASH_ALG algorithm;
	size_t block_bytes;
	size_t offset;
} hash_t;

static const hash_t hashes[] = {
	{ "sha1", IMB_AUTH_HMAC_SHA_1, 64, offsetof(IMB_MGR, sha1_one_block) },
	{ "sha256", IMB_AUTH_HMAC_SHA_256, 64, offsetof(IMB_MGR, sha256_one_block) },
	{ "sha384", IMB_AUTH_HMAC_SHA_384, 128, offsetof(IMB_MGR, sha384_one_block) },
	{ "sha512", IMB_AUTH_HMAC_SHA_512, 128, offsetof(IMB_MGR, sha512_one_block) },
};

typedef struct {
	sa_t public;
	/** deciphers, and does what is too long for a job */
	sa_t *evp;
	/** what all jobs that seal, and all that only look at the ICV, have in common */
	IMB_JOB seal_job;
	IMB_JOB mac_job;
	uint8_t salt[4];
	size_t salt_bytes;
	/** expanded keys, as the jobs point to them */
	_Alignas(64) uint8_t encrypt_key[15 * BLOCK_BYTES];
	/** HMAC: hashed inner and outer key. XCBC: three keys. CMAC: key and both subkeys */
	_Alignas(64) uint8_t mac_key[11 * BLOCK_BYTES];
	_Alignas(64) uint8_t mac_key2[64];
	_Alignas(64) uint8_t mac_key3[64];
} cipher_t;

/** The job that a packet needs from those of its SA, to be ended by finish() */
static void submit(cipher_t *this, const IMB_JOB *common, place_t *place,
				   worker_t *worker)
{
	const suite_t *suite = &this->public.suite;
	IMB_JOB *job = IMB_GET_NEXT_JOB(worker->jobs);

	*job = *common;
	job->src = place->start;
	job->dst = place->payload;
	job->cipher_start_src_offset_in_bytes = place->payload - place->start;
	job->msg_len_to_cipher_in_bytes = place->icv - place->payload;
	job->msg_len_to_hash_in_bytes = place->icv - place->start;
	job->iv = place->payload - suite->iv_bytes;
	if (suite->iv == IV_NUMBERED)
	{
		memcpy(place->nonce, this->salt, this->salt_bytes);
		memcpy(place->nonce + this->salt_bytes, job->iv, suite->iv_bytes);
		job->iv = place->nonce;
	}
	if (suite->has_esn)
	{
		/* authenticated behind the ciphertext, where the ICV is */
		memcpy(place->carried, place->icv, 4);
		write_be32(place->icv, place->high);
		job->msg_len_to_hash_in_bytes += 4;
	}
	job->auth_tag_output = place->mac;
	job->user_data = place;
	place->is_pending = true;
	place->is_done = false;
	mb_done(IMB_SUBMIT_JOB(worker->jobs));
}

/** The bytes that submit() has borrowed for ESN */
static void give_back(const place_t *place)
{
	if (place->sa->suite.has_esn)
	{
		memcpy(place->icv, place->carried, 4);
	}
}

static bool is_job(const place_t *place)
{
	return place->icv - place->start <= JOB_BYTES_MAX;
}

static void cipher_open(sa_t *public, place_t *place, worker_t *worker)
{
	cipher_t *this = (cipher_t*)public;

	if (is_job(place))
	{
		submit(this, &this->mac_job, place, worker);
		return;
	}
	this->evp->open(this->evp, place, worker);
}

static void cipher_opened(sa_t *public, place_t *place, worker_t *worker)
{
	cipher_t *this = (cipher_t*)public;

	give_back(place);
	place->is_done = place->is_done &&
					 !CRYPTO_memcmp(place->mac, place->icv, public->suite.icv_bytes) &&
					 evp_cipher_decrypt(this->evp, place, worker);
	/* the right ICV of a forged packet is nobody's business */
	OPENSSL_cleanse(place->mac, sizeof(place->mac));
}

static void cipher_seal(sa_t *public, place_t *place, worker_t *worker)
{
	cipher_t *this = (cipher_t*)public;

	if (is_job(place))
	{
		submit(this, &this->seal_job, place, worker);
		return;
	}
	this->evp->seal(this->evp, place, worker);
}

static void cipher_sealed(sa_t *public, place_t *place)
{
	memcpy(place->icv, place->mac, public->suite.icv_bytes);
}

static void cipher_destroy(sa_t *public)
{
	cipher_t *this = (cipher_t*)public;

	if (this->evp)
	{
		this->evp->destroy(this->evp);
	}
	OPENSSL_cleanse(this, sizeof(*this));
	free(this);
}

/** The key of HMAC (RFC 2104), one block of it hashed with each pad */
static bool set_up_hmac(cipher_t *this, IMB_MGR *manager, const keys_t *keys)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
	{
		const hash_t *hash = &hashes[i];
		uint8_t *out[] = { this->mac_key, this->mac_key2 };
		const uint8_t pads[] = { 0x36, 0x5c };
		uint8_t block[HASH_BLOCK_BYTES_MAX];
		hash_one_block_t one_block;

		if (strcmp(hash->primitive, keys->primitive) ||
			keys->integrity.length > hash->block_bytes)
		{
			continue;
		}
		memcpy(&one_block, (uint8_t*)manager + hash->offset, sizeof(one_block));
		for (size_t half = 0; half < 2; half++)
		{
			memset(block, pads[half], sizeof(block));
			for (size_t n = 0; n < keys->integrity.length; n++)
			{
				block[n] ^= keys->integrity.bytes[n];
			}
			one_block(block, out[half]);
		}
		OPENSSL_cleanse(block, sizeof(block));
		this->mac_job.hash_alg = hash->algorithm;
		this->mac_job.u.HMAC._hashed_auth_key_xor_ipad = this->mac_key;
		this->mac_job.u.HMAC._hashed_auth_key_xor_opad = this->mac_key2;
		return true;
	}
	return false;
}

static bool set_up_mac(cipher_t *this, IMB_MGR *manager, const keys_t *keys)
{
	_Alignas(64) uint8_t unused[15 * BLOCK_BYTES];
	IMB_JOB *job = &this->mac_job;

	switch (this->public.suite.mac)
	{
		case MAC_HMAC:
			return set_up_hmac(this, manager, keys);
		case MAC_XCBC:
			IMB_AES_XCBC_KEYEXP(manager, keys->integrity.bytes, this->mac_key,
								this->mac_key2, this->mac_key3);
			job->hash_alg = IMB_AUTH_AES_XCBC;
			job->u.XCBC._k1_expanded = (uint32_t*)this->mac_key;
			job->u.XCBC._k2 = this->mac_key2;
			job->u.XCBC._k3 = this->mac_key3;
			return true;
		case MAC_CMAC:
			IMB_AES_KEYEXP_128(manager, keys->integrity.bytes, this->mac_key, unused);
			OPENSSL_cleanse(unused, sizeof(unused));
			IMB_AES_CMAC_SUBKEY_GEN_128(manager, this->mac_key, this->mac_key2,
										this->mac_key3);
			job->hash_alg = IMB_AUTH_AES_CMAC;
			job->u.CMAC._key_expanded = this->mac_key;
			job->u.CMAC._skey1 = this->mac_key2;
			job->u.CMAC._skey2 = this->mac_key3;
			return true;
		default:
			return false;
	}
}

/** The key of AES in CBC or counter mode, which evp_cipher.c has found to fit */
static void set_up_cipher(cipher_t *this, IMB_MGR *manager, const keys_t *keys)
{
	_Alignas(64) uint8_t unused[15 * BLOCK_BYTES];
	const uint8_t *key = keys->encryption.bytes;
	IMB_JOB *job = &this->seal_job;

	if (this->public.suite.kind == KIND_NULL)
	{
		return;
	}
	switch (keys->encryption.length)
	{
		case 16:
			IMB_AES_KEYEXP_128(manager, key, this->encrypt_key, unused);
			break;
		case 24:
			IMB_AES_KEYEXP_192(manager, key, this->encrypt_key, unused);
			break;
		default:
			IMB_AES_KEYEXP_256(manager, key, this->encrypt_key, unused);
			break;
	}
	OPENSSL_cleanse(unused, sizeof(unused));
	job->enc_keys = this->encrypt_key;
	job->dec_keys = this->encrypt_key;
	job->key_len_in_bytes = keys->encryption.length;
	job->cipher_mode = this->public.suite.iv == IV_RANDOM ? IMB_CIPHER_CBC
														  : IMB_CIPHER_CNTR;
	job->iv_len_in_bytes = this->public.suite.iv == IV_RANDOM ? BLOCK_BYTES
															  : NONCE_BYTES;
}

sa_t *mb_cipher_create(const suite_t *suite, const keys_t *keys, unsigned workers)
{
	IMB_MGR *manager = mb_manager();
	cipher_t *this = manager ? aligned_alloc(64, sizeof(*this)) : NULL;

	if (!this)
	{
		return NULL;
	}
	memset(this, 0, sizeof(*this));
	this->public = (sa_t){
		.suite = *suite,
		.cost = COST,
		.open = cipher_open,
		.opened = cipher_opened,
		.seal = cipher_seal,
		.sealed = cipher_sealed,
		.destroy = cipher_destroy,
	};
	this->evp = evp_cipher_create(suite, keys, workers);
	if (!this->evp || keys->salt.length > sizeof(this->salt) ||
		!set_up_mac(this, manager, keys))
	{
		cipher_destroy(&this->public);
		return NULL;
	}
	chunk_copy(this->salt, keys->salt);
	this->salt_bytes = keys->salt.length;
	this->mac_job.cipher_mode = IMB_CIPHER_NULL;
	this->mac_job.cipher_direction = IMB_DIR_ENCRYPT;
	this->mac_job.chain_order = IMB_ORDER_CIPHER_HASH;
	this->mac_job.auth_tag_output_len_in_bytes = suite->icv_bytes;
	this->seal_job = this->mac_job;
	set_up_cipher(this, manager, keys);
	return &this->public;
}

#else

sa_t *mb_cipher_create(const suite_t *suite, const keys_t *keys, unsigned workers)
{
	(void)suite;
	(void)keys;
	(void)workers;
	return NULL;
}

#endif
