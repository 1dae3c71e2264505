/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "cut.h"
#include "checksum.h"
#include "ip_fields.h"

#include <arpa/inet.h>
#include <endian.h>

/** No IP packet is longer than its length field can say */
#define PACKET_MAX 65535

/* kernels from 6.2 on, headers from there on */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/** Only the last piece has these, and only the first one CWR (RFC 3168 section 6.1.2) */
#define LAST_ONLY (TCP_FLAG_FIN | TCP_FLAG_PSH)
#define FIRST_ONLY TCP_FLAG_CWR

/** Whether TCP or UDP may start there, behind a header of the family that is meant */
static bool is_upper(const uint8_t *packet, uint32_t length, uint32_t upper,
					 uint8_t type)
{
	if (upper >= length)
	{
		return false;
	}
	switch (packet[0] >> 4)
	{
		case 4:
			return type != VIRTIO_NET_HDR_GSO_TCPV6 &&
				   upper >= IPV4_HEADER_BYTES &&
				   upper == (packet[0] & 0x0fu) * 4;
		case 6:
			/* extension headers are repeated as they are */
			return type != VIRTIO_NET_HDR_GSO_TCPV4 && upper >= IPV6_HEADER_BYTES;
		default:
			return false;
	}
}

bool cut_start(cut_t *this, const struct virtio_net_hdr *header,
			   const uint8_t *packet, uint32_t length)
{
	uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	uint32_t upper = le16toh(header->csum_start), upper_bytes, least, field;
	uint16_t pseudo, upper_length;
	bool is_tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 ||
				  type == VIRTIO_NET_HDR_GSO_TCPV6;

	*this = (cut_t){};
	/* a super-packet's checksum is never finished */
	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
		(!is_tcp && type != VIRTIO_NET_HDR_GSO_UDP_L4) ||
		header->gso_size == 0 || !is_upper(packet, length, upper, type))
	{
		return false;
	}
	least = is_tcp ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;
	field = is_tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
	if (length - upper < least || le16toh(header->csum_offset) != field)
	{
		return false;
	}
	upper_bytes = is_tcp ? (packet[upper + TCP_DATA_OFFSET] >> 4) * 4u : least;
	if (upper_bytes < least || length - upper < upper_bytes)
	{
		return false;
	}
	this->packet = packet;
	this->length = length;
	this->upper = upper;
	this->is_tcp = is_tcp;
	this->header_bytes = upper + upper_bytes;
	this->piece_bytes = le16toh(header->gso_size);
	if (this->header_bytes + this->piece_bytes > PACKET_MAX)
	{
		return false;
	}
	/* the field has the sum of the pseudo header: addresses (of IPv6 with a routing
	 * header, those that count at the end), protocol, and the length of it all */
	upper_length = htons((uint16_t)(length - upper));
	memcpy(&pseudo, packet + upper + field, sizeof(pseudo));
	this->pseudo_sum = checksum_add(pseudo, (uint16_t)~upper_length);
	return true;
}

uint32_t cut_next_bytes(const cut_t *this)
{
	uint32_t left = this->length - this->header_bytes - this->done;

	if (!this->packet || (left == 0 && this->pieces > 0))
	{
		return 0;
	}
	return this->header_bytes +
		   (left < this->piece_bytes ? left : this->piece_bytes);
}

static void put_checksum(uint8_t *upper, uint32_t field, uint16_t sum)
{
	/* 0 says in UDP that there is none (RFC 768) */
	if (!sum && field == UDP_CHECKSUM)
	{
		sum = 0xffff;
	}
	memcpy(upper + field, &sum, sizeof(sum));
}

static void finish_ip(const cut_t *this, uint8_t *out, uint32_t total)
{
	uint16_t sum;

	if (out[0] >> 4 == 6)
	{
		put16(out + IPV6_PAYLOAD_LENGTH, (uint16_t)(total - IPV6_HEADER_BYTES));
		return;
	}
	put16(out + IPV4_TOTAL_LENGTH, (uint16_t)total);
	put16(out + IPV4_IDENTIFICATION,
		  (uint16_t)(get16(this->packet + IPV4_IDENTIFICATION) + this->pieces));
	memset(out + IPV4_CHECKSUM, 0, sizeof(sum));
	sum = (uint16_t)~checksum_fold(checksum_sum(out, this->upper, 0));
	memcpy(out + IPV4_CHECKSUM, &sum, sizeof(sum));
}

void cut_next(cut_t *this, uint8_t *out)
{
	uint32_t total = cut_next_bytes(this), payload = total - this->header_bytes;
	uint32_t upper_bytes = total - this->upper, field;
	bool is_last = this->header_bytes + this->done + payload == this->length;
	uint8_t *upper = out + this->upper;
	uint16_t sum, upper_length = htons((uint16_t)upper_bytes);

	memcpy(out, this->packet, this->header_bytes);
	memcpy(out + this->header_bytes,
		   this->packet + this->header_bytes + this->done, payload);
	finish_ip(this, out, total);
	if (this->is_tcp)
	{
		field = TCP_CHECKSUM;
		put32(upper + TCP_SEQUENCE, get32(upper + TCP_SEQUENCE) + this->done);
		upper[TCP_FLAGS] &= (uint8_t)~((is_last ? 0 : LAST_ONLY) |
									   (this->pieces ? FIRST_ONLY : 0));
	}
	else
	{
		field = UDP_CHECKSUM;
		put16(upper + UDP_LENGTH, (uint16_t)upper_bytes);
	}
	memset(upper + field, 0, sizeof(sum));
	sum = (uint16_t)~checksum_fold(checksum_sum(upper, upper_bytes,
							checksum_add(this->pseudo_sum, upper_length)));
	put_checksum(upper, field, sum);
	this->done += payload;
	this->pieces++;
}

bool cut_finish_checksum(const struct virtio_net_hdr *header, uint8_t *packet,
						 uint32_t length)
{
	uint32_t start = le16toh(header->csum_start);
	uint32_t field = le16toh(header->csum_offset);

	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
	{
		return true;
	}
	if (start + field + sizeof(uint16_t) > length)
	{
		return false;
	}
	/* what the field has, the sum of the pseudo header, belongs to the sum */
	put_checksum(packet + start, field,
		(uint16_t)~checksum_fold(checksum_sum(packet + start, length - start, 0)));
	return true;
}
