/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * What JavaScript sees of packet-io: see README.md one folder up. This file
 * checks arguments; the work is in the other ones.
 */

#include "crew_open.h"
#include "pause.h"
#include "segments.h"
#include "udp_batch.h"

#define EXPORT(js, function) \
	{ js, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL }

/** receive(endpoint, slab, offset, length, roomBytes, from, max) -> count */
static napi_value packet_io_receive(napi_env env, napi_callback_info info)
{
	endpoint_t *endpoint;
	vector_t vector = {};
	napi_value result;

	VECTOR_ARGS(env, info, 7);
	endpoint = endpoint_get(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_CHECK(env, endpoint->kind->receive, "the endpoint does not receive");
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_UINT32(env, 4, room);
	VECTOR_ARG_UINT32(env, 5, from);
	VECTOR_ARG_UINT32(env, 6, max);
	vector.slab = slab;
	vector.slab_bytes = slab_entries;
	vector.offset = offset;
	vector.length = length;
	vector.entries = offset_entries < length_entries ? offset_entries
													 : length_entries;
	VECTOR_CHECK(env, room > 0, "roomBytes must not be 0");
	VECTOR_CHECK(env, vector_has_room(&vector, from, max, room),
				 "a slot reaches out of the slab or the arrays");
	VECTOR_TRY(env, napi_create_uint32(env,
					endpoint->kind->receive(endpoint, &vector, from, max, room),
					&result));
	return result;
}

/** send(endpoint, slab, offset, length, verdict, from, count, refused, tooBig) -> sent */
static napi_value packet_io_send(napi_env env, napi_callback_info info)
{
	endpoint_t *endpoint;
	vector_t vector = {};
	napi_value result;

	VECTOR_ARGS(env, info, 9);
	endpoint = endpoint_get(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_CHECK(env, endpoint->kind->send, "the endpoint does not send");
	VECTOR_ARG_ARRAY(env, 1, napi_uint8_array, uint8_t, slab);
	VECTOR_ARG_ARRAY(env, 2, napi_uint32_array, uint32_t, offset);
	VECTOR_ARG_ARRAY(env, 3, napi_uint32_array, uint32_t, length);
	VECTOR_ARG_ARRAY(env, 4, napi_uint8_array, uint8_t, verdict);
	VECTOR_ARG_UINT32(env, 5, from);
	VECTOR_ARG_UINT32(env, 6, count);
	VECTOR_ARG_UINT32(env, 7, refused);
	VECTOR_ARG_UINT32(env, 8, too_big);
	vector.slab = slab;
	vector.slab_bytes = slab_entries;
	vector.offset = offset;
	vector.length = length;
	vector.verdict = verdict;
	vector.entries = offset_entries < length_entries ? offset_entries
													 : length_entries;
	if (verdict_entries < vector.entries)
	{
		vector.entries = verdict_entries;
	}
	VECTOR_CHECK(env, refused > 0 && refused <= UINT8_MAX && too_big > 0 &&
				 too_big <= UINT8_MAX, "verdicts must be 1 to 255");
	VECTOR_CHECK(env, vector_is_inside(&vector, from, count),
				 "a packet reaches out of the slab or the arrays");
	VECTOR_TRY(env, napi_create_uint32(env,
					endpoint->kind->send(endpoint, &vector, from, count,
										 (uint8_t)refused, (uint8_t)too_big),
					&result));
	return result;
}

/** stats(endpoint, Float64Array(7)): also of a closed one; README.md has the order */
static napi_value packet_io_stats(napi_env env, napi_callback_info info)
{
	endpoint_t *endpoint;

	VECTOR_ARGS(env, info, 2);
	endpoint = endpoint_unwrap(env, argv[0]);
	if (!endpoint)
	{
		return NULL;
	}
	VECTOR_ARG_ARRAY(env, 1, napi_float64_array, double, counters);
	VECTOR_CHECK(env, counters_entries >= 7, "counters must have 7 entries");
	if (endpoint->kind->refresh)
	{
		endpoint->kind->refresh(endpoint);
	}
	counters[0] = (double)endpoint->received;
	counters[1] = (double)endpoint->sent;
	counters[2] = (double)endpoint->refused;
	counters[3] = (double)endpoint->too_long;
	counters[4] = (double)endpoint->overrun;
	counters[5] = (double)endpoint->errors;
	counters[6] = (double)endpoint->last_error;
	return NULL;
}

static napi_value packet_io_init(napi_env env, napi_value exports)
{
	const napi_property_descriptor properties[] = {
		EXPORT("tunOpen", tun_open),
		EXPORT("captureOpen", capture_open),
		EXPORT("captureRingOpen", capture_ring_open),
		EXPORT("segments", segments_split),
		EXPORT("linkOpen", link_open),
		EXPORT("netlinkOpen", netlink_open),
		EXPORT("netlinkHeard", netlink_heard),
		EXPORT("captureFilter", capture_filter),
		EXPORT("rawOpen", raw_open),
		EXPORT("rawRuns", raw_runs),
		EXPORT("rawCloseIdle", raw_close_idle),
		EXPORT("udpSocket", udp_socket),
		EXPORT("udpOpen", udp_open),
		EXPORT("udpSegmentation", udp_segmentation),
		EXPORT("udpCoalescing", udp_coalescing),
		EXPORT("udpSend", udp_send),
		EXPORT("udpReceive", udp_receive),
		EXPORT("copyPackets", copy_packets),
		EXPORT("crewOpen", crew_open),
		EXPORT("crewStats", crew_stats),
		EXPORT("crewClose", crew_close),
		EXPORT("crewTry", crew_try),
		EXPORT("receive", packet_io_receive),
		EXPORT("send", packet_io_send),
		EXPORT("endpointCrew", endpoint_set_crew),
		EXPORT("poll", endpoint_start_poll),
		EXPORT("pauseSet", pause_set),
		EXPORT("stats", packet_io_stats),
		EXPORT("close", endpoint_close),
	};

	VECTOR_TRY(env, napi_define_properties(env, exports,
					sizeof(properties) / sizeof(properties[0]), properties));
	return exports;
}

NAPI_MODULE(packet_io, packet_io_init)
