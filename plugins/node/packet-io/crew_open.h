/*
 * Copyright (c) 2026 the strongswan-dvipa authors
 * SPDX-License-Identifier: MIT
 */

/**
 * Crews as JavaScript sees them: threads that do parts of a call (../crew.h).
 */

#ifndef PACKET_IO_CREW_OPEN_H_
#define PACKET_IO_CREW_OPEN_H_

#include "../crew.h"

/** crewOpen(workers): 1 to 64, the caller's thread included, or as many as the kernel gives */
napi_value crew_open(napi_env env, napi_callback_info info);

/** crewStats(crew, Float64Array(5)): workers, errno that left some out, runs, wake-ups, stalls; also of a closed one */
napi_value crew_stats(napi_env env, napi_callback_info info);

/** crewClose(crew): ends its threads, after which callers work alone; twice is harmless */
napi_value crew_close(napi_env env, napi_callback_info info);

/** crewTry(crew, counts, workers, busyNs): for tests. A run whose units count themselves and note who did them */
napi_value crew_try(napi_env env, napi_callback_info info);

#endif /* PACKET_IO_CREW_OPEN_H_ */
