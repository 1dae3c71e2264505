/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

#include "udp_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

/** Packets of one sendmmsg() */
#define PACKETS 256
/** Place of a header in the caller's array of them */
#define HEADER_BYTES 16
/** Entries of a frame: which packet, and how long its header is */
#define FRAME_ENTRIES 2
/** UDP_MAX_SEGMENTS of the kernels that have fewest */
#define SEGMENTS_MAX 64
/** What one message may have: an IPv4 packet without its headers */
#define MESSAGE_BYTES_MAX (UINT16_MAX - 20 - 8)

/** The arguments of a call */
typedef struct {
	endpoint_t *endpoint;
	vector_t vector;
	uint8_t *headers;
	uint32_t *frames;
	struct sockaddr_in to;
	/** packets that one message may have; 1: each goes by itself */
	uint32_t segments;
	/** longest packet, with its header, that may be one of several */
	uint32_t longest;
	uint8_t refused;
	uint8_t overflow;
	/** packets that went out, system calls made, errno because of which segmentation was given up */
	uint32_t sent;
	uint32_t calls;
	int given_up;
} sending_t;

/** Neighbouring frames that are one message */
typedef struct {
	/** first frame, and how many */
	uint32_t first;
	uint32_t count;
	/** bytes of each but the last, and of all */
	size_t segment;
	size_t bytes;
	/** still open for more: none was shorter */
	bool is_open;
} run_t;

/** What waits for one sendmmsg() */
typedef struct {
	uint32_t runs;
	uint32_t packets;
	run_t run[UDP_MESSAGES];
	struct iovec iov[2 * PACKETS];
	struct mmsghdr message[UDP_MESSAGES];
	union {
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control[UDP_MESSAGES];
} sending_batch_t;

static uint32_t packet_of(const sending_t *this, uint32_t frame)
{
	return this->frames[frame * FRAME_ENTRIES];
}

static size_t bytes_of(const sending_t *this, uint32_t frame)
{
	return (size_t)this->frames[frame * FRAME_ENTRIES + 1] +
		   this->vector.length[packet_of(this, frame)];
}

/** Header and packet of a frame */
static void point_at(const sending_t *this, struct iovec *iov, uint32_t frame)
{
	uint32_t packet = packet_of(this, frame);

	iov[0].iov_base = this->headers + (size_t)frame * HEADER_BYTES;
	iov[0].iov_len = this->frames[frame * FRAME_ENTRIES + 1];
	iov[1].iov_base = this->vector.slab + this->vector.offset[packet];
	iov[1].iov_len = this->vector.length[packet];
}

static void refuse(sending_t *this, const run_t *run, int error)
{
	bool is_full = error == EAGAIN || error == ENOBUFS || error == ENOMEM;

	for (uint32_t frame = run->first; frame < run->first + run->count; frame++)
	{
		if (!this->vector.verdict[packet_of(this, frame)])
		{
			this->vector.verdict[packet_of(this, frame)] =
				is_full ? this->overflow : this->refused;
			this->endpoint->refused++;
		}
	}
	this->endpoint->last_error = error;
}

/**
 * The kernel, or the device, does not take several in one: they go one by one.
 *
 * @return			how many went
 */
static uint32_t send_singly(sending_t *this, const run_t *run)
{
	uint32_t sent = 0;
	struct iovec iov[2];
	struct msghdr header = {
		.msg_name = &this->to,
		.msg_namelen = sizeof(this->to),
		.msg_iov = iov,
		.msg_iovlen = 2,
	};
	ssize_t len;

	for (uint32_t frame = run->first; frame < run->first + run->count; frame++)
	{
		run_t one = { .first = frame, .count = 1 };

		point_at(this, iov, frame);
		do
		{
			this->calls++;
			len = sendmsg(this->endpoint->fd, &header, MSG_DONTWAIT);
		}
		while (len < 0 && errno == EINTR);
		if (len < 0)
		{
			refuse(this, &one, errno);
		}
		else
		{
			sent++;
		}
	}
	this->sent += sent;
	return sent;
}

static bool is_about_segments(int error)
{
	return error == EIO || error == EINVAL || error == EOPNOTSUPP ||
		   error == EMSGSIZE;
}

static void run_refused(sending_t *this, const run_t *run, int error)
{
	if (run->count == 1 || !is_about_segments(error))
	{
		refuse(this, run, error);
	}
	else if (send_singly(this, run) > 0)
	{
		/* so it was that, and not the way to this address */
		this->segments = 1;
		this->given_up = error;
	}
}

static void build_message(sending_t *this, sending_batch_t *batch, uint32_t n,
						  struct iovec *iov)
{
	struct msghdr *header = &batch->message[n].msg_hdr;
	run_t *run = &batch->run[n];
	struct cmsghdr *cmsg;
	uint16_t segment = (uint16_t)run->segment;

	memset(header, 0, sizeof(*header));
	header->msg_name = &this->to;
	header->msg_namelen = sizeof(this->to);
	header->msg_iov = iov;
	header->msg_iovlen = 2 * run->count;
	for (uint32_t i = 0; i < run->count; i++)
	{
		point_at(this, iov + 2 * i, run->first + i);
	}
	if (run->count > 1)
	{
		header->msg_control = batch->control[n].bytes;
		header->msg_controllen = sizeof(batch->control[n].bytes);
		cmsg = CMSG_FIRSTHDR(header);
		cmsg->cmsg_level = SOL_UDP;
		cmsg->cmsg_type = UDP_SEGMENT;
		cmsg->cmsg_len = CMSG_LEN(sizeof(segment));
		memcpy(CMSG_DATA(cmsg), &segment, sizeof(segment));
	}
}

/** sendmmsg() stops at the first message refused: see to that one and go on behind it */
static void send_batch(sending_t *this, sending_batch_t *batch)
{
	struct iovec *iov = batch->iov;
	uint32_t done = 0;
	int n;

	for (uint32_t i = 0; i < batch->runs; i++)
	{
		build_message(this, batch, i, iov);
		iov += 2 * batch->run[i].count;
	}
	while (done < batch->runs)
	{
		this->calls++;
		n = sendmmsg(this->endpoint->fd, batch->message + done,
					 batch->runs - done, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
		{
			continue;
		}
		if (n <= 0)
		{
			run_refused(this, &batch->run[done++], n ? errno : EIO);
			continue;
		}
		for (int i = 0; i < n; i++)
		{
			this->sent += batch->run[done++].count;
		}
	}
	batch->runs = 0;
	batch->packets = 0;
}

static bool extend_run(const sending_t *this, run_t *run, size_t bytes)
{
	if (!run->is_open || run->count >= this->segments || bytes == 0 ||
		bytes > run->segment || run->segment > this->longest ||
		run->bytes + bytes > MESSAGE_BYTES_MAX)
	{
		return false;
	}
	run->count++;
	run->bytes += bytes;
	/* only the last may be shorter */
	run->is_open = bytes == run->segment;
	return true;
}

static void add_frame(sending_t *this, sending_batch_t *batch, uint32_t frame)
{
	size_t bytes = bytes_of(this, frame);

	if (batch->packets == PACKETS)
	{
		send_batch(this, batch);
	}
	if (batch->runs == 0 ||
		/* behind a frame that was passed over the iovecs go on, but not the frames */
		batch->run[batch->runs - 1].first +
			batch->run[batch->runs - 1].count != frame ||
		!extend_run(this, &batch->run[batch->runs - 1], bytes))
	{
		if (batch->runs == UDP_MESSAGES)
		{
			send_batch(this, batch);
		}
		batch->run[batch->runs++] = (run_t){
			.first = frame,
			.count = 1,
			.segment = bytes,
			.bytes = bytes,
			.is_open = true,
		};
	}
	batch->packets++;
}

static void send_all(sending_t *this, uint32_t count)
{
	/* 25 KB: the headers of messages are written when they are used */
	sending_batch_t batch;

	batch.runs = 0;
	batch.packets = 0;
	for (uint32_t frame = 0; frame < count; frame++)
	{
		if (!this->vector.verdict[packet_of(this, frame)])
		{
			add_frame(this, &batch, frame);
		}
	}
	if (batch.runs > 0)
	{
		send_batch(this, &batch);
	}
	this->endpoint->sent += this->sent;
}

/** Whether each frame names a packet, and a header of the right size, inside of what was given */
static bool frames_are_inside(const sending_t *this, uint32_t count)
{
	for (uint32_t frame = 0; frame < count; frame++)
	{
		if (this->frames[frame * FRAME_ENTRIES + 1] > HEADER_BYTES ||
			!vector_is_inside(&this->vector, packet_of(this, frame), 1))
		{
			return false;
		}
	}
	return true;
}

napi_value udp_send(napi_env env, napi_callback_info info)
{
	sending_t sending = {};
	napi_value result;

	VECTOR_ARGS(env, info, 15);
	sending.endpoint = udp_get(env, argv[0]);
	if (!sending.endpoint)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 4, napi_uint8_array, uint8_t, verdict);
	VECTOR_ARG_ARRAY(env, 5, napi_uint8_array, uint8_t, headers);
	VECTOR_ARG_ARRAY(env, 6, napi_uint32_array, uint32_t, frames);
	VECTOR_ARG_UINT32(env, 7, count);
	VECTOR_ARG_UINT32(env, 8, address);
	VECTOR_ARG_UINT32(env, 9, port);
	VECTOR_ARG_UINT32(env, 10, segments);
	VECTOR_ARG_UINT32(env, 11, longest);
	VECTOR_ARG_UINT32(env, 12, refused);
	VECTOR_ARG_UINT32(env, 13, overflow);
	VECTOR_ARG_ARRAY(env, 14, napi_uint32_array, uint32_t, outcome);
	sending.vector.slab = slab;
	sending.vector.slab_bytes = slab_entries;
	sending.vector.offset = offset;
	sending.vector.length = length;
	sending.vector.verdict = verdict;
	sending.vector.entries = offset_entries < length_entries ? offset_entries
															 : length_entries;
	if (verdict_entries < sending.vector.entries)
	{
		sending.vector.entries = verdict_entries;
	}
	sending.headers = headers;
	sending.frames = frames;
	sending.segments = segments < SEGMENTS_MAX ? segments : SEGMENTS_MAX;
	sending.longest = longest < UINT16_MAX ? longest : UINT16_MAX;
	VECTOR_CHECK(env, port > 0 && port <= UINT16_MAX, "port out of range");
	VECTOR_CHECK(env, refused > 0 && refused <= UINT8_MAX && overflow > 0 &&
				 overflow <= UINT8_MAX, "verdicts must be 1 to 255");
	VECTOR_CHECK(env, outcome_entries >= UDP_OUTCOME_ENTRIES,
				 "outcome must have 2 entries");
	VECTOR_CHECK(env, count <= frames_entries / FRAME_ENTRIES &&
				 count <= headers_entries / HEADER_BYTES &&
				 frames_are_inside(&sending, count),
				 "a frame reaches out of the slab or the arrays");
	sending.refused = (uint8_t)refused;
	sending.overflow = (uint8_t)overflow;
	sending.to.sin_family = AF_INET;
	sending.to.sin_port = htons((uint16_t)port);
	sending.to.sin_addr.s_addr = htonl(address);
	send_all(&sending, count);
	/* last: it may be one of the arrays above */
	outcome[UDP_OUTCOME_CALLS] = sending.calls;
	outcome[UDP_OUTCOME_ERRNO] = (uint32_t)sending.given_up;
	VECTOR_TRY(env, napi_create_uint32(env, sending.sent, &result));
	return result;
}
