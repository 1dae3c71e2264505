/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Where the fields of IP, TCP and UDP are that offloads look at or make anew
 * (RFC 791, RFC 8200 section 3, RFC 9293 section 3.1, RFC 768), and how to read and
 * write them in packets that are aligned anyhow.
 */

#ifndef PACKET_IO_IP_FIELDS_H_
#define PACKET_IO_IP_FIELDS_H_

#include <stdint.h>

enum {
	IPV4_HEADER_BYTES = 20,
	IPV4_TOTAL_LENGTH = 2,
	IPV4_IDENTIFICATION = 4,
	IPV4_FRAGMENT = 6,
	IPV4_TIME_TO_LIVE = 8,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_ADDRESSES = 12,
	IPV4_ADDRESSES_BYTES = 8,

	IPV6_HEADER_BYTES = 40,
	IPV6_PAYLOAD_LENGTH = 4,
	IPV6_NEXT_HEADER = 6,
	IPV6_HOP_LIMIT = 7,
	IPV6_ADDRESSES = 8,
	IPV6_ADDRESSES_BYTES = 32,

	TCP_HEADER_BYTES = 20,
	TCP_SEQUENCE = 4,
	TCP_ACKNOWLEDGMENT = 8,
	TCP_DATA_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,
	TCP_URGENT = 18,

	UDP_HEADER_BYTES = 8,
	UDP_LENGTH = 4,
	UDP_CHECKSUM = 6,

	/** source and destination of TCP and UDP, at the start of their headers */
	PORTS_BYTES = 4,
};

enum {
	TCP_FLAG_FIN = 0x01,
	TCP_FLAG_PSH = 0x08,
	TCP_FLAG_ACK = 0x10,
	TCP_FLAG_ECE = 0x40,
	TCP_FLAG_CWR = 0x80,
};

/** More Fragments and the offset; the other two bits are DF and one that is unused */
#define IPV4_IS_FRAGMENT 0x3fff

static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}

#endif /* PACKET_IO_IP_FIELDS_H_ */
