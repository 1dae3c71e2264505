/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "peek.h"
#include "aes.h"
#include "bound.h"
#include "chacha.h"
#include "crypto.h"
#include "slots.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define BLOCK AES_BLOCK_BYTES
/** The longest lead; the trailer's block stands behind it */
#define LEAD_BLOCKS_MAX 4
#define SPAN_BYTES ((LEAD_BLOCKS_MAX + 1) * BLOCK)
/** Blocks of a packet whose headers are longer than the lead */
#define LONG_BLOCKS 16
/** Blocks that wait for the cipher, so that it has many at once */
#define QUEUE_BLOCKS 64

/** How blocks are read without the others: `PeekMethod` in algorithms.ts */
typedef enum {
	METHOD_COUNTER,
	METHOD_CBC,
	METHOD_CHACHA20,
	METHOD_CLEAR,
	METHOD_COUNT,
} method_t;

/** Reasons why a packet is not read, as the caller numbers them, in the order of native-peek.ts */
typedef enum {
	REFUSE_UNKNOWN_SPI,
	REFUSE_TRUNCATED,
	REFUSE_COUNT,
} refusal_t;

typedef struct {
	uint32_t spi;
	method_t method;
	uint8_t iv_bytes;
	uint8_t icv_bytes;
	uint8_t lead_blocks;
	/** number of the first block of the key stream that is the payload's */
	uint32_t first;
	/** what stands in front of the IV in a counter block, or in a nonce */
	uint8_t prefix[4];
	union {
		aes_t aes;
		uint8_t chacha[CHACHA_KEY_BYTES];
	} key;
} peek_sa_t;

/** AES blocks of several packets, and where the result goes */
typedef struct {
	const aes_t *keys[QUEUE_BLOCKS];
	aes_block_t blocks[QUEUE_BLOCKS];
	struct {
		/** to xor with what comes out */
		const uint8_t *text;
		uint8_t *out;
		uint8_t bytes;
	} rest[QUEUE_BLOCKS];
	size_t count;
} queue_t;

static void destroy(void *context)
{
	peek_sa_t *this = context;

	if (this->method == METHOD_COUNTER || this->method == METHOD_CBC)
	{
		aes_wipe(&this->key.aes);
	}
	OPENSSL_cleanse(this, sizeof(*this));
	free(this);
}

static const slots_kind_t kind = {
	.name = "no table of peekCreate()",
	.tag = { 0x64766970615f7065, 0x656b5f7461626c65 },
	.destroy = destroy,
	.verdicts = REFUSE_COUNT,
};

/** Bytes of ciphertext in an ESP packet; CBC's last block must be whole */
static int64_t cipher_bytes(const peek_sa_t *sa, uint32_t esp_bytes)
{
	int64_t bytes = (int64_t)esp_bytes - ESP_HEADER_BYTES - sa->iv_bytes -
					sa->icv_bytes;

	if (sa->method == METHOD_CBC && bytes >= ESP_TRAILER_BYTES)
	{
		bytes -= bytes % BLOCK;
	}
	return bytes;
}

static void flush(queue_t *queue)
{
	aes_each(queue->keys, queue->blocks, queue->count);
	for (size_t i = 0; i < queue->count; i++)
	{
		aes_block_t *block = &queue->blocks[i];
		const uint8_t *text = queue->rest[i].text;
		uint8_t *out = queue->rest[i].out;

		if (queue->rest[i].bytes == BLOCK)
		{
			aes_xor(block, text);
			memcpy(out, block, BLOCK);
			continue;
		}
		for (int b = 0; b < queue->rest[i].bytes; b++)
		{
			out[b] = block->bytes[b] ^ text[b];
		}
	}
	queue->count = 0;
}

/** Put block number k of a payload in the queue */
static void add_block(queue_t *queue, const peek_sa_t *sa,
					  const uint8_t *payload, uint32_t bytes, uint32_t k,
					  uint8_t *out)
{
	const size_t i = queue->count++;
	uint8_t *block = queue->blocks[i].bytes;
	const uint32_t start = k * BLOCK;

	queue->keys[i] = &sa->key.aes;
	queue->rest[i].out = out;
	queue->rest[i].bytes = BLOCK;
	if (sa->method == METHOD_CBC)
	{
		/* the first one's predecessor is the IV */
		memcpy(block, payload + start, BLOCK);
		queue->rest[i].text = payload + start - BLOCK;
	}
	else
	{
		const uint32_t counter = sa->first + k;

		memcpy(block, sa->prefix, 4);
		memcpy(block + 4, payload - 8, 8);
		block[12] = 0;
		block[13] = 0;
		block[14] = (uint8_t)(counter >> 8);
		block[15] = (uint8_t)counter;
		queue->rest[i].text = payload + start;
		if (bytes - start < BLOCK)
		{
			queue->rest[i].bytes = (uint8_t)(bytes - start);
		}
	}
	if (queue->count == QUEUE_BLOCKS)
	{
		flush(queue);
	}
}

/** Bytes from .. to of a payload under ChaCha20; from begins a block of 16 bytes */
static void read_chacha(const peek_sa_t *sa, const uint8_t *payload,
						uint32_t from, uint32_t to, uint8_t *out)
{
	uint8_t nonce[CHACHA_NONCE_BYTES], stream[CHACHA_BLOCK_BYTES];

	memcpy(nonce, sa->prefix, 4);
	memcpy(nonce + 4, payload - 8, 8);
	while (from < to)
	{
		const uint32_t number = from / CHACHA_BLOCK_BYTES;
		const uint32_t end = (number + 1) * CHACHA_BLOCK_BYTES;

		chacha_block(sa->key.chacha, nonce, sa->first + number, stream);
		for (; from < to && from < end; from++)
		{
			*out++ = payload[from] ^ stream[from % CHACHA_BLOCK_BYTES];
		}
	}
	OPENSSL_cleanse(stream, sizeof(stream));
}

/** Blocks from .. to of a payload, as far as it goes */
static void read_blocks(queue_t *queue, const peek_sa_t *sa,
						const uint8_t *payload, uint32_t bytes, uint32_t from,
						uint32_t to, uint8_t *out)
{
	const uint32_t end = to * BLOCK < bytes ? to * BLOCK : bytes;

	switch (sa->method)
	{
		case METHOD_CHACHA20:
			read_chacha(sa, payload, from * BLOCK, end, out);
			break;
		case METHOD_CLEAR:
			memcpy(out, payload + from * BLOCK, end - from * BLOCK);
			break;
		default:
			for (uint32_t k = from; k * BLOCK < end; k++)
			{
				add_block(queue, sa, payload, bytes, k,
						  out + (k - from) * BLOCK);
			}
			break;
	}
}

/** Where what is read goes: lead and trailer, bytes in front of the trailer, bytes at hand */
enum { PLAIN, INNER, AVAILABLE };

static const bound_kind_t binding = {
	.table = &kind,
	.others = 3,
	.other = { [PLAIN] = { napi_uint8_array, SPAN_BYTES },
			   [INNER] = { napi_uint32_array, 1 },
			   [AVAILABLE] = { napi_uint8_array, 1 } },
};

napi_value peek_bind(napi_env env, napi_callback_info info)
{
	return bound_create(env, info, &binding);
}

napi_value peek_create(napi_env env, napi_callback_info info)
{
	VECTOR_ARGS(env, info, 1);
	return slots_create(env, &kind, argv[0]);
}

static bool set_key(peek_sa_t *this, const uint8_t *key, size_t bytes)
{
	switch (this->method)
	{
		case METHOD_COUNTER:
			return this->iv_bytes == 8 &&
				   aes_init(&this->key.aes, key, bytes, false);
		case METHOD_CBC:
			return this->iv_bytes == BLOCK &&
				   aes_init(&this->key.aes, key, bytes, true);
		case METHOD_CHACHA20:
			if (this->iv_bytes != 8 || bytes != CHACHA_KEY_BYTES)
			{
				return false;
			}
			memcpy(this->key.chacha, key, bytes);
			return true;
		default:
			return true;
	}
}

/** shape: SPI, method, bytes of IV, bytes of ICV, blocks of lead, number of the first block */
#define SHAPE_ENTRIES 6

napi_value peek_install(napi_env env, napi_callback_info info)
{
	slots_t *table;
	peek_sa_t *sa;

	VECTOR_ARGS(env, info, 5);
	table = slots_get(env, argv[0], &kind);
	if (!table)
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 1, slot);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, shape);
	VECTOR_ARG_ARRAY(env, 3, napi_uint8_array, uint8_t, prefix);
	VECTOR_ARG_ARRAY(env, 4, napi_uint8_array, uint8_t, key);
	VECTOR_CHECK(env, shape_entries == SHAPE_ENTRIES && shape[1] < METHOD_COUNT &&
				 shape[2] <= BLOCK && shape[3] <= 64 && shape[4] > 0 &&
				 shape[4] <= LEAD_BLOCKS_MAX && shape[5] <= 2 &&
				 prefix_entries <= sizeof(sa->prefix), "no shape of an SA");
	VECTOR_CHECK(env, (sa = calloc(1, sizeof(*sa))), "out of memory");
	sa->spi = shape[0];
	sa->method = shape[1];
	sa->iv_bytes = (uint8_t)shape[2];
	sa->icv_bytes = (uint8_t)shape[3];
	sa->lead_blocks = (uint8_t)shape[4];
	sa->first = shape[5];
	for (size_t i = 0; i < prefix_entries; i++)
	{
		sa->prefix[i] = prefix[i];
	}
	if (!set_key(sa, key, key_entries) || !slots_put(table, slot, sa))
	{
		destroy(sa);
		napi_throw_type_error(env, "ERR_DVIPA_ARGUMENT",
							  "the key or the slot does not fit");
	}
	return NULL;
}

napi_value peek_remove(napi_env env, napi_callback_info info)
{
	return slots_remove(env, info, &kind);
}

/** The SA of packet i and the bytes of its ciphertext; NULL with a verdict on the packet if it can not be read */
static const peek_sa_t *sa_of(const slots_t *table, vector_t *vector,
							  int32_t slot, uint32_t i, uint32_t *bytes)
{
	const peek_sa_t *sa = slots_at(table, slot);
	const uint32_t offset = vector->offset[i];
	int64_t cipher;

	if (!sa)
	{
		vector->verdict[i] = table->verdicts[REFUSE_UNKNOWN_SPI];
		return NULL;
	}
	cipher = cipher_bytes(sa, vector->length[i]);
	if (cipher < ESP_TRAILER_BYTES ||
		(uint64_t)offset + vector->length[i] > vector->slab_bytes)
	{
		vector->verdict[i] = table->verdicts[REFUSE_TRUNCATED];
		return NULL;
	}
	if (read_be32(vector->slab + offset) != sa->spi)
	{
		vector->verdict[i] = table->verdicts[REFUSE_UNKNOWN_SPI];
		return NULL;
	}
	*bytes = (uint32_t)cipher;
	return sa;
}

napi_value peek_decrypt(napi_env env, napi_callback_info info)
{
	bound_t *this;
	vector_t *vector;
	uint32_t count, bytes, *inner;
	uint8_t *plain, *available;
	queue_t queue;

	VECTOR_ARGS(env, info, 2);
	if (!(this = bound_get(env, argv, &binding, &count)))
	{
		return NULL;
	}
	vector = &this->vector;
	plain = this->other[PLAIN];
	inner = this->other[INNER];
	available = this->other[AVAILABLE];
	queue.count = 0;
	for (uint32_t i = 0; i < count; i++)
	{
		const peek_sa_t *sa;
		const uint8_t *payload;
		uint8_t *out = plain + (size_t)i * SPAN_BYTES;
		uint32_t lead, last;

		if (vector->verdict[i] ||
			!(sa = sa_of(this->table, vector, this->slot[i], i, &bytes)))
		{
			continue;
		}
		payload = vector->slab + vector->offset[i] + ESP_HEADER_BYTES + sa->iv_bytes;
		lead = sa->lead_blocks * BLOCK;
		last = (bytes - 1) / BLOCK;
		read_blocks(&queue, sa, payload, bytes, 0, sa->lead_blocks, out);
		read_blocks(&queue, sa, payload, bytes, last, last + 1,
					out + LEAD_BLOCKS_MAX * BLOCK);
		inner[i] = bytes - ESP_TRAILER_BYTES;
		available[i] = (uint8_t)(inner[i] < lead ? inner[i] : lead);
	}
	flush(&queue);
	OPENSSL_cleanse(queue.blocks, sizeof(queue.blocks));
	return NULL;
}

napi_value peek_decrypt_long(napi_env env, napi_callback_info info)
{
	slots_t *table;
	const peek_sa_t *sa;
	int64_t bytes;
	queue_t queue;
	napi_value result;

	VECTOR_ARGS(env, info, 6);
	table = slots_get(env, argv[0], &kind);
	if (!table)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_UINT32(env, 2, offset);
	VECTOR_ARG_UINT32(env, 3, length);
	VECTOR_ARG_UINT32(env, 4, slot);
	VECTOR_ARG_ARRAY(env, 5, napi_uint8_array, uint8_t, out);
	sa = slots_at(table, slot);
	VECTOR_CHECK(env, sa, "no SA in this slot");
	bytes = cipher_bytes(sa, length);
	VECTOR_CHECK(env, bytes >= ESP_TRAILER_BYTES &&
				 (uint64_t)offset + length <= slab_entries &&
				 out_entries >= LONG_BLOCKS * BLOCK,
				 "a packet reaches out of the slab or the result");
	queue.count = 0;
	read_blocks(&queue, sa, slab + offset + ESP_HEADER_BYTES + sa->iv_bytes,
				(uint32_t)bytes, 0, LONG_BLOCKS, out);
	flush(&queue);
	OPENSSL_cleanse(queue.blocks, sizeof(queue.blocks));
	VECTOR_TRY(env, napi_create_uint32(env, bytes < LONG_BLOCKS * BLOCK ?
						(uint32_t)bytes : LONG_BLOCKS * BLOCK, &result));
	return result;
}
