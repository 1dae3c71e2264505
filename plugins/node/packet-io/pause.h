/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * A pause before the event loop looks at its descriptors again, while packets come
 * fast: being woken for each costs several times what handling it does. All endpoints
 * that are watched from one environment share it.
 */

#ifndef PACKET_IO_PAUSE_H_
#define PACKET_IO_PAUSE_H_

#include "../vector.h"

#include <uv.h>

typedef struct pause_t pause_t;

/**
 * The pause of an environment; made with the first call. It goes with the environment.
 *
 * @return			NULL with a pending exception
 */
pause_t *pause_of(napi_env env, uv_loop_t *loop);

/** An endpoint's callback is about to run: the event loop's turn has begun, if it had not */
void pause_turn(pause_t *this);

/** So many packets were received in this turn */
void pause_note(pause_t *this, uint32_t packets);

/** pauseSet(microseconds, packetsPerMs, enough): see README.md */
napi_value pause_set(napi_env env, napi_callback_info info);

#endif /* PACKET_IO_PAUSE_H_ */
