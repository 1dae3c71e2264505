/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "join.h"
#include "checksum.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stddef.h>

/** No IP packet is longer than its length field can say */
#define PACKET_MAX 65535

static bool is_ipv6(const segment_t *segment)
{
	return segment->packet[0] >> 4 == 6;
}

static uint32_t payload_of(const segment_t *segment)
{
	return segment->length - segment->header_bytes;
}

/**
 * Look at a packet.
 *
 * @return			FALSE if it is no TCP segment with an IP header of its plainest form;
 *					else its connection is known, if nothing more
 */
static bool segment_parse(segment_t *this, const uint8_t *packet, uint32_t length)
{
	uint32_t said, tcp_bytes;

	*this = (segment_t){ .packet = packet, .length = length };
	if (length >= IPV4_HEADER_BYTES && packet[0] == 0x45 &&
		packet[IPV4_PROTOCOL] == IPPROTO_TCP &&
		!(get16(packet + IPV4_FRAGMENT) & IPV4_IS_FRAGMENT))
	{
		this->upper = IPV4_HEADER_BYTES;
		said = get16(packet + IPV4_TOTAL_LENGTH);
	}
	else if (length >= IPV6_HEADER_BYTES && packet[0] >> 4 == 6 &&
			 packet[IPV6_NEXT_HEADER] == IPPROTO_TCP)
	{
		this->upper = IPV6_HEADER_BYTES;
		said = IPV6_HEADER_BYTES + get16(packet + IPV6_PAYLOAD_LENGTH);
	}
	else
	{
		return false;
	}
	if (length < this->upper + TCP_HEADER_BYTES)
	{
		return false;
	}
	tcp_bytes = (packet[this->upper + TCP_DATA_OFFSET] >> 4) * 4u;
	this->header_bytes = this->upper + tcp_bytes;
	this->sequence = get32(packet + this->upper + TCP_SEQUENCE);
	this->flags = packet[this->upper + TCP_FLAGS];
	/* SYN, FIN, RST, URG and CWR say something about their own segment; so does
	 * the bit of AccECN in front of the flags (RFC 9293 section 3.1) */
	this->may_join = said == length && tcp_bytes >= TCP_HEADER_BYTES &&
					 this->header_bytes < length &&
					 (this->flags & (uint8_t)~(TCP_FLAG_PSH | TCP_FLAG_ECE)) ==
					 TCP_FLAG_ACK &&
					 !(packet[this->upper + TCP_DATA_OFFSET] & 0x0f);
	return true;
}

static bool is_same_flow(const segment_t *a, const segment_t *b)
{
	uint32_t addresses = is_ipv6(a) ? IPV6_ADDRESSES : IPV4_ADDRESSES;

	/* ports follow the addresses, with no options between */
	return a->upper == b->upper &&
		   memcmp(a->packet + addresses, b->packet + addresses,
				  a->upper + PORTS_BYTES - addresses) == 0;
}

/** Whether a receiver finds the same in both headers, but for place and PSH */
static bool is_same_header(const segment_t *a, const segment_t *b)
{
	const uint8_t *x = a->packet + a->upper, *y = b->packet + b->upper;

	if (a->header_bytes != b->header_bytes ||
		((a->flags ^ b->flags) & (uint8_t)~TCP_FLAG_PSH) ||
		memcmp(x + TCP_ACKNOWLEDGMENT, y + TCP_ACKNOWLEDGMENT,
			   TCP_FLAGS - TCP_ACKNOWLEDGMENT) ||
		memcmp(x + TCP_WINDOW, y + TCP_WINDOW, TCP_CHECKSUM - TCP_WINDOW) ||
		memcmp(x + TCP_URGENT, y + TCP_URGENT,
			   a->header_bytes - a->upper - TCP_URGENT))
	{
		return false;
	}
	x = a->packet;
	y = b->packet;
	if (is_ipv6(a))
	{
		/* version, traffic class and flow label */
		return memcmp(x, y, IPV6_PAYLOAD_LENGTH) == 0 &&
			   x[IPV6_HOP_LIMIT] == y[IPV6_HOP_LIMIT];
	}
	/* version and type of service; DF. The identification of what is no fragment
	 * says nothing (RFC 6864) */
	return memcmp(x, y, IPV4_TOTAL_LENGTH) == 0 &&
		   get16(x + IPV4_FRAGMENT) == get16(y + IPV4_FRAGMENT) &&
		   x[IPV4_TIME_TO_LIVE] == y[IPV4_TIME_TO_LIVE];
}

/** Sum of addresses and protocol, without the length (RFC 9293 section 3.1) */
static uint64_t pseudo_sum(const uint8_t *packet)
{
	return packet[0] >> 4 == 6
		? checksum_sum(packet + IPV6_ADDRESSES, IPV6_ADDRESSES_BYTES,
					   htons(IPPROTO_TCP))
		: checksum_sum(packet + IPV4_ADDRESSES, IPV4_ADDRESSES_BYTES,
					   htons(IPPROTO_TCP));
}

/** The checksums that a join replaces: a wrong one must reach the receiver's stack */
static bool is_right(const segment_t *this)
{
	uint32_t bytes = this->length - this->upper;

	return (is_ipv6(this) ||
			checksum_fold(checksum_sum(this->packet, this->upper, 0)) == 0xffff) &&
		   checksum_fold(checksum_sum(this->packet + this->upper, bytes,
						 checksum_add(pseudo_sum(this->packet),
									  htons((uint16_t)bytes)))) == 0xffff;
}

static bool fits(const join_flow_t *flow, const segment_t *segment)
{
	return flow->count < JOIN_SEGMENTS &&
		   segment->sequence == flow->next_sequence &&
		   payload_of(segment) <= payload_of(&flow->head) &&
		   segment->length + flow->payload_bytes <= PACKET_MAX &&
		   is_same_header(&flow->head, segment);
}

static void flow_begin(join_t *this, join_flow_t *flow, const segment_t *head,
					   uint32_t i)
{
	flow->head = *head;
	flow->is_checked = false;
	flow->next_sequence = head->sequence + payload_of(head);
	flow->payload_bytes = payload_of(head);
	flow->last_flags = head->flags;
	flow->count = 1;
	flow->index[0] = i;
	flow->since = this->clock++;
}

static void flow_end(join_t *this, join_flow_t *flow)
{
	if (flow->count)
	{
		this->emit(this, flow);
		flow->count = 0;
	}
}

/** A packet on its own */
static void emit_single(join_t *this, uint32_t i)
{
	join_flow_t flow;

	flow.count = 1;
	flow.index[0] = i;
	this->emit(this, &flow);
}

static join_flow_t *find_flow(join_t *this, const segment_t *segment)
{
	for (uint32_t n = 0; n < JOIN_FLOWS; n++)
	{
		if (this->flows[n].count && is_same_flow(&this->flows[n].head, segment))
		{
			return &this->flows[n];
		}
	}
	return NULL;
}

/** One that is free, or that of the oldest flow, which ends */
static join_flow_t *take_flow(join_t *this)
{
	join_flow_t *oldest = &this->flows[0];

	for (uint32_t n = 0; n < JOIN_FLOWS; n++)
	{
		if (!this->flows[n].count)
		{
			return &this->flows[n];
		}
		if (this->flows[n].since < oldest->since)
		{
			oldest = &this->flows[n];
		}
	}
	flow_end(this, oldest);
	return oldest;
}

/** A segment of a flow that is there: whether it was joined */
static bool flow_add(join_flow_t *flow, const segment_t *segment, uint32_t i)
{
	if (!fits(flow, segment) || (!flow->is_checked && !is_right(&flow->head)) ||
		!is_right(segment))
	{
		return false;
	}
	flow->is_checked = true;
	flow->next_sequence += payload_of(segment);
	flow->payload_bytes += payload_of(segment);
	flow->last_flags = segment->flags;
	flow->index[flow->count++] = i;
	return true;
}

static void join_take(join_t *this, uint32_t i)
{
	vector_t *vector = this->vector;
	join_flow_t *flow;
	segment_t segment;

	if (!segment_parse(&segment, vector->slab + vector->offset[i],
					   vector->length[i]))
	{
		emit_single(this, i);
		return;
	}
	flow = find_flow(this, &segment);
	if (flow && (!segment.may_join || !flow_add(flow, &segment, i)))
	{
		/* what came before it goes before it */
		flow_end(this, flow);
		flow = NULL;
	}
	if (!flow && segment.may_join)
	{
		flow = take_flow(this);
		flow_begin(this, flow, &segment, i);
	}
	else if (!flow)
	{
		emit_single(this, i);
		return;
	}
	/* a join has equal segments but for the last, and only that has PSH */
	if ((flow->last_flags & TCP_FLAG_PSH) ||
		payload_of(&segment) < payload_of(&flow->head))
	{
		flow_end(this, flow);
	}
}

void join_run(join_t *this, vector_t *vector, uint32_t from, uint32_t count)
{
	join_flow_t *flow;

	this->vector = vector;
	for (uint32_t i = from; i < from + count; i++)
	{
		if (!vector->verdict[i] &&
			(!this->part || this->part[i - from] == this->mine))
		{
			join_take(this, i);
		}
	}
	for (;;)
	{
		flow = NULL;
		for (uint32_t n = 0; n < JOIN_FLOWS; n++)
		{
			if (this->flows[n].count &&
				(!flow || this->flows[n].since < flow->since))
			{
				flow = &this->flows[n];
			}
		}
		if (!flow)
		{
			return;
		}
		flow_end(this, flow);
	}
}

void join_write_make(join_write_t *this, const join_flow_t *flow,
					 const vector_t *vector)
{
	const segment_t *head = &flow->head;
	uint32_t total = head->header_bytes + flow->payload_bytes, i;
	uint8_t *upper = this->packet + head->upper;
	uint16_t sum;

	this->header = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = is_ipv6(head) ? VIRTIO_NET_HDR_GSO_TCPV6
								  : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = htole16((uint16_t)head->header_bytes),
		.gso_size = htole16((uint16_t)payload_of(head)),
		.csum_start = htole16((uint16_t)head->upper),
		.csum_offset = htole16(TCP_CHECKSUM),
	};
	memcpy(this->packet, head->packet, head->header_bytes);
	if (is_ipv6(head))
	{
		put16(this->packet + IPV6_PAYLOAD_LENGTH,
			  (uint16_t)(total - IPV6_HEADER_BYTES));
	}
	else
	{
		put16(this->packet + IPV4_TOTAL_LENGTH, (uint16_t)total);
		put16(this->packet + IPV4_CHECKSUM, 0);
		sum = (uint16_t)~checksum_fold(checksum_sum(this->packet, head->upper, 0));
		memcpy(this->packet + IPV4_CHECKSUM, &sum, sizeof(sum));
	}
	upper[TCP_FLAGS] |= flow->last_flags;
	/* unfinished: the pseudo header's sum, not complemented */
	sum = checksum_fold(checksum_add(pseudo_sum(head->packet),
									 htons((uint16_t)(total - head->upper))));
	memcpy(upper + TCP_CHECKSUM, &sum, sizeof(sum));

	this->iov[0] = (struct iovec){ &this->header, sizeof(this->header) };
	this->iov[1] = (struct iovec){ this->packet, head->header_bytes };
	for (uint32_t n = 0; n < flow->count; n++)
	{
		i = flow->index[n];
		this->iov[2 + n] = (struct iovec){
			vector->slab + vector->offset[i] + head->header_bytes,
			vector->length[i] - head->header_bytes,
		};
	}
	this->iov_count = 2 + flow->count;
}
