/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * The Internet checksum (RFC 1071). Sums are of words as they lie in memory, whatever
 * the byte order of the host: a value that is added to one is in network byte order,
 * and so is what comes out.
 */

#ifndef PACKET_IO_CHECKSUM_H_
#define PACKET_IO_CHECKSUM_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** One's complement sum of two sums */
static inline uint64_t checksum_add(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

static inline uint64_t checksum_word64(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/**
 * Add bytes to a sum. An odd last byte counts as the first half of a word, so only
 * the last of several regions may have an odd length.
 */
static inline uint64_t checksum_sum(const uint8_t *bytes, size_t len, uint64_t sum)
{
	uint64_t rest = 0, lanes[4] = {};

	/* four sums beside each other, so that none waits for the carry of another */
	for (; len >= 32; len -= 32, bytes += 32)
	{
		lanes[0] = checksum_add(lanes[0], checksum_word64(bytes));
		lanes[1] = checksum_add(lanes[1], checksum_word64(bytes + 8));
		lanes[2] = checksum_add(lanes[2], checksum_word64(bytes + 16));
		lanes[3] = checksum_add(lanes[3], checksum_word64(bytes + 24));
	}
	for (size_t i = 0; i < 4; i++)
	{
		sum = checksum_add(sum, lanes[i]);
	}
	for (; len >= 8; len -= 8, bytes += 8)
	{
		sum = checksum_add(sum, checksum_word64(bytes));
	}
	memcpy(&rest, bytes, len);
	return checksum_add(sum, rest);
}

/** A sum of 16 bits, not complemented */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

#endif /* PACKET_IO_CHECKSUM_H_ */
