/** Where an agent of each role listens for `dvipa status` and the like, unless its configuration says otherwise. */
export const ROUTE_ADMIN_SOCKET = '/run/dvipa/route.sock';
export const TARGET_ADMIN_SOCKET = '/run/dvipa/target.sock';
