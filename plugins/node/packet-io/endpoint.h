/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * An endpoint: a file descriptor that packets come from or go to, with its
 * counters and its place in the event loop. tun.c, tun_offload.c, capture.c, link.c,
 * raw.c and udp.c make them; they differ in how a batch is moved and in nothing else.
 */

#ifndef PACKET_IO_ENDPOINT_H_
#define PACKET_IO_ENDPOINT_H_

#include "../crew.h"
#include "../vector.h"

#include <uv.h>

typedef struct endpoint_t endpoint_t;
typedef struct endpoint_poll_t endpoint_poll_t;

/** What a kind of endpoint can do; NULL where it can not */
typedef struct {
	const char *name;
	/**
	 * Fill packets from .. from + max with up to room bytes each.
	 * @return			how many were filled, without gaps
	 */
	uint32_t (*receive)(endpoint_t *this, vector_t *vector, uint32_t from,
						uint32_t max, uint32_t room);
	/**
	 * Send packets from .. from + count that have verdict 0; give refused or
	 * too_big to those that the kernel did not take.
	 * @return			how many went out
	 */
	uint32_t (*send)(endpoint_t *this, vector_t *vector, uint32_t from,
					 uint32_t count, uint8_t refused, uint8_t too_big);
	/** Bring counters that the kernel keeps up to date */
	void (*refresh)(endpoint_t *this);
	/**
	 * Let go of what the endpoint has besides its descriptors, which are still
	 * open; its data is freed later, unless this did and set it to NULL
	 */
	void (*shut)(endpoint_t *this);
} endpoint_kind_t;

struct endpoint_t {
	const endpoint_kind_t *kind;
	/** -1 once closed */
	int fd;
	/** where IPv6 packets go if not to fd; -1 if nowhere else. Never watched */
	int fd6;
	/** what fd is watched for: UV_READABLE, see endpoint_poll_again() */
	int events;
	/** set while the event loop watches fd; frees itself */
	endpoint_poll_t *poll;
	/** what a kind needs besides, or NULL; freed with the endpoint */
	void *data;
	/** who helps to move a vector, or NULL; the reference keeps it */
	const struct crew_port *crew;
	napi_ref crew_object;
	/** fd is a set of descriptors, and what they were of was deleted */
	bool is_gone;
	/** moved, since it was opened */
	uint64_t received;
	uint64_t sent;
	/** refused by the kernel on the way out */
	uint64_t refused;
	/** longer than the room of a slot: dropped here */
	uint64_t too_long;
	/** lost in the kernel because nobody read in time */
	uint64_t overrun;
	/** errors on the descriptor itself, and the last errno */
	uint64_t errors;
	int last_error;
};

/** Count an error of the descriptor itself */
void endpoint_note_error(endpoint_t *this, int error);

/** Count packets that were received, and how much there is to do */
void endpoint_note_received(endpoint_t *this, uint32_t packets);

/** The send of a kind whose descriptor takes a packet with each write */
uint32_t endpoint_write_each(endpoint_t *this, vector_t *vector, uint32_t from,
							 uint32_t count, uint8_t refused, uint8_t too_big);

/**
 * Wrap descriptors into a JavaScript object; closes them if that fails.
 *
 * @param fd6		second descriptor, for IPv6 only, or -1
 * @return			the object, NULL with a pending exception
 */
napi_value endpoint_create(napi_env env, const endpoint_kind_t *kind, int fd,
						   int fd6);

/**
 * The endpoint in an object made by endpoint_create(), open or closed.
 *
 * @return			NULL with a pending exception if it is none
 */
endpoint_t *endpoint_unwrap(napi_env env, napi_value object);

/**
 * As endpoint_unwrap(), but a closed one is an exception, too.
 */
endpoint_t *endpoint_get(napi_env env, napi_value object);

/** poll(endpoint, callback(status)): watch; status < 0 says that watching ended */
napi_value endpoint_start_poll(napi_env env, napi_callback_info info);

/**
 * Whether the callback is to run at the event loop's next turn although the descriptor
 * has nothing to read: the endpoint keeps something. For what can be written to.
 */
void endpoint_poll_again(endpoint_t *this, bool again);

/** endpointCrew(endpoint, crew): who helps with vectors from now on, where the kind has parts to give */
napi_value endpoint_set_crew(napi_env env, napi_callback_info info);

/** close(endpoint): twice is harmless */
napi_value endpoint_close(napi_env env, napi_callback_info info);

/** Throw an Error with the code (ENOENT ...) and text of an errno; returns NULL */
napi_value endpoint_throw_errno(napi_env env, const char *what, int error);

/** tunOpen(name, { persist, vnetHeader, queues }) */
napi_value tun_open(napi_env env, napi_callback_info info);

/** captureOpen(interfaceName, ethertype, program, receiveBufferBytes) */
napi_value capture_open(napi_env env, napi_callback_info info);

/** captureRingOpen(interfaceName, ethertype, program, receiveBufferBytes, frameBytes, frames) */
napi_value capture_ring_open(napi_env env, napi_callback_info info);

/** linkOpen(interfaceName, ethertype) */
napi_value link_open(napi_env env, napi_callback_info info);

/** netlinkOpen(protocol, groups) */
napi_value netlink_open(napi_env env, napi_callback_info info);

/** netlinkHeard(endpoint) -> whether anything came since the last call */
napi_value netlink_heard(napi_env env, napi_callback_info info);

/** captureFilter(endpoint, program): from the next packet on */
napi_value capture_filter(napi_env env, napi_callback_info info);

/** rawOpen(mark, sendBufferBytes, runPort, sourcePort) */
napi_value raw_open(napi_env env, napi_callback_info info);

/** rawRuns(endpoint, Float64Array(5)): also of a closed one; README.md has the order */
napi_value raw_runs(napi_env env, napi_callback_info info);

/** rawCloseIdle(endpoint): sockets that no run left from since the last call */
napi_value raw_close_idle(napi_env env, napi_callback_info info);

/** udpSocket(address, port, bufferBytes): the number of a bound descriptor */
napi_value udp_socket(napi_env env, napi_callback_info info);

#endif /* PACKET_IO_ENDPOINT_H_ */
