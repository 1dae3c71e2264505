/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "runs.h"

#include <netinet/in.h>
#include <string.h>

/** Offsets in an IPv4 header (RFC 791) and in one of IPv6 (RFC 8200 section 3) */
#define IPV4_IDENTIFICATION 4
#define IPV4_FRAGMENT 6
#define IPV4_PROTOCOL 9
#define IPV4_SOURCE 12
#define IPV4_DESTINATION 16
#define IPV6_PAYLOAD_LENGTH 4
#define IPV6_NEXT_HEADER 6
#define IPV6_DESTINATION 24
/** Version 4, five words: no options */
#define IPV4_PLAIN 0x45
/** DF, not MF, offset 0 */
#define IPV4_DONT_FRAGMENT 0x4000
/** Offsets in a UDP header (RFC 768) */
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6
/** Both ports */
#define UDP_PORTS_BYTES 4

static uint32_t read16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

/**
 * Whether the kernel, told of payload and a few header fields only, makes the packet
 * as it is. Its UDP checksum apart: over IPv4 the packet has none, and gets one.
 *
 * Without DF it does not: it gives a message one number (identification) and counts on
 * from it for each segment, and the next message the next number. Routers may cut
 * such packets, and pieces with one number would be put together.
 */
static bool can_join_ipv4(const uint8_t *packet, uint32_t length)
{
	const uint8_t *udp = packet + IPV4_HEADER_BYTES;

	return length > IPV4_HEADER_BYTES + UDP_HEADER_BYTES &&
		   packet[0] == IPV4_PLAIN && packet[IPV4_PROTOCOL] == IPPROTO_UDP &&
		   read16(packet + IPV4_FRAGMENT) == IPV4_DONT_FRAGMENT &&
		   read16(packet + IPV4_IDENTIFICATION) == 0 &&
		   read16(udp + UDP_LENGTH) == length - IPV4_HEADER_BYTES &&
		   read16(udp + UDP_CHECKSUM) == 0;
}

/** The same for IPv6: no flow label; a checksum that it has comes out the same */
static bool can_join_ipv6(const uint8_t *packet, uint32_t length)
{
	const uint8_t *udp = packet + IPV6_HEADER_BYTES;

	return length > IPV6_HEADER_BYTES + UDP_HEADER_BYTES &&
		   packet[IPV6_NEXT_HEADER] == IPPROTO_UDP && (packet[1] & 0x0f) == 0 &&
		   read16(packet + 2) == 0 &&
		   read16(packet + IPV6_PAYLOAD_LENGTH) == length - IPV6_HEADER_BYTES &&
		   read16(udp + UDP_LENGTH) == length - IPV6_HEADER_BYTES;
}

static bool can_join(const uint8_t *packet, uint32_t length, uint16_t port)
{
	if (!port)
	{
		return false;
	}
	if (packet[0] >> 4 == 6)
	{
		return can_join_ipv6(packet, length) &&
			   read16(packet + IPV6_HEADER_BYTES) == port;
	}
	return can_join_ipv4(packet, length) &&
		   read16(packet + IPV4_HEADER_BYTES) == port;
}

/** Whether two packets that can be in a run can be in the same one: lengths, identification and checksums left out */
static bool is_alike(const uint8_t *a, const uint8_t *b)
{
	if (a[0] != b[0] || a[1] != b[1])
	{
		return false;
	}
	if (a[0] >> 4 == 6)
	{
		return memcmp(a + IPV6_NEXT_HEADER, b + IPV6_NEXT_HEADER,
					  IPV6_HEADER_BYTES - IPV6_NEXT_HEADER +
					  UDP_PORTS_BYTES) == 0;
	}
	return memcmp(a + IPV4_FRAGMENT, b + IPV4_FRAGMENT,
				  IPV4_PROTOCOL + 1 - IPV4_FRAGMENT) == 0 &&
		   memcmp(a + IPV4_SOURCE, b + IPV4_SOURCE,
				  IPV4_HEADER_BYTES - IPV4_SOURCE + UDP_PORTS_BYTES) == 0;
}

static uint32_t place_of(const uint8_t *packet)
{
	const uint8_t *address = packet + IPV4_DESTINATION;
	uint32_t words[4], bytes = 4;

	if (packet[0] >> 4 == 6)
	{
		address = packet + IPV6_DESTINATION;
		bytes = sizeof(words);
	}
	memset(words, 0, sizeof(words));
	memcpy(words, address, bytes);
	/* Fibonacci hashing: 2^32 divided by the golden ratio */
	return ((words[0] ^ words[1] ^ words[2] ^ words[3]) * 0x9e3779b9u) >> 24;
}

static bool join(runs_t *this, run_t *run, uint16_t n, uint32_t payload)
{
	if (payload > run->segment_bytes || run->segments == RUN_SEGMENTS ||
		run->bytes + payload > RUN_BYTES)
	{
		return false;
	}
	this->next[run->last] = n;
	run->last = n;
	run->segments++;
	run->bytes += payload;
	/* only the last one may be shorter */
	run->is_open = payload == run->segment_bytes;
	return true;
}

void runs_find(runs_t *this, const vector_t *vector, uint32_t from,
			   uint32_t count, uint16_t port)
{
	/* for each place the message begun last, plus one. Only that may still grow: so
	 * whatever shares a destination, and with it a place, keeps its order */
	uint16_t latest[RUN_PLACES] = {};
	const uint8_t *packet;
	uint32_t length, place, payload;
	bool is_segment;
	run_t *run;

	this->count = 0;
	for (uint16_t n = 0; n < count; n++)
	{
		if (vector->verdict[from + n])
		{
			continue;
		}
		packet = vector->slab + vector->offset[from + n];
		length = vector->length[from + n];
		is_segment = can_join(packet, length, port);
		payload = is_segment ? length - runs_header_bytes(packet) : length;
		this->next[n] = RUNS_END;
		place = place_of(packet);
		run = latest[place] ? &this->run[latest[place] - 1] : NULL;
		if (is_segment && run && run->is_open &&
			is_alike(packet, vector->slab + vector->offset[from + run->first]) &&
			join(this, run, n, payload))
		{
			continue;
		}
		this->run[this->count] = (run_t){
			.first = n,
			.last = n,
			.segments = 1,
			.is_open = is_segment,
			.place = (uint16_t)place,
			.segment_bytes = payload,
			.bytes = payload,
		};
		latest[place] = (uint16_t)++this->count;
	}
}
