/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "raw_share.h"
#include "udp6.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

/** Offsets in the headers (RFC 791, RFC 8200 section 3) */
#define IPV4_TRAFFIC_CLASS 1
#define IPV4_TTL 8
#define IPV4_DESTINATION 16
#define IPV6_HOP_LIMIT 7
#define IPV6_DESTINATION 24
/** In a UDP header (RFC 768) */
#define UDP_DESTINATION_PORT 2

static uint8_t *packet_of(const raw_share_t *this, uint16_t n)
{
	return this->call->vector->slab + this->call->vector->offset[this->call->from + n];
}

static bool is_ipv6(const uint8_t *packet)
{
	return packet[0] >> 4 == 6;
}

void raw_share_refuse(raw_share_t *this, uint32_t n, int error)
{
	this->call->vector->verdict[this->call->from + n] =
		error == EMSGSIZE ? this->call->too_big : this->call->refused;
	this->refused++;
	this->last_error = error;
}

/** Where a packet goes, by its header; with the port of its UDP header if the socket is one of UDP */
static socklen_t destination_of(raw_address_t *to, const uint8_t *packet,
								bool is_udp)
{
	const uint8_t *port = packet + runs_header_bytes(packet) -
						  UDP_HEADER_BYTES + UDP_DESTINATION_PORT;

	memset(to, 0, sizeof(*to));
	if (is_ipv6(packet))
	{
		to->v6.sin6_family = AF_INET6;
		memcpy(&to->v6.sin6_addr, packet + IPV6_DESTINATION,
			   sizeof(to->v6.sin6_addr));
		if (is_udp)
		{
			memcpy(&to->v6.sin6_port, port, sizeof(to->v6.sin6_port));
		}
		return sizeof(to->v6);
	}
	to->v4.sin_family = AF_INET;
	memcpy(&to->v4.sin_addr, packet + IPV4_DESTINATION, sizeof(to->v4.sin_addr));
	if (is_udp)
	{
		memcpy(&to->v4.sin_port, port, sizeof(to->v4.sin_port));
	}
	return sizeof(to->v4);
}

static void put_control(struct msghdr *header, int level, int type,
						const void *value, size_t bytes)
{
	struct cmsghdr *control = (struct cmsghdr*)((char*)header->msg_control +
												header->msg_controllen);

	control->cmsg_level = level;
	control->cmsg_type = type;
	control->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(control), value, bytes);
	header->msg_controllen += CMSG_SPACE(bytes);
}

/**
 * What a run's headers have in common and the socket does not know. No traffic class is the socket's own: for IPv4 the
 * kernel would else make a priority of it, and packets that leave singly have none.
 */
static void put_controls(struct msghdr *header, raw_control_t *control,
						 const uint8_t *packet, const run_t *run)
{
	uint16_t segment = (uint16_t)run->segment_bytes;
	bool v6 = is_ipv6(packet);
	int traffic_class = v6 ? (packet[0] & 0x0f) << 4 | packet[1] >> 4
						   : packet[IPV4_TRAFFIC_CLASS];
	int hops = packet[v6 ? IPV6_HOP_LIMIT : IPV4_TTL];

	memset(control, 0, sizeof(*control));
	header->msg_control = control->bytes;
	put_control(header, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	put_control(header, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				v6 ? IPV6_HOPLIMIT : IP_TTL, &hops, sizeof(hops));
	if (traffic_class)
	{
		put_control(header, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
					v6 ? IPV6_TCLASS : IP_TOS, &traffic_class,
					sizeof(traffic_class));
	}
}

static int raw_descriptor(const raw_share_t *this, const uint8_t *packet)
{
	return is_ipv6(packet) ? this->call->endpoint->fd6 : this->call->endpoint->fd;
}

/** One packet as it is, without waiting for others. The errno, or 0 */
static int send_now(raw_share_t *this, uint16_t n)
{
	uint8_t *packet = packet_of(this, n);
	raw_address_t to;
	socklen_t size = destination_of(&to, packet, false);
	ssize_t len;

	udp6_finish_checksum(packet,
						 this->call->vector->length[this->call->from + n]);
	do
	{
		len = sendto(raw_descriptor(this, packet), packet,
					 this->call->vector->length[this->call->from + n], MSG_DONTWAIT,
					 (struct sockaddr*)&to, size);
	}
	while (len < 0 && errno == EINTR);
	return len < 0 ? errno : 0;
}

/** A kernel or device without the offload says one of these; but EINVAL may mean a segment that is too long, too */
static bool means_no_offload(int error)
{
	return error == EIO || error == EINVAL || error == EOPNOTSUPP ||
		   error == ENOPROTOOPT;
}

/** A run that was refused as such: its packets singly, each with its own answer */
static void send_singly(raw_share_t *this, const run_t *run, int run_error)
{
	int error;

	for (uint16_t n = run->first; n != RUNS_END; n = this->call->runs.next[n])
	{
		error = send_now(this, n);
		if (error)
		{
			raw_share_refuse(this, n, error);
			continue;
		}
		this->sent++;
		if (n == run->first && means_no_offload(run_error))
		{
			this->runs_error = run_error;
		}
	}
}

/** sendmmsg() stops at the first message refused: see to that one and go on behind it */
static void flush(raw_share_t *this, raw_lane_t *lane)
{
	uint32_t done = 0;
	const run_t *run;
	int n;

	while (done < lane->count)
	{
		n = sendmmsg(lane->fd, lane->messages + done, lane->count - done,
					 MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
		{
			continue;
		}
		for (int i = 0; i < n; i++)
		{
			run = lane->run[done++];
			this->sent += run ? run->segments : 1;
			this->runs += run ? 1 : 0;
			this->run_packets += run ? run->segments : 0;
		}
		if (n <= 0)
		{
			run = lane->run[done];
			if (run)
			{
				send_singly(this, run, n ? errno : EIO);
			}
			else
			{
				raw_share_refuse(this, lane->packet[done], n ? errno : EIO);
			}
			done++;
		}
	}
	lane->count = 0;
}

/** A message of packet n, or of the run that starts with it */
static void add(raw_share_t *this, int fd, uint16_t n, const run_t *run)
{
	uint8_t *packet = packet_of(this, n);
	raw_lane_t *lane = is_ipv6(packet) ? &this->ipv6 : &this->ipv4;
	struct msghdr *header;
	uint32_t skip;

	if (lane->count == RAW_BATCH || lane->fd != fd)
	{
		flush(this, lane);
		lane->fd = fd;
	}
	skip = run ? runs_header_bytes(packet) : 0;
	header = &lane->messages[lane->count].msg_hdr;
	memset(&lane->messages[lane->count], 0, sizeof(lane->messages[0]));
	header->msg_name = &lane->to[lane->count];
	header->msg_namelen = destination_of(&lane->to[lane->count], packet, run);
	header->msg_iov = &this->iov[this->iov_count];
	if (!run)
	{
		udp6_finish_checksum(packet,
							 this->call->vector->length[this->call->from + n]);
	}
	else
	{
		put_controls(header, &lane->control[lane->count], packet, run);
	}
	for (uint16_t i = n; i != RUNS_END; i = run ? this->call->runs.next[i] : RUNS_END)
	{
		this->iov[this->iov_count++] = (struct iovec){
			.iov_base = packet_of(this, i) + skip,
			.iov_len = this->call->vector->length[this->call->from + i] - skip,
		};
		header->msg_iovlen++;
	}
	lane->run[lane->count] = run;
	lane->packet[lane->count++] = n;
}

void raw_share_send(raw_share_t *this, uint8_t part)
{
	const raw_call_t *call = this->call;
	const run_t *run;

	this->iov_count = 0;
	for (uint32_t i = 0; i < call->runs.count; i++)
	{
		run = &call->runs.run[i];
		if (call->part[i] != part)
		{
			continue;
		}
		if (call->fd[i] != -1)
		{
			add(this, call->fd[i], run->first, run);
			continue;
		}
		for (uint16_t n = run->first; n != RUNS_END; n = call->runs.next[n])
		{
			add(this, raw_descriptor(this, packet_of(this, n)), n, NULL);
		}
	}
	flush(this, &this->ipv4);
	flush(this, &this->ipv6);
}

void raw_share_begin(raw_share_t *this, const raw_call_t *call)
{
	this->call = call;
	this->sent = this->refused = this->runs = this->run_packets = 0;
	this->last_error = this->runs_error = 0;
	this->ipv4.count = this->ipv6.count = 0;
	this->ipv4.fd = this->ipv6.fd = -1;
}
