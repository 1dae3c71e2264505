/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "segments.h"

#include <netinet/in.h>
#include <string.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8
/** More fragments, or an offset (RFC 791) */
#define IPV4_FRAGMENT 0x3fff

static inline uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/** Of an even number of bytes, 64 KB at most */
static uint32_t sum16(const uint8_t *at, uint32_t bytes)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < bytes; i += 2)
	{
		sum += get16(at + i);
	}
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/**
 * Where UDP starts behind IPv6; headers that may stand in between are walked
 * (RFC 8200 section 4.1), fragments are none of ours.
 */
static uint32_t ipv6_udp(const uint8_t *packet, uint32_t length)
{
	uint32_t at = IPV6_BYTES, next = packet[6];

	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
		   next == IPPROTO_DSTOPTS)
	{
		if (at + 8 > length)
		{
			return 0;
		}
		next = packet[at];
		at += ((uint32_t)packet[at + 1] + 1) * 8;
	}
	return next == IPPROTO_UDP ? at : 0;
}

bool segments_begin(segments_t *this, const uint8_t *packet, uint32_t length,
					uint32_t size)
{
	segments_t begun = { .packet = packet, .size = size };

	memset(this, 0, sizeof(*this));
	if (length >= IPV4_BYTES && packet[0] >> 4 == 4)
	{
		begun.udp = (packet[0] & 15u) * 4;
		begun.length = get16(packet + 2);
		if (begun.udp < IPV4_BYTES || packet[9] != IPPROTO_UDP ||
			get16(packet + 6) & IPV4_FRAGMENT)
		{
			return false;
		}
		begun.pseudo = sum16(packet + 12, 8);
	}
	else if (length >= IPV6_BYTES && packet[0] >> 4 == 6)
	{
		begun.udp = ipv6_udp(packet, length);
		begun.length = IPV6_BYTES + get16(packet + 4);
		if (!begun.udp)
		{
			return false;
		}
		begun.pseudo = sum16(packet + 8, 32);
	}
	begun.pseudo += IPPROTO_UDP;
	begun.at = begun.udp + UDP_BYTES;
	if (size == 0 || begun.length > length || begun.at >= begun.length ||
		get16(packet + begun.udp + 4) != begun.length - begun.udp)
	{
		return false;
	}
	*this = begun;
	return true;
}

/** The headers, with what differs from datagram to datagram */
static void put_headers(const segments_t *this, uint8_t *to, uint32_t payload)
{
	uint8_t *udp = to + this->udp;
	uint32_t length = UDP_BYTES + payload;

	memcpy(to, this->packet, this->udp + UDP_BYTES);
	if (to[0] >> 4 == 4)
	{
		put16(to + 2, this->udp + length);
		put16(to + 4, get16(to + 4) + this->index);
		put16(to + 10, 0);
		put16(to + 10, ~fold(sum16(to, this->udp)));
	}
	else
	{
		put16(to + 4, this->udp + length - IPV6_BYTES);
	}
	put16(udp + 4, length);
	if (get16(udp + 6))
	{
		put16(udp + 6, fold(this->pseudo + length));
	}
}

uint32_t segments_take(segments_t *this, vector_t *vector, uint32_t from,
					   uint32_t max, uint32_t room, uint64_t *too_long)
{
	uint32_t header = this->udp + UDP_BYTES, filled = 0, payload;
	uint8_t *to;

	while (segments_left(this) && filled < max)
	{
		payload = this->length - this->at;
		if (payload > this->size)
		{
			payload = this->size;
		}
		/* room and payload are each less than 2^32, their sum may not be */
		if (header > room || payload > room - header)
		{
			(*too_long)++;
		}
		else
		{
			to = vector->slab + vector->offset[from + filled];
			put_headers(this, to, payload);
			memcpy(to + header, this->packet + this->at, payload);
			vector->length[from + filled] = header + payload;
			filled++;
		}
		this->at += payload;
		this->index++;
	}
	return filled;
}

napi_value segments_split(napi_env env, napi_callback_info info)
{
	segments_t segments;
	vector_t vector = {};
	uint64_t too_long = 0;
	napi_value result;

	VECTOR_ARGS(env, info, 8);
	VECTOR_ARG_ARRAY(env, 0, napi_uint8_array, uint8_t, packet);
	VECTOR_ARG_UINT32(env, 1, size);
	VECTOR_ARG_ARRAY(env, 2, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 4, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_UINT32(env, 5, room);
	VECTOR_ARG_UINT32(env, 6, from);
	VECTOR_ARG_UINT32(env, 7, max);
	vector.slab = slab;
	vector.slab_bytes = slab_entries;
	vector.offset = offset;
	vector.length = length;
	vector.entries = offset_entries < length_entries ? offset_entries
													 : length_entries;
	VECTOR_CHECK(env, size <= UINT16_MAX && packet_entries <= UINT32_MAX,
				 "a size is out of range");
	VECTOR_CHECK(env, room > 0, "roomBytes must not be 0");
	VECTOR_CHECK(env, vector_has_room(&vector, from, max, room),
				 "a slot reaches out of the slab or the arrays");
	if (!segments_begin(&segments, packet, (uint32_t)packet_entries, size))
	{
		VECTOR_TRY(env, napi_create_int32(env, -1, &result));
		return result;
	}
	VECTOR_TRY(env, napi_create_uint32(env,
					segments_take(&segments, &vector, from, max, room,
								  &too_long), &result));
	return result;
}
