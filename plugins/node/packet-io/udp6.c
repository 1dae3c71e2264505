/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "udp6.h"
#include "checksum.h"
#include "ip_fields.h"

#include <netinet/in.h>

void udp6_finish_checksum(uint8_t *packet, uint32_t length)
{
	uint8_t *udp = packet + IPV6_HEADER_BYTES;
	uint16_t sum, upper_bytes;
	uint64_t pseudo;

	if (length < IPV6_HEADER_BYTES + UDP_HEADER_BYTES || packet[0] >> 4 != 6 ||
		packet[IPV6_NEXT_HEADER] != IPPROTO_UDP || get16(udp + UDP_CHECKSUM))
	{
		return;
	}
	upper_bytes = (uint16_t)(length - IPV6_HEADER_BYTES);
	pseudo = checksum_sum(packet + IPV6_ADDRESSES, IPV6_ADDRESSES_BYTES,
						  (uint64_t)htons(upper_bytes) + htons(IPPROTO_UDP));
	sum = (uint16_t)~checksum_fold(checksum_sum(udp, upper_bytes, pseudo));
	/* 0 says that there is none */
	sum = sum ? sum : 0xffff;
	memcpy(udp + UDP_CHECKSUM, &sum, sizeof(sum));
}
