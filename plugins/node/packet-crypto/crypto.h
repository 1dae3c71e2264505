/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * ESP on whole vectors: what the files of this folder know of each other.
 * esp.c frames packets, a kind of SA protects them (evp_aead.c, evp_cipher.c,
 * mb_gcm.c), table.c holds the SAs of one PacketCrypto.
 *
 * OpenSSL is the one inside node, which exports it (or the libcrypto that node
 * is linked to): nothing else is linked.
 */

#ifndef PACKET_CRYPTO_CRYPTO_H_
#define PACKET_CRYPTO_CRYPTO_H_

#include "worker.h"

#include <openssl/evp.h>
#include <string.h>

#define ESP_HEADER_BYTES 8
#define ESP_TRAILER_BYTES 2
/** of AES, of a counter block, and of an IV at most */
#define BLOCK_BYTES 16
/** HMAC-SHA2-512-256 */
#define ICV_BYTES_MAX 32
/** of the link seal */
#define AAD_BYTES_MAX 16

/** A packet costs as if it were so much longer: with AES-GCM, and nearly with all */
#define PACKET_COST_BYTES 300
/** Packets of one part: framed before any is protected, so that a library can do several at once */
#define PART_MAX 64

/** No packet is as long; lengths of packets fit into what OpenSSL takes */
#define PACKET_BYTES_MAX (1 << 24)

typedef struct sa_t sa_t;
typedef struct table_t table_t;

/** How a packet is protected: the kinds of src/ipsec/algorithms.ts, in this order */
typedef enum {
	/** encrypts and brings its own ICV */
	KIND_AEAD,
	/** brings its own ICV, encrypts nothing */
	KIND_GMAC,
	/** encrypts; a MAC goes with it */
	KIND_CIPHER,
	/** encrypts nothing; a MAC goes with it */
	KIND_NULL,
	KIND_COUNT,
} kind_t;

typedef enum {
	/** the sender numbers it: never zero */
	IV_NUMBERED,
	/** drawn at random */
	IV_RANDOM,
	IV_NONE,
	IV_COUNT,
} iv_t;

typedef enum {
	MAC_NONE,
	MAC_HMAC,
	MAC_XCBC,
	MAC_CMAC,
	MAC_COUNT,
} mac_kind_t;

/** What one SA uses; its rows are in src/ipsec/algorithms.ts */
typedef struct {
	uint32_t spi;
	bool has_esn;
	kind_t kind;
	iv_t iv;
	uint32_t iv_bytes;
	/** what padding aligns to */
	uint32_t align;
	uint32_t icv_bytes;
	mac_kind_t mac;
} suite_t;

/** Bytes of a key, the caller's */
typedef struct {
	const uint8_t *bytes;
	size_t length;
} chunk_t;

/** What an SA is made from, and does not keep */
typedef struct {
	/** OpenSSL's name of the cipher, and of the hash or cipher under the MAC */
	char cipher[32];
	char primitive[32];
	chunk_t encryption;
	chunk_t salt;
	chunk_t integrity;
} keys_t;

/** Where the parts of one ESP packet are, the IV in front of the payload */
typedef struct {
	sa_t *sa;
	/** its place in the vector */
	uint32_t index;
	uint8_t *start;
	uint8_t *payload;
	uint8_t *icv;
	/** halves of its number */
	uint32_t high;
	uint32_t low;
	/** of an AEAD: what is authenticated besides */
	uint8_t aad[AAD_BYTES_MAX];
	uint32_t aad_bytes;
	/** out: the ICV was right, or the packet is sealed */
	bool is_done;
	/** a library works on it: opened() or sealed() ends it, after mb_flush() */
	bool is_pending;
	/** meanwhile: what it works with, and what the packet had in its place */
	uint8_t nonce[BLOCK_BYTES];
	uint8_t carried[4];
	uint8_t mac[ICV_BYTES_MAX];
} place_t;

/**
 * An SA with its contexts: key schedules are made once, a packet sets the IV
 * only. A kind of SA embeds this first.
 */
struct sa_t {
	suite_t suite;
	/** about what a byte costs, in picoseconds: see table_share() */
	uint32_t cost;
	/**
	 * Verify, then decrypt in place. Sets is_done if the ICV was right; else
	 * the packet is as it was, and no plaintext of it anywhere. Or leaves it
	 * pending, with nothing but its ICV changed. Workers open and seal side by
	 * side: whatever a packet changes is the worker's or the packet's.
	 */
	void (*open)(sa_t *this, place_t *place, worker_t *worker);
	/**
	 * Encrypt in place and write the ICV. Sets is_done, unless the library
	 * failed: then the packet is of no use.
	 */
	void (*seal)(sa_t *this, place_t *place, worker_t *worker);
	/** The same ends of a packet that is pending, is_done if the library did its part */
	void (*opened)(sa_t *this, place_t *place, worker_t *worker);
	void (*sealed)(sa_t *this, place_t *place);
	/** Wipe and free it */
	void (*destroy)(sa_t *this);
};

/** Verdicts, as the caller numbers them; src/io/native-crypto.ts has the order */
typedef enum {
	VERDICT_UNKNOWN_SPI,
	VERDICT_TRUNCATED,
	VERDICT_MALFORMED,
	VERDICT_ICV,
	VERDICT_PADDING,
	VERDICT_DUMMY,
	VERDICT_NO_NUMBER,
	VERDICT_TOO_BIG,
	VERDICT_FAILED,
	VERDICT_COUNT,
} verdict_name_t;

/** The SAs of one PacketCrypto by slot, and what they work with */
struct table_t {
	sa_t **slots;
	uint32_t slot_count;
	uint8_t verdicts[VERDICT_COUNT];
	/** use intel-ipsec-mb for what it has */
	bool has_mb;
	/** who works on its packets; NULL: the caller alone */
	const struct crew_port *crew;
	napi_ref crew_object;
	worker_t *workers;
	unsigned worker_count;
};

/** libraries(): which there are, and what is missing of the others */
napi_value crypto_libraries(napi_env env, napi_callback_info info);

/** create(hasIpsecMb, verdicts, crew) -> table; without a crew the caller works alone */
napi_value table_create(napi_env env, napi_callback_info info);

/** install(table, slot, suite, cipher, primitive, key, integrityKey) */
napi_value table_install(napi_env env, napi_callback_info info);

/** remove(table, slot): wipes the contexts; none there is harmless */
napi_value table_remove(napi_env env, napi_callback_info info);

/** The table in an object made by table_create(), or NULL with a pending exception */
table_t *table_get(napi_env env, napi_value object);

/** The SA in a slot, NULL if there is none */
sa_t *table_sa(const table_t *table, int32_t slot);

/** About what a packet under an SA costs, in picoseconds: see table_share() */
static inline uint64_t sa_cost(const sa_t *sa, uint32_t length)
{
	return (uint64_t)sa->cost * (PACKET_COST_BYTES + (uint64_t)length);
}

/** Does packets from .. to of a vector, at most PART_MAX of them */
typedef void (*table_part_t)(void *vector, worker_t *worker, uint32_t from,
							 uint32_t to);

/**
 * Do packets 0 .. count part by part: by the crew, side by side, if that is worth
 * it, else here.
 *
 * @param cost		of all, the sum of sa_cost()
 */
void table_share(table_t *table, table_part_t part, void *vector,
				 uint32_t count, uint64_t cost);

/** open(table, slab, offset, length, saSlot, sequenceHigh, sequenceLow, nextHeader, verdict, count) -> opened */
napi_value esp_open(napi_env env, napi_callback_info info);

/** seal(table, slab, offset, length, saSlot, sequenceHigh, sequenceLow, ivHigh, ivLow, nextHeader, verdict, count, isNumbered, randomIvs) */
napi_value esp_seal(napi_env env, napi_callback_info info);

/** linkSeal(table, slot, slab, offset, length, verdict, marked, count, epoch) */
napi_value link_seal(napi_env env, napi_callback_info info);

/** linkOpen(table, slot, slab, offset, length, verdict, marked, count, epoch) */
napi_value link_open(napi_env env, napi_callback_info info);

/** An AEAD, or GMAC, by OpenSSL, for so many workers; NULL if it has not this cipher, or not so */
sa_t *evp_aead_create(const suite_t *suite, const keys_t *keys, unsigned workers);

/** A cipher, or none, with a MAC, by OpenSSL, for so many workers; NULL if it has them not, or not so */
sa_t *evp_cipher_create(const suite_t *suite, const keys_t *keys, unsigned workers);

/** Decrypt a packet of such an SA in place, whose ICV was compared elsewhere */
bool evp_cipher_decrypt(sa_t *sa, const place_t *place, const worker_t *worker);

/** Copy a chunk, which may be empty */
static inline void chunk_copy(uint8_t *to, chunk_t from)
{
	if (from.length)
	{
		memcpy(to, from.bytes, from.length);
	}
}

static inline uint32_t read_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
		   (uint32_t)at[2] << 8 | at[3];
}

static inline void write_be32(uint8_t *at, uint32_t value)
{
	at[0] = value >> 24;
	at[1] = value >> 16;
	at[2] = value >> 8;
	at[3] = value;
}

#endif /* PACKET_CRYPTO_CRYPTO_H_ */
