/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Many datagrams a call over a UDP endpoint (udp.c): udp_send.c and udp_receive.c.
 */

#ifndef PACKET_IO_UDP_BATCH_H_
#define PACKET_IO_UDP_BATCH_H_

#include "endpoint.h"

/** Messages of one system call */
#define UDP_MESSAGES 64

/** What became of a call, for the caller: an array of two numbers */
enum {
	/** system calls made */
	UDP_OUTCOME_CALLS,
	/** errno because of which segmentation was given up, else 0 */
	UDP_OUTCOME_ERRNO,
	UDP_OUTCOME_ENTRIES,
};

/**
 * As endpoint_get(), but an endpoint of another kind is an exception, too.
 */
endpoint_t *udp_get(napi_env env, napi_value object);

/** udpOpen(address, port, bufferBytes) */
napi_value udp_open(napi_env env, napi_callback_info info);

/** udpSegmentation(endpoint): throws if the kernel has no UDP_SEGMENT */
napi_value udp_segmentation(napi_env env, napi_callback_info info);

/** udpCoalescing(endpoint): UDP_GRO from now on; throws if the kernel has it not */
napi_value udp_coalescing(napi_env env, napi_callback_info info);

/** udpSend(endpoint, slab, offset, length, verdict, ...): see README.md */
napi_value udp_send(napi_env env, napi_callback_info info);

/** udpReceive(endpoint, slab, offset, length, source, ...): see README.md */
napi_value udp_receive(napi_env env, napi_callback_info info);

/** copyPackets(slab, offset, length, toSlab, toOffset, count) */
napi_value copy_packets(napi_env env, napi_callback_info info);

#endif /* PACKET_IO_UDP_BATCH_H_ */
