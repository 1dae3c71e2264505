/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "raw.h"
#include "runs.h"
#include "udp6.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

/** Messages of one sendmmsg() */
#define BATCH 64
/** Offsets in the headers (RFC 791, RFC 8200 section 3) */
#define IPV4_TRAFFIC_CLASS 1
#define IPV4_TTL 8
#define IPV4_DESTINATION 16
#define IPV6_PAYLOAD_LENGTH 4
#define IPV6_HOP_LIMIT 7
#define IPV6_DESTINATION 24
/** In a UDP header (RFC 768) */
#define UDP_DESTINATION_PORT 2

typedef union {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} address_t;

/** Hop limit, traffic class and segment size of a run */
typedef union {
	struct cmsghdr first;
	char bytes[2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
} control_t;

/** Messages that wait for one sendmmsg(): of one family and one descriptor, in order */
typedef struct {
	int fd;
	uint32_t count;
	struct mmsghdr messages[BATCH];
	address_t to[BATCH];
	control_t control[BATCH];
	/** NULL: a packet that goes as it is */
	const run_t *run[BATCH];
	/** the packet, the first one of a run */
	uint16_t packet[BATCH];
} lane_t;

/** One call, of which RUNS_PACKETS packets at a time are worked on */
typedef struct {
	endpoint_t *endpoint;
	raw_t *raw;
	vector_t *vector;
	uint8_t refused;
	uint8_t too_big;
	uint32_t sent;
	/** packets of the runs, and of the indices below, are counted from this one */
	uint32_t from;
	runs_t runs;
	/** one for each packet */
	struct iovec iov[RUNS_PACKETS];
	uint32_t iov_count;
	lane_t ipv4;
	lane_t ipv6;
} call_t;

static uint8_t *packet_of(const call_t *this, uint16_t n)
{
	return this->vector->slab + this->vector->offset[this->from + n];
}

static bool is_ipv6(const uint8_t *packet)
{
	return packet[0] >> 4 == 6;
}

static void refuse(call_t *this, uint32_t n, int error)
{
	this->vector->verdict[this->from + n] =
		error == EMSGSIZE ? this->too_big : this->refused;
	this->endpoint->refused++;
	this->endpoint->last_error = error;
}

/** The errno for a packet whose header can not be sent as it is, else 0 */
static int check_header(const endpoint_t *this, const uint8_t *packet,
						uint32_t length)
{
	switch (length ? packet[0] >> 4 : 0)
	{
		case 4:
			return length < IPV4_HEADER_BYTES ? EINVAL : 0;
		case 6:
			/* the kernel fills in nothing: what is wrong here goes out wrong */
			if (length < IPV6_HEADER_BYTES ||
				length - IPV6_HEADER_BYTES !=
				((uint32_t)packet[IPV6_PAYLOAD_LENGTH] << 8 |
				 packet[IPV6_PAYLOAD_LENGTH + 1]))
			{
				return EINVAL;
			}
			return this->fd6 == -1 ? EAFNOSUPPORT : 0;
		default:
			return EINVAL;
	}
}

/** Where a packet goes, by its header; with the port of its UDP header if the socket is one of UDP */
static socklen_t destination_of(address_t *to, const uint8_t *packet,
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
static void put_controls(struct msghdr *header, control_t *control,
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

static int raw_descriptor(const call_t *this, const uint8_t *packet)
{
	return is_ipv6(packet) ? this->endpoint->fd6 : this->endpoint->fd;
}

/** One packet as it is, without waiting for others. The errno, or 0 */
static int send_now(call_t *this, uint16_t n)
{
	uint8_t *packet = packet_of(this, n);
	address_t to;
	socklen_t size = destination_of(&to, packet, false);
	ssize_t len;

	udp6_finish_checksum(packet, this->vector->length[this->from + n]);
	do
	{
		len = sendto(raw_descriptor(this, packet), packet,
					 this->vector->length[this->from + n], MSG_DONTWAIT,
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
static void send_singly(call_t *this, const run_t *run, int run_error)
{
	int error;

	for (uint16_t n = run->first; n != RUNS_END; n = this->runs.next[n])
	{
		error = send_now(this, n);
		if (error)
		{
			refuse(this, n, error);
			continue;
		}
		this->sent++;
		if (n == run->first && means_no_offload(run_error))
		{
			this->raw->runs_error = run_error;
		}
	}
}

/** sendmmsg() stops at the first message refused: see to that one and go on behind it */
static void flush(call_t *this, lane_t *lane)
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
			this->raw->runs += run ? 1 : 0;
			this->raw->run_packets += run ? run->segments : 0;
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
				refuse(this, lane->packet[done], n ? errno : EIO);
			}
			done++;
		}
	}
	lane->count = 0;
}

/** A message of packet n, or of the run that starts with it */
static void add(call_t *this, int fd, uint16_t n, const run_t *run)
{
	uint8_t *packet = packet_of(this, n);
	lane_t *lane = is_ipv6(packet) ? &this->ipv6 : &this->ipv4;
	struct msghdr *header;
	uint32_t skip;

	if (lane->count == BATCH || lane->fd != fd)
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
		udp6_finish_checksum(packet, this->vector->length[this->from + n]);
	}
	else
	{
		put_controls(header, &lane->control[lane->count], packet, run);
	}
	for (uint16_t i = n; i != RUNS_END; i = run ? this->runs.next[i] : RUNS_END)
	{
		this->iov[this->iov_count++] = (struct iovec){
			.iov_base = packet_of(this, i) + skip,
			.iov_len = this->vector->length[this->from + i] - skip,
		};
		header->msg_iovlen++;
	}
	lane->run[lane->count] = run;
	lane->packet[lane->count++] = n;
}

static void send_some(call_t *this, uint32_t count)
{
	raw_t *raw = this->raw;
	const uint8_t *packet;
	const run_t *run;
	int fd, error;

	for (uint16_t n = 0; n < count; n++)
	{
		if (!this->vector->verdict[this->from + n])
		{
			error = check_header(this->endpoint, packet_of(this, n),
								 this->vector->length[this->from + n]);
			if (error)
			{
				refuse(this, n, error);
			}
		}
	}
	this->iov_count = 0;
	runs_find(&this->runs, this->vector, this->from, count,
			  raw->runs_error ? 0 : raw->run_port);
	for (uint32_t i = 0; i < this->runs.count; i++)
	{
		run = &this->runs.run[i];
		packet = packet_of(this, run->first);
		fd = run->segments > 1 ? sources_get(&raw->sources, packet) : -1;
		if (fd != -1)
		{
			add(this, fd, run->first, run);
			continue;
		}
		for (uint16_t n = run->first; n != RUNS_END; n = this->runs.next[n])
		{
			add(this, raw_descriptor(this, packet), n, NULL);
		}
	}
	flush(this, &this->ipv4);
	flush(this, &this->ipv6);
}

uint32_t raw_send(endpoint_t *this, vector_t *vector, uint32_t from,
				  uint32_t count, uint8_t refused, uint8_t too_big)
{
	call_t call;
	uint32_t some;

	/* not all of it: most is buffers */
	call.endpoint = this;
	call.raw = this->data;
	call.vector = vector;
	call.refused = refused;
	call.too_big = too_big;
	call.sent = 0;
	call.ipv4.count = call.ipv6.count = 0;
	call.ipv4.fd = call.ipv6.fd = -1;
	for (uint32_t at = from; at < from + count; at += some)
	{
		some = from + count - at < RUNS_PACKETS ? from + count - at
												: RUNS_PACKETS;
		call.from = at;
		send_some(&call, some);
	}
	this->sent += call.sent;
	return call.sent;
}
