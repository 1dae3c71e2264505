/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A capture by a ring (Linux Documentation/networking/packet_mmap.rst, version
 * 2): the kernel writes a packet into each frame of memory that it shares with
 * us, and no system call is made for it. Version 3 would pack frames closer,
 * and hand over blocks when they are full or a timer ends, which costs every
 * interactive connection that time.
 *
 * What is longer than a frame, which super-packets are, comes through the
 * socket's queue as well (PACKET_COPY_THRESH): its frame says that it is there,
 * and keeps its place among the others.
 */

#include "capture.h"
#include "segments.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/** Memory that the kernel takes in one piece; a power of two */
#define BLOCK_BYTES (256 * 1024)
#define PACKET_MAX_BYTES 65535
/** A frame has room for the kernel's header and the headers of a packet at least */
#define FRAME_MIN_BYTES 256
#define RING_MAX_BYTES (1u << 30)
/** Errors of the socket that may come before a packet */
#define QUEUE_TRIES 4

typedef struct {
	uint8_t *frames;
	uint32_t frame_bytes;
	uint32_t frame_count;
	/** the frame that is read next */
	uint32_t next;
	/** of the super-packet in that frame; the frame is kept until nothing is left,
	 * so that poll() goes on to say that there is something */
	segments_t rest;
	/** the super-packet, if it is longer than a frame */
	uint8_t large[PACKET_MAX_BYTES];
} capture_ring_t;

/** What stands before the IP header in the socket's queue */
typedef struct __attribute__((packed)) {
	struct virtio_net_hdr offload;
	struct ethhdr link;
} prefix_t;

static struct tpacket2_hdr *frame_at(capture_ring_t *this, uint32_t index)
{
	return (struct tpacket2_hdr*)(void*)(this->frames +
										 (size_t)index * this->frame_bytes);
}

/** The frame is the kernel's again */
static void give_back(capture_ring_t *this, struct tpacket2_hdr *frame)
{
	__atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	this->next = this->next + 1 == this->frame_count ? 0 : this->next + 1;
}

/**
 * The next packet of the socket's queue, to ring->large. A link that went down is an
 * error of the socket, which comes before the packet.
 *
 * @param offload	what the kernel says of it
 * @return			its bytes from the IP header on; -1 if there is none after all
 */
static ssize_t take_queued(endpoint_t *this, struct virtio_net_hdr *offload)
{
	capture_ring_t *ring = this->data;
	prefix_t prefix;
	struct iovec iov[] = {
		{ .iov_base = &prefix, .iov_len = sizeof(prefix) },
		{ .iov_base = ring->large, .iov_len = sizeof(ring->large) },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t got;

	for (int tries = 0; tries < QUEUE_TRIES; tries++)
	{
		got = recvmsg(this->fd, &message, MSG_DONTWAIT | MSG_TRUNC);
		if (got >= 0)
		{
			*offload = prefix.offload;
			return got - (ssize_t)sizeof(prefix);
		}
		endpoint_note_error(this, errno);
		if (errno == EAGAIN)
		{
			break;
		}
	}
	return -1;
}

/**
 * The packet of a frame. One that is in the queue brings its own header: two
 * processors that wait for each other may have put it there in another order than
 * that of the frames.
 *
 * @return			where its IP header is; NULL if it got lost
 */
static const uint8_t *packet_of(endpoint_t *this, struct tpacket2_hdr *frame,
								uint32_t status, uint32_t *length,
								struct virtio_net_hdr *offload)
{
	capture_ring_t *ring = this->data;
	ssize_t bytes;

	if (status & TP_STATUS_COPY)
	{
		bytes = take_queued(this, offload);
		if (bytes > (ssize_t)sizeof(ring->large))
		{
			this->too_long++;
			return NULL;
		}
		*length = (uint32_t)bytes;
		return bytes < 0 ? NULL : ring->large;
	}
	bytes = (ssize_t)frame->tp_snaplen - (frame->tp_net - frame->tp_mac);
	if (bytes < 0 || frame->tp_snaplen < frame->tp_len)
	{
		/* longer than a frame, and the queue was full */
		this->overrun++;
		return NULL;
	}
	memcpy(offload, (uint8_t*)frame + frame->tp_mac - sizeof(*offload),
		   sizeof(*offload));
	*length = (uint32_t)bytes;
	return (uint8_t*)frame + frame->tp_net;
}

/**
 * What a frame has: one packet for a slot, or a super-packet whose datagrams are
 * the rest to be taken then.
 *
 * @return			TRUE if the slot was filled
 */
static bool take_frame(endpoint_t *this, struct tpacket2_hdr *frame,
					   uint32_t status, vector_t *vector, uint32_t i,
					   uint32_t room)
{
	capture_ring_t *ring = this->data;
	struct virtio_net_hdr offload;
	const uint8_t *packet;
	uint32_t length;

	packet = packet_of(this, frame, status, &length, &offload);
	if (!packet)
	{
		return false;
	}
	if (offload.gso_type == SEGMENTS_UDP_L4 &&
		segments_begin(&ring->rest, packet, length, offload.gso_size))
	{
		return false;
	}
	/* also what says that it is a super-packet, and is none */
	if (length > room)
	{
		this->too_long++;
		return false;
	}
	memcpy(vector->slab + vector->offset[i], packet, length);
	vector->length[i] = length;
	return true;
}

static uint32_t ring_receive(endpoint_t *this, vector_t *vector, uint32_t from,
							 uint32_t max, uint32_t room)
{
	capture_ring_t *ring = this->data;
	struct tpacket2_hdr *frame;
	uint32_t filled = 0, status;

	/* once around: no flood of packets that fill no slot goes on for ever */
	for (uint32_t looked = 0; filled < max && looked < ring->frame_count; looked++)
	{
		frame = frame_at(ring, ring->next);
		if (!segments_left(&ring->rest))
		{
			status = __atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE);
			if (!(status & TP_STATUS_USER))
			{
				break;
			}
			if (take_frame(this, frame, status, vector, from + filled, room))
			{
				filled++;
			}
		}
		filled += segments_take(&ring->rest, vector, from + filled, max - filled,
								room, &this->too_long);
		if (!segments_left(&ring->rest))
		{
			give_back(ring, frame);
		}
	}
	endpoint_note_received(this, filled);
	return filled;
}

static void ring_destroy(capture_ring_t *this)
{
	if (this)
	{
		munmap(this->frames, (size_t)this->frame_bytes * this->frame_count);
		free(this);
	}
}

static void ring_shut(endpoint_t *this)
{
	ring_destroy(this->data);
	this->data = NULL;
}

const endpoint_kind_t capture_ring_kind = {
	.name = "capture ring",
	.receive = ring_receive,
	.refresh = capture_refresh,
	.shut = ring_shut,
};

/**
 * Make the ring of a socket. Sets errno.
 *
 * @param frames	rounded up to whole blocks
 */
static capture_ring_t *ring_create(int fd, uint32_t frame_bytes, uint32_t frames)
{
	int version = TPACKET_V2, on = 1;
	uint32_t frames_of_block = BLOCK_BYTES / frame_bytes;
	uint32_t blocks = (frames + frames_of_block - 1) / frames_of_block;
	struct tpacket_req request = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = blocks,
		.tp_frame_size = frame_bytes,
		.tp_frame_nr = blocks * frames_of_block,
	};
	capture_ring_t *this;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version,
				   sizeof(version)) == -1 ||
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == -1 ||
		setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &on, sizeof(on)) == -1 ||
		setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request,
				   sizeof(request)) == -1)
	{
		return NULL;
	}
	this = calloc(1, sizeof(*this));
	if (!this)
	{
		return NULL;
	}
	this->frame_bytes = frame_bytes;
	this->frame_count = request.tp_frame_nr;
	this->frames = mmap(NULL, (size_t)frame_bytes * this->frame_count,
						PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (this->frames == MAP_FAILED)
	{
		free(this);
		return NULL;
	}
	return this;
}

napi_value capture_ring_open(napi_env env, napi_callback_info info)
{
	capture_scope_t scope;
	capture_ring_t *ring;
	napi_value object;
	int fd, error;

	VECTOR_ARGS(env, info, 6);
	if (!capture_scope(env, argv, &scope))
	{
		return NULL;
	}
	VECTOR_ARG_UINT32(env, 4, frame_bytes);
	VECTOR_ARG_UINT32(env, 5, frames);
	VECTOR_CHECK(env, frame_bytes >= FRAME_MIN_BYTES &&
				 frame_bytes <= BLOCK_BYTES &&
				 (frame_bytes & (frame_bytes - 1)) == 0,
				 "frameBytes must be a power of two from 256 to 262144");
	VECTOR_CHECK(env, frames > 0 &&
				 (uint64_t)frames * frame_bytes <= RING_MAX_BYTES,
				 "the ring must have 1 byte to 1 GiB");

	/* a virtio header needs SOCK_RAW, so packets start at the link header */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
	{
		return endpoint_throw_errno(env, "packet socket", errno);
	}
	ring = capture_prepare(fd, &scope) ? ring_create(fd, frame_bytes, frames)
									   : NULL;
	if (!ring || !capture_listen(fd, &scope))
	{
		error = errno;
		ring_destroy(ring);
		close(fd);
		return endpoint_throw_errno(env, "capture ring", error);
	}
	object = endpoint_create(env, &capture_ring_kind, fd, -1);
	if (!object)
	{
		ring_destroy(ring);
		return NULL;
	}
	endpoint_unwrap(env, object)->data = ring;
	return object;
}
