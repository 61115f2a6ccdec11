export { createHasher, hashBytes } from './blake3.ts'
export { localZone } from './local-zone.ts'
export { socketStream } from './socket-stream.ts'
export { systemClock } from './system-clock.ts'
