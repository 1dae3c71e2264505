/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "flow.h"
#include "ip_fields.h"

#include <netinet/in.h>
#include <stdbool.h>

/** 2^32 divided by the golden ratio: its multiples are spread as evenly as can be */
#define GOLDEN 0x9e3779b9u

static uint32_t hash_words(const uint8_t *at, uint32_t bytes)
{
	uint32_t hash = 0;

	for (uint32_t i = 0; i < bytes; i += 4)
	{
		hash = (hash ^ get32(at + i)) * GOLDEN;
		hash ^= hash >> 15;
	}
	return hash;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static uint32_t with_ports(uint32_t hash, const uint8_t *ports)
{
	return hash + (get16(ports) + ((uint32_t)get16(ports + 2) << 8)) * GOLDEN;
}

uint32_t flow_hash(const uint8_t *packet, uint32_t length)
{
	uint32_t hash, header_bytes;

	if (length >= IPV4_HEADER_BYTES && packet[0] >> 4 == 4)
	{
		hash = hash_words(packet + IPV4_ADDRESSES, IPV4_ADDRESSES_BYTES);
		header_bytes = (packet[0] & 0x0f) * 4u;
		return has_ports(packet[IPV4_PROTOCOL]) &&
			   !(get16(packet + IPV4_FRAGMENT) & IPV4_IS_FRAGMENT) &&
			   header_bytes >= IPV4_HEADER_BYTES &&
			   length >= header_bytes + PORTS_BYTES
			? with_ports(hash, packet + header_bytes) : hash;
	}
	if (length >= IPV6_HEADER_BYTES && packet[0] >> 4 == 6)
	{
		hash = hash_words(packet + IPV6_ADDRESSES, IPV6_ADDRESSES_BYTES);
		return has_ports(packet[IPV6_NEXT_HEADER]) &&
			   length >= IPV6_HEADER_BYTES + PORTS_BYTES
			? with_ports(hash, packet + IPV6_HEADER_BYTES) : hash;
	}
	return 0;
}
